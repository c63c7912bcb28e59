"""What a change in a conversation means for open pages and for the task of answering."""

from crm.core.notices import notify
from leads.models import Conversation


def task_mark(conversation):
    return f"talk:{conversation.pk}:"


def refresh(conversation):
    """Open cards read the conversation anew, without a word."""
    last = conversation.messages.exclude(by=None).order_by("-pk").values_list("by", flat=True).first()
    watching = {last, conversation.lead.owner_id if conversation.lead else None} - {None}
    for user_id in watching:
        notify(user_id, "talk", lead=conversation.lead_id)


def seen(conversation):
    """A colleague has read what there is."""
    Conversation.objects.filter(pk=conversation.pk, unread__gt=0).update(unread=0)
