import hmac

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class Merge(models.Model):
    """Two cards of one human being made one; keeps what the undo needs.

    ``kept``: ``moved`` (model → field → keys of the rows that went over), ``last`` (model → newest key then),
    ``before`` and ``after`` (model:key → column → value), ``moves`` (keys of the stage moves that it booked).
    """

    person = models.ForeignKey("leads.Person", models.CASCADE, related_name="merges", verbose_name=_("card that stays"))
    other = models.ForeignKey("leads.Person", models.CASCADE, related_name="+", verbose_name=_("card that went"))
    lead = models.ForeignKey("leads.Lead", models.SET_NULL, null=True, related_name="+")
    other_lead = models.ForeignKey("leads.Lead", models.SET_NULL, null=True, related_name="+")
    by = models.ForeignKey("core.User", models.PROTECT, related_name="+")
    at = models.DateTimeField(db_default=Now())
    kept = models.JSONField()
    undone_at = models.DateTimeField(null=True)
    undone_by = models.ForeignKey("core.User", models.PROTECT, null=True, related_name="+")

    class Meta:
        ordering = ["-id"]
        verbose_name, verbose_name_plural = _("merge"), _("merges")
        constraints = [
            models.UniqueConstraint(fields=["other"], condition=Q(undone_at=None), name="leads_merge_one_at_a_time")
        ]

    def __str__(self):
        return f"{self.other_id} → {self.person_id}"


class NotSame(models.Model):
    """Somebody has said that these two are not one: never suggested again. ``person`` has the smaller key."""

    person = models.ForeignKey("leads.Person", models.CASCADE, related_name="+", db_index=False)
    other = models.ForeignKey("leads.Person", models.CASCADE, related_name="+")
    by = models.ForeignKey("core.User", models.PROTECT, related_name="+")
    at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["person", "other"], name="leads_notsame_once"),
            models.CheckConstraint(condition=Q(person__lt=models.F("other")), name="leads_notsame_in_order"),
        ]

    def __str__(self):
        return f"{self.person_id} ≠ {self.other_id}"


class Tombstone(models.Model):
    """A sign of somebody who was deleted on purpose: only its digest, to know them by, not to find them."""

    digest = models.CharField(max_length=64, unique=True)
    at = models.DateTimeField(db_default=Now())

    def __str__(self):
        return self.digest[:8]

    @staticmethod
    def digest_of(kind, value, scope=""):
        word = f"{kind}:{scope}:{value}".encode()
        return hmac.digest(settings.SECRET_KEY.encode(), word, "sha256").hex()
