"""A stored trace in the reader's language."""

from decimal import Decimal

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext_lazy

from leads.conditions import all_in_words, failure_in_words
from routing import strategies
from routing.models import Rule, thousandths

AWAY = {
    strategies.OFF_HOURS: pgettext_lazy("why not", "not at work at that hour"),
    strategies.ABSENT: pgettext_lazy("why not", "on leave"),
    strategies.LEFT: pgettext_lazy("why not", "takes no leads any more"),
    strategies.FULL: pgettext_lazy("why not", "has as many open leads as capacity allows"),
    strategies.LOWER_GRADE: pgettext_lazy("why not", "somebody of a higher grade is at work"),
    strategies.NO_SHARE: pgettext_lazy("why not", "share is 0"),
}
ABSENT_SHOWN = 5  # more people who could not take it are folded away
COUNTERS = {strategies.LOAD: gettext_lazy("open leads")}


def step(entry):
    """One rule of a trace as a dict for the template."""
    rows = [_candidate(row, entry) for row in entry.get("candidates", ())]
    absent = [row for row in rows if row["away"]]
    more = entry.get("more", 0)
    absent = absent if len(absent) + more > ABSENT_SHOWN else []
    shown = {
        "name": entry.get("name"),
        "matched": entry.get("matched"),
        "given": entry.get("given"),
        "strategy": dict(Rule.Strategy.choices).get(entry.get("strategy"), ""),
        "counter": COUNTERS.get(entry.get("strategy"), gettext_lazy("owed, leads")),
        "candidates": [row for row in rows if not (absent and row["away"])],
        "absent": absent,
        "absent_count": len(absent) + more,  # who is not listed stands behind those: away as well
        "more": more,
    }
    return shown | {"why": _why(entry)}


def _why(entry):
    if entry.get("strategy") == "return":
        return _("The client had this owner before.")
    if not entry.get("matched"):
        return failure_in_words(entry["test"], entry.get("have")) if entry.get("test") else entry.get("why", "")
    condition = all_in_words(entry.get("test") or [])
    if entry.get("given"):
        return condition
    candidates = len(entry.get("candidates", ())) + entry.get("more", 0)
    if not candidates:
        return _("%(condition)s — but nobody fits the rule") % {"condition": condition}
    return ngettext(
        "%(condition)s — but the %(n)s person who fits could not take it",
        "%(condition)s — but none of the %(n)s people who fit could take it",
        candidates,
    ) % {"condition": condition, "n": candidates}


def _candidate(row, entry):
    return row | {
        "chosen": row["user"] == entry.get("given"),
        "away": AWAY.get(row.get("why"), row.get("why", "")),
        "before": _number(row.get("before")),
        "after": _number(row.get("after")),
    }


def _number(value):
    """Debts in thousandths, with a sign; loads as they are; None where the strategy counts nothing."""
    if not isinstance(value, str):
        return value
    debt = Decimal(value)
    sign = "+" if debt >= 0 else "−"
    return f"{sign}{thousandths(abs(debt))}"
