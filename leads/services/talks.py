"""Answering clients in messengers and chats: a ``Message`` row first; ``leads.deliver`` hands it over."""

from datetime import timedelta

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models.functions import Now
from django.template.defaultfilters import filesizeformat
from django.utils import timezone
from django.utils.translation import gettext as _

from crm.core import antivirus
from crm.core.jobs import enqueue
from crm.core.models import Organisation
from crm.core.recent import recent
from leads.capture import sms, whatsapp
from leads.identity import takes_sms
from leads.models import Conversation, Kind, Lead, Message, Source, Status
from leads.models.messages import new_token
from leads.outbound import PAID, SENDERS, SMS
from leads.outbound.base import FAILED, LATER, SENT, UNSURE, Verdict
from leads.outbound.vk import random_id
from leads.services import watch
from leads.services.chat_files import keep_sent, limit
from leads.services.talk_news import refresh, task_mark
from leads.services.tasks import finish
from leads.services.timeline import record

MAX_TEXT = 4000  # characters: every messenger takes so many
MAX_SMS = 536  # eight parts of 67 characters
MAX_CAPTION = 1000  # characters beside a file
WITH_FILES = {"telegram", "whatsapp", "vk", "chat"}
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
    """Sources by which the client can be written to first: SMS, WhatsApp with approved templates; no talk is there yet."""
    if not lead.phone:
        return []
    rows = Source.objects.filter(adapter__in={"whatsapp", *SMS}, is_active=True).order_by("name")
    known = set(Conversation.objects.filter(person=lead.person_id).values_list("source", "chat"))
    return [row for row in rows if _may_begin(row, lead, known)]


def _may_begin(source, lead, known):
    if source.adapter in SMS:
        return takes_sms(lead.phone) and (source.pk, _number(lead)) not in known
    talked = source.pk in {pk for pk, _chat in known}
    return not talked and bool(templates(unbegun(source)))


def unbegun(source):
    """A conversation that is not there yet: what may be said in it is known all the same."""
    channel = Conversation.Channel.SMS if source.adapter in SMS else Conversation.Channel.WHATSAPP
    return Conversation(source=source, channel=channel)


def _number(lead):
    return lead.phone.lstrip("+")


@transaction.atomic
def begin(lead, source, *, text="", template="", values=(), by):
    """Write to a client first; returns the Message. Raises ValidationError where it cannot go."""
    if source.pk not in {row.pk for row in doors(lead)}:
        raise ValidationError(_("This client cannot be written to there."))
    lead = Lead.objects.select_for_update(of=("self",), no_key=True).get(pk=lead.pk)  # before its new conversation
    conversation = _own(lead, source)
    if conversation is None:
        raise ValidationError(_("Somebody else talks under this number."))
    return answer(conversation, text=text, template=template, values=values, by=by)


def _own(lead, source):
    """The conversation under the lead's phone; None where it is somebody else's (a shared phone)."""
    row, _made = Conversation.objects.get_or_create(
        source=source, chat=_number(lead),
        defaults={"channel": unbegun(source).channel, "person_id": lead.person_id, "lead": lead, "title": lead.name},
    )  # fmt: skip
    return row if row.person_id == lead.person_id else None


@recent
def _sms_sources():
    return list(Source.objects.filter(adapter__in=SMS, is_active=True).order_by("pk"))


def greeter(lead):
    """The source by which a new enquiry is greeted with an SMS; None where it is not.

    Only at home: a robot that leaves dear foreign numbers in a form must not spend the company's money.
    """
    for source in _sms_sources():
        if lead.email and sms_left(source, waiting=True) < 1:
            continue
        who = source.settings.get("welcome") or sms.NO_EMAIL
        if who == sms.FIRST or (who == sms.NO_EMAIL and not lead.email):
            return source if takes_sms(lead.phone, Organisation.get().region) else None
    return None


@transaction.atomic(savepoint=False)
def greet(lead, source, *, text, template, dedup, since):
    """Queue the SMS that welcomes a new enquiry; the Message, or None.

    The caller has the lead locked. Nobody is greeted twice since ``since``, nor whoever has asked for no more SMS.
    """
    if former := Message.objects.filter(dedup=dedup).first():
        return former
    conversation = _own(lead, source)
    if conversation is None or conversation.blocked_at:
        return None
    if conversation.messages.filter(dedup__startswith="welcome:", created_at__gt=since).exists():
        return None
    conversation.lead = lead
    return _queue(conversation, text[:MAX_SMS], template=template, dedup=dedup)


@transaction.atomic
def answer(conversation, *, text="", template="", values=(), file=None, by):
    """Queue an answer and note it on the timeline; returns the Message. Raises ValidationError for what cannot go.

    ``file``: an uploaded file that goes with the text, or alone.
    """
    if file and file.size <= limit(conversation.source):
        antivirus.check_upload(file)  # before anything is locked
    rows = Conversation.objects.select_related("lead", "source").select_for_update(of=("self",), no_key=True)
    conversation = rows.get(pk=conversation.pk)  # before its lead, as when the client writes
    form = _form(conversation, template, values)
    text = form.pop("text", "") or text.strip()
    if why := why_not(conversation, template=bool(form)):
        raise ValidationError(Message.WHY[why])
    most = MAX_CAPTION if file else max_text(conversation)
    if not (text or file) or len(text) > most:
        raise ValidationError(_("At most %d characters.") % most if text else _("Write something."))
    if conversation.lead is None:
        raise ValidationError(_("This conversation has no card yet."))
    if file:
        _check_file(conversation, file)
    message = _queue(conversation, text, by=by, form=form, files=1 if file else 0)
    _answered(conversation, by)
    if file:
        keep_sent(message, file)  # last: what fails before leaves no file
    return message


def _check_file(conversation, file):
    if conversation.channel not in WITH_FILES:
        raise ValidationError(_("No files can be sent there."))
    if (most := limit(conversation.source)) < file.size:
        raise ValidationError(_("The file is larger than %s.") % filesizeformat(most))
    if not file.size:
        raise ValidationError(_("The file is empty."))


def max_text(conversation):
    return MAX_SMS if conversation.channel == Conversation.Channel.SMS else MAX_TEXT


def _queue(conversation, text, *, by=None, form=None, files=0, **more):
    """The Message row, its place on the timeline, and its job."""
    token, form = new_token(), form or {}
    if conversation.channel == Conversation.Channel.VK:
        form["echo"] = f"random:{random_id(token)}"
    message = Message.objects.create(
        channel=conversation.channel, kind=Message.Kind.TALK, lead=conversation.lead,
        person_id=conversation.person_id, by=by, token=token, conversation=conversation, sender=str(by or ""),
        to=conversation.chat, subject="", text=text, tracked=False, form=form, **_state(conversation), **more,
    )  # fmt: skip
    if message.state == Message.State.QUEUED:
        enqueue("leads.deliver", message.pk)
    facts = {"channel": conversation.channel, "conversation": conversation.pk} | ({"files": files} if files else {})
    record(conversation.lead, Kind.MESSAGE_OUT, by=by, text=message.text, message=message, **facts)
    # Whoever has the conversation is taking in what the client has just written: that is newer, and names the lead.
    free = Conversation.objects.filter(pk=conversation.pk).select_for_update(skip_locked=True, no_key=True)
    Conversation.objects.filter(pk__in=free.values("pk")).update(last_at=Now(), lead=conversation.lead)
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


def _answered(conversation, by):
    """The task of answering and the badge."""
    for task in conversation.lead.tasks.filter(done_at=None, dedup__startswith=task_mark(conversation)):
        finish(task, by=by)
    Conversation.objects.filter(pk=conversation.pk).update(unread=0)


# --- Handing over (called by delivery) ---------------------------------------------------------------------------------


def may_repeat(message):
    """Whether an attempt that nobody knows the end of may simply be made again."""
    period = REPEATABLE.get(message.channel)
    since = message.created_at if in_doubt(message) else message.claimed_at
    return bool(period and since and timezone.now() - since < period)


def in_doubt(message):
    """Whether a former attempt, of which nobody knows the end, was put off: the client may have the message."""
    return message.reason.partition(" ")[0] == "no_answer"


def local_midnight():
    return timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)


def sms_left(source, *, beside=None, waiting=False):
    """How many SMS a source that costs money may still send today; ``waiting``: after those that are queued."""
    if source.adapter not in PAID:
        return sms.PER_DAY
    gone = Message.objects.filter(channel="sms", claimed_at__gte=local_midnight(), conversation__source=source)
    used = gone.filter(state__in=["sending", "sent", "unsure"]).exclude(pk=beside and beside.pk).count()
    if waiting:
        used += Message.objects.filter(channel="sms", state="queued", conversation__source=source).count()
    return int(source.settings.get("sms_per_day") or sms.PER_DAY) - used


def in_turn(message):
    """Whether nothing older waits in this conversation: answers keep their order."""
    return not message.conversation.messages.filter(state__in=["queued", "sending"], pk__lt=message.pk).exists()


def hindrance(message):
    """The reason why the message must not go out now, a key of Message.WHY; empty when it may."""
    if message.conversation is None or message.lead is None:
        return "erased"
    if message.dedup and message.lead.status == Status.REJECTED:  # what the product says by itself
        return "rejected"
    return why_not(message.conversation, template=bool(message.form.get("template")))


def attempt(message):
    """The Verdict of one attempt."""
    source = message.conversation.source
    sender = SENDERS.get(source.adapter)
    if source.adapter in PAID and sms_left(source, beside=message) < 1:
        watch.tell_sms_limit(source, local_midnight())
        return Verdict(FAILED, why="sms_limit")
    try:
        return sender.send(message) if sender else Verdict(FAILED, why="no_way")
    except FileNotFoundError:  # nothing has been said yet: files are read first
        return Verdict(FAILED, why="unbuildable")


def why(message, verdict):
    """The reason that is kept of a verdict: a doubt stays until an attempt has an end."""
    if verdict.state == LATER and (verdict.doubt or in_doubt(message)):
        return f"no_answer {verdict.why.removeprefix('no_answer ')}"
    return verdict.why


def settled(message, verdict):
    """What the verdict means for the conversation."""
    if verdict.provider_id:
        Message.objects.filter(pk=message.pk, provider_id="").update(provider_id=verdict.provider_id)
    if verdict.blocked:
        Conversation.objects.filter(pk=message.conversation_id).update(blocked_at=Now())
    refresh(message.conversation)
