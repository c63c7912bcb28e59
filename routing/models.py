from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.formats import number_format
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

PLACES = 3  # of a counter: a share of one lead among a team is in them


def thousandths(leads):
    """A counter of the fairness ledger in the reader's figures."""
    return number_format(round(leads, PLACES), PLACES)


class Rule(models.Model):
    """An ordered rule: leads that meet ``condition`` go by ``strategy`` to one of its people who is at work now."""

    class Strategy(models.TextChoices):
        EVENLY = "evenly", _("evenly, by debt")
        LOAD = "load", _("to the least loaded")
        SKILL = "skill", _("by skill, evenly among who has it")
        GRADE = "grade", _("by grade, evenly from the highest at work")
        PERSON = "person", _("to a named person")

    name = models.CharField(_("name"), max_length=120)
    position = models.PositiveSmallIntegerField(_("position"), default=0)
    condition = models.JSONField(_("condition"), default=list, blank=True)
    strategy = models.CharField(_("strategy"), max_length=6, choices=Strategy, default=Strategy.EVENLY)
    team = models.ForeignKey("core.Team", models.PROTECT, null=True, blank=True, verbose_name=_("of team"))
    person = models.ForeignKey(
        "core.User", models.PROTECT, null=True, blank=True, verbose_name=pgettext_lazy("colleague", "person")
    )
    skills = models.ManyToManyField("core.Skill", verbose_name=_("skills"), blank=True)
    min_grade = models.PositiveSmallIntegerField(_("grade from"), default=0)
    max_grade = models.PositiveSmallIntegerField(_("grade to"), default=9)
    is_active = models.BooleanField(pgettext_lazy("rule", "active"), default=True)

    class Meta:
        ordering = ["position", "id"]
        verbose_name, verbose_name_plural = _("routing rule"), _("routing rules")
        constraints = [
            models.CheckConstraint(
                condition=~Q(strategy="person") | Q(person__isnull=False), name="routing_rule_person_named"
            )
        ]

    def __str__(self):
        return self.name


class Debt(models.Model):
    """The fairness counter of one person in one rule: leads owed (positive) or ahead (negative).

    Each assignment gives every candidate its share (weight ÷ sum of weights) and takes 1 from who got the lead, so
    the rows of a rule always add up to 0. Recounted from ``DebtEntry``.
    """

    rule = models.ForeignKey(Rule, models.CASCADE, related_name="debts")
    user = models.ForeignKey("core.User", models.CASCADE, related_name="debts")
    debt = models.DecimalField(max_digits=12, decimal_places=6, default=0)
    given = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name, verbose_name_plural = _("fairness counter"), _("fairness counters")
        constraints = [models.UniqueConstraint(fields=["rule", "user"], name="routing_debt_once")]

    def __str__(self):
        return f"{self.user}: {thousandths(self.debt)}"


class DebtEntry(models.Model):
    """One booking of the fairness ledger; append-only."""

    assignment = models.ForeignKey("leads.Assignment", models.CASCADE, related_name="debt_entries", db_index=False)
    rule = models.ForeignKey(Rule, models.CASCADE, db_index=False)
    user = models.ForeignKey("core.User", models.CASCADE, db_index=False)
    delta = models.DecimalField(max_digits=12, decimal_places=6)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name, verbose_name_plural = _("fairness booking"), _("fairness ledger")
        constraints = [models.UniqueConstraint(fields=["assignment", "user"], name="routing_debtentry_once")]
        indexes = [models.Index(fields=["rule", "user"], name="routing_debtentry_rule")]

    def __str__(self):
        return f"{self.user}: {thousandths(self.delta)}"
