import re

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

PROGRAMMERS = re.compile(r"^(?:\w+\.)*[A-Z]\w*(?:Error|Exception|Warning|Timeout): ")


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
    attempts = models.PositiveSmallIntegerField(default=0)  # exceptions; after a crash, beginnings
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

    TITLES = {
        "core.reset_letter": _("To send the link for a new password"),
        "leads.judge": _("To read an enquiry"),
        "leads.fetch": _("To fetch an enquiry from its provider"),
        "leads.expire_opt_in": _("To give up an address that nobody has confirmed"),
        "leads.material_taken": _("To note that a material was opened"),
        "leads.forget_bodies": _("To delete what was refused long ago"),
        "leads.poll_mailbox": _("To read a mailbox"),
        "leads.keep_files": _("To keep the attachments of an email"),
        "leads.fetch_file": _("To fetch a file of a message"),
        "leads.meet": _("To ask a messenger for a client's name"),
        "leads.dial": _("To place a call"),
        "leads.settle_call": _("To settle what came of a call"),
        "leads.cdr_folder": _("To read the call records of an exchange"),
        "leads.deliver": _("To send an email"),
        "leads.judge_hits": _("To tell people from machines among opens and clicks"),
        "leads.bulk": _("To change many leads"),
        "crm.react": _("To score, hand out and greet after an event"),
        "crm.step": _("To repeat a step that failed after an event"),
        "crm.import": _("To import a list"),
        "crm.try_import": _("To try an import"),
        "crm.undo_import": _("To take an import back"),
        "crm.welcome": _("To greet people of an imported list"),
        "crm.minutely": _("Work of every minute"),
        "crm.daily": _("Work of every day"),
        "scoring.decay": _("To let points age"),
        "scoring.rescore_all": _("To score all leads anew"),
        "routing.deal": _("To hand out waiting leads"),
        "nurturing.advance": _("To take a step of a sequence"),
    }

    BY_THE_CLOCK = {"crm.minutely", "crm.daily"}  # their ref is a time, not the number of a thing
    QUEUES = {"live": _("at once"), "mail": _("mail and files"), "bulk": _("work in bulk")}

    def __str__(self):
        return self.title

    @property
    def title(self):
        """What was to be done, in the reader's words, and the number of what it is about, if it is about one thing."""
        words = str(self.TITLES.get(self.task, self.task))
        return f"{words} · {self.ref}" if self.ref.isdigit() and self.task not in self.BY_THE_CLOCK else words

    @property
    def why(self):
        """The last line of the error, the one that says what happened, without what the programmer calls it."""
        line = self.error.strip().rpartition("\n")[2].strip()
        return PROGRAMMERS.sub("", line) or line


class Heartbeat(models.Model):
    """When a process of a kind was last seen working; ``/healthz`` reads it."""

    name = models.CharField(max_length=40, primary_key=True)
    at = models.DateTimeField(db_default=Now())

    def __str__(self):
        return f"{self.name} {self.at}"
