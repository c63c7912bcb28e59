"""What a report is about: whose rows, which time, which part of the company."""

from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import F
from django.db.models.functions import Coalesce

from crm.core.models import Organisation, Pipeline
from deals.models import Deal
from leads.models import Interaction, Lead, Task

DB = settings.REPORTS_DATABASE


@dataclass(frozen=True)
class Scope:
    """``start`` and ``end`` are local dates of the company, both inside; ``as_of`` is the instant up to which moves count."""

    user: object
    start: date
    end: date
    as_of: datetime
    organisation: Organisation
    touch: str = "first"  # first or last
    owner: object = None
    team: object = None
    origin: object = None
    pipeline: Pipeline | None = None
    step: str = "day"  # day, week, month

    @property
    def zone(self):
        return ZoneInfo(self.organisation.time_zone)

    def instant(self, day):
        return datetime.combine(day, time.min, self.zone)

    @property
    def since(self):
        return self.instant(self.start)

    @property
    def until(self):
        """The first instant after the period."""
        return self.instant(self.end + timedelta(days=1))

    @property
    def days(self):
        return (self.end - self.start).days + 1

    @cached_property
    def pipelines(self):
        """{kind: the chosen pipeline of that kind, else the default one}"""
        found = {row.kind: row for row in Pipeline.objects.using(DB).filter(is_default=True)}
        return found | ({self.pipeline.kind: self.pipeline} if self.pipeline else {})

    def before(self):
        """The period of the same length before this one."""
        return replace(self, start=self.start - timedelta(days=self.days), end=self.start - timedelta(days=1))

    def _mine(self, queryset):
        if self.owner:
            queryset = queryset.filter(owner=self.owner)
        return queryset.filter(team=self.team) if self.team else queryset

    def all_leads(self):
        """Leads that the reader sees, of the chosen owner, team and source, of any time.

        One that was merged into another is not counted beside it: it is no enquiry lost, but the same one.
        """
        rows = self._mine(Lead.objects.using(DB).visible_to(self.user).filter(merged_into=None))
        if self.pipeline and self.pipeline.kind == "lead":
            rows = rows.filter(pipeline=self.pipeline)
        name = f"{self.touch}_origin"
        rows = rows.annotate(origin_id=Coalesce(F(f"{name}__same_as_id"), F(f"{name}_id")))
        return rows.filter(origin_id=self.origin.pk) if self.origin else rows

    def leads(self):
        """The cohort: of those, the enquiries of the period."""
        return self.all_leads().filter(created_at__gte=self.since, created_at__lt=self.until)

    def deals(self):
        """Deals that the reader sees, of the chosen owner, team and source, of any time."""
        rows = self._mine(Deal.objects.using(DB).visible_to(self.user))
        if self.origin:
            name = f"lead__{self.touch}_origin"
            rows = rows.annotate(origin_id=Coalesce(F(f"{name}__same_as_id"), F(f"{name}_id")))
            rows = rows.filter(origin_id=self.origin.pk)
        return rows

    def closed_deals(self):
        return self.deals().filter(closed_at__gte=self.since, closed_at__lt=self.until)

    def touches(self):
        """What colleagues did in the period on leads that the reader sees."""
        rows = Interaction.objects.using(DB).filter(at__gte=self.since, at__lt=self.until, by__isnull=False)
        seen = Lead.objects.using(DB).visible_to(self.user)
        return rows.filter(lead__in=seen) if not self.user.sees_all else rows.filter(lead__isnull=False)

    def tasks(self):
        return Task.objects.using(DB).visible_to(self.user)
