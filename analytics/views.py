"""Report pages: one head of parameters, one way to draw, to export and to open a number."""

from urllib.parse import urlencode

from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from analytics import cells, naming
from analytics.charts import NARROW, bars
from analytics.forms import ReportForm
from analytics.overview import tiles
from analytics.reports import flow, funnel, managers, sources
from analytics.templatetags.reports import words
from crm.core import exports, keyset
from crm.core.fragments import part_of
from crm.core.models import AuditEntry
from leads.models import Lead

REPORTS = {  # key → (name, what makes the table, default period, parameters that it heeds)
    "funnel": (gettext_lazy("Funnel"), funnel.table, "90", ["team", "owner", "origin", "touch", "as_of"]),
    "sources": (gettext_lazy("Sources"), sources.table, "90", ["touch", "team", "owner"]),
    "managers": (gettext_lazy("Managers"), managers.table, "30", ["team", "owner"]),
    "leads": (gettext_lazy("New leads"), flow.new_leads_table, "30", ["step", "team", "owner", "origin"]),
    "pipeline": (gettext_lazy("Open deals"), flow.pipeline_table, "90", ["team", "owner", "origin"]),
    "forecast": (gettext_lazy("Forecast"), flow.forecast_table, "next", ["team", "owner"]),
}
MONEY_CHARTS = {"pipeline", "forecast"}
CHARTED = {"funnel": 1, "sources": 1, "leads": 1, "pipeline": 2, "forecast": 3}  # the column that the bars show
BY_TIME = {"leads", "forecast"}  # a line for each day or month: where all are 0 there is nothing to read
ORDER = {
    cells.LEADS: "created_at",
    cells.DEALS: "created_at",
    cells.TOUCHES: "at",
    cells.TASKS: "due_at",
}  # latest first
PAGE = 100  # rows behind a number, at once
AT_MOST = 40  # bars of a chart
LEADING, WON_SUM = 10, 7  # how many leaders are shown, and by which column of the managers


def _tabs(current):
    return [(reverse("analytics:report", args=[key]), entry[0], key == current) for key, entry in REPORTS.items()]


def _form(data, user, report):
    _name, _make, period, heeded = REPORTS[report]
    form = ReportForm(data, user=user, period=period)
    if report == "pipeline":
        form.fields.pop("period"), form.fields.pop("start"), form.fields.pop("end")
    for name in {"team", "owner", "origin", "touch", "step", "as_of"} - set(heeded):
        form.fields[name].widget = form.fields[name].hidden_widget()
    return form


def _asked(data, make):
    """(the form to make the report by, what was wrong in the address): what is wrong is told and left out."""
    form = make(data)
    if form.is_valid():
        return form, []
    rest = make({name: value for name, value in data.items() if name not in form.wrong})
    rest.is_valid()
    return rest, form.refusals


@require_safe
def index(request):
    """The overview: the period's main numbers against the one before, new leads, the funnel."""
    form, refusals = _asked(request.GET, lambda data: ReportForm(data, user=request.user, period="30"))
    scope = form.scope
    context = {"form": form, "refusals": refusals, "tabs": _tabs(""), "tiles": tiles(scope, form.query)}
    context |= {"funnel": funnel.table(scope).linked(form.query), "chart": _new_leads_chart(scope, form.query)}
    context["no_data"] = context["chart"] is None and _no_leads(request.user)
    return render(request, "analytics/index.html", context, status=400 if refusals else 200)


@require_safe
@part_of("analytics:index")
def funnel_panel(request):
    """The funnel of the last 90 days as a panel of the first page."""
    form = ReportForm({}, user=request.user)
    form.is_valid()
    return render(request, "analytics/_funnel_panel.html", {"table": funnel.table(form.scope).linked(form.query)})


def _no_leads(user):
    """Whether there is nothing to report on yet, whatever period is chosen."""
    return not Lead.objects.visible_to(user).exists()


def _new_leads_chart(scope, query):
    table = flow.new_leads_table(scope).linked(query)
    points = [(words(row[0]), row[1].value, row[1].url) for row in table.rows]
    return bars(points, left=NARROW) if any(value for _l, value, _u in points) else None


def _chart(report, table):
    """Bars of the report's leading column, each opening its rows; None for an empty table."""
    column = CHARTED[report]
    points = [(words(row[0]), row[column].value or 0, row[column].url) for row in table.rows[:AT_MOST]]
    return bars(points, labels_at_most=10) if any(value for _l, value, _u in points) else None


def _leaders(table):
    """The lines with the greatest won sums, the first ten: of three hundred people a chart would show nothing."""
    having = [row for row in table.rows if row[WON_SUM].value]
    return [(row[0], row[WON_SUM]) for row in sorted(having, key=lambda row: -row[WON_SUM].value)[:LEADING]]


@require_safe
def report(request, key):
    if key not in REPORTS:
        raise Http404
    form, refusals = _asked(request.GET, lambda data: _form(data, request.user, key))
    context = {"form": form, "refusals": refusals, "tabs": _tabs(key), "key": key, "name": REPORTS[key][0]}
    table = REPORTS[key][1](form.scope).linked(form.query).ordered(request.GET.get("sort", ""))
    if request.GET.get("format") and not refusals:
        return _file(request, key, table)
    context |= {
        "table": table,
        "chart": _chart(key, table) if key in CHARTED else None,
        "charted": table.columns[CHARTED[key]].name if key in CHARTED else "",
        "leaders": _leaders(table) if key == "managers" else [],
        "query": urlencode(form.query | ({"sort": table.order} if table.order else {})),
    }
    nothing = key in BY_TIME and not any(cell.value for row in table.rows for cell in row[1:])
    context |= {"chart_is_money": key in MONEY_CHARTS, "nothing": nothing, "chart_is_past": key == "leads"}
    context["no_data"] = not any(row[1].value for row in table.rows) and _no_leads(request.user)
    return render(request, "analytics/report.html", context, status=400 if refusals else 200)


def _file(request, key, table):
    if not request.user.can_export:
        raise PermissionDenied(_("Your role may not export."))
    form = request.GET["format"]
    if form not in exports.FORMATS:
        raise Http404
    AuditEntry.objects.create(user=request.user, action="export", subject=f"report {key}", details=request.GET.dict())
    rows = [[cell.value for cell in row] for row in [*table.rows, *([table.total] if table.total else [])]]
    return exports.response(request, [column.name for column in table.columns], iter(rows), form=form, name=key)


@require_safe
def rows(request, cell):
    """The rows behind a number: as many as it says."""
    form = ReportForm(request.GET, user=request.user)
    if not form.is_valid():
        return render(request, "analytics/rows.html", {"refusals": form.refusals}, status=400)
    kind, queryset = cells.rows(cell, form.scope, request.GET.dict())
    total = queryset.count()
    found = list(_shown(kind, _later(kind, queryset, request.GET.get("after", "")))[: PAGE + 1])
    context = {"form": form, "kind": kind, "rows": found[:PAGE], "total": total, "scope": form.scope}
    context["exact"] = kind == cells.DEALS and any(deal.amount % 1 for deal in context["rows"])
    context["dated"] = cell not in cells.UNDATED
    context |= {"named": naming.told(cell, form.scope, request.GET.dict()), "back": _back(cell, form)}
    if len(found) > PAGE:
        last = found[PAGE - 1]
        after = keyset.encode(getattr(last, ORDER[kind]), last.pk)
        context["next_url"] = f"?{urlencode({**request.GET.dict(), 'after': after})}"
    return render(request, "analytics/rows.html", context)


def _back(cell, form):
    """(address, name) of the report in which the number stands."""
    key = naming.REPORT_OF[cell]
    return f"{reverse('analytics:report', args=[key])}?{urlencode(form.query)}", REPORTS[key][0]


def _later(kind, queryset, after):
    """What stands behind the place ``after``; a place that was not made here is the beginning."""
    field = queryset.model._meta.get_field(ORDER[kind])
    try:
        at, pk = keyset.decode(after, field)
    except keyset.BadCursor:
        return queryset
    return queryset.filter(keyset.before(field.name, at, pk, field))


def _shown(kind, queryset):
    related = {
        cells.LEADS: ["stage", "owner", "first_origin"],
        cells.DEALS: ["stage", "owner", "person"],
        cells.TOUCHES: ["lead", "by"],
        cells.TASKS: ["lead", "assignee", "person"],
    }
    return queryset.select_related(*related[kind]).order_by(f"-{ORDER[kind]}", "-pk")
