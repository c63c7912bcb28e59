"""SMS.ru: what becomes of our SMS; https://sms.ru/api/send, https://sms.ru/?panel=api&subpanel=cb

The api_id is the secret: it stands in our requests, and every callback proves itself by the SHA-256 of it and all
entries. An entry is lines: ``sms_status``, the SMS's id, a code, seconds since 1970. Anything but "100" is said again.
"""

import hashlib
from urllib.parse import urlencode

from django.utils.translation import gettext_lazy as _

from leads.capture import base, sms, talk
from leads.capture.base import Reply, Setting
from leads.capture.canary import MARK, Canary
from leads.capture.talk import Chat, Status

LABEL = "SMS.ru"
NEEDS_SECRET, GIVEN_SECRET = True, True
SECRET_HELP = _("The api_id of the SMS.ru account.")
CHANNEL = "phone"
BASE_URL = "https://sms.ru"
SETTINGS = {
    "sender": Setting(_("Sender's name"), _("As SMS.ru has agreed it. Empty: the account's own.")),
    "welcome": sms.WELCOME,
    "sms_per_day": sms.CEILING,
    "base_url": Setting(_("Address of the API"), _("Empty: the provider's own."), kind="url"),
}
# Code of an SMS → what it means for the client; 100 to 102 are on the way.
STATUSES = {"100": "sent", "101": "sent", "102": "sent", "103": "delivered", "110": "read"}
LOST = {  # → a key of Message.WHY
    "-1": "sms_lost", "104": "sms_expired", "105": "sms_operator", "106": "sms_phone", "107": "sms_lost",
    "108": "sms_operator", "150": "sms_no_way",
}  # fmt: skip


def _entries(body):
    return [text for name, texts in body.fields.items() if name.partition(".")[0] == "data" for text in texts]


def digest(secret, entries=()):
    return hashlib.sha256((secret + "".join(entries)).encode()).hexdigest()


def verify(envelope, source, body):
    if not source.secret:
        return
    given = body.fields.get("hash", [""])[0] if body else ""
    if not given:
        raise base.unsigned()
    entries = _entries(body)
    if not any(base.same(given.lower(), digest(secret, entries)) for secret in base.secrets_of(source)):
        raise base.wrong_proof()


def reply(envelope, source):
    return Reply(200, "100")


def canary(source, mark, url):
    return Canary(base.FORM, urlencode({"test": "test", MARK: mark, "hash": digest(source.secret)}).encode())


def parse(body, source, *, headers, region="RU", path="", received_at=None):
    if talk.asked_as_test(body):
        return talk.nothing("test", "test")
    return talk.found([status for entry in _entries(body) if (status := _status(entry))], body.warnings)


def _status(entry):
    kind, name, code, at = [part.strip() for part in (entry + "\n\n\n").split("\n")[:4]]
    said = "failed" if code in LOST else STATUSES.get(code)
    if kind != "sms_status" or not name or not said:
        return None
    return Status(Chat("sms", ""), name[:200], said, talk.moment({"at": at}, "at"), LOST.get(code, ""))
