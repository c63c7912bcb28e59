"""The company's own chat as its visitor sees it: what was said, whether anybody is at work."""

import json

from django.db.models import Q
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone

from crm.core.models import Role, User
from crm.core.recent import recent
from leads.models import Conversation, Message
from leads.services.talk_news import refresh
from leads.services.waiting import work_times

MOST = 200  # lines in one answer


def anybody_at_work():
    """Whether somebody who takes leads is at work now; without calendars, always."""
    now, times = timezone.now(), _sellers_times()
    return any(time is None or (time and time.at_work(now)) for time in times)


@recent
def _sellers_times():
    sellers = list(User.objects.filter(is_active=True, takes_leads=True, role__in=[Role.MANAGER, Role.HEAD]))
    times = work_times(sellers)
    return [times[user.pk] for user in sellers]


def body(visitor, said):
    """The delivery as it is stored: what the visitor wrote, and who they are to us; never their token."""
    kept = {name: value for name, value in said.items() if name not in {"token", "visitor", "secret"}}
    return json.dumps({"visitor": visitor, **kept}, ensure_ascii=False).encode()


def lines(source, visitor, after):
    """(lines, cursor) since the cursor, of this visitor's conversation alone; what is shown counts as delivered."""
    conversation = Conversation.objects.filter(source=source, chat=visitor).first()
    if conversation is None:
        return [], after
    heard, answered = after
    theirs = list(conversation.lines.filter(pk__gt=heard, deleted_at=None).order_by("pk")[:MOST])
    went = Q(state=Message.State.SENT, kind=Message.Kind.TALK)
    ours = list(
        conversation.messages.filter(went, pk__gt=answered).select_related("by", "attachment").order_by("pk")[:MOST]
    )
    if conversation.messages.filter(went, delivery="").update(delivery="delivered", delivery_at=Now()):
        refresh(conversation)
    told = [{"id": line.provider_id, "ours": line.is_ours, "text": line.text, "at": line.at} for line in theirs]
    told += [_ours(source, message) for message in ours]
    last = (theirs[-1].pk if theirs else heard, ours[-1].pk if ours else answered)
    return sorted(told, key=lambda line: line["at"]), last


def _ours(source, message):
    """A message of ours as the visitor's page draws it."""
    said = {"id": f"m{message.pk}", "ours": True, "text": message.text, "at": message.created_at}
    said["by"] = message.by.first_name if message.by else ""
    if file := getattr(message, "attachment", None):
        address = reverse("leads:chat_file", args=[source.key, message.token])
        said["file"] = {"name": file.name, "size": file.size, "url": address}
    return said
