"""What a number's rows are called: the words that it has in its report, and the report to go back to."""

from datetime import date

from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from analytics.reports import managers
from analytics.scope import DB
from crm.core.models import Stage
from crm.core.templatetags import ui
from leads.models import Origin

REPORT_OF = {
    "leads": "funnel", "funnel_lead": "funnel", "funnel_deal": "funnel", "funnel_won": "funnel",
    "source": "sources", "source_deals": "sources", "new_leads": "leads", "pipeline": "pipeline",
    "forecast": "forecast", "manager_leads": "managers", "manager_deals": "managers", "manager_touches": "managers",
    "manager_tasks": "managers", "left_out": "forecast",
}  # fmt: skip


def _measures():
    """(cell, what it counts) → the name of the column."""
    words = {
        ("leads", ""): _("Enquiries"), ("funnel_won", ""): _("Won deals"), ("source_deals", ""): _("Won sum"),
        ("new_leads", ""): _("New leads"), ("pipeline", ""): _("Open deals"), ("forecast", ""): _("Forecast"),
        ("manager_touches", ""): _("Touches"), ("manager_tasks", ""): _("Overdue tasks"),
        ("source", "all"): _("Leads"), ("source", "answered"): _("Answered"), ("source", "mql"): "MQL",
        ("source", "converted"): _("Converted"), ("source", "rejected"): pgettext("leads", "Rejected"), ("source", "won"): _("Won deals"),
        ("manager_leads", "new"): _("New leads"), ("manager_leads", "converted"): _("Converted"),
        ("manager_leads", "answered"): _("Answered"), ("manager_deals", "won"): _("Won deals"),
        ("manager_deals", "lost"): _("Lost deals"), ("manager_deals", "closed"): _("Closed deals"),
        ("left_out", "dateless"): _("No expected close date"), ("left_out", "passed"): _("Expected earlier"),
    }  # fmt: skip
    columns = {
        "entered": _("Entered"), "moved_on": _("Moved on"), "lost": pgettext("funnel", "Lost"),
        "here": _("Still here"), "skipped": _("Skipped"), "returned": _("Returned"),
    }  # fmt: skip
    return words | {(cell, key): word for cell in ("funnel_lead", "funnel_deal") for key, word in columns.items()}


LINE = {"funnel_lead": "stage", "funnel_deal": "stage", "pipeline": "stage", "new_leads": "day", "forecast": "month"}


def _name(rows, key):
    row = rows.using(DB).filter(pk=key).first() if key.isdecimal() else None
    return str(row) if row else ""


def _line(cell, scope, args):
    """The line of the report in which the number stands; "" for its total."""
    name = LINE.get(cell, "of")
    if not args.get(name):
        return ""
    if name in ("day", "month"):
        return (ui.day if name == "day" else ui.month)(date.fromisoformat(args[name]))
    if name == "stage":
        return _name(Stage.objects, args[name])
    if cell.startswith("source"):
        return _name(Origin.objects, args[name]) or _("not known")
    return _name(managers.people(scope), args[name])


def told(cell, scope, args):
    """The number in words, from the widest to the narrowest; to be asked when ``cells.rows`` has taken the arguments."""
    column = _measures().get((cell, args.get("cell") or args.get("measure") or ""), "")
    narrowed = [str(part) for part in (scope.team, scope.owner, scope.origin) if part]
    return " · ".join(dict.fromkeys(filter(None, [column, _line(cell, scope, args), *narrowed])))
