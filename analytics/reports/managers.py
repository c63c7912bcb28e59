"""Managers: speed, volume, result. Leads by the day they came, deals by the day they were closed, tasks as they are now."""

from django.db.models import Aggregate, Count, DurationField, ExpressionWrapper, F, FloatField, Q, Sum
from django.db.models.functions import Extract
from django.utils import timezone
from django.utils.translation import gettext as _

from analytics.scope import DB
from analytics.tables import Cell, Column, Table, ratio
from crm.core.models import User
from leads.models import Status
from leads.models.interactions import HUMAN_TOUCHES

LEADS = {"new": Q(), "converted": Q(status=Status.CONVERTED), "answered": Q(answered_at__isnull=False)}
DEALS = {"won": Q(status="won"), "lost": Q(status="lost"), "closed": Q(status__in=["won", "lost"])}


class Median(Aggregate):
    """percentile_cont(0.5): the middle value, halfway between the two middle ones."""

    function = "percentile_cont"
    template = "%(function)s(0.5) within group (order by %(expressions)s)"
    output_field = FloatField()


def _seconds(start, end):
    return Extract(ExpressionWrapper(F(end) - F(start), output_field=DurationField()), "epoch")


def lead_rows(scope, owner, measure):
    rows = scope.leads().filter(LEADS[measure])
    return rows.filter(owner=owner) if owner is not None else rows.filter(owner__isnull=False)


def deal_rows(scope, owner, measure):
    rows = scope.closed_deals().filter(DEALS[measure])
    return rows.filter(owner=owner) if owner is not None else rows.filter(owner__isnull=False)


def touch_rows(scope, by):
    rows = scope.touches().filter(kind__in=HUMAN_TOUCHES)
    if by is None:
        return rows.filter(by__in=people(scope))
    return rows.filter(by=by)


def task_rows(scope, owner):
    rows = scope.tasks().filter(done_at=None, due_at__lt=timezone.now())
    return rows.filter(assignee=owner) if owner is not None else rows.filter(assignee__in=people(scope))


def people(scope):
    """Whose lines the reader gets: those whose leads they see."""
    users = User.objects.using(DB).sellers()
    if scope.user.is_manager and not scope.user.sees_team:
        users = users.filter(pk=scope.user.pk)
    elif scope.user.is_manager:
        users = users.filter(Q(pk=scope.user.pk) | Q(team=scope.user.team_id, team__isnull=False))
    elif scope.user.is_head:
        users = users.filter(Q(pk=scope.user.pk) | Q(team__in=scope.user.headed_teams.all()))
    if scope.owner:
        users = users.filter(pk=scope.owner.pk)
    return users.filter(team=scope.team) if scope.team else users


def _by(rows, key, **aggregates):
    return {row[key]: row for row in rows.order_by().values(key).annotate(**aggregates)}


def numbers(scope):
    """{user: {measure: value}} of everybody whose line the reader gets."""
    whose = list(people(scope))
    keys = [person.pk for person in whose]
    reaction = Median(_seconds("created_at", "answered_at"), filter=Q(answered_at__isnull=False))
    leads = _by(
        scope.leads().filter(owner__in=keys), "owner_id", reaction=reaction,
        **{f"n_{name}": Count("id", filter=condition) for name, condition in LEADS.items()},
    )  # fmt: skip
    money = Sum("amount", filter=Q(status="won", currency=scope.organisation.currency))
    cycle = Median(_seconds("created_at", "closed_at"), filter=Q(status="won"))
    deals = _by(
        scope.closed_deals().filter(owner__in=keys), "owner_id", money=money, cycle=cycle,
        **{f"n_{name}": Count("id", filter=condition) for name, condition in DEALS.items()},
    )  # fmt: skip
    touches = _by(touch_rows(scope, None).filter(by__in=keys), "by_id", n=Count("id"))
    overdue = _by(task_rows(scope, None).filter(assignee__in=keys), "assignee_id", n=Count("id"))
    return {
        person: {
            "leads": leads.get(person.pk, {}),
            "deals": deals.get(person.pk, {}),
            "touches": touches.get(person.pk, {}).get("n", 0),
            "overdue": overdue.get(person.pk, {}).get("n", 0),
        }
        for person in whose
    }


def table(scope):
    found = numbers(scope)
    rows = [_row(person, n) for person, n in sorted(found.items(), key=_place)]
    notes = [
        _(
            "Reaction time is counted around the clock, from the enquiry to the first answer; the norm on cards counts working hours only. The cycle runs from opening a deal to winning it."
        )
    ]
    return Table(_("Managers"), _columns(), rows, notes=notes, sortable=True)


def _place(item):
    """By name; whoever has nothing to show in the period stands below those who have."""
    person, n = item
    return not any(n.values()), str(person)


def _columns():
    return [
        Column(_("Manager"), "text"),
        Column(_("New leads")),
        Column(_("Median reaction"), "duration"),
        Column(_("Touches"), hint=_("Calls, emails, meetings and notes of the period")),
        Column(_("Converted")),
        Column(_("Conversion"), "percent"),
        Column(_("Won deals")),
        Column(_("Won sum"), "money"),
        Column(_("Average deal"), "money"),
        Column(_("Win rate"), "percent", _("Won ÷ closed in the period")),
        Column(_("Cycle"), "days", _("Median, from opening to winning")),
        Column(_("Overdue tasks"), hint=_("Now")),
    ]


def _row(person, n):
    owner, leads, deals = person.pk, n["leads"], n["deals"]
    new, converted = leads.get("n_new", 0), leads.get("n_converted", 0)
    won, closed, money = deals.get("n_won", 0), deals.get("n_closed", 0), deals.get("money") or 0
    cycle = deals.get("cycle")
    return [
        Cell(str(person)),
        Cell(new, "manager_leads", {"of": owner, "measure": "new"}),
        Cell(leads.get("reaction"), "manager_leads", {"of": owner, "measure": "answered"}),
        Cell(n["touches"], "manager_touches", {"of": owner}),
        Cell(converted, "manager_leads", {"of": owner, "measure": "converted"}),
        Cell(ratio(converted, new)),
        Cell(won, "manager_deals", {"of": owner, "measure": "won"}),
        Cell(money, "manager_deals", {"of": owner, "measure": "won"}),
        Cell(round(money / won) if won else None),
        Cell(ratio(won, closed), "manager_deals", {"of": owner, "measure": "closed"}),
        Cell(cycle / 86400 if cycle is not None else None, "manager_deals", {"of": owner, "measure": "won"}),
        Cell(n["overdue"], "manager_tasks", {"of": owner}),
    ]
