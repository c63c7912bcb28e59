import hashlib
import secrets

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from crm.core.naming import numbered


def new_secret():
    return secrets.token_urlsafe(24)


class Channel(models.TextChoices):
    SITE = "site", _("site")
    ADS = "ads", _("advertising")
    EMAIL = "email", _("email")
    CHAT = "chat", _("chat")
    PHONE = "phone", _("phone")
    MESSENGER = "messenger", _("messenger")
    LIST = "list", _("list")
    REFERRAL = "referral", _("referral")
    EVENT = "event", _("event")
    MANUAL = "manual", _("by hand")
    API = "api", _("API")


class Origin(models.Model):
    """The dictionary of where leads come from, as marketing calls it ("Google", "Olark Chat").

    Raw values (``utm_source``, a file's column) find their row by exact ``name``; the first sight of a value makes a
    row. An administrator may point a row at another (``same_as``): reports then count both as one.
    """

    name = models.CharField(_("name"), max_length=120, unique=True)
    channel = models.CharField(_("channel"), max_length=10, choices=Channel, default=Channel.SITE)
    same_as = models.ForeignKey("self", models.SET_NULL, null=True, blank=True, verbose_name=_("counts as"))

    class Meta:
        ordering = ["name"]
        verbose_name, verbose_name_plural = _("lead source"), _("lead sources")

    def __str__(self):
        return self.name


class ConsentText(models.Model):
    """A version of the consent that a form shows; a new wording is a new row."""

    purpose = models.CharField(_("purpose"), max_length=20, default="processing")
    version = models.PositiveIntegerField(_("version"), default=1)
    text = models.TextField(_("text"))
    sha256 = models.CharField(max_length=64, editable=False)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["purpose", "-version"]
        verbose_name, verbose_name_plural = _("consent text"), _("consent texts")
        constraints = [models.UniqueConstraint(fields=["purpose", "version"], name="leads_consenttext_once")]

    TITLES = {"processing": _("Personal data"), "marketing": _("Marketing emails")}

    def __str__(self):
        title = self.TITLES.get(self.purpose, self.purpose)
        return f"{title}, {gettext('text version %(version)s') % {'version': self.version}}"

    def save(self, *args, **kwargs):
        self.sha256 = hashlib.sha256(self.text.encode()).hexdigest()
        super().save(*args, **kwargs)


class Source(models.Model):
    """A door: one address that takes enquiries, with its adapter, secret and settings."""

    key = models.SlugField(_("key"), max_length=64, unique=True)
    name = models.CharField(_("name"), max_length=120)
    adapter = models.CharField(_("adapter"), max_length=20)
    channel = models.CharField(_("channel"), max_length=10, choices=Channel, default=Channel.SITE)
    origin = models.ForeignKey(
        Origin,
        models.PROTECT,
        null=True,
        blank=True,
        help_text=_("What it counts as in reports where the enquiry names no source."),
    )
    secret = models.CharField(_("secret"), max_length=120, blank=True)
    settings = models.JSONField(_("settings"), default=dict, blank=True)
    consent = models.ForeignKey(ConsentText, models.PROTECT, null=True, blank=True, verbose_name=_("consent text"))
    is_active = models.BooleanField(_("active"), default=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["name"]
        verbose_name, verbose_name_plural = _("capture source"), _("capture sources")

    def __str__(self):
        return self.name


class SubmissionQuerySet(models.QuerySet):
    def visible_to(self, user):
        """Receipts hold contacts of anyone: administrators and marketers see all, heads all as well, managers none."""
        return self if user.sees_all or user.is_head else self.none()

    def readable(self):
        """Those whose body is still there: their own, or that of the receipt which brought several."""
        return self.exclude(whole=None, body=b"").exclude(whole__isnull=False, whole__body=b"")


class Submission(models.Model):
    """A receipt: the raw body as it came, stored before anything is judged.

    ``state`` is ``waiting`` until the judge decides; ``reason`` is of the closed list for what is not a lead.
    """

    class State(models.TextChoices):
        WAITING = "waiting", pgettext_lazy("receipt", "waiting")
        LEAD = "lead", pgettext_lazy("receipt", "lead")
        MERGED = "merged", pgettext_lazy("receipt", "merged")
        SPAM = "spam", pgettext_lazy("receipt", "spam")
        REJECTED = "rejected", pgettext_lazy("receipt", "rejected")
        ERROR = "error", pgettext_lazy("receipt", "error")

    class Reason(models.TextChoices):
        NO_CONTACT = "no_contact", _("no phone, email or messenger to answer to")
        UNPARSEABLE = "unparseable", _("the body could not be read")
        TOO_LONG = "too_long", _("a field is longer than allowed")
        TOO_LARGE = "too_large", _("the body is larger than allowed")
        UNSIGNED = "unsigned", _("no signature where one is required")
        BAD_SIGNATURE = "bad_signature", _("the signature is wrong")
        STALE = "stale", _("signed too long ago, or ahead of time")
        ORIGIN = "origin", _("sent from a site that is not allowed")
        INVALID = "invalid", _("fields did not pass the check")
        SOURCE_OFF = "source_off", _("the source is switched off")
        TEST = "test", _("a test from the provider")
        NOT_ENQUIRY = "not_enquiry", _("a service event, not an enquiry")
        HONEYPOT = "honeypot", _("a hidden field was filled in")
        BOT_SUSPECT = "bot_suspect", _("filled in faster than a person can")
        FLOOD = "flood", _("too many from one place")
        SURGE = "surge", _("more at once than the form is used to")
        FAILED = "failed", _("processing failed five times")
        OWN = "own", _("we wrote or called ourselves")
        INTERNAL = "internal", _("a call between colleagues")
        AUTO_REPLY = "auto_reply", _("an automatic reply")
        BOUNCE = "bounce", _("a bounced email")
        COMPLAINT = "complaint", _("a spam complaint")
        MAILING_LIST = "mailing_list", _("a mailing list")
        CALENDAR = "calendar", _("an answer to an invitation")
        UNKNOWN_THREAD = "unknown_thread", _("about a conversation that we do not know")
        UNCONFIRMED = "unconfirmed", _("the address was never confirmed")
        ERASED = "erased", _("the person was deleted and is not made again")
        SAME = "same", _("sent before")

    receipt = models.UUIDField(unique=True)  # what the sender is told
    source = models.ForeignKey(Source, models.PROTECT, related_name="submissions", db_index=False)
    received_at = models.DateTimeField(db_default=Now())
    method = models.CharField(max_length=6, default="POST")
    path = models.CharField(max_length=500, blank=True)
    content_type = models.CharField(max_length=200, blank=True)
    headers = models.JSONField(default=dict)
    body = models.BinaryField()
    # One of several enquiries that a body brought: where it stands there (``leads.3``), and the receipt that holds the
    # body, where it is another one.
    part = models.CharField(max_length=200, blank=True, default="", db_default="")
    whole = models.ForeignKey("self", models.CASCADE, null=True, related_name="parts", db_index=False)
    sha256 = models.CharField(max_length=64)
    idempotency_key = models.CharField(max_length=128, null=True)
    ip_hash = models.CharField(max_length=32, blank=True)
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    reason = models.CharField(max_length=16, choices=Reason, blank=True)
    detail = models.CharField(max_length=500, blank=True)  # the reason in particular: position, field, error
    parsed = models.JSONField(null=True)
    warnings = models.JSONField(default=list)
    person = models.ForeignKey("leads.Person", models.SET_NULL, null=True, related_name="submissions", db_index=False)
    lead = models.ForeignKey("leads.Lead", models.SET_NULL, null=True, related_name="submissions", db_index=False)
    judged_at = models.DateTimeField(null=True)

    objects = SubmissionQuerySet.as_manager()

    class Meta:
        verbose_name, verbose_name_plural = _("enquiry"), _("enquiries")
        constraints = [
            models.UniqueConstraint(
                fields=["source", "idempotency_key"],
                name="leads_submission_once",
                condition=models.Q(idempotency_key__isnull=False),
            ),
            models.CheckConstraint(
                condition=~models.Q(state__in=["rejected", "spam", "error"]) | ~models.Q(reason=""),
                name="leads_submission_says_why",
            ),
        ]
        indexes = [  # a sender waits for each: what a fresh receipt does not have is in none
            models.Index(fields=["source", "-id"], name="leads_submission_source"),
            models.Index(fields=["state", "-id"], name="leads_submission_state"),
            models.Index(fields=["lead"], name="leads_submission_of_lead", condition=models.Q(lead__isnull=False)),
            models.Index(fields=["person"], name="leads_submission_person", condition=models.Q(person__isnull=False)),
            models.Index(fields=["received_at"], name="leads_submission_at"),
            models.Index(  # whose body is to be deleted some day
                fields=["received_at"],
                name="leads_submission_refused",
                condition=models.Q(state__in=["rejected", "spam"]) & ~models.Q(body=b""),
            ),
            models.Index(fields=["whole"], name="leads_submission_whole", condition=models.Q(whole__isnull=False)),
        ]

    def __str__(self):
        return numbered(self.pk)


class Touch(models.Model):
    """One arrival of a person from somewhere: marketing's raw marks; append-only. First and last are found by order."""

    person = models.ForeignKey("leads.Person", models.CASCADE, related_name="touches")
    lead = models.ForeignKey("leads.Lead", models.CASCADE, related_name="touches", db_index=False)
    submission = models.OneToOneField(Submission, models.SET_NULL, null=True)
    at = models.DateTimeField(db_default=Now())
    origin = models.ForeignKey(Origin, models.PROTECT, null=True, db_index=False)
    marks = models.JSONField(default=dict)  # utm_*, gclid, yclid, fbclid, referrer, landing: as received

    class Meta:
        verbose_name, verbose_name_plural = _("touch"), _("touches")
        indexes = [models.Index(fields=["lead", "at"], name="leads_touch_lead")]

    def __str__(self):
        return f"{self.origin or '—'}, {gettext('lead')} {numbered(self.lead_id)}"
