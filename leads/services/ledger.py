"""The ledger of receipts: received = lead + merged + spam + rejected + error + waiting, per source and day."""

from django.db.models import Count
from django.db.models.functions import TruncDate

from leads.models import Submission

STATES = tuple(Submission.State.values)  # waiting, lead, merged, spam, rejected, error
ORDER = ("lead", "merged", "spam", "rejected", "error", "waiting")


def _sum(rows):
    found = {row["state"]: row["n"] for row in rows}
    return {"received": sum(found.values())} | {state: found.get(state, 0) for state in ORDER}


def ledger(receipts=None):
    """Totals by state of a set of receipts; ``received`` is their sum because every receipt has exactly one state."""
    rows = Submission.objects.all() if receipts is None else receipts
    return _sum(rows.order_by().values("state").annotate(n=Count("pk")))


def daily(receipts):
    """[(day, totals)], latest first, days in the current time zone."""
    rows = receipts.order_by().annotate(day=TruncDate("received_at")).values("day", "state").annotate(n=Count("pk"))
    days = {}
    for row in rows:
        days.setdefault(row["day"], []).append(row)
    return [(day, _sum(days[day])) for day in sorted(days, reverse=True)]


def by_source(receipts):
    """{source key: totals}."""
    rows = receipts.order_by().values("source_id", "state").annotate(n=Count("pk"))
    found = {}
    for row in rows:
        found.setdefault(row["source_id"], []).append(row)
    return {pk: _sum(group) for pk, group in found.items()}
