"""Mailboxes: read by a cursor, every letter stored before it moves; cut, numbered anew, read by ten at once."""

import threading
from types import SimpleNamespace

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import connection
from django.urls import reverse

from crm.core.jobs import drain
from crm.core.models import Job
from leads import imap
from leads.models import IncomingLetter, Lead, LetterFile, MailFolder, Source, Submission
from leads.services import mailboxes, sources
from tests.leads.capture import postbox
from tests.leads.capture.postbox import letter, mailbox, put

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def server():
    with postbox.imap_server() as port:
        yield port


@pytest.fixture
def port(server):
    return postbox.emptied(server)


def states():
    return list(Submission.objects.order_by("pk").values_list("state", "reason"))


@pytest.fixture
def box(port, funnels, settings):
    settings.LOCAL = True
    return mailbox(port)


def test_a_letter_of_a_stranger_is_a_lead(port, box):
    put(port, letter("Нужна кофемашина.\n\n-- \nПётр, +7 916 123-45-67"))
    assert mailboxes.poll(box) == {"stored": 1, "skipped": 0, "more": False}
    drain()
    lead = Lead.objects.get()
    assert (lead.name, lead.email, lead.phone) == ("Пётр Иванов", "petr@romashka.ru", "+79161234567")
    assert lead.need == "Заявка\n\nНужна кофемашина."
    assert states() == [("lead", "")]
    row = IncomingLetter.objects.get()
    assert (row.lead, row.sort, row.text, row.rest) == (
        lead,
        "human",
        "Нужна кофемашина.",
        "--\nПётр, +7 916 123-45-67",
    )
    assert mailboxes.poll(box) == {"stored": 0, "skipped": 0, "more": False}
    with postbox.logged_in(port) as link:  # nothing was marked
        link.select("INBOX", readonly=True)
        assert link.search(None, "UNSEEN")[1] == [b"1"]


def test_the_same_letter_in_two_folders_and_two_mailboxes_is_one_event(port, box):
    one = letter().as_bytes()
    put(port, one)
    put(port, b"Received: by mx2\r\n" + one, folder="Sales")  # delivered twice: other bytes, the same letter
    twin = mailbox(port, key="twin", folders="INBOX, Sales")
    mailboxes.poll(box)
    mailboxes.poll(twin)
    drain()
    assert Lead.objects.count() == IncomingLetter.objects.count() == 1
    assert states() == [("lead", ""), ("merged", "same"), ("merged", "same")]


def test_a_folder_that_is_numbered_anew_is_read_again_without_doubles(port, box):
    box.settings = box.settings | {"folders": "Sales"}
    letters = [letter(f"{n}", sender=f"c{n}@client.ru") for n in range(5)]
    put(port, *letters, folder="Sales")
    mailboxes.poll(box)
    before = MailFolder.objects.get(name="Sales").uidvalidity
    with postbox.logged_in(port) as link:
        link.delete("Sales")
    put(port, *letters, letter("new", sender="new@client.ru"), folder="Sales")
    assert mailboxes.poll(box) == {"stored": 1, "skipped": 5, "more": False}
    drain()
    assert MailFolder.objects.get(name="Sales").uidvalidity != before
    assert sorted(Lead.objects.values_list("email", flat=True)) == sorted(
        [*(f"c{n}@client.ru" for n in range(5)), "new@client.ru"]
    )


def test_ten_readers_at_once_take_each_letter_once(port, box):
    put(port, *[letter(f"{n}", sender=f"c{n}@client.ru") for n in range(30)])
    reports = []

    def read():
        try:
            reports.append(mailboxes.poll(box)["stored"])
        except mailboxes.Busy:
            reports.append("busy")
        finally:
            connection.close()

    threads = [threading.Thread(target=read) for _n in range(10)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert sum(r for r in reports if r != "busy") == Submission.objects.count() == 30
    assert "busy" in reports


def test_one_letter_that_cannot_be_read_stops_nobody(port, box, monkeypatch):
    good = [letter(f"{n}", sender=f"c{n}@client.ru") for n in range(4)]
    put(port, *good[:2], b"\x00\x01\x02 no letter at all\r\n\r\n\xff\xfe", *good[2:])
    mailboxes.poll(box)
    drain()
    assert states() == [("lead", ""), ("lead", ""), ("rejected", "unparseable"), ("lead", ""), ("lead", "")]


def test_of_a_letter_that_is_too_large_the_beginning_is_kept(port, box):
    box.settings = box.settings | {"max_letter": 20_000}
    big = letter("Нужна машина, чертежи во вложении.")
    big.add_attachment(b"\x00" * 100_000, maintype="application", subtype="zip", filename="a.zip")
    put(port, big)
    mailboxes.poll(box)
    drain()
    row = Submission.objects.get()
    assert (row.state, row.warnings[-1]) == ("lead", "cut")
    assert bytes(row.body[:12]).startswith(b"X-Crm-Cut: ")
    assert Lead.objects.get().need.endswith("Нужна машина, чертежи во вложении.")


def test_old_letters_are_left_at_the_first_look(port, box):
    with postbox.logged_in(port) as link:
        link.append("INBOX", None, '"01-Jan-2020 12:00:00 +0000"', letter("old", sender="old@client.ru").as_bytes())
    put(port, letter("new", sender="new@client.ru"))
    mailboxes.poll(box)
    drain()
    assert list(Lead.objects.values_list("email", flat=True)) == ["new@client.ru"]


def test_old_letters_are_left_also_by_a_first_look_that_takes_several(port, box, monkeypatch):
    """A mailbox that was moved from elsewhere: old and new letters lie in any order, the first look is cut short."""
    with postbox.logged_in(port) as link:
        for n in range(6):
            at = '"01-Jan-2020 12:00:00 +0000"' if n % 2 else None
            link.append("INBOX", None, at, letter(f"{n}", sender=f"c{n}@client.ru").as_bytes())
    monkeypatch.setattr(mailboxes, "BATCH", 1)
    assert mailboxes.poll(box, seconds=1e-9) == {"stored": 0, "skipped": 0, "more": True}
    taken, clock = [], iter(range(100))
    monkeypatch.setattr(mailboxes, "time", SimpleNamespace(monotonic=lambda: next(clock) * 0.7))
    for _look in range(6):
        taken.append(mailboxes.poll(box, seconds=1)["stored"])
    put(port, letter("later", sender="later@client.ru"))
    assert mailboxes.poll(box)["stored"] == 1
    drain()
    assert set(Lead.objects.values_list("email", flat=True)) == {
        "c0@client.ru", "c2@client.ru", "c4@client.ru", "later@client.ru",
    }  # fmt: skip
    assert sum(taken) == 3 and max(taken) < 3


def test_a_folder_that_is_gone_does_not_stop_the_others(port, box):
    box.settings = box.settings | {"folders": "INBOX, Nowhere, Sales"}
    put(port, letter("1", sender="one@client.ru"))
    put(port, letter("2", sender="two@client.ru"), folder="Sales")
    with pytest.raises(imap.Denied) as denied:
        mailboxes.poll(box)
    assert denied.value.code == "folder" and denied.value.said.startswith("Nowhere")
    drain()
    assert sorted(Lead.objects.values_list("email", flat=True)) == ["one@client.ru", "two@client.ru"]
    assert {f.name: f.error.partition("|")[0] for f in MailFolder.objects.all()} == {
        "INBOX": "", "Nowhere": "folder", "Sales": "",
    }  # fmt: skip


def test_a_letter_that_the_server_does_not_give_stops_nobody_and_is_not_forgotten(port, box, monkeypatch):
    put(port, *[letter(f"{n}", sender=f"c{n}@client.ru") for n in range(5)])
    given, asked = imap.Box.letters, []

    def letters(self, uids, most=None):
        asked.append(list(uids))
        found = given(self, uids, most)
        return {uid: raw for uid, raw in found.items() if uid != bad}

    with postbox.logged_in(port) as link:
        link.select("INBOX", readonly=True)
        bad = int(link.uid("SEARCH", "ALL")[1][0].split()[2])
    monkeypatch.setattr(imap.Box, "letters", letters)
    for _look in range(mailboxes.TRIES - 1):
        with pytest.raises(imap.Broken) as broken:
            mailboxes.poll(box)
        assert broken.value.code == "not_given"
    assert Submission.objects.count() == 2  # those before it
    assert mailboxes.poll(box)["stored"] == 2
    drain()
    assert states() == [("lead", "")] * 2 + [("error", "failed")] + [("lead", "")] * 2
    assert f"UID={bad}" in Submission.objects.get(state="error").path
    asked.clear()
    assert mailboxes.poll(box)["stored"] == 0 and asked == []  # not asked for ever
    assert MailFolder.objects.get().error == ""


def test_a_letter_that_is_gone_meanwhile_is_passed_over(port, box, monkeypatch):
    put(port, *[letter(f"{n}", sender=f"c{n}@client.ru") for n in range(3)])
    sketches, letters = imap.Box.sketches, imap.Box.letters

    def listed(self, uids):
        return [s for s in sketches(self, uids) if len(uids) > 1 or s.uid != first + 1]

    def given(self, uids, most=None):
        return {uid: raw for uid, raw in letters(self, uids, most).items() if uid != first + 1}

    with postbox.logged_in(port) as link:
        link.select("INBOX", readonly=True)
        first = int(link.uid("SEARCH", "ALL")[1][0].split()[0])
    monkeypatch.setattr(imap.Box, "sketches", listed)
    monkeypatch.setattr(imap.Box, "letters", given)
    assert mailboxes.poll(box)["stored"] == 2
    drain()
    assert sorted(Lead.objects.values_list("email", flat=True)) == ["c0@client.ru", "c2@client.ru"]


def test_files_are_laid_down_under_names_that_say_nothing(port, box):
    big = letter()
    names = ["../../etc/passwd", "invoice.pdf.exe", 'a"; filename="x.html', "‮fdp.exe", "CON", "смета.xlsx"]
    for name in names:
        big.add_attachment(b"<script>alert(1)</script>", maintype="text", subtype="html", filename=name)
    put(port, big)
    mailboxes.poll(box)
    drain()
    rows = list(LetterFile.objects.order_by("position"))
    assert [r.name for r in rows] == [
        "passwd",
        "invoice.pdf.exe",
        "a_ filename=_x.html",
        "fdp.exe",
        "_CON",
        "смета.xlsx",
    ]
    assert {r.state for r in rows} == {"kept"}
    assert all(r.file.name.split("/")[0] == "letters" and "." not in r.file.name for r in rows)
    with rows[0].file.open() as file:
        assert file.read() == b"<script>alert(1)</script>"


def test_what_does_not_open_says_why_and_is_tried_again(port, box):
    Source.objects.filter(pk=box.pk).update(settings=box.settings | {"password": "wrong"})
    mailboxes.enqueue_polls()
    mailboxes.enqueue_polls()
    drain(limit=1)
    job = Job.objects.get(task=mailboxes.POLL)
    assert not job.dead and job.attempts == 1
    folder = MailFolder.objects.get()
    assert folder.failed_at and folder.error and folder.polled_at is None
    Source.objects.filter(pk=box.pk).update(settings=box.settings)
    Job.objects.update(due_at="2020-01-01T00:00:00Z")
    drain()
    folder.refresh_from_db()
    assert (folder.error, folder.failed_at) == ("", None)
    assert not Job.objects.filter(task=mailboxes.POLL).exists()


def test_the_command_reads_once(port, box, capsys):
    put(port, letter())
    call_command("poll_mail", "info", "--json")
    assert capsys.readouterr().out.strip() == '{"info": {"stored": 1, "skipped": 0, "more": false}}'


def test_a_server_in_an_internal_network_is_not_called(port, funnels, settings):
    settings.LOCAL = False
    for host in ("127.0.0.1", "169.254.169.254", "10.0.0.1", "[::1]", "0177.0.0.1"):
        source = Source(key="x", adapter="imap", settings={"host": host, "user": "u", "password": "p", "tls": "ssl"})
        with pytest.raises(imap.Denied):
            mailboxes.check(source)


def test_settings_without_which_nothing_can_be_read_are_asked_for(funnels):
    for stated in ({"host": "h"}, {"host": "h", "user": "u"}, {"host": "h", "user": "u", "auth": "google"},
                   {"host": "h", "user": "u", "password": "p", "port": "x"}, {"host": "h", "user": "u", "password": "p", "tls": "no"}):  # fmt: skip
        with pytest.raises(ValidationError):
            sources.add(key="bad", adapter="imap", settings=stated)


def test_a_letter_may_be_posted_by_who_knows_the_secret(client, funnels):
    sources.add(key="pipe", adapter="imap", name="Pipe", secret="s3cret")
    raw, url = letter().as_bytes(), reverse("leads:capture", args=["pipe"])
    assert client.post(url, raw, content_type="message/rfc822").status_code == 401
    taken = client.post(url, raw, content_type="message/rfc822", headers={"Authorization": "Bearer s3cret"})
    assert taken.status_code in {202, 303}
    drain()
    assert Lead.objects.get().email == "petr@romashka.ru"


HELLO, CAPABLE = b"* OK ready\r\n", b"* CAPABILITY IMAP4rev1\r\nTAG OK done\r\n"
IN, OPENED = (
    b"TAG OK in\r\n",
    b"* 3 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 4] x\r\nTAG OK [READ-ONLY] done\r\n",
)


@pytest.mark.parametrize(
    "lines",
    [
        (b"\x00\xff\xfe garbage\r\n",),
        (b"* BYE too many\r\n",),
        (HELLO, CAPABLE, b"TAG NO wrong password\r\n"),
        (HELLO, CAPABLE, b"* BYE closing\r\n"),
        (HELLO, CAPABLE, IN, b"TAG NO no such folder\r\n"),
        (HELLO, CAPABLE, IN, b"* 3 EXISTS\r\nTAG OK without a validity\r\n"),
        (HELLO, CAPABLE, IN, OPENED, b"* SEARCH a b c\r\nTAG OK done\r\n"),
        (HELLO, CAPABLE, IN, OPENED, b"* SEARCH 1 2\r\nTAG OK x\r\n", b"\xff\xff\xff\r\n"),
        (HELLO, CAPABLE, IN, OPENED, b"* SEARCH 1\r\nTAG OK x\r\n", b'* 1 FETCH (UID 1 RFC822.SIZE 9 INTERNALDATE "1")\r\nTAG OK x\r\n',
         b"* 1 FETCH (UID 1 BODY[] {99999999999}\r\n"),
        (HELLO, CAPABLE, IN, OPENED, b"* SEARCH 1\r\nTAG OK x\r\n", b"* 1 FETCH (UID 1 RFC822.SIZE 9)\r\nTAG OK x\r\n",
         b"* 1 FETCH (UID 1 BODY[] {900}\r\nabc"),
    ],
)  # fmt: skip
def test_a_server_that_talks_nonsense_breaks_nothing(funnels, settings, lines):
    settings.LOCAL = True
    with postbox.babble(*lines) as port, pytest.raises((imap.Broken, imap.Denied)):
        mailboxes.poll(mailbox(port))
    assert Submission.objects.count() == 0
    assert MailFolder.objects.get().error
