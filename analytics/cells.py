"""What each number of a report opens: exactly the rows that it counts."""

from datetime import date

from django.http import Http404

from analytics.reports import flow, funnel, managers, sources
from analytics.scope import DB
from deals.models import Deal
from leads.models import Lead

LEADS, DEALS, TOUCHES, TASKS = "leads", "deals", "touches", "tasks"


def _number(args, name):
    value = args.get(name)
    if value is None:
        return None
    if not value.isdecimal() or len(value) > 18:
        raise Http404
    return int(value)


def _day(args, name):
    try:
        return date.fromisoformat(args[name]) if name in args else None
    except ValueError:
        raise Http404 from None


def _one_of(args, name, allowed):
    if args.get(name) not in allowed:
        raise Http404
    return args[name]


def _funnel(kind, model):
    def rows(scope, args):
        cell = _one_of(args, "cell", funnel.CELLS)
        keys = funnel.keys_of(kind, scope, _number(args, "stage") or 0, cell)
        return model.objects.using(DB).visible_to(scope.user).filter(pk__in=keys)

    return rows


def _won(scope, args):
    return scope.deals().filter(pk__in=funnel.won_keys(scope))


def _enquiries(scope, args):
    return scope.leads().filter(pipeline=funnel.pipeline_of("lead", scope))


def _source(scope, args):
    return sources.rows_of(scope, _number(args, "of"), _one_of(args, "measure", sources.MEASURES))


def _source_deals(scope, args):
    leads = sources.rows_of(scope, _number(args, "of"), "won").order_by().values("pk")
    seen = Deal.objects.using(DB).visible_to(scope.user)
    return seen.filter(lead__in=leads, status="won", currency=scope.organisation.currency)


def _manager_leads(scope, args):
    return managers.lead_rows(scope, _number(args, "of"), _one_of(args, "measure", managers.LEADS))


def _manager_deals(scope, args):
    return managers.deal_rows(scope, _number(args, "of"), _one_of(args, "measure", managers.DEALS))


CELLS = {
    "leads": (LEADS, _enquiries),
    "funnel_lead": (LEADS, _funnel("lead", Lead)),
    "funnel_deal": (DEALS, _funnel("deal", Deal)),
    "funnel_won": (DEALS, _won),
    "source": (LEADS, _source),
    "source_deals": (DEALS, _source_deals),
    "manager_leads": (LEADS, _manager_leads),
    "manager_deals": (DEALS, _manager_deals),
    "manager_touches": (TOUCHES, lambda scope, args: managers.touch_rows(scope, _number(args, "of"))),
    "manager_tasks": (TASKS, lambda scope, args: managers.task_rows(scope, _number(args, "of"))),
    "new_leads": (LEADS, lambda scope, args: flow.lead_rows(scope, _day(args, "day"))),
    "pipeline": (DEALS, lambda scope, args: flow.open_deals(scope, _number(args, "stage"))),
    "left_out": (DEALS, lambda scope, args: flow.left_out(scope, _one_of(args, "measure", flow.LEFT_OUT))),
    "forecast": (DEALS, lambda scope, args: flow.forecast_deals(scope, _day(args, "month"), _number(args, "stage"))),
}
UNDATED = {"pipeline", "manager_tasks", "left_out"}  # what stands open now, of any day


def rows(cell, scope, args):
    """(kind of rows, queryset) behind a cell; raises Http404 for a cell or argument that does not exist."""
    if cell not in CELLS:
        raise Http404
    kind, find = CELLS[cell]
    return kind, find(scope, args)
