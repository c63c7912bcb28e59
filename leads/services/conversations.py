"""What clients say in messengers and chats: each message once, in the right conversation, on the right card.

The signs of a client are locked first, as for every enquiry: two messages that arrive at once make one card, and
whichever of a message and its edit comes first, the end is the same.
"""

from dataclasses import replace
from datetime import timedelta

from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Greatest, Now
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import override

from crm.core.jobs import enqueue
from crm.core.models import Organisation
from crm.core.notices import notify
from leads.capture import talk
from leads.capture.site import Recommended
from leads.identity import Known
from leads.models import (
    ChatFile,
    ChatLine,
    Consent,
    Conversation,
    Identity,
    Kind,
    Lead,
    Message,
    Person,
    Submission,
    Touch,
)
from leads.models.lead import Status as LeadStatus
from leads.services import site
from leads.services.intake import lock_signs, match, open_lead
from leads.services.outcome import NOTHING, Outcome, Reason, State
from leads.services.talk_news import refresh, task_mark
from leads.services.tasks import set_task
from leads.services.timeline import lift, record

FETCH = "leads.fetch_file"
MEET = "leads.meet"
LATER = timedelta(hours=1)  # a provider's clock may be ahead of ours by so much
SHOWN = 80  # characters of a message in a notice
# A message's way through the provider, in order; what is told late changes nothing.
RANKS = {"": 0, "sent": 0, "delivered": 1, "read": 2, "failed": 3}
UNKNOWN = Outcome(State.REJECTED, reason=Reason.UNKNOWN_THREAD)
OWN = Outcome(State.REJECTED, reason=Reason.OWN)


def merged(conversation):
    if conversation.lead_id is None and conversation.person_id is None:
        return Outcome(State.REJECTED, reason=Reason.NO_CONTACT)
    return Outcome(State.MERGED, lead=conversation.lead, person_id=conversation.person_id)


# --- Finding ----------------------------------------------------------------------------------------------------------


def _hold(chat, source):
    """The conversation, locked with all signs of its client until the end of the transaction; None for a new one."""
    lock_signs([*chat.identities, Known("talk", chat.id, source.key)])
    rows = Conversation.objects.select_related("person", "lead__owner", "source")
    rows = rows.select_for_update(of=("self",), no_key=True)  # what the product says meanwhile is no hindrance
    return rows.filter(source=source, chat=chat.id).first() if chat.id else None


def _client(conversation, chat):
    """Whose conversation it is; somebody who was erased has no signs left and is nobody (see intake.Erased)."""
    known = conversation.person if conversation else None
    return known if known and known.identities.exists() else match(chat.identities)


def _open_lead_of(person):
    rows = Lead.objects.select_related("owner").select_for_update(of=("self",), no_key=True)
    return rows.filter(person=person, status=LeadStatus.OPEN).order_by("-id").first() if person else None


def _start(chat, source, person=None, lead=None):
    row = Conversation.objects.create(
        source=source, channel=chat.channel, chat=chat.id, person=person, lead=lead, title=chat.title,
        details=chat.details,
    )  # fmt: skip
    if chat.channel == Conversation.Channel.VK and source.settings.get("token"):
        enqueue(MEET, row.pk)  # VK tells a number; the name must be asked for
    return row


def _recommended(chat, lead, submission):
    """A deep link with somebody's code."""
    if code := chat.marks.get("ref", "").lower():
        site.follow([Recommended(code=code)], lead, submission)


def _remember(conversation, chat, lead, submission):
    """What the client calls themselves, and what the provider wants back with an answer, may change; what they agree to."""
    text = submission.source.consent_id
    if (
        chat.consent
        and text
        and not Consent.objects.filter(person=lead.person_id, text=text, withdrawn_at=None).exists()
    ):
        Consent.objects.create(
            person_id=lead.person_id, text_id=text, submission=submission, given_at=submission.received_at
        )
    conversation.lead, conversation.person = lead, lead.person
    conversation.title = chat.title or conversation.title
    conversation.details = {**conversation.details, **chat.details}
    conversation.save(update_fields=["lead", "person", "title", "details"])
    _recommended(chat, lead, submission)


# --- The card ---------------------------------------------------------------------------------------------------------


def _learn(lead, chat):
    """Signs and contacts that we did not have; what is somebody else's stays theirs."""
    fresh = [
        Identity(person_id=lead.person_id, kind=k.kind, scope=k.scope, value=k.value, raw=k.raw, extension=k.extension)
        for k in chat.identities
    ]
    Identity.objects.bulk_create(fresh, ignore_conflicts=True)
    own = set(Identity.objects.filter(person=lead.person_id).values_list("kind", "value"))
    facts = {k.kind: k.value for k in reversed(chat.identities) if k.kind in {"phone", "email"}}
    facts = {kind: value for kind, value in facts.items() if (kind, value) in own}
    changes = {n: v for n, v in {**facts, "name": chat.fields.get("name")}.items() if v and not getattr(lead, n)}
    if changes:
        for name, value in changes.items():
            setattr(lead, name, value)
        Lead.objects.filter(pk=lead.pk).update(**changes)
        if "name" in changes:
            Person.objects.filter(pk=lead.person_id, name="").update(name=changes["name"])


def _free(submission):
    """The receipt for the touch of a new enquiry; it counts as one, also when several people wrote in one delivery."""
    return None if Touch.objects.filter(submission=submission).exists() else submission


def _new_enquiry(chat, submission, person, text, details):
    """A card, or the open one of this person, by the door that all enquiries come through."""
    signs = list(chat.identities)
    if person and not match(signs):  # known by the conversation alone
        signs = [*signs, *(Known(i.kind, i.value, i.scope) for i in person.identities.order_by("id")[:20])]
    fields = {**chat.fields, "need": "\n".join(filter(None, (chat.fields.get("need"), text)))}
    return open_lead(
        fields=fields, identities=signs, source=submission.source, submission=_free(submission), marks=chat.marks,
        at=submission.received_at, details=details,
    )  # fmt: skip


def _waits(lead, at):
    """The client waits for an answer from now on, unless they wait already."""
    if lead.waiting_since is None:
        lead.waiting_since = at
        Lead.objects.filter(pk=lead.pk, waiting_since=None).update(waiting_since=at)


def _tell(conversation, lead, text, submission):
    """The owner learns of it at once and has it as a task; one open task a conversation."""
    if lead.owner is None:
        return
    address = reverse("leads:card", args=[lead.pk])
    notify(lead.owner, "message", url=f"{address}#talk", lead=lead.pk, name=str(lead), text=text[:SHOWN])
    prefix = task_mark(conversation)
    if lead.tasks.filter(done_at=None, dedup__startswith=prefix).exists():
        return
    with override(Organisation.get().language_for(lead.owner)):
        title = _("Answer: %s") % conversation.get_channel_display()
    due_at = timezone.now() + timedelta(minutes=Organisation.get().missed_call_minutes)
    set_task(lead, title=title, due_at=due_at, assignee=lead.owner, dedup=f"{prefix}{submission.pk}")


# --- Messages ---------------------------------------------------------------------------------------------------------


def _certain(event):
    """Without the handle, where the person who had it is known by another number: handles change hands."""
    number, handles = event.chat.identities[:1], event.chat.identities[1:]
    if event.chat.channel != "telegram" or not any(sign.kind == "telegram" for sign in handles):
        return event
    held = Identity.objects.filter(kind="telegram", value__in=[s.value for s in handles if s.kind == "telegram"])
    others = Identity.objects.filter(kind="telegram", person__in=held.values("person"), value__regex=r"^\d+$")
    if not others.exclude(value=number[0].value).exists():
        return event
    rest = tuple(sign for sign in handles if sign.kind != "telegram")
    return replace(event, chat=replace(event.chat, identities=(*number, *rest)))


def said(event, submission):
    """A message, or its later wording."""
    event = _certain(event)
    conversation = _hold(event.chat, submission.source)
    if conversation and (line := conversation.lines.filter(provider_id=event.id).first()):
        return _again(conversation, line, event)
    if event.is_ours:
        return _ours(conversation, event, submission)
    if event.weak and conversation is None:
        return NOTHING
    return _heard(conversation, event, submission)


def _again(conversation, line, event):
    """Said before: only a newer wording changes anything; a message whose edit came first gets its place."""
    changes = {}
    if event.edited_at and (line.edited_at is None or line.edited_at < event.edited_at):
        changes = {"edited_at": event.edited_at, "text": event.text or line.text}
    elif line.kind == "deleted" and event.kind != "deleted":
        changes = {"kind": event.kind, "text": event.text}
    if event.at and event.at < line.at:
        changes["at"] = event.at
    if changes:
        ChatLine.objects.filter(pk=line.pk).update(**changes)
        refresh(conversation)
    return merged(conversation)


def _heard(conversation, event, submission):
    """A new message of the client: on the open card, else a new enquiry."""
    chat, source = event.chat, submission.source
    person = _client(conversation, chat)
    lead, state = _open_lead_of(person), State.MERGED
    if lead is None and _held_back(chat, source, person):
        conversation = conversation or _start(chat, source)
        _line(conversation, event, submission)
        return merged(conversation)
    if lead is None:
        lead, outcome = _new_enquiry(chat, submission, person, event.text, _facts(event))
        state = State.LEAD if outcome == "lead" else State.MERGED
        conversation = conversation or _start(chat, source, lead.person, lead)
    else:
        conversation = conversation or _start(chat, source, lead.person, lead)
        _on_card(conversation, lead, event, submission)
    _remember(conversation, chat, lead, submission)
    _settle_held(conversation, lead)
    _line(conversation, event, submission)
    return Outcome(state, lead=lead, person_id=lead.person_id)


def _on_card(conversation, lead, event, submission):
    """The message on the card of an open lead: touch, clock, timeline, owner."""
    _learn(lead, event.chat)
    if event.chat.marks and (free := _free(submission)):
        Touch.objects.create(
            lead=lead, person_id=lead.person_id, submission=free, at=submission.received_at,
            origin=submission.source.origin, marks=event.chat.marks,
        )  # fmt: skip
    if not event.weak:
        _waits(lead, submission.received_at)
    record(lead, Kind.MESSAGE_IN, text=event.text, submission=submission, **_facts(event), conversation=conversation.pk)
    if not event.weak:
        _tell(conversation, lead, event.text, submission)


def _facts(event):
    """What the timeline says of a message besides its text."""
    return {"channel": event.chat.channel, "talk": event.kind, "files": len(event.files)}


def _line(conversation, event, submission):
    """Keep the message; its files are fetched later."""
    now = timezone.now()
    at = min(event.at or submission.received_at, now + LATER)
    line = ChatLine.objects.create(
        conversation=conversation, provider_id=event.id, is_ours=event.is_ours, author=event.author, kind=event.kind,
        text=event.text, at=at, edited_at=event.edited_at, submission=submission,
    )  # fmt: skip
    files = [
        ChatFile(line=line, kind=f.kind, ref=f.ref, url=f.url, name=f.name, mime=f.mime, size=f.size)
        for f in event.files
    ]
    for row in ChatFile.objects.bulk_create(files):
        enqueue(FETCH, row.pk)
    changes = {"last_at": Greatest(F("last_at"), Value(at))}
    if not event.is_ours:
        changes |= {"unread": F("unread") + 1, "last_in_at": Greatest("last_in_at", Value(at))}
        if event.chat.channel != Conversation.Channel.SMS:  # there, only the client's own word takes STOP back
            changes["blocked_at"] = None
    Conversation.objects.filter(pk=conversation.pk).update(**changes)
    return line


def _held_back(chat, source, person):
    """By setting, a visitor of the site becomes a lead only with a contact to answer to."""
    if person or chat.channel != "chat" or source.settings.get("lead_at") != "contact":
        return False
    return not any(sign.kind in {"phone", "email"} for sign in chat.identities)


def _settle_held(conversation, lead):
    """Receipts of what was said before there was a card: they belong to it now."""
    if conversation.channel == "chat":
        told = conversation.lines.values("submission")
        rows = Submission.objects.filter(pk__in=told, state=State.REJECTED, reason=Reason.NO_CONTACT)
        rows.update(state=State.MERGED, reason="", lead=lead, person_id=lead.person_id)


def _ours(conversation, event, submission):
    """What a colleague wrote in the provider's own program, or the echo of what went out from here."""
    if conversation is None:
        return OWN
    if echo := _echo(conversation, event):
        Message.objects.filter(pk=echo.pk).update(
            provider_id=event.id, **({} if echo.state == Message.State.SENT else {"state": "sent", "sent_at": Now()})
        )
        return merged(conversation)
    line = _line(conversation, event, submission)
    if lead := conversation.lead:
        facts = {**_facts(event), "author": event.author, "conversation": conversation.pk}
        record(lead, Kind.MESSAGE_OUT, at=line.at, text=event.text, submission=submission, **facts)
        lift(lead, answered=True)
    refresh(conversation)
    return merged(conversation)


def _echo(conversation, event):
    """Our own Message that the provider tells of."""
    rows = conversation.messages.order_by("-pk")
    if event.token and (found := rows.filter(Q(token=event.token) | Q(form__echo=event.token)).first()):
        return found
    return rows.filter(provider_id=event.id).first()


# --- What else happens ------------------------------------------------------------------------------------------------


def deleted(event, submission):
    """Messages taken back: struck out, never removed; one that we have not seen yet is taken back in advance."""
    conversation = _hold(event.chat, submission.source)
    if conversation is None:
        return UNKNOWN
    at = event.at or submission.received_at
    for number in event.ids:
        line, made = ChatLine.objects.get_or_create(
            conversation=conversation, provider_id=number,
            defaults={"kind": "deleted", "at": at, "deleted_at": at, "submission": submission},
        )  # fmt: skip
        if not made and line.deleted_at is None:
            ChatLine.objects.filter(pk=line.pk).update(deleted_at=at)
    refresh(conversation)
    return merged(conversation)


def status(event, submission):
    """What became of a message of ours. What arrives late or twice changes nothing."""
    message = _sent(event, submission)
    if message is None:
        return UNKNOWN
    at = event.at or submission.received_at
    rows = Message.objects.filter(pk=message.pk)
    if event.up_to:
        rows = message.conversation.messages.filter(state=Message.State.SENT, sent_at__lte=at)
    _delivered(rows, event, at)
    if message.state in {Message.State.SENDING, Message.State.UNSURE}:  # the answer got lost, but it did go out
        went = {"state": Message.State.SENT, "sent_at": at, "reason": ""}
        Message.objects.filter(pk=message.pk).update(**went, provider_id=event.id)
    refresh(message.conversation)
    return merged(message.conversation)


def _sent(event, submission):
    rows = Message.objects.filter(conversation__source=submission.source).select_related("conversation__lead")
    if event.token and (found := rows.filter(token=event.token).first()):
        return found
    if not event.chat.id:  # a status of an SMS names nothing but the SMS
        return rows.filter(provider_id=event.id).exclude(provider_id="").first()
    here = rows.filter(conversation__chat=event.chat.id).order_by("-pk")
    if event.up_to:
        return here.filter(state=Message.State.SENT).first()
    return here.filter(provider_id=event.id).first()


def _delivered(rows, event, at):
    """Only upwards: sent, delivered, read; failed is the end."""
    rank = RANKS[event.status]
    lower = [name for name, place in RANKS.items() if place < rank]
    changes = {"delivery": event.status, "delivery_at": at}
    if event.status == "failed":
        why = event.why if event.why in Message.WHY else f"refused {event.why}"
        changes["reason"] = Case(When(reason="", then=Value(why[:300])), default=F("reason"))
    changed = rows.filter(delivery__in=lower).update(**changes) if rank else 0
    if changed and event.status == "failed":
        for message in rows.exclude(by=None).select_related("by", "lead"):
            address = reverse("leads:card", args=[message.lead_id]) if message.lead_id else ""
            notify(message.by, "undelivered", url=address, lead=message.lead_id, name=str(message.lead or message.to))


def met(event, submission):
    """Somebody is there, or has said who they are."""
    conversation = _hold(event.chat, submission.source)
    person = _client(conversation, event.chat)
    lead, state = _open_lead_of(person), State.MERGED
    if person is None and (event.weak or not event.chat.identities):
        return NOTHING if event.weak else Outcome(State.REJECTED, reason=Reason.NO_CONTACT)
    if lead and (conversation or not event.enquiry):
        _learn(lead, event.chat)
    elif lead is None and person and not event.enquiry:
        return Outcome(State.MERGED, person_id=person.pk)
    else:
        lead, outcome = _new_enquiry(event.chat, submission, person, "", {"channel": event.chat.channel})
        state = State.LEAD if outcome == "lead" else State.MERGED
    if event.chat.id:
        conversation = conversation or _start(event.chat, submission.source, lead.person, lead)
        _remember(conversation, event.chat, lead, submission)
        _settle_held(conversation, lead)
    return Outcome(state, lead=lead, person_id=lead.person_id)


def transcript(event, submission):
    """A chat that is over: its lines without a notice each, its words on the timeline once."""
    first = met(talk.Met(event.chat, enquiry=True), submission)
    conversation = _hold(event.chat, submission.source)
    if conversation is None:
        return first
    known = set(conversation.lines.values_list("provider_id", flat=True))
    fresh = [line for line in event.lines if line.id not in known]
    for line in fresh:
        _line(conversation, line, submission)
    words = "\n".join(f"{'←' if not line.is_ours else '→'} {line.text}" for line in fresh)[: talk.MAX_TEXT]
    if fresh and conversation.lead:
        facts = {"channel": event.chat.channel, "talk": "transcript", "conversation": conversation.pk}
        record(conversation.lead, Kind.MESSAGE_IN, text=words, submission=submission, **facts)
    return first


def allowed(event, submission):
    """The client forbids us to write, or allows it again."""
    conversation = _hold(event.chat, submission.source)
    if conversation is None:
        return NOTHING
    at = None if event.allowed else event.at or submission.received_at
    Conversation.objects.filter(pk=conversation.pk).update(blocked_at=at)
    refresh(conversation)
    return merged(conversation)


HANDLERS = {
    talk.Said: said,
    talk.Deleted: deleted,
    talk.Status: status,
    talk.Met: met,
    talk.Transcript: transcript,
    talk.Allowed: allowed,
}
