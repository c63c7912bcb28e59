"""What a mail service tells of our letters: each once; delivered, seen, came back, complained of, unsubscribed."""

from django.db.models.functions import Now

from leads.capture.inbound_mail import MailNews as Event
from leads.models import Kind, MailNews, Message, Suppression
from leads.services import optouts
from leads.services.mailroom import complained, failed, lately_sent, our_message
from leads.services.outcome import Outcome, Reason, State
from leads.services.timeline import record


def take(event, submission):
    """One event; the same said twice, or after a later one, changes nothing more."""
    message = our_message(event.message_id) or lately_sent(event.recipient, event.subject)
    at = min(event.at or submission.received_at, submission.received_at)
    _row, is_new = MailNews.objects.get_or_create(
        source=submission.source, provider_id=event.id[:200], kind=event.kind,
        defaults={"message": message, "recipient": event.recipient, "said": event.said, "at": at},
    )  # fmt: skip
    if message is None:
        return Outcome(State.REJECTED, reason=Reason.UNKNOWN_THREAD)
    if is_new:
        _EFFECTS[event.kind](message, event, at, submission)
    return Outcome(State.MERGED, lead=message.lead, person_id=message.person_id)


def _delivered(message, event, at, submission):
    """A letter of which we did not know whether it went out has gone out."""
    Message.objects.filter(pk=message.pk, state=Message.State.UNSURE).update(
        state=Message.State.SENT, sent_at=Now(), reason=""
    )


def _seen(message, event, at, submission):
    """The service's own count, where ours has not seen it yet."""
    if message.lead is None:
        return
    name, kind = (
        ("first_open_at", Kind.EMAIL_OPENED) if event.kind == "opened" else ("first_click_at", Kind.EMAIL_CLICKED)
    )
    if Message.objects.filter(pk=message.pk, **{name: None}).update(**{name: at}):
        record(message.lead, kind, at=at, message=message, text=message.subject)


def _failed(message, event, at, submission):
    failed(message, event.kind, event.said, at=at, submission=submission)


def _complained(message, event, at, submission):
    complained(message)


def _unsubscribed(message, event, at, submission):
    optouts.opt_out(message.to, reason=Suppression.Reason.UNSUBSCRIBED, lead=message.lead, message=message)


_EFFECTS = {
    "delivered": _delivered, "opened": _seen, "clicked": _seen, "soft": _failed, "hard": _failed,
    "complained": _complained, "unsubscribed": _unsubscribed,
}  # fmt: skip
HANDLERS = {Event: take}
