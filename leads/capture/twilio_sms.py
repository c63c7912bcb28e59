"""Twilio Programmable Messaging: incoming SMS and MMS, what becomes of ours.

Follows https://www.twilio.com/docs/messaging/guides/webhook-request and .../track-outbound-message-status. Signed as calls
are; the secret is the Auth Token. Statuses come to an address that names our message, so a lost answer is known again.
"""

import re
from functools import partial

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from leads.capture import sms, talk, twilio
from leads.capture.base import Reply, Setting
from leads.capture.talk import Chat, File, Status

LABEL = _("Twilio: SMS")
NEEDS_SECRET, GIVEN_SECRET = True, True
SECRET_HELP = _("The Auth Token of the Twilio console.")
CHANNEL = "phone"
BASE_URL = twilio.API
SETTINGS = {
    "account_sid": Setting("Account SID"),
    "sender": Setting(_("Our number at Twilio"), _("Or the SID of a Messaging Service (MG…).")),
    "welcome": sms.WELCOME,
    "sms_per_day": sms.CEILING,
    "base_url": Setting(_("Address of the API"), _("Empty: the provider's own."), kind="url"),
}
STATUSES = {
    "accepted": "sent", "scheduled": "sent", "queued": "sent", "sending": "sent", "sent": "sent",
    "delivered": "delivered", "read": "read", "undelivered": "failed", "failed": "failed", "canceled": "failed",
}  # fmt: skip
STATUS_PATH = "status"
verify, canary = twilio.verify, twilio.canary


def check_settings(settings):
    if (sender := str(settings.get("sender") or "")) and not re.fullmatch(
        r"\+\d{5,15}|\d{3,8}|MG\w{32}|[\w .-]{1,11}", sender
    ):
        raise ValidationError(_now("This is no number of Twilio's: %s") % sender)


def reply(envelope, source):
    return Reply(200, "<Response/>", twilio.XML)


def parse(body, source, *, headers, region="RU", path="", received_at=None):
    if talk.asked_as_test(body):
        return talk.nothing("test", "test")
    said = {name: values[0] for name, values in body.fields.items()}
    word = partial(talk.word, said)
    name = word("MessageSid") or word("SmsSid")
    if not re.fullmatch(r"[A-Za-z0-9]{2,64}", name):
        return talk.nothing()
    state = word("MessageStatus") or word("SmsStatus")
    if state in STATUSES:
        return talk.found([_status(name, STATUSES[state], word, path)], body.warnings)
    files = _files(name, talk.whole(said, "NumMedia") or 0, word)
    return talk.found(
        sms.heard(word("From"), talk.prose(said, "Body"), name, files=files, region=region), body.warnings
    )


def _status(name, state, word, path):
    to = sms.chat(word("To"))
    asked = re.search(rf"/{STATUS_PATH}/([\w-]{{1,64}})/?$", path)
    why = f"{word('ErrorCode')} {word('ErrorMessage')}".strip() if state == "failed" else ""
    return Status(to or Chat("sms", ""), name, state, None, why, asked[1] if asked else "")


def _files(name, count, word):
    found = [
        (n, word(f"MediaUrl{n}", limit=2000), word(f"MediaContentType{n}", limit=100)) for n in range(min(count, 10))
    ]
    return tuple(File(mime.partition("/")[0] or "file", f"{name}:{n}", url, mime=mime) for n, url, mime in found if url)
