from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy


class Sequence(models.Model):
    """A chain of steps for leads that meet ``condition`` when captured (or that a colleague enrols)."""

    name = models.CharField(_("name"), max_length=120, unique=True)
    condition = models.JSONField(_("enrols by itself when"), default=list, blank=True)
    enrols_by_rule = models.BooleanField(_("enrols by itself"), default=False)
    is_active = models.BooleanField(_("active"), default=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["name"]
        verbose_name, verbose_name_plural = _("sequence"), _("sequences")

    def __str__(self):
        return self.name


class Step(models.Model):
    class Kind(models.TextChoices):
        WAIT = "wait", _("wait")
        EMAIL = "email", pgettext_lazy("letter", "email")
        TASK = "task", _("task for the owner")

    sequence = models.ForeignKey(Sequence, models.CASCADE, related_name="steps")
    position = models.PositiveSmallIntegerField(_("position"))
    kind = models.CharField(_("kind"), max_length=5, choices=Kind)
    hours = models.PositiveIntegerField(_("wait, hours"), default=0)
    template = models.ForeignKey("leads.Template", models.PROTECT, null=True, blank=True, verbose_name=_("template"))
    title = models.CharField(_("task"), max_length=200, blank=True)
    is_archived = models.BooleanField(default=False)  # removed from the chain, kept for those who have taken it

    class Meta:
        ordering = ["position", "id"]
        verbose_name, verbose_name_plural = _("step"), _("steps")
        constraints = [
            models.UniqueConstraint(
                fields=["sequence", "position"], name="nurturing_step_once", deferrable=models.Deferrable.DEFERRED
            ),
            models.CheckConstraint(
                condition=~Q(kind="email") | Q(template__isnull=False), name="nurturing_step_letter_has_template"
            ),
        ]

    def __str__(self):
        return f"{self.sequence}, {self.position}. {self.get_kind_display()}"

    @property
    def days(self):
        """How long it waits, where that is whole days and more than one."""
        return self.hours // 24 if self.hours > 24 and self.hours % 24 == 0 else 0


class Enrolment(models.Model):
    class State(models.TextChoices):
        RUNNING = "running", pgettext_lazy("enrolment", "running")
        DONE = "done", pgettext_lazy("enrolment", "finished")
        STOPPED = "stopped", pgettext_lazy("enrolment", "stopped")

    class Stop(models.TextChoices):
        REPLIED = "replied", _("the client replied")
        CONVERTED = "converted", _("converted to a deal")
        REJECTED = "rejected", _("rejected")
        OPTED_OUT = "opted_out", _("opted out")
        BY_HAND = "by_hand", _("by a colleague")
        SWITCHED_OFF = "switched_off", _("the sequence was switched off")
        MERGED = "merged", _("the card was merged into another")

    sequence = models.ForeignKey(Sequence, models.PROTECT, related_name="enrolments")
    lead = models.ForeignKey("leads.Lead", models.CASCADE, related_name="enrolments")
    state = models.CharField(max_length=7, choices=State, default=State.RUNNING)
    stopped_why = models.CharField(max_length=12, choices=Stop, blank=True)
    next_at = models.DateTimeField(null=True)
    by = models.ForeignKey("core.User", models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name, verbose_name_plural = _("enrolment"), _("enrolments")
        constraints = [models.UniqueConstraint(fields=["sequence", "lead"], name="nurturing_enrolment_once")]
        indexes = [
            models.Index(fields=["lead"], condition=Q(state="running"), name="nurturing_enrolment_running"),
            models.Index(fields=["sequence", "state"], name="nurturing_enrolment_state"),
        ]

    def __str__(self):
        return f"{self.lead}, {self.sequence}: {self.get_state_display()}"


class StepRun(models.Model):
    """A step taken for an enrolment, once; append-only."""

    enrolment = models.ForeignKey(Enrolment, models.CASCADE, related_name="runs")
    step = models.ForeignKey(Step, models.PROTECT, related_name="runs")
    message = models.OneToOneField("leads.Message", models.SET_NULL, null=True)
    task = models.ForeignKey("leads.Task", models.SET_NULL, null=True)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["enrolment", "step"], name="nurturing_steprun_once")]

    def __str__(self):
        return f"{self.enrolment_id}.{self.step_id}"
