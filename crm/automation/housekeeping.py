"""What beat makes happen. A tick only inserts rows whose refs name the time, so 0, 1 or 3 beats give the same rows."""

from datetime import timedelta

from django.contrib.sessions.models import Session
from django.db.models.functions import Now
from django.utils import timezone

from crm.core.jobs import beat, enqueue, job
from crm.core.models import Job, Notice, Role, User
from crm.core.notices import notify
from leads.services import call_ends, cdr_files, letters, mailboxes, retention, watch
from routing.services import enqueue_deal
from scoring.services import enqueue_decay

KEEP_NOTICES = timedelta(days=30)


def tick():
    """Note that beat works and set this minute's and this day's housekeeping, once each."""
    beat("beat")
    now = timezone.now()
    enqueue("crm.minutely", f"{now:%Y%m%d%H%M}")
    enqueue("crm.daily", f"{now:%Y%m%d}")


@job("crm.minutely")
def minutely(ref):
    """Letters in mid-air become unsure, watched folders and mailboxes are read, old points decay, the pool is dealt, dead jobs told;
    now and then it is asked whether a source has fallen silent."""
    letters.sweep()
    cdr_files.look_everywhere()
    call_ends.hand_out()
    mailboxes.enqueue_polls()
    enqueue_decay()
    enqueue_deal(ref)
    tell_of_dead_jobs()
    if ref.endswith("0"):  # every ten minutes
        watch.tell()


@job("crm.daily", queue="bulk")
def daily(ref):
    Session.objects.filter(expire_date__lt=Now()).delete()
    Notice.objects.filter(created_at__lt=timezone.now() - KEEP_NOTICES).delete()
    enqueue(retention.TASK, f"{ref}:0")


def tell_of_dead_jobs():
    """One notice a dead job to each administrator."""
    told = Notice.objects.filter(kind="dead_job").values_list("details__job", flat=True)
    admins = list(User.objects.filter(role=Role.ADMIN, is_active=True))
    for row in Job.objects.filter(dead=True).exclude(pk__in=[pk for pk in told if pk])[:20]:
        for admin in admins:
            notify(admin, "dead_job", url="/admin/core/job/?dead__exact=1", job=row.pk, name=row.task)
