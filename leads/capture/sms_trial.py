"""SMS that go nowhere: to try templates and the card before a provider is paid, and to play one in tests.

Takes a form or JSON: ``from``, ``text`` and ``id`` of an SMS from a client; ``id`` and ``status`` of one of ours.
"""

from django.utils.translation import gettext_lazy as _

from leads.capture import sms, talk
from leads.capture.base import check_secret, named
from leads.capture.talk import Chat, Status

LABEL = _("SMS: a trial, nothing is sent")
NEEDS_SECRET = True
SECRET_HELP = _(
    "Stands in the header “Authorization: Bearer” when you play the client and post to the address yourself."
)
CHANNEL = "phone"
SETTINGS = {"welcome": sms.WELCOME}
STATUSES = {"sent", "delivered", "read", "failed"}


def verify(envelope, source, body):
    if source.secret:
        check_secret(envelope, source, given=named(envelope, body, "secret"))


def parse(body, source, *, headers, region="RU", path="", received_at=None):
    if talk.asked_as_test(body):
        return talk.nothing("test", "test")
    said = {name: values[0] for name, values in body.fields.items()}
    name, state = talk.word(said, "id"), talk.word(said, "status")
    if name and state in STATUSES:
        return talk.found([Status(Chat("sms", ""), name, state, None, talk.word(said, "why"))], body.warnings)
    heard = sms.heard(talk.word(said, "from"), talk.prose(said, "text"), name, region=region) if name else []
    return talk.found(heard, body.warnings)
