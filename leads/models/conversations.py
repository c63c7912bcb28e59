"""Talks with clients in messengers and chats: who talks, what the client wrote, the files that came along.

What we answer is a ``Message`` (see leads.models.messages) with the conversation's key.
"""

import secrets
from datetime import timedelta

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy


class ConversationQuerySet(models.QuerySet):
    def visible_to(self, user):
        """Who may see the lead that a talk is about may see the talk; one without a lead, those who see all."""
        if user.sees_all:
            return self
        return self.filter(lead__in=self.model._meta.get_field("lead").related_model.objects.visible_to(user))


class Conversation(models.Model):
    """One chat of one source with one client; ``chat`` is the provider's own id of it.

    ``lead`` is the enquiry that it is about now; a client whose leads are closed gets a new one with the next message.
    """

    class Channel(models.TextChoices):
        TELEGRAM = "telegram", "Telegram"
        WHATSAPP = "whatsapp", "WhatsApp"
        VK = "vk", "VK"
        JIVO = "jivo", "Jivo"
        CHAT = "chat", _("Chat on the site")
        SMS = "sms", "SMS"

    WINDOW = timedelta(hours=24)  # WhatsApp: free text is delivered so long after the client's last message

    source = models.ForeignKey("leads.Source", models.PROTECT, related_name="conversations")
    channel = models.CharField(max_length=10, choices=Channel)
    chat = models.CharField(max_length=120)
    person = models.ForeignKey("leads.Person", models.CASCADE, null=True, related_name="conversations")
    lead = models.ForeignKey("leads.Lead", models.SET_NULL, null=True, related_name="conversations")
    title = models.CharField(max_length=200, blank=True)  # as the client calls themselves there
    details = models.JSONField(default=dict)  # what the provider wants back with an answer
    unread = models.PositiveIntegerField(default=0)
    last_at = models.DateTimeField(db_default=Now())
    last_in_at = models.DateTimeField(null=True)
    blocked_at = models.DateTimeField(null=True)  # the client does not want to be written to
    created_at = models.DateTimeField(db_default=Now())

    objects = ConversationQuerySet.as_manager()

    class Meta:
        verbose_name, verbose_name_plural = _("conversation"), _("conversations")
        constraints = [models.UniqueConstraint(fields=["source", "chat"], name="leads_conversation_once")]

    def __str__(self):
        return f"{self.get_channel_display()}: {self.title or self.chat}"

    @property
    def open_until(self):
        """Until when free text may be sent; None where there is no such limit."""
        if self.channel != self.Channel.WHATSAPP:
            return None
        return (self.last_in_at or self.created_at - self.WINDOW) + self.WINDOW

    @property
    def is_open(self):
        return self.open_until is None or self.open_until > timezone.now()


class ChatLine(models.Model):
    """One message as the provider told it; also what a colleague wrote in the provider's own program (``is_ours``)."""

    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="lines", db_index=False)
    provider_id = models.CharField(max_length=200)
    is_ours = models.BooleanField(default=False)
    author = models.CharField(max_length=200, blank=True)  # of ours: who wrote it, as the provider says
    kind = models.CharField(max_length=30, default="text")
    text = models.TextField(blank=True)
    at = models.DateTimeField()
    edited_at = models.DateTimeField(null=True)
    deleted_at = models.DateTimeField(null=True)
    submission = models.ForeignKey("leads.Submission", models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["conversation", "provider_id"], name="leads_chatline_once")]
        indexes = [models.Index(fields=["conversation", "-id"], name="leads_chatline_conversation")]

    def __str__(self):
        return f"{self.conversation_id} {self.provider_id}"


def opaque_path(instance, filename):
    """Nothing of the sender's name reaches the disk."""
    name = secrets.token_hex(16)
    return f"talks/{name[:2]}/{name}"


class ChatFile(models.Model):
    """A file of a message: fetched from the provider by a job, kept under an opaque name, only ever downloaded."""

    class State(models.TextChoices):
        WAITING = "waiting", pgettext_lazy("file", "on its way")
        KEPT = "kept", pgettext_lazy("file", "here")
        TOO_LARGE = "too_large", pgettext_lazy("file", "too large")
        INFECTED = "infected", pgettext_lazy("file", "carries a virus, was not kept")
        FAILED = "failed", pgettext_lazy("file", "could not be fetched")

    line = models.ForeignKey(ChatLine, models.CASCADE, related_name="files")
    kind = models.CharField(max_length=20)
    ref = models.CharField(max_length=300)  # the provider's id of the file
    url = models.TextField(blank=True)
    name = models.CharField(max_length=200, blank=True)
    mime = models.CharField(max_length=100, blank=True)
    size = models.BigIntegerField(null=True)
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    reason = models.CharField(max_length=300, blank=True)
    file = models.FileField(upload_to=opaque_path, max_length=100, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["line", "ref"], condition=~Q(ref=""), name="leads_chatfile_once"),
        ]

    def __str__(self):
        return self.name or self.kind


class SentFile(models.Model):
    """A file that a colleague sends with a message, under an opaque name; one a message, as messengers have it."""

    message = models.OneToOneField("leads.Message", models.CASCADE, related_name="attachment")
    file = models.FileField(upload_to=opaque_path, max_length=100)
    name = models.CharField(max_length=200)
    mime = models.CharField(max_length=100)
    size = models.BigIntegerField()
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self):
        return self.name
