from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from crm.core import refusals

refusals.WORDS |= {
    "not_open": _("no longer open to you"),
    "not_to_them": _("You may not hand this lead to this colleague."),
    "none_to_them": _("You may not hand leads to this colleague."),
    "no_stage": _("This stage no longer exists."),
    "closed": _("A closed lead does not move; reopen it first."),
    "closed_already": _("The lead is closed already."),
    "no_reason": _("Choose why the lead is rejected."),
    "long_tag": _("A tag has at most 40 characters."),
    "many_tags": _("A card has at most %(most)s tags."),
}


class BulkRunQuerySet(models.QuerySet):
    def visible_to(self, user):
        """Who started it, and administrators."""
        return self if user.is_administrator else self.filter(by=user)


class BulkRun(models.Model):
    """One action on many leads, done in chunks: total = done + refused when it is finished.

    ``ids`` are what the user chose, fixed when it started; rights are asked again for each lead when its turn comes.
    ``refusals`` counts what was refused by its reason: [code, values, how many]. Older runs kept {words: how many}.
    """

    class Action(models.TextChoices):
        OWNER = "owner", _("Change owner")
        STAGE = "stage", _("Move to a stage")
        TAG = "tag", _("Add a tag")
        UNTAG = "untag", _("Remove a tag")
        REJECT = "reject", _("Reject")

    class State(models.TextChoices):
        RUNNING = "running", pgettext_lazy("bulk run", "running")
        DONE = "done", pgettext_lazy("bulk run", "done")

    by = models.ForeignKey("core.User", models.PROTECT, related_name="+")
    action = models.CharField(max_length=6, choices=Action)
    params = models.JSONField(default=dict)  # owner, stage, reason: keys; tag, note: text
    ids = ArrayField(models.BigIntegerField())
    place = models.PositiveIntegerField(default=0)  # how many of ids have had their turn
    done = models.PositiveIntegerField(default=0)
    refused = models.PositiveIntegerField(default=0)
    refusals = models.JSONField(default=list)
    left = ArrayField(
        models.BigIntegerField(), default=list, db_default=[]
    )  # keys of the leads that it was refused for
    state = models.CharField(max_length=7, choices=State, default=State.RUNNING)
    created_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)

    objects = BulkRunQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name, verbose_name_plural = _("bulk action"), _("bulk actions")

    def __str__(self):
        return f"{self.get_action_display()} × {self.total}"

    @property
    def total(self):
        return len(self.ids)

    @property
    def counted(self):
        """[code, values, how many] of each reason; words stand for a code where a run has none."""
        old = isinstance(self.refusals, dict)
        return [[words, {}, count] for words, count in self.refusals.items()] if old else self.refusals

    @property
    def reasons(self):
        """(words, how many) of each reason, in the reader's language."""
        return [(refusals.in_words(code, values), count) for code, values, count in self.counted]
