"""What a receipt that is not judged yet waits for, and what one can do about it, in the reader's words."""

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from crm.core.models import Job
from crm.core.templatetags.ui import day_clock
from leads.models import Confirmation, Fetch
from leads.services.judging import TASK


def why(row):
    """[what it waits for, what to do]."""
    asked = Confirmation.objects.filter(submission=row, confirmed_at=None).first()
    if asked is not None:
        return _for_the_client(asked)
    fetched = Fetch.objects.filter(submission=row, state=Fetch.State.WAITING).first()
    if fetched is not None:
        return _for_the_provider(fetched)
    return _in_the_queue(Job.objects.filter(task=TASK, ref=str(row.pk)).first())


def _for_the_client(asked):
    until = _("It waits until %(email)s is confirmed by the link in our email, until %(until)s.")
    return [
        until % {"email": asked.email, "until": day_clock(asked.expires_at)},
        _("Nothing is to be done. Not confirmed in time, it is refused and can then still be made a lead by hand."),
    ]


def _for_the_provider(fetched):
    tries = ngettext("Asked %d time so far.", "Asked %d times so far.", fetched.attempts) % fetched.attempts
    said = _("It waits for the provider, who is asked for what stands in it.")
    return [
        f"{said} {tries}" if fetched.attempts else said,
        _("It is asked again by itself. If that lasts, check the access of the source to the provider."),
    ]


def _in_the_queue(job):
    if job is not None and job.dead:
        return [
            _("Its reading has failed and is not tried any more."),
            _("An administrator starts it again: “Jobs” in the settings, “Run again”."),
        ]
    return [
        _("It waits in the queue to be read; that usually takes a second."),
        _("If it lasts for minutes, tell an administrator: the work in the background may stand still."),
    ]
