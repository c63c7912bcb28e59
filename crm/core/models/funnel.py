from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy


class Pipeline(models.Model):
    """A funnel: of leads or of deals."""

    class Kind(models.TextChoices):
        LEAD = "lead", _("leads")
        DEAL = "deal", _("deals")

    kind = models.CharField(_("used for"), max_length=4, choices=Kind)
    name = models.CharField(_("name"), max_length=80)
    position = models.PositiveSmallIntegerField(_("position"), default=0)
    is_default = models.BooleanField(_("default"), default=False)
    is_active = models.BooleanField(_("active"), default=True)

    class Meta:
        ordering = ["kind", "position", "id"]
        verbose_name, verbose_name_plural = _("pipeline"), _("pipelines")
        constraints = [
            models.UniqueConstraint(
                fields=["kind"], condition=models.Q(is_default=True), name="core_pipeline_one_default"
            )
        ]

    def __str__(self):
        return self.name


class Stage(models.Model):
    """A step of a funnel. Outcomes (won, lost, converted, rejected) are the subject's status, not stages."""

    pipeline = models.ForeignKey(Pipeline, models.PROTECT, related_name="stages")
    name = models.CharField(_("name"), max_length=80)
    position = models.PositiveSmallIntegerField(_("position"), default=0)
    probability = models.PositiveSmallIntegerField(
        _("probability, %"), default=0, validators=[MaxValueValidator(100)], help_text=_("Of winning from here.")
    )
    norm_days = models.PositiveSmallIntegerField(
        _("norm, days"), default=0, help_text=_("Longer here counts as stuck; 0: no norm.")
    )
    required_fields = models.JSONField(
        _("required to enter"),
        default=list,
        blank=True,
        help_text=_("Fields that must be filled before a card enters."),
    )

    class Meta:
        ordering = ["pipeline", "position", "id"]
        verbose_name, verbose_name_plural = _("stage"), _("stages")
        constraints = [models.UniqueConstraint(fields=["pipeline", "name"], name="core_stage_name_once")]

    def __str__(self):
        return self.name


class StageEdge(models.Model):
    """An allowed move between two stages of one pipeline, for all or for some roles."""

    source = models.ForeignKey(Stage, models.CASCADE, related_name="edges_out", verbose_name=_("from"))
    target = models.ForeignKey(Stage, models.CASCADE, related_name="edges_in", verbose_name=_("to"))
    heads_only = models.BooleanField(_("heads and administrators only"), default=False)

    class Meta:
        ordering = ["source", "target"]
        verbose_name, verbose_name_plural = _("allowed move"), _("allowed moves")
        constraints = [
            models.UniqueConstraint(fields=["source", "target"], name="core_edge_once"),
            models.CheckConstraint(condition=~models.Q(source=models.F("target")), name="core_edge_not_loop"),
        ]

    def __str__(self):
        return f"{self.source} → {self.target}"


class Reason(models.Model):
    """The dictionary of why a lead was rejected or a deal lost."""

    kind = models.CharField(_("used for"), max_length=4, choices=Pipeline.Kind)
    name = models.CharField(_("name"), max_length=80)
    position = models.PositiveSmallIntegerField(_("position"), default=0)
    is_active = models.BooleanField(_("active"), default=True)

    class Meta:
        ordering = ["kind", "position", "name"]
        verbose_name, verbose_name_plural = _("lost reason"), _("lost reasons")
        constraints = [models.UniqueConstraint(fields=["kind", "name"], name="core_reason_once")]

    def __str__(self):
        return self.name


class StageMoveBase(models.Model):
    """One move on a funnel; append-only. The funnel report is a sum over these rows.

    ``from_stage`` is null on entry. ``to_stage`` equals ``from_stage`` where only the status changed (won, lost,
    rejected, converted, reopened). ``seconds`` is the time spent in ``from_stage`` since it was entered.
    """

    class Kind(models.TextChoices):
        ENTERED = "entered", pgettext_lazy("stage move", "entered")  # came to be, at this stage
        MOVED = "moved", pgettext_lazy("stage move", "moved")  # to the next stage by position
        SKIPPED = "skipped", pgettext_lazy("stage move", "skipped ahead")  # forward over at least one stage
        RETURNED = "returned", pgettext_lazy("stage move", "returned")  # back
        CONVERTED = "converted", pgettext_lazy("stage move", "converted")
        REJECTED = "rejected", pgettext_lazy("stage move", "rejected")
        WON = "won", pgettext_lazy("stage move", "won")
        LOST = "lost", pgettext_lazy("stage move", "lost")
        REOPENED = "reopened", pgettext_lazy("stage move", "reopened")

    kind = models.CharField(max_length=9, choices=Kind)
    from_stage = models.ForeignKey(Stage, models.PROTECT, null=True, related_name="+", db_index=False)
    to_stage = models.ForeignKey(Stage, models.PROTECT, related_name="+", db_index=False)
    at = models.DateTimeField(db_default=Now())
    by = models.ForeignKey("core.User", models.PROTECT, null=True, related_name="+", db_index=False)
    reason = models.ForeignKey(Reason, models.PROTECT, null=True, related_name="+", db_index=False)
    note = models.CharField(max_length=500, blank=True)
    seconds = models.PositiveBigIntegerField(default=0)
    imported = models.BooleanField(default=False)  # an outcome stated by a file; only an import makes one

    class Meta:
        abstract = True
