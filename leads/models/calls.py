from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy


class Extension(models.Model):
    """Whose phone it is: an exchange names colleagues by extension, by its own number of the employee, or both."""

    user = models.ForeignKey(
        "core.User", models.CASCADE, related_name="extensions", db_index=False, verbose_name=_("colleague")
    )
    source = models.ForeignKey(
        "leads.Source", models.CASCADE, related_name="extensions", db_index=False, verbose_name=_("telephony")
    )
    number = models.CharField(
        _("extension"), max_length=64, help_text=_("101, a SIP name or a phone, as the exchange writes it.")
    )
    account = models.CharField(
        _("employee's id"), max_length=64, blank=True, help_text=_("Where the exchange names employees by a number.")
    )

    class Meta:
        ordering = ["user", "number"]
        verbose_name, verbose_name_plural = _("extension"), _("extensions")
        constraints = [models.UniqueConstraint(fields=["source", "number"], name="leads_extension_once")]
        indexes = [models.Index(fields=["user"], name="leads_extension_user")]

    def __str__(self):
        return f"{self.number} — {self.user}"


class ThroughLead(models.QuerySet):
    """Visible to who sees the lead; without a lead, to the colleague who had the phone."""

    own = "colleague"

    def visible_to(self, user):
        if user.sees_all:
            return self
        leads = self.model._meta.get_field("lead").related_model.objects.visible_to(user)
        return self.filter(Q(lead__in=leads) | Q(lead=None, **{self.own: user}))


class Call(models.Model):
    """One phone call, folded by ``leads.telephony`` from everything that was said of it."""

    class Direction(models.TextChoices):
        IN = "in", pgettext_lazy("call", "incoming")
        OUT = "out", pgettext_lazy("call", "outgoing")
        INTERNAL = "internal", pgettext_lazy("call", "internal")

    class State(models.TextChoices):
        RINGING = "ringing", pgettext_lazy("call", "ringing")
        TALKING = "talking", pgettext_lazy("call", "talking")
        ENDED = "ended", pgettext_lazy("call", "over")

    class Result(models.TextChoices):
        ANSWERED = "answered", pgettext_lazy("call", "answered")
        MISSED = "missed", pgettext_lazy("call", "missed")
        NO_ANSWER = "no_answer", pgettext_lazy("call", "no answer")
        BUSY = "busy", pgettext_lazy("call", "busy")
        FAILED = "failed", pgettext_lazy("call", "did not go through")

    source = models.ForeignKey("leads.Source", models.PROTECT, related_name="calls", db_index=False)
    external_id = models.CharField(max_length=128)
    direction = models.CharField(max_length=8, choices=Direction, blank=True)
    client = models.CharField(max_length=40, blank=True)  # E.164, or as the exchange wrote it; empty: hidden
    ours = models.CharField(max_length=64, blank=True)
    extension = models.CharField(max_length=64, blank=True)
    name = models.CharField(max_length=200, blank=True)  # as the exchange knows the caller
    colleague = models.ForeignKey("core.User", models.PROTECT, null=True, related_name="calls")
    person = models.ForeignKey("leads.Person", models.SET_NULL, null=True, related_name="calls")
    lead = models.ForeignKey("leads.Lead", models.SET_NULL, null=True, related_name="calls")
    state = models.CharField(max_length=7, choices=State, default=State.RINGING)
    result = models.CharField(max_length=9, choices=Result, blank=True)
    started_at = models.DateTimeField(null=True)
    answered_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    duration = models.PositiveIntegerField(null=True)  # seconds
    talk = models.PositiveIntegerField(null=True)  # seconds
    recording = models.CharField(max_length=500, blank=True)  # an address, or the provider's id of it
    made_lead = models.BooleanField(default=False)  # this call made the card
    told = ArrayField(models.BigIntegerField(), default=list)  # colleagues whose page has shown it ringing
    # The row of the timeline, once the call is over; a call logged by hand may have made it first.
    interaction = models.OneToOneField("leads.Interaction", models.SET_NULL, null=True, related_name="phone_call")
    outcome = models.CharField(max_length=12, blank=True)  # what came of it, in the colleague's words
    note = models.TextField(blank=True)
    noted_by = models.ForeignKey("core.User", models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now())

    objects = ThroughLead.as_manager()

    class Meta:
        verbose_name, verbose_name_plural = _("call"), _("calls")
        constraints = [models.UniqueConstraint(fields=["source", "external_id"], name="leads_call_once")]
        indexes = [
            models.Index(fields=["created_at"], condition=~Q(state="ended"), name="leads_call_going"),
        ]

    def __str__(self):
        return f"{self.get_direction_display()} {self.client or '—'}"


class CallNews(models.Model):
    """A piece of news of a call as its adapter read it; append-only, each once."""

    call = models.ForeignKey(Call, models.CASCADE, related_name="news", db_index=False)
    key = models.CharField(max_length=64)  # SHA-256 of what was said
    said = models.JSONField()
    submission = models.ForeignKey("leads.Submission", models.SET_NULL, null=True, related_name="+")
    at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["call", "key"], name="leads_callnews_once")]

    def __str__(self):
        return f"{self.call_id} {self.said.get('stage')}"


class Dialling(models.Model):
    """A call that a colleague has asked the exchange to make: a row first, claimed before it is asked, never twice."""

    class State(models.TextChoices):
        QUEUED = "queued", pgettext_lazy("dialling", "in the queue")
        PLACING = "placing", pgettext_lazy("dialling", "the exchange is asked")
        PLACED = "placed", pgettext_lazy("dialling", "your phone rings")
        FAILED = "failed", pgettext_lazy("dialling", "failed")
        UNSURE = "unsure", pgettext_lazy("dialling", "unsure")

    user = models.ForeignKey("core.User", models.PROTECT, related_name="+")
    lead = models.ForeignKey("leads.Lead", models.CASCADE, related_name="diallings")
    source = models.ForeignKey("leads.Source", models.PROTECT, related_name="+")
    extension = models.CharField(max_length=64)
    phone = models.CharField(max_length=20)
    token = models.CharField(max_length=32, unique=True)  # of the form that asked: pressed twice, dialled once
    state = models.CharField(max_length=7, choices=State, default=State.QUEUED)
    reason = models.CharField(max_length=300, blank=True)
    external_id = models.CharField(max_length=128, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    claimed_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name, verbose_name_plural = _("dialling"), _("diallings")

    def __str__(self):
        return f"{self.extension} → {self.phone}"


class WatchedFile(models.Model):
    """How far a growing file of call records has been read."""

    source = models.ForeignKey("leads.Source", models.CASCADE, related_name="+", db_index=False)
    name = models.CharField(max_length=255)
    head = models.CharField(max_length=64, blank=True)  # SHA-256 of its first line: another file of the same name
    offset = models.BigIntegerField(default=0)
    read_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["source", "name"], name="leads_watchedfile_once")]

    def __str__(self):
        return self.name
