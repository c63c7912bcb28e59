"""A manager's day: what to do now, in the order in which it is worth doing."""

from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone

from leads.models import Band, Lead, Task
from leads.services import waiting
from leads.services.tasks import named

SHOWN = 12  # rows of a panel; the list behind its head has all
LOOKED_AT = 200
BANDS = {Band.HOT: 0, Band.WARM: 1, Band.COLD: 2}
COLUMNS = (
    "name", "phone", "email", "company_name", "score", "band", "product", "need", "status", "stage__name",
    "waiting_since", "next_step_at", "active_at", "owner__calendar", "owner__time_zone", "source__name",
)  # fmt: skip


@dataclass
class Day:
    fresh: list  # leads that nobody has answered; hot ones first, then who waits longest; with ``waited`` and ``late``
    overdue: list  # open tasks of the past
    today: list  # open tasks until midnight
    no_step: list  # open leads, answered, with nothing planned; the best first

    @property
    def is_empty(self):
        return not (self.fresh or self.overdue or self.today or self.no_step)

    def queue(self):
        """Keys of the leads in the order of work, each once."""
        tasks = [task.lead_id for task in [*self.overdue, *self.today] if task.subject]
        return list(dict.fromkeys([*(lead.pk for lead in self.fresh), *tasks, *(lead.pk for lead in self.no_step)]))


def of(user, now=None):
    """The day of a colleague."""
    now = now or timezone.now()
    own = Lead.objects.filter(owner=user).select_related("stage", "source", "owner").only(*COLUMNS)
    fresh = list(own.untouched().order_by("waiting_since")[:LOOKED_AT])
    tasks = _tasks(user, now)
    no_step = own.open().filter(next_step_at=None, waiting_since=None).order_by("-score", "-id")[:SHOWN]
    return Day(
        fresh=_by_urgency(fresh, now),
        overdue=[task for task in tasks if task.due_at < now],
        today=[task for task in tasks if task.due_at >= now],
        no_step=list(no_step),
    )


def _by_urgency(leads, now):
    clocks, norm = waiting.clocks(leads, now), waiting.norm() if leads else 0
    for lead in leads:
        lead.waited = clocks[lead.pk]
        lead.late = lead.waited > norm
    return sorted(leads, key=lambda lead: (BANDS[lead.band], lead.waiting_since))


def _tasks(user, now):
    midnight = timezone.localtime(now).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    due = Task.objects.filter(assignee=user, done_at=None, due_at__lt=midnight).order_by("due_at")
    lead = [f"lead__{name}" for name in ("name", "phone", "email", "company_name", "score", "band", "owner")]
    rows = due.select_related("lead").only("kind", "title", "due_at", "person", "deal_ref", *lead)[:LOOKED_AT]
    return named(list(rows), user)
