from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from crm.core.naming import numbered
from leads.conditions import reworded
from leads.models import Kind as InteractionKind


class Thresholds(models.Model):
    """The one row of limits: from ``warm`` points a lead is warm, from ``hot`` hot; MQL and SQL likewise."""

    warm = models.IntegerField(_("warm from"), default=30)
    hot = models.IntegerField(_("hot from"), default=60)
    mql = models.IntegerField(_("MQL from"), default=30)
    sql = models.IntegerField(_("SQL from"), default=60)

    class Meta:
        verbose_name, verbose_name_plural = _("thresholds"), _("thresholds")
        constraints = [
            models.CheckConstraint(condition=Q(pk=1), name="scoring_thresholds_one_row"),
            models.CheckConstraint(condition=Q(hot__gt=models.F("warm")), name="scoring_thresholds_order"),
        ]

    def __str__(self):
        return gettext("warm from %(warm)s, hot from %(hot)s") % {"warm": self.warm, "hot": self.hot}


class Rule(models.Model):
    """Points for what a lead is (fit) or does (engagement).

    ``condition`` is a list of tests, all of which must hold: ``[{"field", "op", "value"}]``; see leads.conditions.
    Fit rules look at the lead; engagement rules at one interaction of a kind in ``on``. Points once given keep the
    worth they had that day: a rule that is changed gives its new points from then on, one that is switched off takes
    back what it gave when it is applied to the open leads.
    """

    # What an engagement rule may listen to: each has ``score`` among its reactions (crm.automation; held by a test).
    LISTENS = [
        InteractionKind.CAPTURED,
        InteractionKind.RECAPTURED,
        InteractionKind.PAGE_VIEW,
        InteractionKind.EMAIL_OPENED,
        InteractionKind.EMAIL_CLICKED,
        InteractionKind.REPLIED,
        InteractionKind.CALL,
        InteractionKind.MEETING,
        InteractionKind.UNSUBSCRIBED,
    ]

    class Kind(models.TextChoices):
        FIT = "fit", _("fit")
        ENGAGEMENT = "engagement", _("engagement")

    name = models.CharField(_("name"), max_length=120)
    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    on = models.JSONField(_("on"), default=list, blank=True, help_text=_("Interactions that give the points."))
    condition = models.JSONField(_("condition"), default=list, blank=True)
    points = models.IntegerField(_("points"))
    cap = models.PositiveIntegerField(_("at most, times"), default=0, help_text=_("0: every time."))
    half_life = models.PositiveIntegerField(
        _("half-life, days"), default=0, help_text=_("The points halve each so many days; 0: never.")
    )
    position = models.PositiveSmallIntegerField(_("position"), default=0)
    is_active = models.BooleanField(pgettext_lazy("rule", "active"), default=True)

    class Meta:
        ordering = ["kind", "position", "id"]
        verbose_name, verbose_name_plural = _("scoring rule"), _("scoring rules")

    def __str__(self):
        return self.name


class Evidence(models.Model):
    """Dated points; append-only: the lead's score is the sum of its rows, on every lead at every moment.

    ``step`` 0 gives the points; each half-life adds a negative row (step 1, 2, …) until nothing is left; a fit rule
    that no longer holds adds a row that takes its points back (``withdraws``).
    """

    lead = models.ForeignKey("leads.Lead", models.CASCADE, related_name="evidence", db_index=False)
    rule = models.ForeignKey(Rule, models.PROTECT, related_name="evidence")
    kind = models.CharField(max_length=10, choices=Rule.Kind)
    interaction = models.ForeignKey("leads.Interaction", models.SET_NULL, null=True, related_name="+", db_index=False)
    points = models.IntegerField()
    step = models.PositiveSmallIntegerField(default=0)
    origin = models.ForeignKey("self", models.CASCADE, null=True, related_name="decays", db_index=False)
    withdraws = models.BooleanField(default=False)
    why = models.TextField(blank=True)  # see leads.conditions.reworded
    at = models.DateTimeField(db_default=Now())
    decays_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name, verbose_name_plural = _("score evidence"), _("score evidence")
        constraints = [
            # Fit rows only name the interaction that brought them about; the rule's sum is what keeps them right.
            models.UniqueConstraint(
                fields=["rule", "interaction"],
                condition=Q(kind="engagement", interaction__isnull=False, step=0, withdraws=False),
                name="scoring_evidence_once",
            ),
            models.UniqueConstraint(
                fields=["origin", "step"], condition=Q(origin__isnull=False), name="scoring_evidence_decay_once"
            ),
        ]
        indexes = [
            models.Index(fields=["lead", "id"], name="scoring_evidence_lead"),
            models.Index(fields=["decays_at"], condition=Q(decays_at__isnull=False), name="scoring_evidence_decay"),
            models.Index(fields=["interaction"], condition=Q(interaction__isnull=False), name="scoring_evidence_event"),
        ]

    def __str__(self):
        return f"{numbered(self.lead_id)}: {self.points:+d}"

    @property
    def reason(self):
        """Why the points were given or taken back, in the reader's language."""
        return reworded(self.why)


class Rescoring(models.Model):
    """One application of the rules to all open leads: a chain of jobs over their keys, with its progress."""

    by = models.ForeignKey("core.User", models.SET_NULL, null=True, related_name="+", verbose_name=_("by"))
    started_at = models.DateTimeField(_("started"), db_default=Now())
    finished_at = models.DateTimeField(_("finished"), null=True)
    total = models.PositiveIntegerField(_("leads"), default=0)
    done = models.PositiveIntegerField(_("done"), default=0)
    changed = models.PositiveIntegerField(_("scores changed"), default=0)
    after = models.BigIntegerField(default=0)  # key of the last lead done

    class Meta:
        ordering = ["-id"]
        verbose_name, verbose_name_plural = _("re-scoring"), _("re-scorings")

    def __str__(self):
        return f"{date_format(localtime(self.started_at), 'SHORT_DATETIME_FORMAT')}: {self.done} / {self.total}"
