"""Mail services: real bodies of SendGrid, Mailgun and Postmark; signed, unsigned, sent twice, cut in half, unknown."""

import base64
import hashlib
import hmac
import json
import time
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm.core.jobs import drain
from leads.capture import inbound_mail
from leads.capture.base import Refused
from leads.identity import Known
from leads.models import IncomingLetter, Kind, Lead, MailNews, Message, Source, Submission, Suppression
from leads.services import judging, letters, sources
from leads.services.delivery import message_id
from leads.services.intake import open_lead
from tests.leads.capture.bodies import SHARED, body_of, json_of

pytestmark = pytest.mark.django_db(transaction=True)
SECRET = "key-3ax6xnjp29jd6fds4gc373sgvjxteol0"
PARSE = "multipart/form-data; boundary=xYzZY"


@pytest.fixture
def source(funnels):
    return sources.add(key="mailsvc", adapter="inbound-mail", name="Mail service", secret=SECRET)


@pytest.fixture
def send(client, source):
    def post(raw, type_="application/json", **headers):
        raw = json.dumps(raw).encode() if isinstance(raw, dict | list) else raw
        return client.generic(
            "POST", reverse("leads:capture", args=["mailsvc"]), raw, content_type=type_, headers=headers
        )

    return post


BASIC = {"Authorization": "Basic " + base64.b64encode(f"crm:{SECRET}".encode()).decode()}


def mailgun(data, secret=SECRET, at=None):
    """Mailgun's own signature over time and token."""
    said = {"timestamp": at or str(int(time.time())), "token": "885894756b6c371a377f5f9516d60a4db497ad27d4931ed215"}
    right = hmac.new(secret.encode(), (said["timestamp"] + said["token"]).encode(), hashlib.sha256).hexdigest()
    return data | {"signature": said | {"signature": right}}


def states():
    return list(Submission.objects.order_by("pk").values_list("state", "reason"))


@pytest.fixture
def ours(source, rep):
    """A letter of ours to alice@example.com, gone out."""
    lead, _outcome = open_lead(
        fields={"name": "Alice"}, identities=[Known("email", "alice@example.com")], source=source
    )
    row = letters.write(lead, kind=Message.Kind.LETTER, subject="Предложение", text="Т", by=rep)
    Message.objects.filter(pk=row.pk).update(state="sent", sent_at=timezone.now())
    row.refresh_from_db()
    return row


def about(event, message):
    """The provider's event, about a letter of ours."""
    event["event-data"]["message"]["headers"]["message-id"] = message_id(message).strip("<>")
    event["event-data"]["recipient"] = message.to
    return mailgun(event)


# --- Letters -----------------------------------------------------------------------------------------------------------


def test_sendgrid_inbound_parse(send, source):
    raw = body_of("sendgrid", "inbound_parse", "default_data.txt")
    taken = send(raw, PARSE, **BASIC)
    assert (taken.status_code, taken.content) == (200, b"ok")
    assert send(raw, PARSE, **BASIC).status_code == 200
    drain()
    assert states()[0] == ("lead", "") and states()[1] == ("merged", "same")
    lead, row = Lead.objects.get(), IncomingLetter.objects.get()
    assert (lead.name, lead.email) == ("Example User", "test@example.com")
    assert "Hello Twilio SendGrid!" in row.text
    assert "<strong>Hello Twilio SendGrid!" in row.html


def test_sendgrid_with_a_file_and_its_charsets(send, source):
    """Fields come in the charset of the letter, named in ``charsets``; files as parts of the form."""
    parts = [
        ('name="headers"', "Message-ID: <s1@romashka.ru>\r\nFrom: Petr <petr@romashka.ru>\r\nIn-Reply-To: <x@y>"),
        ('name="from"', "Petr <petr@romashka.ru>"), ('name="subject"', "Заявка".encode("koi8-r")), ('name="envelope"', "{}"),
        ('name="charsets"', '{"subject": "KOI8-R", "text": "windows-1251"}'), ('name="text"', "Нужна машина".encode("cp1251")),
        ('name="attachment1"; filename="plan.pdf"\r\nContent-Type: application/pdf', b"%PDF\r\n\x00\xff--xYzZ"),
    ]  # fmt: skip
    raw = b"".join(
        b"--xYzZY\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n"
        % (head.encode(), value if isinstance(value, bytes) else value.encode())
        for head, value in parts
    )
    assert send(raw + b"--xYzZY--\r\n", PARSE, **BASIC).status_code == 200
    drain()
    row = IncomingLetter.objects.get()
    assert (row.subject, row.text, row.message_id) == ("Заявка", "Нужна машина", "s1@romashka.ru")
    with row.files.get().file.open() as file:
        assert (row.files.get().name, file.read()) == ("plan.pdf", b"%PDF\r\n\x00\xff--xYzZ")


def test_sendgrid_by_a_secret_in_the_address(client, source):
    raw, url = body_of("sendgrid", "inbound_parse", "default_data.txt"), reverse("leads:capture", args=["mailsvc"])
    assert client.generic("POST", f"{url}?secret={SECRET}", raw, content_type=PARSE).status_code == 200
    assert client.generic("POST", f"{url}?secret=other", raw, content_type=PARSE).status_code == 401
    assert client.generic("POST", url, raw, content_type=PARSE).status_code == 401
    assert states() == [("waiting", ""), ("rejected", "bad_signature"), ("rejected", "unsigned")]


POSTMARK = {
    "FromName": "Пётр Иванов", "From": "petr@romashka.ru", "To": "\"Sales\" <x+42@inbound.postmarkapp.com>",
    "FromFull": {"Email": "petr@romashka.ru", "Name": "Пётр Иванов", "MailboxHash": ""},
    "ToFull": [{"Email": "x+42@inbound.postmarkapp.com", "Name": "Sales", "MailboxHash": "42"}],
    "Subject": "Заявка", "MessageID": "73e6d360-66eb-11e1-8e72-a8904824019b", "ReplyTo": "", "Date": "Fri, 20 Nov 2026 12:30:00 +0300",
    "TextBody": "Нужна машина\n\n-- \nПётр", "HtmlBody": "<p>Нужна машина</p>", "StrippedTextReply": "Нужна машина",
    "Headers": [{"Name": "Return-Path", "Value": "<petr@romashka.ru>"}, {"Name": "Message-ID", "Value": "<a1@romashka.ru>"}],
    "Attachments": [{"Name": "смета.txt", "Content": base64.b64encode(b"100").decode(), "ContentType": "text/plain", "ContentLength": 3}],
}  # fmt: skip


def test_postmark_inbound(send, source):
    assert send(POSTMARK, **BASIC).status_code == 200
    drain()
    row = IncomingLetter.objects.get()
    assert (row.sender_name, row.sender, row.message_id, row.text) == (
        "Пётр Иванов",
        "petr@romashka.ru",
        "a1@romashka.ru",
        "Нужна машина",
    )
    file = row.files.get()
    with file.file.open() as opened:
        assert (file.name, file.state, opened.read()) == ("смета.txt", "kept", b"100")


def test_mailgun_routes(send, source):
    """A route's form, signed among its fields; the same letter as raw MIME is the same letter."""
    said = mailgun({})["signature"]
    fields = {
        **said, "recipient": "sales@company.ru", "sender": "petr@romashka.ru", "from": "Пётр <petr@romashka.ru>", "subject": "Заявка",
        "body-plain": "Нужна машина", "stripped-text": "Нужна машина",
        "message-headers": json.dumps([["Message-Id", "<m1@romashka.ru>"], ["From", "Пётр <petr@romashka.ru>"], ["Subject", "Заявка"],
                                       ["Date", "Fri, 20 Nov 2026 12:30:00 +0300"]]),
    }  # fmt: skip
    form = "&".join(f"{name}={quote(value)}" for name, value in fields.items()).encode()
    assert send(form, "application/x-www-form-urlencoded").status_code == 200
    wrong = form.replace(said["signature"].encode(), b"0" * 64)
    assert send(wrong, "application/x-www-form-urlencoded").status_code == 401
    mime = "From: Пётр <petr@romashka.ru>\r\nSubject: Заявка\r\nMessage-Id: <m1@romashka.ru>\r\nDate: Fri, 20 Nov 2026 12:30:00 +0300\r\n\r\nНужна машина"
    raw = "&".join(f"{name}={quote(value)}" for name, value in {**said, "body-mime": mime, "recipient": "x@y"}.items())
    assert send(raw.encode(), "application/x-www-form-urlencoded").status_code == 200
    drain()
    assert states() == [("lead", ""), ("rejected", "bad_signature"), ("merged", "same")]
    assert Lead.objects.get().email == "petr@romashka.ru"


# --- News of our letters ---------------------------------------------------------------------------------------------


def test_mailgun_events_of_a_letter_of_ours(send, ours):
    for name in ("delivered_messages", "opens", "clicks", "unsubscribes"):
        raw = about(json_of("mailgun", f"{name}.json"), ours)
        assert send(raw).status_code == send(raw).status_code == 200
    drain()
    ours.refresh_from_db()
    assert ours.first_open_at and ours.first_click_at
    assert sorted(MailNews.objects.values_list("kind", flat=True)) == ["clicked", "delivered", "opened", "unsubscribed"]
    assert set(states()) == {("merged", "")}
    assert ours.lead.interactions.filter(kind__in=[Kind.EMAIL_OPENED, Kind.EMAIL_CLICKED]).count() == 2
    assert (Suppression.objects.get().value, Suppression.objects.get().reason) == ("alice@example.com", "unsubscribed")


@pytest.mark.parametrize(("name", "reason"), [("permanent_failure", "bounced"), ("spam_complaints", "complained")])
def test_what_came_back_and_who_complained(send, ours, name, reason):
    assert send(about(json_of("mailgun", f"{name}.json"), ours)).status_code == 200
    drain()
    ours.refresh_from_db()
    assert Suppression.objects.get().reason == reason
    assert (ours.state == "failed") == (reason == "bounced")


def test_news_of_letters_that_are_not_ours(send, source):
    files = [("mailgun", f.name) for f in sorted((SHARED / "mailgun").glob("*.json"))]
    for path in files:
        assert send(mailgun(json_of(*path))).status_code == 200
    assert send(json_of("sendgrid", "webhook.json"), **BASIC).status_code == 200
    assert send(json_of("sendgrid", "events_batch_official.json"), **BASIC).status_code == 200
    for name in ("bounce", "delivery", "open"):
        assert send(json_of("postmark", f"{name}.json"), **BASIC).status_code == 200
    drain()
    assert set(states()) == {("rejected", "unknown_thread")}
    assert (Lead.objects.count(), Suppression.objects.count()) == (0, 0)


def test_postmark_bounce_by_the_address(send, ours):
    Message.objects.filter(pk=ours.pk).update(to="john@example.com", subject="Test subject")
    bounce = json_of("postmark", "bounce.json")
    assert send(bounce, **BASIC).status_code == send(bounce, **BASIC).status_code == 200
    drain()
    assert Suppression.objects.get().value == "john@example.com"
    assert ours.lead.interactions.filter(kind=Kind.BOUNCED).count() == 1


def test_sendgrid_events_are_signed_by_a_curve(send, source, ours):
    key = ec.generate_private_key(ec.SECP256R1())
    shown = base64.b64encode(
        key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    ).decode()  # fmt: skip
    Source.objects.filter(pk=source.pk).update(settings={"sendgrid_key": shown})
    raw = json.dumps([{"email": "alice@example.com", "event": "bounce", "type": "bounce", "reason": "550 5.1.1", "sg_event_id": "e1",
                       "smtp-id": message_id(ours), "timestamp": 1600112492}]).encode()  # fmt: skip
    now, old = str(int(time.time())), str(int(time.time()) - 360)
    signed, stale = (
        base64.b64encode(key.sign(at.encode() + raw, ec.ECDSA(hashes.SHA256()))).decode() for at in (now, old)
    )
    names = "X-Twilio-Email-Event-Webhook-Signature", "X-Twilio-Email-Event-Webhook-Timestamp"
    assert send(raw, **dict(zip(names, (signed, str(int(now) + 1)), strict=True))).status_code == 401
    refused = send(raw, **dict(zip(names, (stale, old), strict=True)))
    assert (refused.status_code, refused.json()["error"]) == (401, "stale")
    assert send(raw, **BASIC).status_code == 401  # with a key, the secret alone is not enough
    assert send(raw, **dict(zip(names, (signed, now), strict=True))).status_code == 200
    drain()
    assert Suppression.objects.get().value == "alice@example.com"
    with pytest.raises(ValidationError):
        sources.add(key="other", adapter="inbound-mail", settings={"sendgrid_key": "no key"})


# --- What is wrong ----------------------------------------------------------------------------------------------------


def test_cut_in_half_and_unknown(send, source):
    for raw, kind in ((body_of("sendgrid", "inbound_parse", "default_data.txt"), PARSE),
                      (body_of("postmark", "bounce.json"), "application/json")):  # fmt: skip
        assert send(raw[: len(raw) // 2], kind, **BASIC).status_code == 400
    assert send({"hello": "world"}, **BASIC).status_code == 200
    assert send({"RecordType": "NewThing", "ID": 1}, **BASIC).status_code == 200
    assert send(mailgun({"event-data": {"event": "new-thing"}})).status_code == 200
    drain()
    assert states() == [("rejected", "unparseable")] * 2 + [("rejected", "not_enquiry")] * 3


@pytest.mark.parametrize(
    ("minutes", "said", "status"), [(-6, "stale", 401), (6, "stale", 401), (-4, "", 200), (4, "", 200)]
)
def test_how_old_a_signature_may_be(send, ours, minutes, said, status):
    """WH-04: what is too old has no effect, is kept, and an administrator may still take it."""
    at = str(int(time.time()) + 60 * minutes)
    event = about(json_of("mailgun", "spam_complaints.json"), ours)
    answer = send(mailgun(event, at=at))
    drain()
    assert (answer.status_code, states()) == (status, [("rejected", said) if said else ("merged", "")])
    assert Suppression.objects.count() == (0 if said else 1)
    assert answer.content == b"ok" if not said else answer.json()["error"] == said


def test_a_stale_delivery_is_taken_by_hand_or_by_a_wider_setting(send, ours, source, admin):
    at = str(int(time.time()) - 3600)
    event = mailgun(about(json_of("mailgun", "spam_complaints.json"), ours), at=at)
    assert send(event).status_code == 401
    judging.replay(Submission.objects.get(), by=admin)
    assert states() == [("rejected", "stale")]
    judging.replay(Submission.objects.get(), by=admin, force=True)
    assert (states(), Suppression.objects.count()) == ([("merged", "")], 1)
    Source.objects.filter(pk=source.pk).update(settings={"stamp_minutes": 90})
    assert send(event).status_code == 200
    for wrong in (0, -1, "5", 10**6):
        with pytest.raises(ValidationError):
            sources.check_settings({"stamp_minutes": wrong}, "inbound-mail")


@pytest.mark.parametrize("at", ["abc", "-5", "9" * 20, "1e9", "٣٤"])
def test_a_signed_time_that_is_none(send, source, at):
    """WH-05"""
    answer = send(mailgun(json_of("mailgun", "opens.json"), at=at))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid")


def test_wrong_signatures(send, source):
    for name in sorted(f.name for f in (SHARED / "mailgun").glob("*.json")):
        assert send(json_of("mailgun", name)).status_code == 401  # signed by somebody else's key
    assert send(mailgun(json_of("mailgun", "opens.json"), secret="other")).status_code == 401
    assert {reason for _state, reason in states()} == {"bad_signature"}


values = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 2**40) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["event-data", "RecordType", "FromFull", "TextBody", "From", "Headers", "Attachments", "event", "email", "message",
                         "headers", "recipient", "timestamp", "delivery-status", "signature", "Type", "ID", "Name", "Value", "type"]),
        inner, max_size=5),
    max_leaves=15,
)  # fmt: skip


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values)
def test_no_json_breaks_the_reader(payload):
    source = Source(key="x", adapter="inbound-mail")
    try:
        body = inbound_mail.read("application/json", json.dumps(payload).encode())
        parsed = inbound_mail.parse(body, source, headers={})
        json.dumps(parsed.as_json())
    except Refused:
        pass
