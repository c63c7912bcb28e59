from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _


class Calendar(models.Model):
    """A working calendar: hours of each weekday (a break is the gap between two spans) and holidays.

    Local times of the person who works by it: the zone is the user's, not the calendar's.
    """

    name = models.CharField(_("name"), max_length=80, unique=True)
    is_default = models.BooleanField(_("default"), default=False, help_text=_("For people without one of their own."))

    class Meta:
        ordering = ["name"]
        verbose_name, verbose_name_plural = _("working calendar"), _("working calendars")
        constraints = [
            models.UniqueConstraint(
                fields=["is_default"], condition=models.Q(is_default=True), name="core_calendar_one_default"
            )
        ]

    def __str__(self):
        return self.name


class Hours(models.Model):
    calendar = models.ForeignKey(Calendar, models.CASCADE, related_name="hours")
    weekday = models.PositiveSmallIntegerField(
        _("weekday"),
        choices=list(
            enumerate(
                [
                    _("Monday"),
                    _("Tuesday"),
                    _("Wednesday"),
                    _("Thursday"),
                    _("Friday"),
                    _("Saturday"),
                    _("Sunday"),
                ]
            )
        ),
    )
    start = models.TimeField(_("from"))
    end = models.TimeField(_("to"))

    class Meta:
        ordering = ["weekday", "start"]
        verbose_name, verbose_name_plural = _("working hours"), _("working hours")
        constraints = [
            models.CheckConstraint(condition=models.Q(end__gt=models.F("start")), name="core_hours_end_after_start"),
            models.CheckConstraint(condition=models.Q(weekday__lte=6), name="core_hours_weekday"),
        ]

    def __str__(self):
        return f"{self.get_weekday_display()} {self.start:%H:%M}–{self.end:%H:%M}"

    def clean(self):
        if self.start and self.end and self.end <= self.start:
            raise ValidationError({"end": _("The end must be after the start.")})


class Holiday(models.Model):
    calendar = models.ForeignKey(Calendar, models.CASCADE, related_name="holidays")
    date = models.DateField(_("date"))
    name = models.CharField(_("name"), max_length=80, blank=True)

    class Meta:
        ordering = ["date"]
        verbose_name, verbose_name_plural = _("holiday"), _("holidays")
        constraints = [models.UniqueConstraint(fields=["calendar", "date"], name="core_holiday_once")]

    def __str__(self):
        return f"{self.date} {self.name}"


class Absence(models.Model):
    """Leave, illness, training: the person gets no leads between the two instants."""

    user = models.ForeignKey("core.User", models.CASCADE, related_name="absences")
    starts_at = models.DateTimeField(_("from"))
    ends_at = models.DateTimeField(_("to"))
    reason = models.CharField(_("reason"), max_length=120, blank=True)

    class Meta:
        ordering = ["-starts_at"]
        verbose_name, verbose_name_plural = _("absence"), _("absences")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(ends_at__gt=models.F("starts_at")), name="core_absence_end_after_start"
            )
        ]

    def __str__(self):
        begins, ends = (date_format(localtime(at), "SHORT_DATE_FORMAT") for at in (self.starts_at, self.ends_at))
        return f"{self.user} {begins}–{ends}"


class WorkTime:
    """A person's working time: spans of instants, computed from plain values without a query.

    ``hours``: iterable of (weekday, start, end) local times; ``holidays``: set of local dates;
    ``absences``: iterable of (starts_at, ends_at) instants; ``zone``: IANA name.
    """

    HORIZON = 60  # days looked ahead: longer than any leave that a lead should wait for

    def __init__(self, *, zone, hours, holidays=(), absences=()):
        self.zone = ZoneInfo(zone)
        self.hours = sorted(hours)
        self.holidays = set(holidays)
        self.absences = sorted(absences)

    def spans(self, since, until):
        """Yield (start, end) instants of work within [since, until), absences cut out."""
        since, until = since.astimezone(UTC), until.astimezone(UTC)
        day = since.astimezone(self.zone).date() - timedelta(days=1)
        last = until.astimezone(self.zone).date()
        while day <= last:
            if day not in self.holidays:
                for weekday, start, end in self.hours:
                    if weekday == day.weekday():
                        yield from self._cut(
                            max(since, self._instant(day, start)),
                            min(until, self._instant(day, end)),
                        )
            day += timedelta(days=1)

    def _instant(self, day, clock):
        """In UTC: two times of one zone are subtracted by the wall clock, which is wrong across a change of it."""
        return datetime.combine(day, clock, self.zone).astimezone(UTC)

    def _cut(self, start, end):
        for away, back in self.absences:
            if away >= end or back <= start:
                continue
            if away > start:
                yield start, away
            start = max(start, back)
        if start < end:
            yield start, end

    def at_work(self, now):
        return any(True for _span in self.spans(now, now + timedelta(seconds=1)))

    def next_open(self, now):
        """The first working instant at or after ``now``; None when there is none within the horizon."""
        for start, _end in self.spans(now, now + timedelta(days=self.HORIZON)):
            return max(start, now)
        return None

    def worked(self, since, until):
        """Working seconds between two instants (the speed-to-lead clock)."""
        if until <= since:
            return 0.0
        return sum((end - start).total_seconds() for start, end in self.spans(since, until))
