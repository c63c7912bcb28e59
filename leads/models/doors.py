from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy


class Fetch(models.Model):
    """What a provider has only announced: the enquiry itself is asked for by its id. One row however often announced.

    waiting → done (its card is made) | failed (five attempts, or a refusal that trying again cannot help).
    """

    class State(models.TextChoices):
        WAITING = "waiting", pgettext_lazy("fetch", "waiting")
        DONE = "done", pgettext_lazy("fetch", "done")
        FAILED = "failed", pgettext_lazy("fetch", "failed")

    source = models.ForeignKey("leads.Source", models.PROTECT, related_name="+", db_index=False)
    submission = models.ForeignKey("leads.Submission", models.CASCADE, related_name="fetches")
    external_id = models.CharField(max_length=64)
    facts = models.JSONField(default=dict)  # what was announced: ids of the page, form and advertisement
    answer = models.JSONField(null=True)  # what the provider said, stored before it is judged
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    outcome = models.CharField(max_length=8, blank=True)  # of Submission.State
    reason = models.CharField(max_length=16, blank=True)  # of Submission.Reason
    error = models.CharField(max_length=500, blank=True)
    lead = models.ForeignKey("leads.Lead", models.SET_NULL, null=True, related_name="+")
    attempts = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField(db_default=Now())
    done_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["source", "external_id"], name="leads_fetch_once")]

    def __str__(self):
        return f"{self.source_id}:{self.external_id}"


class Confirmation(models.Model):
    """An address that must be confirmed before its receipt is judged: who asked, when, and when they said yes."""

    submission = models.OneToOneField("leads.Submission", models.CASCADE, related_name="confirmation")
    email = models.EmailField(max_length=254)
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()
    confirmed_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["email", "-created_at"], name="leads_confirmation_email")]

    def __str__(self):
        return self.email


class Registration(models.Model):
    """A person on the list of an event, a source of its own; whether they came."""

    source = models.ForeignKey("leads.Source", models.PROTECT, related_name="registrations", db_index=False)
    person = models.ForeignKey("leads.Person", models.CASCADE, related_name="registrations")
    lead = models.ForeignKey("leads.Lead", models.SET_NULL, null=True, related_name="+")
    submission = models.ForeignKey("leads.Submission", models.SET_NULL, null=True, related_name="+")
    registered_at = models.DateTimeField(db_default=Now())
    attended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-registered_at"]
        constraints = [models.UniqueConstraint(fields=["source", "person"], name="leads_registration_once")]

    def __str__(self):
        return f"{self.person} → {self.source}"


class ReferralCode(models.Model):
    """A word that a client or a partner gives to others; whoever names it was sent by them."""

    code = models.SlugField(_("code"), max_length=40, unique=True)
    person = models.ForeignKey(
        "leads.Person", models.SET_NULL, null=True, blank=True, related_name="referral_codes", verbose_name=_("client")
    )
    partner = models.CharField(_("partner"), max_length=120, blank=True)
    reward = models.CharField(_("what they get"), max_length=120, blank=True)
    is_active = models.BooleanField(_("active"), default=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["code"]
        verbose_name, verbose_name_plural = _("referral code"), _("referral codes")

    def __str__(self):
        return self.code

    @property
    def whose(self):
        return self.partner or str(self.person or "—")


class Referral(models.Model):
    """A lead that somebody has sent: the first one who did so counts."""

    code = models.ForeignKey(ReferralCode, models.PROTECT, related_name="referrals")
    lead = models.OneToOneField("leads.Lead", models.CASCADE, related_name="referral")
    at = models.DateTimeField(db_default=Now())
    rewarded_at = models.DateTimeField(null=True)
    rewarded_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")

    class Meta:
        indexes = [models.Index(fields=["at"], condition=Q(rewarded_at=None), name="leads_referral_due")]

    def __str__(self):
        return f"{self.code_id} → {self.lead_id}"
