"""Delivery through a real SMTP conversation: each letter once, whatever the server or the worker does."""

import os
import signal
import subprocess
import sys
from urllib.parse import quote

import pytest
from django.conf import settings as django_settings
from django.core import mail
from django.core.exceptions import ValidationError
from django.db import connection
from django.db.models.functions import Now

from crm.core.jobs import drain, enqueue, run_job
from crm.core.models import Job
from leads.models import Interaction, Kind, Message, Suppression
from leads.services import delivery, letters, optouts
from tests.factories import LeadFactory
from tests.leads import sinks

pytestmark = pytest.mark.django_db


@pytest.fixture
def sink(settings):
    with sinks.running() as server:
        settings.EMAIL_BACKEND = "leads.smtp.Backend"
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_USE_TLS = "127.0.0.1", server.port, False
        settings.EMAIL_TIMEOUT = 5
        yield server


@pytest.fixture
def lead(rep):
    return LeadFactory(owner=rep, name="Пётр Иванов", email="client@example.test")


def letter(lead, **fields):
    return letters.write(lead, **{"kind": "letter", "subject": "Заказ", "text": "Добрый день!", **fields})


def outcome(message):
    message.refresh_from_db()
    return message.state, message.reason


def due_again():
    """Let what has been put off fall due."""
    Job.objects.filter(dead=False).update(due_at=Now())


def test_the_server_gets_the_letter_with_its_headers_and_both_parts(sink, lead, rep):
    message = letter(lead, by=rep, text="Добрый день!\n\nСмета: https://example.test/smeta?a=1&b=2")
    drain()
    [(sent, to)] = sink.letters
    assert outcome(message) == ("sent", "")
    assert to == ["client@example.test"]
    assert sent["From"].startswith("Анна Репина <")
    assert (sent["Subject"], sent["Reply-To"]) == ("Заказ", "Анна Репина <rep@crm.test>")
    assert sent["Message-ID"] == delivery.message_id(message)
    assert "https://example.test/smeta?a=1&b=2" in sent.get_body(("plain",)).get_content()
    page = sent.get_body(("html",)).get_content()
    assert f"/t/c/{message.token}/1/" in page and f"/t/o/{message.token}.gif" in page
    assert sent["List-Unsubscribe"] is None


@pytest.mark.parametrize("kind", ["welcome", "sequence"])
def test_letters_that_nobody_asked_for_carry_both_ways_out(sink, lead, kind):
    message = letter(lead, kind=kind)
    drain()
    [(sent, _to)] = sink.letters
    way_out = f"{django_settings.PUBLIC_URL}/u/{message.token}/"
    assert sent["List-Unsubscribe"].startswith(f"<{way_out}>, <mailto:")
    assert sent["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert way_out in sent.get_body(("plain",)).get_content()


@pytest.mark.parametrize("mode", ["421", "451", "drop_before"])
def test_a_server_that_says_later_gets_the_letter_later_and_once(sink, lead, mode):
    sink.mode = mode
    message = letter(lead)
    drain(limit=1)
    assert outcome(message)[0] == "queued" and sink.letters == []
    [job] = Job.objects.filter(task="leads.deliver")
    assert (job.attempts, job.dead) == (1, False)
    for _attempt in range(8):  # far more than an exception would survive
        due_again()
        drain(limit=1)
    assert outcome(message)[0] == "queued"
    sink.mode = "ok"
    due_again()
    drain()
    assert outcome(message) == ("sent", "")
    assert sink.ids == [delivery.message_id(message)]
    assert not Job.objects.exists() or not Job.objects.filter(task="leads.deliver").exists()


def test_no_server_at_all_means_later_and_leaves_the_server_alone(settings, lead):
    settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_PORT = "leads.smtp.Backend", "127.0.0.1", 9
    rows = [letter(lead, subject=f"№ {n}") for n in range(3)]
    assert drain() == 3  # all three were due, yet two only found themselves put off
    assert {outcome(row)[0] for row in rows} == {"queued"}
    assert Job.objects.filter(task="leads.deliver", due_at__gt=Now()).count() == 3


def test_a_refused_address_fails_for_good_and_is_not_written_to_again(sink, lead, rep):
    sink.mode = "550"
    message, other = letter(lead), letter(LeadFactory(owner=rep))
    drain()
    assert (outcome(message)[0], outcome(other)[0]) == ("failed", "failed")
    assert "no such user" in message.reason
    assert set(Suppression.objects.values_list("value", "reason")) == {(lead.email, "bounced"), (other.to, "bounced")}
    sink.mode = "ok"
    again = letter(lead)
    drain()
    assert outcome(again) == ("skipped", "opted_out") and sink.letters == []


def test_an_answer_that_got_lost_is_unsure_and_never_resent(sink, lead):
    sink.mode = "drop_answer"
    message = letter(lead)
    drain()
    assert outcome(message) == ("unsure", "answer_lost")
    sink.mode = "ok"
    due_again()
    drain()
    delivery.sweep()
    drain()
    assert sink.ids == [delivery.message_id(message)]


def test_a_server_that_hangs_up_after_its_yes_has_taken_the_letter(sink, lead):
    sink.mode = "drop_after"
    message = letter(lead)
    drain()
    due_again()
    drain()
    assert outcome(message) == ("sent", "")
    assert sink.ids == [delivery.message_id(message)]


def test_ringing_twice_sends_once(sink, lead):
    message = letter(lead)
    drain()
    enqueue("leads.deliver", message.pk)
    drain()
    assert sink.ids == [delivery.message_id(message)]


def test_a_day_of_later_is_a_failure(sink, lead):
    sink.mode = "451"
    message = letter(lead)
    Message.objects.filter(pk=message.pk).update(created_at="2020-01-01T00:00:00Z")
    drain()
    assert outcome(message) == ("failed", "too_long 451 4.7.1 greylisted")
    assert not Job.objects.filter(task="leads.deliver").exists()


# --- Whom nothing goes to --------------------------------------------------------------------------------------------
def test_an_opt_out_between_writing_and_sending_holds(lead):
    message = letter(lead)
    optouts.opt_out("CLIENT@example.test ", lead=lead)
    drain()
    assert outcome(message) == ("skipped", "opted_out") and mail.outbox == []


def test_no_address_no_letter(rep):
    message = letter(LeadFactory(owner=rep, email=""))
    drain()
    assert outcome(message) == ("skipped", "no_address")


def test_automatic_letters_do_not_follow_a_rejection_but_a_colleagues_own_does(lead, rep):
    machine, own = letter(lead, kind="sequence"), letter(lead, by=rep)
    type(lead).objects.filter(pk=lead.pk).update(status="rejected", closed_at=Now())
    drain()
    assert (outcome(machine), outcome(own)) == (("skipped", "rejected"), ("sent", ""))


def test_a_letter_about_an_erased_lead_is_not_sent(lead):
    message = letter(lead)
    Message.objects.filter(pk=message.pk).update(lead=None)
    drain()
    assert outcome(message) == ("skipped", "erased")


def test_a_notice_goes_to_a_colleague_once(rep):
    first = letters.notify_by_mail(rep, "Hot lead", "Look: https://crm.test/leads/1/", dedup="hot:1")
    assert letters.notify_by_mail(rep, "Hot lead", "Look", dedup="hot:1") == first
    drain()
    assert [m.to for m in mail.outbox] == [["rep@crm.test"]]
    assert "/t/" not in first.html


def test_the_same_thing_said_twice_is_one_letter(lead):
    first = letter(lead, dedup="welcome:s1")
    assert letter(lead, dedup="welcome:s1", text="other") == first
    drain()
    assert len(mail.outbox) == 1
    assert Interaction.objects.filter(kind=Kind.EMAIL_OUT).count() == 1


# --- Threads and headers ---------------------------------------------------------------------------------------------
def test_an_answer_with_the_same_subject_continues_the_thread(sink, lead):
    first = letter(lead, subject="Смета")
    drain()
    letter(lead, subject="Re: Смета")
    letter(lead, subject="Другое")
    drain()
    assert [sent["In-Reply-To"] for sent, _to in sink.letters] == [None, delivery.message_id(first), None]


def test_line_breaks_never_reach_a_header(sink, lead, rep):
    rep.first_name, rep.last_name = "Анна\r\nBcc: x@evil.test", '"Q" <y@evil.test>'
    rep.save()
    lead.owner = rep
    letter(lead, subject="Заказ\r\nBcc: victim@evil.test", by=rep)
    drain()
    [(sent, to)] = sink.letters
    assert to == ["client@example.test"]
    assert (sent["Bcc"], sent["Subject"]) == (None, "Заказ Bcc: victim@evil.test")
    assert len(sent["From"].addresses) == 1


# --- What a person decides -------------------------------------------------------------------------------------------
def test_an_unsure_letter_waits_for_a_persons_word(lead, admin):
    rows = [letter(lead, subject=str(n)) for n in range(2)]
    Message.objects.update(state="unsure", claimed_at=Now())
    Job.objects.all().delete()
    assert letters.settle(rows[0], sent=True, by=admin).state == "sent"
    letters.settle(rows[1], sent=False, by=admin)
    drain()
    assert [m.subject for m in mail.outbox] == ["1"]
    with pytest.raises(ValidationError):
        letters.settle(rows[0], sent=False, by=admin)


def test_the_sweeper_finds_what_nobody_watches_over(lead):
    lost, half, fresh = (letter(lead, subject=name) for name in ("lost", "half", "fresh"))
    Job.objects.all().delete()
    Message.objects.exclude(pk=fresh.pk).update(created_at="2020-01-01T00:00:00Z")
    Message.objects.filter(pk=half.pk).update(state="sending", claimed_at="2020-01-01T00:00:00Z")
    letters.sweep()
    drain()
    assert (outcome(lost)[0], outcome(half), outcome(fresh)[0]) == ("sent", ("unsure", "crashed"), "queued")


# --- kill -9 ---------------------------------------------------------------------------------------------------------
WORKER = "import django; django.setup(); from crm.core.jobs import run_job; run_job({job})"


@pytest.mark.django_db(transaction=True)
def test_a_worker_killed_while_the_server_has_the_letter_leaves_it_unsure_and_sends_no_second_one(sink, rep):
    message = letter(LeadFactory(owner=rep))
    job = Job.objects.get(task="leads.deliver")
    sink.mode = "hold"
    worker = _worker(job, sink)
    try:
        assert sink.taken.wait(60)  # the server has the letter, the worker waits for its answer
        run_job(job.pk)  # a second ring finds the lock held and leaves the letter alone
        assert outcome(message) == ("sending", "")
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    sink.release.set()
    sink.mode = "ok"
    Job.objects.update(leased_until=None, due_at=Now())
    drain()
    assert outcome(message) == ("unsure", "crashed")
    assert sink.ids == [delivery.message_id(message)]
    assert not Job.objects.filter(task="leads.deliver").exists()


def _worker(job, sink):
    """A worker's process of its own that runs one job on the test database."""
    db = connection.settings_dict
    env = {
        **os.environ,
        "DATABASE_URL": f"postgresql://{db['USER']}@{quote(db['HOST'], safe='')}/{db['NAME']}",
        "DJANGO_SETTINGS_MODULE": "crm.settings",
        "EMAIL_HOST": "127.0.0.1", "EMAIL_PORT": str(sink.port), "EMAIL_USE_TLS": "0",
    }  # fmt: skip
    return subprocess.Popen([sys.executable, "-c", WORKER.format(job=job.pk)], env=env, cwd=django_settings.BASE_DIR)
