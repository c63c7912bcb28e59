"""Which points a lead gets: pure decisions over rules, facts and what was given before; no database.

A rule is anything with the attributes of ``scoring.models.Rule``. Fit rules give their points once, for as long as
their condition holds; engagement rules give them for each interaction they listen to, at most ``cap`` times.

Decay: ``n`` half-lives after the event ``|points| >> n`` points are left (halved each time, rounded towards zero), so
15 points with a half-life of 30 days are 15, 7, 3, 1 and, after 120 days, 0.
"""

from dataclasses import dataclass
from datetime import timedelta

from leads.conditions import asked_of, check

FIT, ENGAGEMENT = "fit", "engagement"


@dataclass(frozen=True)
class Have:
    """What a lead has of one rule so far."""

    total: int = 0  # the sum of all rows of the rule
    times: int = 0  # how often points were given
    here: bool = False  # already given for the interaction that is being looked at


@dataclass(frozen=True)
class Change:
    """A row to be added."""

    rule: object
    points: int
    why: str  # see leads.conditions.reworded
    withdraws: bool = False


def fit_changes(rules, facts, have):
    """Rows that bring each fit rule from what the lead has to what it deserves now.

    ``have``: rule id → Have. Rules that are off deserve nothing.
    """
    changes = []
    for rule in rules:
        outcome = check(rule.condition, facts)
        deserved = rule.points if rule.is_active and outcome.holds else 0
        missing = deserved - (have[rule.id].total if rule.id in have else 0)
        if missing:
            changes.append(Change(rule, missing, outcome.stored, withdraws=deserved == 0))
    return changes


def fit_of_new(rules):
    """A function from facts to the fit changes of a lead that has nothing yet; for many leads in one go.

    What was worked out once for the same values is not worked out again.
    """
    rules, known = [rule for rule in rules if rule.is_active], {}
    conditions = [rule.condition for rule in rules]

    def changes(facts):
        asked = asked_of(conditions, facts)
        if asked is None:
            return fit_changes(rules, facts, {})
        if asked not in known:
            known[asked] = fit_changes(rules, facts, {})
        return known[asked]

    return changes


def engagement_changes(rules, facts, have):
    """Rows for one interaction, whose own facts (page address, call result, text) are among ``facts``."""
    changes = []
    for rule in rules:
        had = have.get(rule.id, Have())
        if had.here or (rule.cap and had.times >= rule.cap):
            continue
        outcome = check(rule.condition, facts)
        if outcome.holds:
            changes.append(Change(rule, rule.points, outcome.stored))
    return changes


def event_facts(details, text=""):
    """The facts of one interaction."""
    return {"url": details.get("url", ""), "result": details.get("result", ""), "text": text}


def remaining(points, steps):
    """What is left of the points after so many half-lives."""
    left = abs(points) >> min(steps, 64)
    return left if points >= 0 else -left


def first_decay(points, at, half_life):
    """When the points lose their first half; None when they never do."""
    return at + timedelta(days=half_life) if half_life and points else None


def decay_steps(points, due, half_life, *, until, step=0):
    """Steps due by ``until`` after ``step`` ones already written, the next of which falls due at ``due``.

    Returns ([(step, change of points, instant)], the instant of the step after them or None when nothing is left).
    A half-life that was changed meanwhile counts from the next step on.
    """
    rows = []
    while due is not None and due <= until:
        step += 1
        rows.append((step, remaining(points, step) - remaining(points, step - 1), due))
        due = due + timedelta(days=half_life) if half_life and remaining(points, step) else None
    return rows, due


def band_of(score, thresholds):
    if score >= thresholds.hot:
        return "hot"
    return "warm" if score >= thresholds.warm else "cold"


def qualification_of(score, thresholds):
    """0 none, 1 MQL, 2 SQL."""
    if score >= thresholds.sql:
        return 2
    return 1 if score >= thresholds.mql else 0
