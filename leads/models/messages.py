import secrets

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from crm.core.templatetags.ui import phone


def new_token():
    return secrets.token_urlsafe(18)  # 144 bits: links in letters must not be guessed


SHORT = {"sms": "SMS", "telegram": "Telegram", "whatsapp": "WhatsApp", "vk": "VK", "jivo": "Jivo"}


class Template(models.Model):
    """A letter, an SMS or a call script with ``{{ variables }}``, checked when saved."""

    class Kind(models.TextChoices):
        LETTER = "letter", pgettext_lazy("letter", "email")
        SMS = "sms", _("SMS")
        SCRIPT = "script", _("call script")

    kind = models.CharField(_("kind"), max_length=6, choices=Kind, default=Kind.LETTER)
    name = models.CharField(_("name"), max_length=120, unique=True)
    subject = models.CharField(_("subject"), max_length=200, blank=True)
    body = models.TextField(_("text"))
    language = models.CharField(_("language"), max_length=5, default="ru")
    is_welcome = models.BooleanField(_("the welcome to a new enquiry"), default=False)
    is_active = models.BooleanField(_("active"), default=True)

    class Meta:
        ordering = ["name"]
        verbose_name, verbose_name_plural = _("template"), _("templates")
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "language"],
                condition=Q(is_welcome=True, is_active=True),
                name="leads_template_one_welcome",
            )
        ]

    def __str__(self):
        return self.name


class MessageQuerySet(models.QuerySet):
    def visible_to(self, user):
        if user.sees_all:
            return self
        leads = self.model._meta.get_field("lead").related_model.objects.visible_to(user)
        return self.filter(lead__in=leads)


class Message(models.Model):
    """Everything that leaves the system, whoever wrote it: a row first.

    queued → sending (claimed, committed) → sent | failed | skipped | unsure. ``unsure``: the process died between the
    claim and the answer; never resent by itself. ``dedup`` makes an effect happen once (``welcome:<submission>``,
    ``step:<enrolment>:<step>``).
    """

    class State(models.TextChoices):
        QUEUED = "queued", pgettext_lazy("message", "queued")
        SENDING = "sending", pgettext_lazy("message", "sending")
        SENT = "sent", pgettext_lazy("message", "sent")
        FAILED = "failed", pgettext_lazy("message", "failed")
        SKIPPED = "skipped", pgettext_lazy("message", "not sent")
        UNSURE = "unsure", pgettext_lazy("message", "unsure")

    class Kind(models.TextChoices):
        LETTER = "letter", pgettext_lazy("letter", "email")
        WELCOME = "welcome", _("welcome email")
        SEQUENCE = "sequence", _("sequence email")
        NOTICE = "notice", _("notice to a colleague")
        TALK = "talk", _("message or SMS")

    class Delivery(models.TextChoices):
        """What the messenger says of a sent message."""

        DELIVERED = "delivered", pgettext_lazy("message", "delivered")
        READ = "read", pgettext_lazy("message", "read")
        FAILED = "failed", pgettext_lazy("message", "not delivered")

    # Why a state: kept as one of these words, with what the mail server said behind; shown in the reader's language.
    WHY = {
        "no_address": _("the client has no email address"),
        "opted_out": _("the address has opted out of emails"),
        "erased": _("the client's data has been erased"),
        "rejected": _("the lead was rejected before the email went out"),
        "crashed": _("the worker stopped while the email was being handed over"),
        "answer_lost": _("the mail server took the email, but its answer got lost"),
        "by_hand": _("settled by hand"),
        "unbuildable": _("the email could not be put together"),
        "too_long": _("the mail server has not taken it for a day"),
        "returned": _("the email bounced"),
        "blocked": _("the client does not take messages from us"),
        "window": _("more than 24 hours have passed since the client's last message: only a template may be sent"),
        "no_token": _("the source has no access token"),
        "refused": _("the messenger refused the message"),
        "no_answer": _("the messenger took the message, but its answer got lost"),
        "no_way": _("this channel takes no messages from here"),
        "sms_expired": _("the phone was switched off or out of reach for too long"),
        "sms_operator": _("the operator refused the SMS"),
        "sms_phone": _("a fault of the client's phone"),
        "sms_no_way": _("the provider has no way to this number"),
        "sms_limit": _("the source has sent all the SMS that it may in a day"),
        "sms_lost": _("the provider does not say why"),
    }

    channel = models.CharField(max_length=10, default="email")
    kind = models.CharField(max_length=8, choices=Kind)
    lead = models.ForeignKey("leads.Lead", models.SET_NULL, null=True, related_name="messages", db_index=False)
    person = models.ForeignKey("leads.Person", models.SET_NULL, null=True, related_name="messages")
    deal_ref = models.BigIntegerField(null=True)
    by = models.ForeignKey("core.User", models.PROTECT, null=True, related_name="+", db_index=False)
    template = models.ForeignKey(Template, models.SET_NULL, null=True, db_index=False)
    dedup = models.CharField(max_length=80, null=True)
    token = models.CharField(max_length=32, default=new_token)
    sender = models.CharField(max_length=200)  # "Name <address>"
    to = models.CharField(max_length=254)
    subject = models.CharField(max_length=300)
    text = models.TextField()
    html = models.TextField(blank=True)
    tracked = models.BooleanField(default=True)
    conversation = models.ForeignKey(
        "leads.Conversation", models.SET_NULL, null=True, related_name="messages", db_index=False
    )
    provider_id = models.CharField(max_length=200, blank=True)  # of the messenger
    form = models.JSONField(default=dict)  # of the messenger's own: name, language and values of an approved template
    delivery = models.CharField(max_length=9, choices=Delivery, blank=True)
    delivery_at = models.DateTimeField(null=True)
    state = models.CharField(max_length=8, choices=State, default=State.QUEUED)
    reason = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    claimed_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    first_open_at = models.DateTimeField(null=True)  # by a human
    first_click_at = models.DateTimeField(null=True)  # by a human

    objects = MessageQuerySet.as_manager()

    class Meta:
        verbose_name, verbose_name_plural = _("message"), _("messages")
        constraints = [  # not unique=True, which would keep a second index for LIKE
            models.UniqueConstraint(fields=["dedup"], name="leads_message_dedup_once"),
            models.UniqueConstraint(fields=["token"], name="leads_message_token_once"),
        ]
        indexes = [
            models.Index(fields=["lead", "-id"], name="leads_message_lead"),
            models.Index(fields=["state", "-id"], name="leads_message_state"),
            models.Index(fields=["claimed_at"], condition=Q(state="sending"), name="leads_message_sending"),
            models.Index(
                fields=["conversation", "-id"], condition=Q(conversation__isnull=False), name="leads_message_talk"
            ),
            # How many SMS have gone out today.
            models.Index(fields=["claimed_at"], name="leads_message_sms", condition=Q(channel="sms")),
            # Statuses of SMS name nothing but the provider's id.
            models.Index(fields=["provider_id"], condition=~Q(provider_id=""), name="leads_message_provider"),
        ]

    def __str__(self):
        return f"{self.recipient}: {self.subject}" if self.subject else self.recipient

    @property
    def kind_text(self):
        """What it is to who reads: a message by its way, a letter to a client about their address by what it asks."""
        if self.kind == self.Kind.TALK:
            return SHORT.get(self.channel, self.get_kind_display())
        if self.kind == self.Kind.NOTICE and (self.dedup or "").startswith("confirm:"):
            return gettext("a request to confirm an address")
        return self.get_kind_display()

    @property
    def recipient(self):
        """An address as it is, a phone as people write it."""
        return phone(f"+{self.to}") if self.to.isdecimal() and len(self.to) > 9 else self.to

    @property
    def reason_text(self):
        key, _space, rest = self.reason.partition(" ")
        if key not in self.WHY:
            return self.reason
        return f"{self.WHY[key]}: {rest}" if rest else str(self.WHY[key])


class MessageLink(models.Model):
    """A link of a letter; clicks go by (token of the message, position), never by an address in the query."""

    message = models.ForeignKey(Message, models.CASCADE, related_name="links")
    position = models.PositiveSmallIntegerField()
    url = models.URLField(max_length=2000)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["message", "position"], name="leads_messagelink_once")]

    def __str__(self):
        return self.url


class Engagement(models.Model):
    """One open or click, as it came; append-only. ``is_human`` with ``reason`` says how it was judged."""

    WHY = {
        "pending": _("being judged"),
        "person": _("a person"),
        "proxy": _("a person, through the mail provider"),
        "head": _("a machine: asked for headers alone"),
        "too_soon": _("a machine: sooner than anyone can read"),
        "no_agent": _("a machine: no program name"),
        "prefetch": _("a machine: the provider fetched it on delivery"),
        "privacy_proxy": _("a machine: the mail program loads everything in advance"),
        "robot": _("a machine: a known robot"),
        "burst": _("a machine: walked through the whole email"),
        "way_out": _("looked at the unsubscribe page"),
    }

    message = models.ForeignKey(Message, models.CASCADE, related_name="engagements", db_index=False)
    kind = models.CharField(
        max_length=5, choices=[("open", pgettext_lazy("letter", "open")), ("click", pgettext_lazy("letter", "click"))]
    )
    link = models.ForeignKey(MessageLink, models.SET_NULL, null=True)
    at = models.DateTimeField(db_default=Now())
    is_human = models.BooleanField()
    reason = models.CharField(max_length=40)
    user_agent = models.CharField(max_length=300, blank=True)
    ip_hash = models.CharField(max_length=32, blank=True)

    class Meta:
        indexes = [models.Index(fields=["message", "id"], name="leads_engagement_message")]

    def __str__(self):
        return f"{self.kind} {self.message_id}"

    @property
    def reason_text(self):
        return self.WHY.get(self.reason, self.reason)


class Suppression(models.Model):
    """An address that gets no letters; asked at the moment of the claim."""

    class Reason(models.TextChoices):
        UNSUBSCRIBED = "unsubscribed", _("unsubscribed")
        BOUNCED = "bounced", _("mail bounces")
        COMPLAINED = "complained", _("complained")
        BY_HAND = "by_hand", _("by a colleague")

    kind = models.CharField(max_length=10, default="email")
    value = models.CharField(max_length=254)
    reason = models.CharField(max_length=12, choices=Reason)
    at = models.DateTimeField(db_default=Now())
    message = models.ForeignKey(Message, models.SET_NULL, null=True)
    by = models.ForeignKey("core.User", models.PROTECT, null=True, related_name="+")

    class Meta:
        verbose_name, verbose_name_plural = _("opt-out"), _("opt-outs")
        constraints = [models.UniqueConstraint(fields=["kind", "value"], name="leads_suppression_once")]

    def __str__(self):
        return self.value
