from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy


class Import(models.Model):
    """One uploaded list: rows = created + updated + skipped + failed when it is done."""

    class State(models.TextChoices):
        READY = "ready", pgettext_lazy("import", "ready")
        RUNNING = "running", pgettext_lazy("import", "running")
        DONE = "done", pgettext_lazy("import", "done")
        FAILED = "failed", pgettext_lazy("import", "failed")

    source = models.ForeignKey("leads.Source", models.PROTECT, related_name="imports")
    by = models.ForeignKey("core.User", models.PROTECT, null=True)
    file = models.FileField(upload_to="imports/")
    file_name = models.CharField(max_length=200)
    mapping = models.JSONField(default=dict)
    state = models.CharField(max_length=8, choices=State, default=State.READY)
    created_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)
    rows = models.PositiveIntegerField(default=0)
    created = models.PositiveIntegerField(default=0)
    updated = models.PositiveIntegerField(default=0)
    skipped = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    error_file = models.FileField(upload_to="imports/", blank=True)
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["-id"]
        verbose_name, verbose_name_plural = _("import"), _("imports")

    def __str__(self):
        return self.file_name
