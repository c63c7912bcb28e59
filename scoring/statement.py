"""What a lead's score is made of, for reading: evidence grouped by rule, decay beside the points it eats."""

from dataclasses import dataclass, field

from scoring.models import Evidence
from scoring.rules import ENGAGEMENT, FIT

SHOWN = 20  # rows of one rule; the sums are over all


@dataclass
class Item:
    row: Evidence
    faded: int = 0  # what half-lives took off so far

    @property
    def left(self):
        return self.row.points + self.faded


@dataclass
class Group:
    rule: object
    items: list = field(default_factory=list)
    total: int = 0

    @property
    def shown(self):
        return self.items[:SHOWN]

    @property
    def more(self):
        return max(0, len(self.items) - SHOWN)


@dataclass
class Statement:
    kinds: list  # (kind, sum, [Group]), fit first
    total: int


def of_lead(lead):
    """Every evidence row of the lead, newest first within its rule; the total is the sum of all rows."""
    rows = Evidence.objects.filter(lead=lead).select_related("rule", "interaction")
    rows = list(rows.order_by("rule__position", "rule", "-at", "-pk"))
    groups, items = {}, {}
    for row in rows:
        group = groups.setdefault(row.rule_id, Group(row.rule))
        group.total += row.points
        if row.origin_id is None:
            items[row.pk] = Item(row)
            group.items.append(items[row.pk])
    for row in rows:
        if row.origin_id in items:
            items[row.origin_id].faded += row.points
    kinds = []
    for kind in (FIT, ENGAGEMENT):
        own = [group for group in groups.values() if group.rule.kind == kind]
        kinds.append((kind, sum(group.total for group in own), own))
    return Statement(kinds, sum(group.total for group in groups.values()))
