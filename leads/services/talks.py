"""Answering clients in messengers and chats: a ``Message`` row first; ``leads.deliver`` hands it over."""

from datetime import timedelta

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _

from crm.core.jobs import enqueue
from leads.capture import whatsapp
from leads.models import Conversation, Kind, Message, Source
from leads.models.messages import new_token
from leads.outbound import SENDERS
from leads.outbound.base import FAILED, LATER, SENT, UNSURE, Verdict
from leads.outbound.vk import random_id
from leads.services.talk_news import refresh, task_mark
from leads.services.tasks import finish
from leads.services.timeline import record

MAX_TEXT = 4000  # characters: every messenger takes so many
REPEATABLE = {"vk": timedelta(minutes=50)}  # what the provider tells as the same if said twice, and for how long
STATES = {SENT: "sent", LATER: "queued", FAILED: "failed", UNSURE: "unsure"}


# --- Writing ----------------------------------------------------------------------------------------------------------


def templates(conversation):
    """The approved templates that may be sent in this conversation."""
    if conversation.channel != Conversation.Channel.WHATSAPP:
        return []
    try:
        return whatsapp.templates(conversation.source.settings)
    except ValidationError:
        return []


def why_not(conversation, *, template=False):
    """A key of Message.WHY where nothing may be sent; empty where it may."""
    if conversation.channel == Conversation.Channel.JIVO:
        return "no_way"
    if conversation.blocked_at:
        return "blocked"
    return "" if template or conversation.is_open else "window"


def doors(lead):
    """Sources by which the client can be written to first: WhatsApp with approved templates, where nobody talks yet."""
    if not lead.phone:
        return []
    rows = Source.objects.filter(adapter="whatsapp", is_active=True).order_by("name")
    known = set(Conversation.objects.filter(person=lead.person_id).values_list("source", flat=True))
    return [row for row in rows if row.pk not in known and templates(Conversation(source=row, channel="whatsapp"))]


@transaction.atomic
def begin(lead, source, *, template, values=(), by):
    """Write to a client first; returns the Message. Raises ValidationError where it cannot go."""
    if source.pk not in {row.pk for row in doors(lead)}:
        raise ValidationError(_("This client cannot be written to there."))
    chat = lead.phone.lstrip("+")
    if Conversation.objects.filter(source=source, chat=chat).exists():
        raise ValidationError(_("Somebody else talks under this number."))
    conversation = Conversation.objects.create(
        source=source, channel=Conversation.Channel.WHATSAPP, chat=chat, person_id=lead.person_id, lead=lead,
        title=lead.name,
    )  # fmt: skip
    return answer(conversation, template=template, values=values, by=by)


@transaction.atomic
def answer(conversation, *, text="", template="", values=(), by):
    """Queue an answer and note it on the timeline; returns the Message. Raises ValidationError for what cannot go."""
    conversation = Conversation.objects.select_related("lead", "source").get(pk=conversation.pk)
    form = _form(conversation, template, values)
    text = form.pop("text", "") or text.strip()
    if why := why_not(conversation, template=bool(form)):
        raise ValidationError(Message.WHY[why])
    if not text or len(text) > MAX_TEXT:
        raise ValidationError(_("Write something.") if not text else _("At most %d characters.") % MAX_TEXT)
    if conversation.lead is None:
        raise ValidationError(_("This conversation has no card yet."))
    token = new_token()
    if conversation.channel == Conversation.Channel.VK:
        form["echo"] = f"random:{random_id(token)}"
    message = Message.objects.create(
        channel=conversation.channel, kind=Message.Kind.TALK, lead=conversation.lead,
        person_id=conversation.person_id, by=by, token=token, conversation=conversation, sender=str(by or ""),
        to=conversation.chat, subject="", text=text, tracked=False, form=form, **_state(conversation),
    )  # fmt: skip
    if message.state == Message.State.QUEUED:
        enqueue("leads.deliver", message.pk)
    _answered(conversation, message, by)
    return message


def _state(conversation):
    """In our own chat a message is sent when it is written: the visitor's page asks for it."""
    own = conversation.channel == Conversation.Channel.CHAT
    return {"state": Message.State.SENT, "sent_at": timezone.now()} if own else {}


def _form(conversation, template, values):
    if not template:
        return {}
    found = next((t for t in templates(conversation) if t["name"] == template), None)
    if found is None:
        raise ValidationError(_("There is no such template."))
    text = found["text"] or template
    for place, value in enumerate(values, 1):
        text = text.replace(f"{{{{{place}}}}}", str(value))
    return {"template": template, "language": found["language"], "values": list(values), "text": text}


def _answered(conversation, message, by):
    """The timeline, the clock, the task, the badge."""
    facts = {"channel": conversation.channel, "conversation": conversation.pk}
    record(conversation.lead, Kind.MESSAGE_OUT, by=by, text=message.text, message=message, **facts)
    for task in conversation.lead.tasks.filter(done_at=None, dedup__startswith=task_mark(conversation)):
        finish(task, by=by)
    Conversation.objects.filter(pk=conversation.pk).update(unread=0, last_at=Now())


# --- Handing over (called by delivery) ---------------------------------------------------------------------------------


def may_repeat(message):
    """Whether an attempt that nobody knows the end of may simply be made again."""
    period = REPEATABLE.get(message.channel)
    return bool(period and message.claimed_at and timezone.now() - message.claimed_at < period)


def in_turn(message):
    """Whether nothing older waits in this conversation: answers keep their order."""
    return not message.conversation.messages.filter(state__in=["queued", "sending"], pk__lt=message.pk).exists()


def hindrance(message):
    """The reason why the message must not go out now, a key of Message.WHY; empty when it may."""
    if message.conversation is None or message.lead is None:
        return "erased"
    return why_not(message.conversation, template=bool(message.form.get("template")))


def attempt(message):
    """The Verdict of one attempt."""
    sender = SENDERS.get(message.channel)
    return sender.send(message) if sender else Verdict(FAILED, why="no_way")


def settled(message, verdict):
    """What the verdict means for the conversation."""
    if verdict.provider_id:
        Message.objects.filter(pk=message.pk, provider_id="").update(provider_id=verdict.provider_id)
    if verdict.blocked:
        Conversation.objects.filter(pk=message.conversation_id).update(blocked_at=Now())
    refresh(message.conversation)
