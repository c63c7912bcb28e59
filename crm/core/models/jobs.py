from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class Job(models.Model):
    """The outbox: one narrow row for each thing still to be done, inserted with what gives rise to it.

    Deleted when done, in the transaction of the effect. ``due_at`` is the only way to say "later". Times are
    the database's clock.
    """

    task = models.CharField(max_length=40)  # the Celery task's name
    ref = models.CharField(max_length=64)  # what it is about; with ``task`` unique: said twice is said once
    queue = models.CharField(max_length=8, default="live")
    due_at = models.DateTimeField(db_default=Now())
    created_at = models.DateTimeField(db_default=Now())
    leased_until = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)  # exceptions
    crashes = models.PositiveSmallIntegerField(default=0)  # leases that ran out: the process died or the ring was lost
    error = models.TextField(blank=True)
    dead = models.BooleanField(default=False)

    class Meta:
        verbose_name, verbose_name_plural = _("job"), _("jobs")
        constraints = [models.UniqueConstraint(fields=["task", "ref"], name="core_job_once")]
        indexes = [
            models.Index(fields=["queue", "due_at"], condition=models.Q(dead=False), name="core_job_due"),
            models.Index(
                fields=["queue", "leased_until"],
                condition=models.Q(dead=False, leased_until__isnull=False),
                name="core_job_leased",
            ),
            models.Index(fields=["-id"], condition=models.Q(dead=True), name="core_job_dead"),
        ]

    def __str__(self):
        return f"{self.task}({self.ref})"


class Heartbeat(models.Model):
    """When a process of a kind was last seen working; ``/healthz`` reads it."""

    name = models.CharField(max_length=40, primary_key=True)
    at = models.DateTimeField(db_default=Now())

    def __str__(self):
        return f"{self.name} {self.at}"
