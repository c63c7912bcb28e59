"""Mail that a mail service brings by HTTP, and what it tells of our own letters. One address for all of it.

SendGrid: Inbound Parse (twilio.com/docs/sendgrid/for-developers/parsing-email/setting-up-the-inbound-parse-webhook) and
the Event Webhook (…/tracking-events/event), signed by ECDSA where it is switched on. Mailgun: Routes
(documentation.mailgun.com/docs/mailgun/user-manual/receive-forward-store/receive-http) and Webhooks, signed by HMAC.
Postmark: Inbound and the message webhooks (postmarkapp.com/developer/webhooks/inbound-webhook), whose protection is a
password in the address. The body tells which it is. django-anymail's parsing is bound to its own views, settings and
uploaded files, and a receipt is read again from stored bytes: so these forms are read here.
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_public_key
from django.core.exceptions import ValidationError
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _gettext
from django.utils.translation import gettext_lazy as _

from leads.capture import imap
from leads.capture.base import (
    JSON,
    MULTIPART,
    Body,
    Parsed,
    Refused,
    Reply,
    Setting,
    check_hmac,
    check_secret,
    check_stamp,
    clean,
    media_type,
    named,
    parse_body,
)
from leads.capture.charsets import decoded
from leads.capture.letter import MAX_ATTACHED, Attachment, composed, file_name
from leads.capture.letter import parse as parse_letter
from leads.capture.returned import HARD_WORDS
from leads.models.intake import Channel

LABEL = _("Mail service (SendGrid, Mailgun, Postmark)")
NEEDS_SECRET = True
SECRET_HELP = _("Mailgun: its HTTP webhook signing key; other services carry it in the address.")
CHANNEL = Channel.EMAIL
TAKES_ALL = True
MAX_BODY = 30 * 1024 * 1024
SETTINGS = {
    "sendgrid_key": Setting(
        _("SendGrid's verification key"), _("Of the signed Event Webhook; with it, unsigned events are refused.")
    ),
    "stamp_minutes": Setting(
        _("Oldest signature, minutes"), kind="number", default=5,
        help=_("What Mailgun or SendGrid signed longer ago is refused and kept: it may be somebody who sends it again. "
               "Allow more where their emails come late."),
    ),
}  # fmt: skip
LONGEST_STAMP = 7 * 24 * 60  # minutes
MAX_EVENTS = 1000


@dataclass(frozen=True)
class MailNews:
    """What became of a letter of ours. ``kind``: delivered, opened, clicked, soft, hard, complained, unsubscribed."""

    id: str
    kind: str
    recipient: str
    at: datetime | None = None
    message_id: str = ""
    subject: str = ""
    said: str = ""

    def as_json(self):
        return {
            "kind": f"mail:{self.kind}",
            "recipient": self.recipient,
            "message_id": self.message_id,
            "said": self.said,
        }


# --- Reading ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Upload:
    field: str
    name: str
    content_type: str
    content: bytes


def read(content_type, raw):
    """A Body with its files: ``payload`` is the JSON value, the raw letter, or ``{"files": […], "bytes": {…}}``."""
    kind = media_type(content_type)
    if kind == "message/rfc822":
        return Body({}, payload=raw)
    if kind == MULTIPART:
        return _multipart(content_type, raw)
    return parse_body(content_type, raw) if kind != JSON else _json(content_type, raw)


def _json(content_type, raw):
    """As parse_body reads it, but a file in it may be larger than a field."""
    body = parse_body(JSON, raw) if len(raw) < 100_000 else None
    try:
        return body or Body({}, payload=json.loads(raw))
    except (ValueError, RecursionError) as error:
        raise Refused(400, "unparseable", f"JSON: {clean(str(error))[:100]}") from None


def _multipart(content_type, raw):
    found = re.search(r'boundary\s*=\s*(?:"([^"]{1,200})"|([^\s;,]{1,200}))', content_type, re.IGNORECASE)
    if not found:
        raise Refused(400, "unparseable", _gettext("A multipart body without its boundary."))
    mark, line = b"--" + (found[1] or found[2]).encode("utf-8", "replace"), b"\r\n"
    if line + mark not in raw and b"\n" + mark in raw:
        line = b"\n"
    parts = (line + raw).split(line + mark)
    if len(parts) < 2 or not parts[-1].startswith(b"--"):
        raise Refused(
            400, "unparseable", _gettext("A multipart body that is cut off or has another boundary than it says.")
        )
    if len(parts) > 1000:
        raise Refused(400, "unparseable", _gettext("More than %d fields.") % 1000)
    return _sorted_parts(parts[1:-1], line)


def _sorted_parts(parts, line):
    values, files = {}, []
    for part in parts:
        head, blank, value = part.partition(line * 2)
        name = re.search(rb'(?<![\w*])name="((?:[^"\\]|\\.)*)"', head, re.IGNORECASE)
        if not blank or not name:
            raise Refused(400, "unparseable", _gettext("A part of the multipart body has no name."))
        filename = re.search(rb'filename\*?="?([^"\r\n;]*)', head, re.IGNORECASE)
        key = clean(decoded(name[1])[0])[:200]
        if filename:
            kind = re.search(rb"content-type:\s*([^\s;]+)", head, re.IGNORECASE)
            files.append(
                Upload(key, decoded(filename[1])[0], (kind[1] if kind else b"").decode("ascii", "replace"), value)
            )
        else:
            values.setdefault(key, value)
    charsets = _mapping(decoded(values.get("charsets", b""))[0])
    fields = {key: [clean(decoded(value, str(charsets.get(key, "")))[0])] for key, value in values.items()}
    return Body(fields, [f.name[:200] for f in files], payload={"files": files, "bytes": values})


def _mapping(text):
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, Mapping) else {}


def one(body, name):
    return body.fields.get(name, [""])[0]


# --- Whose it is ------------------------------------------------------------------------------------------------------


def provider(body):
    """(whose form, what it is): ("mailgun", "news") …; ("", "") for what is none of them."""
    payload = body.payload
    if isinstance(payload, bytes):
        return "raw", "letter"
    if isinstance(payload, list):
        ours = any(isinstance(e, Mapping) and "event" in e and "email" in e for e in payload[:5])
        return ("sendgrid", "news") if ours else ("", "")
    if isinstance(payload, Mapping) and "files" not in payload:
        if isinstance(payload.get("event-data"), Mapping):
            return "mailgun", "news"
        if "RecordType" in payload and payload["RecordType"] != "Inbound":
            return "postmark", "news"
        if "FromFull" in payload or ("TextBody" in payload and "From" in payload):
            return "postmark", "letter"
        return "", ""
    names = set(body.fields)
    if {"body-mime", "body-plain", "message-headers", "stripped-text"} & names:
        return "mailgun", "letter"
    return (
        ("sendgrid", "letter")
        if {"headers", "email"} & names and ("envelope" in names or "charsets" in names)
        else ("", "")
    )


def verify(envelope, source, body):
    """Mailgun signs, SendGrid's events may be signed; the others know the secret as a password of the address."""
    whose, what = provider(body) if body else ("", "")
    key = str(source.settings.get("sendgrid_key") or "")
    if key and (whose, what) == ("sendgrid", "news"):
        _check_sendgrid(envelope, source, key)
        return
    if not source.secret:
        return
    if whose == "mailgun" and (signed := _signature(body)):
        check_hmac(signed["signature"], source, f"{signed['timestamp']}{signed['token']}".encode())
        check_stamp(signed["timestamp"], _minutes(source))
        return
    check_secret(envelope, source, given=_password(envelope) or named(envelope, None, "secret"))


canary = imap.canary


def _signature(body):
    """Mailgun's three words: in the body of a webhook, among the fields of a route."""
    said = body.payload.get("signature") if isinstance(body.payload, Mapping) else None
    if not isinstance(said, Mapping):
        said = {name: one(body, name) for name in ("signature", "timestamp", "token")}
    words = {name: str(said.get(name) or "") for name in ("signature", "timestamp", "token")}
    return words if all(words.values()) else None


def _password(envelope):
    """Of ``https://any:SECRET@host/…``."""
    scheme, _space, coded = envelope.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(coded, validate=True).decode().partition(":")[2]
    except (binascii.Error, ValueError):
        return ""


def public_key(text):
    """The key as SendGrid shows it: DER in base64, or PEM; raises ValueError."""
    text = text.strip()
    key = load_pem_public_key(text.encode()) if "BEGIN" in text else load_der_public_key(base64.b64decode(text))
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise ValueError("not an elliptic curve")
    return key


def _check_sendgrid(envelope, source, key):
    signed = envelope.headers.get("X-Twilio-Email-Event-Webhook-Signature", "")
    at = envelope.headers.get("X-Twilio-Email-Event-Webhook-Timestamp", "")
    if not signed or not at:
        raise Refused(401, "unsigned", _gettext("A signature or the secret is required."))
    try:
        public_key(key).verify(base64.b64decode(signed), at.encode() + envelope.raw, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError, TypeError, binascii.Error):
        raise Refused(401, "bad_signature", _gettext("The signature or the secret is wrong.")) from None
    check_stamp(at, _minutes(source))


def _minutes(source):
    return int(source.settings.get("stamp_minutes") or SETTINGS["stamp_minutes"].default)


def check_settings(settings):
    if key := settings.get("sendgrid_key"):
        try:
            public_key(str(key))
        except (ValueError, TypeError, binascii.Error):
            raise ValidationError(_gettext("This is not SendGrid's verification key.")) from None
    minutes = settings.get("stamp_minutes")
    if minutes is not None and not (isinstance(minutes, int) and 1 <= minutes <= LONGEST_STAMP):
        raise ValidationError(_gettext("Minutes are a whole number from 1 to %d.") % LONGEST_STAMP)


def reply(envelope, source):
    return Reply(200, "ok")  # Mailgun takes nothing else for a yes


# --- Letters ----------------------------------------------------------------------------------------------------------


def parse(body, source, *, headers, region="RU", path="", received_at=None):
    whose, what = provider(body)
    if what == "letter":
        letter = _LETTERS[whose](body)
        return Parsed(kind="event", events=[letter], warnings=list(letter.warnings))
    if what == "news":
        events = [event for event in _NEWS[whose](body.payload) if event]
        return Parsed(kind="event", events=events[:MAX_EVENTS], warnings=body.warnings)
    return Parsed(kind="not_enquiry", reason="not_enquiry", warnings=body.warnings)


def _attached(files, skip=()):
    """Attachments of uploads, up to what a letter may carry."""
    found, size = [], 0
    for place, file in enumerate(f for f in files if f.field not in skip):
        size += len(file.content)
        skipped = "too_large" if size > MAX_ATTACHED else ""
        name = file_name(file.name) or f"file{place + 1}"
        kept = b"" if skipped else file.content
        found.append(Attachment(name, file.content_type[:100], len(file.content), kept, skipped=skipped))
    return found


def _mailgun(body):
    payload = body.payload if isinstance(body.payload, Mapping) else {}
    if mime := payload.get("bytes", {}).get("body-mime") or one(body, "body-mime").encode("utf-8", "surrogateescape"):
        return parse_letter(mime)
    try:
        pairs = [(str(name), str(value)) for name, value in json.loads(one(body, "message-headers") or "[]")]
    except (ValueError, TypeError, RecursionError):
        pairs = []
    if not pairs:
        pairs = [
            (name, one(body, name))
            for name in ("Message-Id", "In-Reply-To", "References", "Date", "Reply-To")
            if one(body, name)
        ]
    pairs += [] if any(n.lower() == "subject" for n, _v in pairs) else [("Subject", one(body, "subject"))]
    return composed(
        pairs, text=one(body, "body-plain"), html=one(body, "body-html"), files=_attached(payload.get("files", [])),
        sender=one(body, "from") or one(body, "sender"), to=one(body, "To") or one(body, "recipient"),
    )  # fmt: skip


def _sendgrid(body):
    values = body.payload.get("bytes", {}) if isinstance(body.payload, Mapping) else {}
    if mime := values.get("email") or one(body, "email").encode("utf-8", "surrogateescape"):
        return parse_letter(mime)
    pairs = _header_lines(one(body, "headers"))
    named_ones = {name.lower() for name, _value in pairs}
    pairs += [] if "subject" in named_ones else [("Subject", one(body, "subject"))]
    files = body.payload.get("files", []) if isinstance(body.payload, Mapping) else []
    return composed(
        pairs,
        text=one(body, "text"),
        html=one(body, "html"),
        files=_attached(files),
        sender=one(body, "from"),
        to=one(body, "to"),
    )


def _header_lines(text):
    pairs = []
    for line in text.splitlines():
        if line[:1] in " \t" and pairs:
            pairs[-1] = (pairs[-1][0], f"{pairs[-1][1]} {line.strip()}")
        elif ":" in line:
            name, _colon, value = line.partition(":")
            pairs.append((name.strip(), value.strip()))
    return pairs[:500]


def _text(value):
    return clean(value) if isinstance(value, str) else ""


def _postmark(body):
    said = body.payload
    if isinstance(said.get("RawEmail"), str) and said["RawEmail"].strip():
        return parse_letter(said["RawEmail"].encode("utf-8", "surrogateescape"))
    rows = said.get("Headers") if isinstance(said.get("Headers"), list) else []
    pairs = [(_text(r.get("Name")), _text(r.get("Value"))) for r in rows[:500] if isinstance(r, Mapping)]
    have = {name.lower() for name, _value in pairs}
    for name, key in (("Subject", "Subject"), ("Date", "Date"), ("Reply-To", "ReplyTo"), ("Cc", "Cc")):
        if name.lower() not in have and _text(said.get(key)):
            pairs.append((name, _text(said.get(key))))
    if "message-id" not in have and _text(said.get("MessageID")):
        pairs.append(("Message-ID", f"<{_text(said['MessageID'])}@inbound.postmarkapp.com>"))
    return composed(
        pairs, text=_text(said.get("TextBody")), html=_text(said.get("HtmlBody")), files=_postmark_files(said),
        sender=_postmark_sender(said), to=_text(said.get("To")) or _text(said.get("OriginalRecipient")),
    )  # fmt: skip


def _postmark_sender(said):
    full = said.get("FromFull")
    if isinstance(full, Mapping) and _text(full.get("Email")):
        name = re.sub(r'["\\<>]', "", _text(full.get("Name")))
        return f'"{name}" <{_text(full["Email"])}>'
    return _text(said.get("From"))


def _postmark_files(said):
    rows = said.get("Attachments") if isinstance(said.get("Attachments"), list) else []
    uploads = []
    for row in rows[:100]:
        if isinstance(row, Mapping):
            try:
                content = base64.b64decode(_text(row.get("Content")))
            except (binascii.Error, ValueError):
                content = b""
            uploads.append(Upload("", _text(row.get("Name")), _text(row.get("ContentType")), content))
    return _attached(uploads)


_LETTERS: dict[str, Any] = {
    "raw": lambda body: parse_letter(body.payload), "mailgun": _mailgun, "sendgrid": _sendgrid, "postmark": _postmark,
}  # fmt: skip


# --- News of our own letters ------------------------------------------------------------------------------------------


def _moment(value):
    """A Unix time or an ISO date; None for neither."""
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
        at = parse_datetime(str(value))
    except (ValueError, OverflowError, OSError, TypeError):
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)) if at else None


def _id_of(text):
    return clean(str(text or "")).strip().strip("<>")[:250]


def _seal(row):
    return hashlib.sha256(json.dumps(row, sort_keys=True, default=str).encode()).hexdigest()[:40]


def _part(row, name):
    return row[name] if isinstance(row.get(name), Mapping) else {}


def _mailgun_news(payload):
    row = payload["event-data"]
    event, status, head = str(row.get("event")), _part(row, "delivery-status"), _part(_part(row, "message"), "headers")
    words = [_text(str(status[name])) for name in ("code", "message", "description") if status.get(name)]
    kind = event if event in {"delivered", "opened", "clicked", "complained", "unsubscribed"} else ""
    if event in {"failed", "rejected"}:
        gone = str(row.get("reason")) in {"bounce", "suppress-bounce"} or HARD_WORDS.search(" ".join(words))
        kind = "hard" if row.get("severity") == "permanent" and gone else "soft"
    return [
        _news(row, row.get("id"), kind, row.get("recipient"), row.get("timestamp"), head.get("message-id"),
              head.get("subject"), " ".join(words))
    ]  # fmt: skip


def _sendgrid_news(payload):
    kinds = {"delivered": "delivered", "open": "opened", "click": "clicked", "spamreport": "complained", "deferred": "soft",
             "unsubscribe": "unsubscribed", "group_unsubscribe": "unsubscribed", "dropped": "soft"}  # fmt: skip
    events = []
    for row in payload[:MAX_EVENTS]:
        if not isinstance(row, Mapping):
            continue
        kind = kinds.get(str(row.get("event")), "")
        if row.get("event") == "bounce":
            kind = "soft" if row.get("type") == "blocked" else "hard"
        if row.get("event") == "open" and row.get("sg_machine_open"):
            kind = ""  # a machine looked at it
        said = _text(str(row.get("reason") or row.get("response") or ""))
        own = row.get("sg_event_id") if row.get("sg_event_id") != "sg_event_id" else None  # of the documentation
        events.append(_news(row, own, kind, row.get("email"), row.get("timestamp"), row.get("smtp-id"), "", said))
    return events


def _postmark_news(row):
    kinds = {
        "Delivery": "delivered",
        "Open": "opened",
        "Click": "clicked",
        "SpamComplaint": "complained",
        "Bounce": "soft",
    }
    kind = kinds.get(str(row.get("RecordType")), "")
    if kind == "soft":
        kind = {"HardBounce": "hard", "BadEmailAddress": "hard", "SpamComplaint": "complained", "SpamNotification": "soft",
                "Unsubscribe": "unsubscribed", "AutoResponder": "", "AddressChange": "", "Subscribe": ""}.get(str(row.get("Type")), "soft")  # fmt: skip
    if row.get("RecordType") == "SubscriptionChange" and row.get("SuppressSending"):
        kind = {"HardBounce": "hard", "SpamComplaint": "complained"}.get(
            str(row.get("SuppressionReason")), "unsubscribed"
        )
    at = next((row[name] for name in ("DeliveredAt", "BouncedAt", "ReceivedAt", "ChangedAt") if row.get(name)), None)
    said = _text(str(row.get("Description") or row.get("Details") or ""))
    return [_news(row, row.get("ID"), kind, row.get("Email") or row.get("Recipient"), at, "", row.get("Subject"), said)]


_NEWS: dict[str, Any] = {"mailgun": _mailgun_news, "sendgrid": _sendgrid_news, "postmark": _postmark_news}


def _news(row, own, kind, recipient, at, message_id, subject, said):
    """None for kinds that change nothing for us."""
    if not kind:
        return None
    return MailNews(
        id=_id_of(own) or _seal(row), kind=kind, recipient=_text(str(recipient or "")).strip().lower()[:254],
        at=_moment(at), message_id=_id_of(message_id), subject=_text(str(subject or ""))[:300], said=said[:300],
    )  # fmt: skip
