"""Who somebody is that a messenger knows by a number alone: asked for after the message is on its card."""

from django.db import transaction

from leads import identity
from leads.models import Conversation, Lead, Person
from leads.outbound import vk
from leads.services.talk_news import refresh


def meet(pk, run):
    """Ask VK for the name of a new conversation's client; what is known already stays."""
    conversation = Conversation.objects.select_related("source", "lead").filter(pk=pk, title="").first()
    name = identity.person_name(vk.name_of(conversation.source, conversation.chat)) if conversation else ""
    with transaction.atomic():
        if name:
            Conversation.objects.filter(pk=pk).update(title=name)
            Person.objects.filter(pk=conversation.person_id, name="").update(name=name)
            Lead.objects.filter(person=conversation.person_id, name="").update(name=name)
            refresh(conversation)
        run.done()
