"""Mailboxes that are opened by OAuth tokens: asked for once, exchanged in time, and refused in words for people."""

import logging

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils.translation import override

from crm.core.jobs import drain
from crm.core.models import Job
from leads import imap
from leads.models import Lead, MailFolder, Source, Submission
from leads.services import mailboxes, sources
from tests.leads.capture import postbox
from tests.leads.capture.gate import Gate, Grants
from tests.leads.capture.postbox import letter, put

pytestmark = pytest.mark.django_db(transaction=True)

HTMX = {"HX-Request": "true"}
SECRETS = ("client-s3cret", "refresh-1", "refresh-2", "access-1", "access-2")


@pytest.fixture(scope="module")
def server():
    with postbox.imap_server() as port:
        yield port


@pytest.fixture
def grants():
    stand_in = Grants()
    yield stand_in
    stand_in.close()


@pytest.fixture
def gate(server):
    door = Gate(postbox.emptied(server))
    yield door
    door.close()


@pytest.fixture
def box(gate, grants, funnels, settings):
    settings.LOCAL = True
    imap._tokens.clear()
    return postbox.mailbox(
        gate.port, auth="xoauth2", password="", token_url=grants.url, client_id="our-app", client_secret="client-s3cret",
        refresh_token="refresh-1",
    )  # fmt: skip


def given(token, **more):
    return 200, {"access_token": token, "token_type": "Bearer", "expires_in": 3599, **more}


def test_a_token_is_asked_for_once_and_opens_the_mailbox(server, gate, grants, box):
    grants.says, gate.valid = [given("access-1")], {"access-1"}
    put(server, letter())
    assert mailboxes.poll(box)["stored"] == 1
    assert mailboxes.poll(box)["stored"] == 0
    assert grants.asked == [{
        "grant_type": "refresh_token", "client_id": "our-app", "client_secret": "client-s3cret", "refresh_token": "refresh-1",
    }]  # fmt: skip
    assert gate.shown == [f"user={postbox.USER}\x01auth=Bearer access-1\x01\x01".encode()] * 2
    drain()
    assert Lead.objects.get().email == "petr@romashka.ru"


def test_a_token_is_exchanged_when_it_expires(gate, grants, box, monkeypatch):
    grants.says, gate.valid = [given("access-1", expires_in="3600"), given("access-2")], {"access-1", "access-2"}
    clock = imap.time.monotonic()
    monkeypatch.setattr(imap.time, "monotonic", lambda: clock)
    mailboxes.poll(box)
    clock += 3600 - 121
    mailboxes.poll(box)
    assert len(grants.asked) == 1
    clock += 2  # two minutes before its end: a look may take as long
    mailboxes.poll(box)
    assert len(grants.asked) == 2 and gate.shown[-1].endswith(b"Bearer access-2\x01\x01")


def test_a_token_that_was_taken_back_is_exchanged_at_once(server, gate, grants, box):
    grants.says, gate.valid = [given("access-1"), given("access-2")], {"access-1"}
    mailboxes.poll(box)
    gate.valid = {"access-2"}
    put(server, letter())
    assert mailboxes.poll(box)["stored"] == 1
    assert len(grants.asked) == 2
    assert gate.after_refusal == [b"\r\n"]  # a refusal's challenge wants an empty answer


def test_a_new_refresh_token_takes_the_place_of_the_old_one(gate, grants, box):
    grants.says, gate.valid = (
        [given("access-1", refresh_token="refresh-2"), given("access-2")],
        {"access-1", "access-2"},
    )
    mailboxes.poll(box)
    kept = Source.objects.get(pk=box.pk)
    assert kept.settings == box.settings and kept.settings["refresh_token"] == "refresh-2"
    mailboxes.poll(kept)  # the token belongs to the new grant as well
    assert len(grants.asked) == 1
    imap._tokens.clear()  # another process
    mailboxes.poll(Source.objects.get(pk=box.pk))
    assert [form["refresh_token"] for form in grants.asked] == ["refresh-1", "refresh-2"]


def test_a_grant_that_was_changed_meanwhile_is_the_one_that_is_shown(gate, grants, box):
    """Another process has exchanged it since this one read the source."""
    Source.objects.filter(pk=box.pk).update(settings=box.settings | {"refresh_token": "refresh-2"})
    grants.says, gate.valid = [given("access-1")], {"access-1"}
    mailboxes.poll(box)
    assert [form["refresh_token"] for form in grants.asked] == ["refresh-2"]


def test_a_refused_refresh_is_said_on_the_sources_page_and_tells_no_secret(gate, grants, box, signed_in, admin, caplog):
    grants.says = [(400, {"error": "invalid_grant", "error_description": "Token has been expired\r\nor revoked."})]
    caplog.set_level(logging.DEBUG)
    mailboxes.enqueue_polls()
    drain(limit=1)
    page, client = reverse("leads:mailbox_state", args=[box.key]), signed_in(admin)
    with override(admin.language):
        words = imap.told("no_token", "invalid_grant, Token has been expired or revoked.")
    assert words in client.get(page, headers=HTMX).content.decode()
    asked = client.post(page, headers=HTMX).content.decode()
    assert words in asked
    assert gate.shown == []
    job = Job.objects.get(task=mailboxes.POLL)
    assert not job.dead and "invalid_grant" in job.error
    said = "".join([asked, job.error, MailFolder.objects.get().error, caplog.text])
    assert not [secret for secret in SECRETS if secret in said]


def test_a_token_that_the_mail_server_refuses_is_said_too(gate, grants, box):
    grants.says = [given("access-1")]
    with pytest.raises(imap.Denied) as denied:
        mailboxes.poll(box)
    assert denied.value.code == "token"
    assert denied.value.said == "[AUTHENTICATIONFAILED] Invalid credentials (Failure), 400"
    assert len(grants.asked) == 2  # exchanged once, not for ever
    assert mailboxes.trouble(MailFolder.objects.get()) == str(denied.value)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((503, {"error": "temporarily_unavailable"}), imap.Broken),
        ((429, {}), imap.Broken),
        ((200, b"<html>sign in</html>"), imap.Broken),
        ((200, b"[]"), imap.Denied),
        ((200, {"access_token": ""}), imap.Denied),
        ((200, b"x" * 200_000), imap.Broken),
        ((401, {"error": "invalid_client"}), imap.Denied),
    ],
)
def test_whatever_the_provider_answers_it_is_a_trouble_in_words(gate, grants, box, answer, error):
    grants.says = [answer]
    with pytest.raises(error) as raised:
        mailboxes.poll(box)
    assert raised.value.code == "no_token" and not gate.shown
    assert MailFolder.objects.get().error.startswith("no_token|")


def test_an_expiry_that_makes_no_sense_is_an_hour(gate, grants, box):
    grants.says, gate.valid = [given("access-1", expires_in="soon")], {"access-1"}
    mailboxes.poll(box)
    mailboxes.poll(box)
    assert len(grants.asked) == 1


def test_microsoft_wants_its_scope_and_every_provider_may_have_an_address_of_its_own(gate, grants, box):
    grants.says, gate.valid = [given("access-1")], {"access-1"}
    box.settings = box.settings | {"auth": "microsoft"}
    Source.objects.filter(pk=box.pk).update(settings=box.settings)
    mailboxes.poll(box)
    assert grants.asked[0]["scope"] == imap.MICROSOFT_SCOPE


def test_tokens_are_fetched_by_the_guarded_client(gate, grants, box, monkeypatch, settings):
    """An internal address is called only where an administrator has stated it, and never a port of something else."""
    grants.says, gate.valid = [given("access-1")], {"access-1"}
    monkeypatch.setitem(imap.TOKEN_URLS, "google", grants.url)
    box.settings = box.settings | {"auth": "google", "token_url": ""}
    Source.objects.filter(pk=box.pk).update(settings=box.settings)
    with pytest.raises(imap.Denied) as denied:
        mailboxes.poll(box)
    assert (denied.value.code, grants.asked) == ("address", [])
    for url in ("http://127.0.0.1:6379/", "file:///etc/passwd", "http://169.254.169.254/", "http://u@127.0.0.1:8000/"):
        with pytest.raises(ValidationError):
            sources.add(key="other", adapter="imap", settings=box.settings | {"token_url": url})
    assert Submission.objects.count() == 0
