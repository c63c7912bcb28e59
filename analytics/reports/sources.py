"""Sources: what each brought, by first or last touch, down to money. A cohort report: enquiries of the period."""

from django.db.models import Count, Q, Sum
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from analytics.scope import DB
from analytics.tables import Cell, Column, Table, ratio
from deals.models import Deal
from leads.models import Origin, Status

MEASURES = {
    "all": Q(),
    "answered": Q(answered_at__isnull=False),
    "mql": Q(qualification__gte=1),
    "converted": Q(status=Status.CONVERTED),
    "rejected": Q(status=Status.REJECTED),
    "won": Q(deals__status="won"),
}


def measures(scope):
    """What is counted; of a lead's deal only who sees that deal learns."""
    if scope.user.sees_all:
        return MEASURES
    return MEASURES | {"won": MEASURES["won"] & Q(deals__in=Deal.objects.using(DB).visible_to(scope.user))}


def rows_of(scope, origin, measure):
    """The leads that a cell counts; ``origin``: key, 0 for leads of no known source, None for all."""
    rows = scope.leads().filter(measures(scope)[measure])
    if origin is None:
        return rows
    return rows.filter(origin_id=origin or None) if origin else rows.filter(origin_id__isnull=True)


def numbers(scope):
    """[(origin key or None, {measure: count}, won sum)], most leads first."""
    counted = measures(scope)
    counts = {name: Count("id", filter=condition) for name, condition in counted.items()}
    money = Sum("deals__amount", filter=counted["won"] & Q(deals__currency=scope.organisation.currency))
    rows = (
        scope.leads().order_by().values("origin_id").annotate(**{f"n_{k}": v for k, v in counts.items()}, money=money)
    )
    found = [(row["origin_id"], {k: row[f"n_{k}"] for k in counts}, row["money"] or 0) for row in rows]
    return sorted(found, key=lambda row: (-row[1]["all"], row[0] or 0))


def table(scope):
    names = dict(Origin.objects.values_list("pk", "name"))
    found = numbers(scope)
    rows = [_row(names.get(origin, _("not known")), origin or 0, n, money) for origin, n, money in found]
    whole = {name: sum(n[name] for _o, n, _m in found) for name in MEASURES}
    total = _row(_("Total"), None, whole, sum(money for _o, _n, money in found))
    return Table(_("Sources"), _columns(), rows, total if rows else None, sortable=True)


def _columns():
    return [
        Column(_("Source"), "text"),
        Column(_("Leads")),
        Column(_("Answered")),
        Column("MQL"),
        Column(_("Converted")),
        Column(_("Conversion"), "percent", _("Converted ÷ leads")),
        Column(pgettext("leads", "Rejected")),
        Column(_("Won deals")),
        Column(_("Lead to money"), "percent", _("Won ÷ leads")),
        Column(_("Won sum"), "money"),
    ]


def _row(name, origin, n, money):
    def cell(measure):
        return Cell(n[measure], "source", {"of": origin, "measure": measure})

    return [
        Cell(name),
        cell("all"),
        cell("answered"),
        cell("mql"),
        cell("converted"),
        Cell(ratio(n["converted"], n["all"])),
        cell("rejected"),
        cell("won"),
        Cell(ratio(n["won"], n["all"])),
        Cell(money, "source_deals", {"of": origin}),
    ]
