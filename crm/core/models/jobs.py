import re

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext, pgettext_lazy
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
        "core.reset_letter": _("Email with the link for a new password"),
        "leads.judge": _("Reading an enquiry"),
        "leads.fetch": _("Fetching an enquiry from its provider"),
        "leads.expire_opt_in": _("Giving up an address that nobody has confirmed"),
        "leads.material_taken": _("Noting that a material was opened"),
        "leads.forget_bodies": _("Deleting what was refused long ago"),
        "leads.poll_mailbox": _("Reading a mailbox"),
        "leads.keep_files": _("Keeping the attachments of an email"),
        "leads.fetch_file": _("Fetching a file of a message"),
        "leads.meet": _("Asking a messenger for a client's name"),
        "leads.dial": _("Placing a call"),
        "leads.settle_call": _("Noting what came of a call"),
        "leads.cdr_folder": _("Reading the call records of an exchange"),
        "leads.deliver": _("Sending an email"),
        "leads.judge_hits": _("Telling people from machines among opens and clicks"),
        "leads.bulk": _("Changing many leads"),
        "crm.react": _("Scoring, distribution and greeting after an event"),
        "crm.step": _("Repeating a step that failed after an event"),
        "crm.import": _("Importing a list"),
        "crm.try_import": _("Trying an import"),
        "crm.undo_import": _("Taking an import back"),
        "crm.welcome": _("Greeting people of an imported list"),
        "crm.minutely": _("Upkeep of every minute"),
        "crm.daily": _("Daily upkeep"),
        "scoring.decay": _("Score decay"),
        "scoring.rescore_all": _("Scoring all leads anew"),
        "routing.deal": _("Handing out waiting leads"),
        "nurturing.advance": _("Sequence step"),
    }

    # What the number of a job is of; tasks that are not here are about nothing that has a number.
    ABOUT = {
        "core.reset_letter": pgettext_lazy("job", "colleague"),
        "leads.judge": pgettext_lazy("job", "enquiry"),
        "leads.fetch": pgettext_lazy("job", "request to the provider"),
        "leads.expire_opt_in": pgettext_lazy("job", "enquiry"),
        "leads.material_taken": pgettext_lazy("job", "enquiry"),
        "leads.poll_mailbox": pgettext_lazy("job", "source"),
        "leads.keep_files": pgettext_lazy("job", "incoming email"),
        "leads.fetch_file": pgettext_lazy("job", "file"),
        "leads.meet": pgettext_lazy("job", "conversation"),
        "leads.dial": pgettext_lazy("job", "call"),
        "leads.settle_call": pgettext_lazy("job", "call"),
        "leads.cdr_folder": pgettext_lazy("job", "source"),
        "leads.deliver": pgettext_lazy("job", "message"),
        "leads.judge_hits": pgettext_lazy("job", "message"),
        "leads.bulk": pgettext_lazy("job", "change"),
        "crm.react": pgettext_lazy("job", "event"),
        "crm.import": pgettext_lazy("job", "import"),
        "crm.try_import": pgettext_lazy("job", "import"),
        "crm.undo_import": pgettext_lazy("job", "import"),
        "crm.welcome": pgettext_lazy("job", "import"),
        "scoring.rescore_all": pgettext_lazy("job", "run"),
        "nurturing.advance": pgettext_lazy("job", "lead in a sequence"),
    }
    QUEUES = {"live": _("at once"), "mail": _("mail and files"), "bulk": _("work in bulk")}

    def __str__(self):
        return self.title

    @property
    def title(self):
        """What was to be done, in the reader's words, and the number of what it is about, if it is about one thing."""
        words, noun = str(self.TITLES.get(self.task, self.task)), str(self.ABOUT.get(self.task, ""))
        if not self.about:
            return words
        return f"{words} {self.numbered}" if noun in words else f"{words} · {self.about}"

    @property
    def numbered(self):
        return gettext("#%s") % self.number

    @property
    def number(self):
        return self.ref.partition(":")[0]  # behind the colon: how far it has come

    @property
    def about(self):
        """What its number is of: «обращение № 17»; "" where it is about no one thing."""
        noun = self.ABOUT.get(self.task)
        return f"{noun} {self.numbered}" if noun and self.number.isdigit() else ""

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
