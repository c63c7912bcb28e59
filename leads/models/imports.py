import uuid

from django.db import models
from django.db.models import F
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy


def stored_as(_row, name):
    """Under a name of our own: what the file was called never reaches the disk."""
    kind = name.rpartition(".")[2].lower()
    return f"imports/{uuid.uuid4().hex}.{kind if kind in {'csv', 'tsv', 'txt', 'xlsx', 'vcf'} else 'dat'}"


class ImportQuerySet(models.QuerySet):
    def visible_to(self, user):
        """A list is all its contacts: administrators and marketers see every one, heads their own, managers none."""
        if user.sees_all:
            return self
        return self.filter(by=user) if user.is_head else self.none()


class Import(models.Model):
    """One uploaded list: rows = created + updated + skipped + failed at every commit.

    ``options``: how the file is read (kind, encoding, delimiter, header); ``forecast``: what the dry run found, in the
    same words as the counts; ``diff``: its first rows of each kind; ``undo``: what undoing has done so far (rows,
    removed, restored, kept) and where it stands.
    """

    class State(models.TextChoices):
        READY = "ready", pgettext_lazy("import", "ready")
        CHECKING = "checking", pgettext_lazy("import", "being tried")
        CHECKED = "checked", pgettext_lazy("import", "tried")
        RUNNING = "running", pgettext_lazy("import", "running")
        DONE = "done", pgettext_lazy("import", "done")
        FAILED = "failed", pgettext_lazy("import", "failed")
        UNDOING = "undoing", pgettext_lazy("import", "being undone")
        UNDONE = "undone", pgettext_lazy("import", "undone")

    source = models.ForeignKey("leads.Source", models.PROTECT, related_name="imports")
    by = models.ForeignKey("core.User", models.PROTECT, null=True)
    file = models.FileField(upload_to=stored_as, blank=True)
    file_name = models.CharField(max_length=200)
    size = models.PositiveBigIntegerField(default=0)  # bytes
    options = models.JSONField(default=dict)
    mapping = models.JSONField(default=dict)
    state = models.CharField(max_length=8, choices=State, default=State.READY)
    created_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)
    sets_going = models.BooleanField(default=False)  # new leads are greeted, enrolled and announced to their owners
    forecast = models.JSONField(default=dict)
    diff = models.JSONField(default=dict)
    diff_file = models.FileField(upload_to=stored_as, blank=True)  # all of it
    undo = models.JSONField(default=dict)
    rows = models.PositiveIntegerField(default=0)
    created = models.PositiveIntegerField(default=0)
    updated = models.PositiveIntegerField(default=0)
    skipped = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    warned = models.PositiveIntegerField(default=0)  # rows taken of which a part was not understood
    error_file = models.FileField(upload_to=stored_as, blank=True)
    error = models.TextField(blank=True)

    objects = ImportQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name, verbose_name_plural = _("import"), _("imports")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(rows=F("created") + F("updated") + F("skipped") + F("failed")),
                name="leads_import_adds_up",
            )
        ]

    def __str__(self):
        return self.file_name

    @property
    def total(self):
        """Rows of the file where a dry run has counted them, else 0."""
        return self.forecast.get("rows", 0)

    @property
    def was_begun(self):
        """Whether its counts say anything yet."""
        return self.state not in {self.State.READY, self.State.CHECKING, self.State.CHECKED}


class ImportRow(models.Model):
    """What became of one row of a list.

    ``data``: the cells of a failed one; ``changed``: field → [before, after] for people; ``was``: what undoing needs to
    bring a known card back (column → [before, after] of the lead and of the person, signs learned, score); ``made``:
    keys of companies and lead sources that came with it. Deleting a card leaves its keys here: they were its.
    """

    class State(models.TextChoices):
        CREATED = "created", pgettext_lazy("import row", "created")
        UPDATED = "updated", pgettext_lazy("import row", "updated")
        SKIPPED = "skipped", pgettext_lazy("import row", "skipped")
        FAILED = "failed", pgettext_lazy("import row", "failed")

    class Undone(models.TextChoices):
        REMOVED = "removed", pgettext_lazy("import row", "removed")
        RESTORED = "restored", pgettext_lazy("import row", "restored")
        KEPT = "kept", pgettext_lazy("import row", "kept")

    of = models.ForeignKey(Import, models.CASCADE, related_name="lines", db_index=False)
    line = models.PositiveIntegerField()
    state = models.CharField(max_length=7, choices=State)
    reason = models.CharField(max_length=16, blank=True)
    data = models.JSONField(default=dict)
    person = models.ForeignKey(
        "leads.Person", models.DO_NOTHING, null=True, related_name="+", db_constraint=False, db_index=False
    )
    lead = models.ForeignKey("leads.Lead", models.DO_NOTHING, null=True, related_name="+", db_constraint=False)
    undone = models.CharField(max_length=8, choices=Undone, blank=True)

    class Meta:
        verbose_name, verbose_name_plural = _("import row"), _("import rows")
        indexes = [
            models.Index(fields=["of", "state", "line"], name="leads_importrow_state"),
            models.Index(fields=["of", "line"], condition=models.Q(undone="kept"), name="leads_importrow_kept"),
        ]

    def __str__(self):
        return f"{self.of_id}:{self.line}"
