"""How long clients have been waiting, in the working time of the person whom each waits for: of one lead or of many,
the working time of all their owners in five queries."""

from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from crm.core.models import Absence, Calendar, Organisation, WorkTime
from crm.core.recent import recent

LOOK_BACK = timedelta(days=60)  # a card that waits longer waits "60 days": it is not a reaction time any more


@recent
def calendars():
    """({calendar: (hours, holidays)}, the default calendar or None)."""
    rows = Calendar.objects.prefetch_related("hours", "holidays")
    plain = {
        row.pk: ([(h.weekday, h.start, h.end) for h in row.hours.all()], {h.date for h in row.holidays.all()})
        for row in rows
    }
    return plain, next((row.pk for row in rows if row.is_default), None)


@recent
def norm():
    """The company's reaction norm in working seconds."""
    return Organisation.get().reaction_minutes * 60


def work_times(users):
    """{user's key: WorkTime, or None where no calendar is set}; the key None stands for the company."""
    known, default = calendars()
    absent = {}
    for user, *span in Absence.objects.filter(user__in=[u for u in users if u]).values_list(
        "user", "starts_at", "ends_at"
    ):
        absent.setdefault(user, []).append(span)
    times = {}
    for user in {*users, None}:
        hours, holidays = known.get((user and user.calendar_id) or default, (None, None))
        zone = (user and user.time_zone) or settings.TIME_ZONE
        key = user.pk if user else None
        times[key] = hours and WorkTime(zone=zone, hours=hours, holidays=holidays, absences=absent.get(key, ()))
    return times


def clocks(leads, now=None):
    """{lead's key: working seconds its client has been waiting}, of those whose clock runs; owners must be loaded."""
    leads, now = [lead for lead in leads if lead.waiting_since], now or timezone.now()
    if not leads:
        return {}
    times = work_times({lead.owner for lead in leads})
    return {lead.pk: _waited(times[lead.owner_id], lead.waiting_since, now) for lead in leads}


def _waited(times, since, now):
    since = max(since, now - LOOK_BACK)
    return times.worked(since, now) if times else max(0.0, (now - since).total_seconds())
