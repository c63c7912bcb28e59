"""The speed-to-lead clock in the working time of the person whom the lead waits for."""

from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from crm.core.models import Absence, Calendar, Holiday, Hours, Organisation
from crm.core.models.calendars import WorkTime

LOOK_BACK = timedelta(days=60)  # a card that waits longer waits "60 days": it is not a reaction time any more


def work_time(user):
    """The working time of a colleague (None: the company's); None when no calendar is set: then all time counts."""
    calendar = user.calendar_id if user else None
    calendar = calendar or Calendar.objects.filter(is_default=True).values_list("pk", flat=True).first()
    if calendar is None:
        return None
    absences = Absence.objects.filter(user=user).values_list("starts_at", "ends_at") if user else ()
    return WorkTime(
        zone=(user.time_zone if user else "") or settings.TIME_ZONE,
        hours=Hours.objects.filter(calendar=calendar).values_list("weekday", "start", "end"),
        holidays=Holiday.objects.filter(calendar=calendar).values_list("date", flat=True),
        absences=absences,
    )


def waiting(lead, now=None):
    """Working seconds for which the client has been waiting; None when the clock does not run."""
    if lead.waiting_since is None:
        return None
    now = now or timezone.now()
    since, times = max(lead.waiting_since, now - LOOK_BACK), work_time(lead.owner)
    return times.worked(since, now) if times else max(0.0, (now - since).total_seconds())


def overdue(seconds):
    """Whether so many working seconds are more than the company's reaction norm."""
    return seconds is not None and seconds > Organisation.get().reaction_minutes * 60
