"""A conversation as the card shows it: what the client wrote and what we answered, in one order."""

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone

from leads.models import ChatLine, Conversation, Message, SentFile, Template
from leads.services import letters, talks
from leads.services.chat_files import limit

LAST = 100  # messages shown
PENDING = {"queued", "sending"}
SOON = timedelta(minutes=2)  # so long after sending the messenger's word is awaited
TONES = {"failed": "danger", "unsure": "warning", "skipped": "warning"}


@dataclass
class Bubble:
    """One message as it is drawn. ``state``: of ours, what became of it."""

    at: datetime
    is_ours: bool
    text: str
    author: str = ""
    kind: str = "text"
    edited_at: datetime | None = None
    deleted_at: datetime | None = None
    files: list = field(default_factory=list)
    state: str = ""
    tone: str = ""
    reason: str = ""
    mark: str = ""  # sent, delivered, read
    message: Message | None = None
    sent_file: SentFile | None = None
    is_new: bool = False


def of_lead(lead, user):
    """The conversations of the lead's client that the user may see, the liveliest first."""
    rows = Conversation.objects.visible_to(user).filter(Q(lead=lead) | Q(person=lead.person_id))
    return rows.select_related("source", "lead").order_by("-last_at", "-pk")


def thread(conversation):
    """{"bubbles", "pending"} of the last messages."""
    lines = list(conversation.lines.prefetch_related("files").order_by("-at", "-pk")[:LAST])
    sent = list(conversation.messages.select_related("by", "attachment").order_by("-pk")[:LAST])
    unread = conversation.unread
    bubbles = [_line(line) for line in lines] + [_message(message) for message in sent]
    for line, bubble in zip(lines, bubbles, strict=False):
        if not line.is_ours and unread > 0:
            bubble.is_new, unread = True, unread - 1
    bubbles = sorted(bubbles, key=lambda bubble: bubble.at)[-LAST:]
    return {"bubbles": bubbles, "pending": any(_awaited(message) for message in sent[:5])}


def _line(line: ChatLine):
    return Bubble(
        at=line.at, is_ours=line.is_ours, text=line.text, author=line.author, kind=line.kind,
        edited_at=line.edited_at, deleted_at=line.deleted_at, files=list(line.files.all()),
    )  # fmt: skip


def _message(message):
    state = message.delivery if message.delivery == "failed" else message.state
    word = message.get_delivery_display() if message.delivery else message.get_state_display()
    return Bubble(
        at=message.created_at, is_ours=True, text=message.text, author=str(message.by or ""), state=str(word),
        tone=TONES.get(state, ""), reason=message.reason_text if state in TONES else "", message=message,
        mark=message.delivery or message.state, sent_file=getattr(message, "attachment", None),
    )  # fmt: skip


def _awaited(message):
    """Whether the page should ask again soon: something is on its way."""
    if message.state in PENDING:
        return timezone.now() - message.created_at < timedelta(hours=1)
    return (
        message.state == "sent"
        and not message.delivery
        and bool(
            message.sent_at
            and message.channel in {"whatsapp", "chat", "sms"}
            and timezone.now() - message.sent_at < SOON
        )
    )


def composer(conversation):
    """What may be written: free text, or approved templates with their gaps."""
    why = talks.why_not(conversation)
    said = {"why_not": Message.WHY.get(why, ""), "closed": why, "max_text": talks.max_text(conversation)}
    files = conversation.channel in talks.WITH_FILES
    return said | {"templates": templates(conversation), "takes_files": files, "max_file": limit(conversation.source)}


def opening(source, lead, chosen=""):
    """What may be said first: an SMS, with one of our own templates filled in, or approved templates with their gaps.

    ``chosen``: the key of the template that the SMS begins with.
    """
    conversation = talks.unbegun(source)
    is_sms = conversation.channel == Conversation.Channel.SMS
    said = {"is_sms": is_sms, "max_text": talks.max_text(conversation), "templates": templates(conversation)}
    if not is_sms:
        return said
    ready = sms_templates(lead)
    found = next((t for t in ready if str(t.pk) == chosen), None)
    return said | {"ready": ready, "chosen": found, "text": letters.render(found, lead)[1] if found else ""}


def sms_templates(lead):
    """Our own templates of SMS, those in the lead's language first."""
    rows = Template.objects.filter(kind=Template.Kind.SMS, is_active=True).order_by("name")
    return sorted(rows, key=lambda t: t.language != letters.language_of(lead))


def templates(conversation):
    """The approved templates with the numbers of their gaps."""
    return [
        {**row, "gaps": sorted({int(n) for n in re.findall(r"\{\{(\d{1,2})\}\}", row["text"])})}
        for row in talks.templates(conversation)
    ]
