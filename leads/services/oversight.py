"""What a head of sales, an administrator and a marketer look at first: sums over leads and receipts."""

from collections import Counter, defaultdict
from datetime import timedelta

from django.db.models import Count, OuterRef, Q, Subquery
from django.utils import timezone

from crm.core.models import Job, User
from leads.models import Band, Lead, Origin, Source, Status, Submission

SILENT = timedelta(days=7)  # a source without an enquiry for so long is worth a look
PERIOD = timedelta(days=30)
SHOWN = 12


def teams(head, now=None):
    """[(team, [(person, counts)])] of the teams that a head leads, first who keeps most people waiting.

    Counts: open, waiting, hot (of the waiting), overdue, no_step.
    """
    now = now or timezone.now()
    headed = list(head.headed_teams.all())
    counts = {
        row.pop("owner"): row
        for row in Lead.objects.filter(team__in=[t.pk for t in headed], status=Status.OPEN).values("owner").annotate(
            open=Count("pk"),
            waiting=Count("pk", filter=Q(waiting_since__isnull=False)),
            overdue=Count("pk", filter=Q(next_step_at__lt=now)),
            hot=Count("pk", filter=Q(waiting_since__isnull=False, band=Band.HOT)),
            no_step=Count("pk", filter=Q(next_step_at=None, waiting_since=None)),
        ).order_by()
    }  # fmt: skip
    nothing = dict.fromkeys(("open", "waiting", "overdue", "hot", "no_step"), 0)
    lines = defaultdict(list)
    for person in User.objects.filter(team__in=headed, is_active=True):
        lines[person.team_id].append((person, counts.get(person.pk, nothing)))
    for people in lines.values():
        people.sort(key=lambda line: tuple(-line[1][name] for name in ("hot", "waiting", "overdue")))
    return [(team, lines[team.pk]) for team in headed]


def pool(user):
    """Open leads without an owner that ``user`` sees, hottest first."""
    leads = Lead.objects.visible_to(user).open().unassigned().select_related("source", "stage")
    return list(leads.order_by("-score", "-id")[: SHOWN + 1])


def receipts_today(now=None):
    """{state: number} of the receipts since local midnight, every state named."""
    midnight = timezone.localtime(now).replace(hour=0, minute=0, second=0, microsecond=0)
    rows = Submission.objects.filter(received_at__gte=midnight).values_list("state").annotate(Count("pk")).order_by()
    return dict.fromkeys(Submission.State.values, 0) | dict(rows)


def silent_sources(now=None):
    """Active sources with an address that have brought nothing for SILENT, with ``last_at``."""
    now = now or timezone.now()
    last = Submission.objects.filter(source=OuterRef("pk")).order_by("-id").values("received_at")[:1]
    sources = Source.objects.filter(is_active=True).exclude(adapter__in=["manual", "api", "list"])
    return list(
        sources.annotate(last_at=Subquery(last))
        .filter(Q(last_at=None) | Q(last_at__lt=now - SILENT), created_at__lt=now - SILENT)
        .order_by("last_at")[:SHOWN]
    )


def dead_jobs():
    """The newest jobs that failed for good."""
    return list(Job.objects.filter(dead=True).order_by("-id")[:SHOWN])


def errors():
    """The newest receipts that could not be processed."""
    rows = Submission.objects.filter(state=Submission.State.ERROR).select_related("source").defer("body")
    return list(rows.order_by("-id")[:SHOWN])


def by_origin(now=None):
    """[{origin, now, before, hot}]: new leads per lead source in the last PERIOD and the one before; same_as as one."""
    now = now or timezone.now()
    rows = (
        Lead.objects.filter(created_at__gte=now - 2 * PERIOD)
        .values("first_origin")
        .annotate(
            fresh=Count("pk", filter=Q(created_at__gte=now - PERIOD)),
            before=Count("pk", filter=Q(created_at__lt=now - PERIOD)),
            hot=Count("pk", filter=Q(created_at__gte=now - PERIOD, band=Band.HOT)),
        )
        .order_by()
    )
    origins = {origin.pk: origin for origin in Origin.objects.all()}
    sums = {}
    for row in rows:
        origin = origins.get(row.pop("first_origin"))
        origin = origins.get(origin.same_as_id, origin) if origin else None
        sums.setdefault(origin, Counter()).update(row)
    table = [{"origin": origin, **counts} for origin, counts in sums.items()]
    return sorted(table, key=lambda row: -row.get("fresh", 0))[:SHOWN]
