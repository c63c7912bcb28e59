"""The main numbers of a period, each against the period before and opening its rows."""

from dataclasses import dataclass

from django.db.models import Count, Q, Sum
from django.utils.translation import gettext as _

from analytics.tables import Cell, Column, Table, ratio
from leads.models import Status


@dataclass
class Tile:
    label: str
    cell: Cell
    before: object
    delta: float | None  # share of the period before; None: nothing to compare with
    hint: str = ""  # which of them it counts


def _numbers(scope):
    leads = scope.leads().order_by().aggregate(
        new=Count("id"), converted=Count("id", filter=Q(status=Status.CONVERTED))
    )  # fmt: skip
    own = Q(status="won", currency=scope.organisation.currency)
    deals = scope.closed_deals().order_by().aggregate(
        won=Count("id", filter=Q(status="won")), closed=Count("id"), money=Sum("amount", filter=own)
    )  # fmt: skip
    return leads | deals | {"money": deals["money"] or 0}


def tiles(scope, query):
    now, then = _numbers(scope), _numbers(scope.before())
    money, deals = "money", "manager_deals"
    young = _("of these leads, by now; fresh ones are still in work")
    plan = [
        (_("New leads"), "number", "new", "new_leads", {}, ""),
        (_("Converted"), "number", "converted", "source", {"measure": "converted"}, young),
        (_("Won deals"), "number", "won", deals, {"measure": "won"}, _("closed in this period")),
        (_("Won sum"), money, "money", deals, {"measure": "won"}, _("closed in this period")),
    ]
    made = []
    for label, kind, key, cell, args, hint in plan:
        table = Table("", [Column(label, kind)], [[Cell(now[key], cell, args)]]).linked(query)
        delta = ratio(float(now[key]) - float(then[key]), float(then[key]))
        made.append(Tile(label, table.rows[0][0], then[key], delta, hint))
    return made
