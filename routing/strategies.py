"""Who of the candidates gets the lead: pure decisions, no database.

Fairness by debt: each lead gives every candidate at work its share (weight ÷ sum of weights) and takes 1 from who
receives it; whoever is owed most is next. The changes of one lead add up to exactly 0. With equal weights and the
same people at work nobody is ever a whole lead ahead or behind; after any absences the debts return there as soon as
all are at work again. Absence is not booked, and who joins starts at 0.
"""

from dataclasses import dataclass, replace
from decimal import ROUND_DOWN, Decimal

UNIT = Decimal("0.000001")
EVENLY, LOAD, SKILL, GRADE, PERSON = "evenly", "load", "skill", "grade", "person"
BOOKED = {EVENLY, SKILL, GRADE}  # strategies that keep a ledger of debts

# Why a candidate is passed by; words for them in routing.words.
OFF_HOURS, ABSENT, LEFT = "off_hours", "absent", "left"
FULL, LOWER_GRADE, NO_SHARE = "full", "lower_grade", "no_share"


@dataclass(frozen=True)
class Candidate:
    user: int
    name: str = ""
    weight: int = 1
    grade: int = 2
    capacity: int = 0
    away: str = ""  # why not now; empty: at work
    debt: Decimal = Decimal(0)
    load: int = 0  # open leads


@dataclass(frozen=True)
class Choice:
    """``receiver`` None: nobody can take it now. ``deltas``: user → change of debt, adding up to 0."""

    candidates: list
    receiver: Candidate | None = None
    deltas: dict | None = None


def choose(strategy, candidates):
    """Pick the receiver; the candidates come back with the reason why each that was passed by was."""
    seen = [_considered(strategy, candidate) for candidate in candidates]
    if strategy == GRADE:
        seen = _highest_grade(seen)
    present = [c for c in seen if not c.away]
    if not present:
        return Choice(seen)
    if strategy == LOAD:
        return Choice(seen, min(present, key=lambda c: (Decimal(c.load) / c.weight, c.load, c.user)))
    if strategy == PERSON:
        return Choice(seen, present[0])
    receiver, deltas = turn(present)
    return Choice(seen, receiver, deltas)


def _considered(strategy, candidate):
    if candidate.away:
        return candidate
    if candidate.weight <= 0 and strategy != PERSON:
        return replace(candidate, away=NO_SHARE)
    if strategy == LOAD and candidate.capacity and candidate.load >= candidate.capacity:
        return replace(candidate, away=FULL)
    return candidate


def _highest_grade(candidates):
    top = max((c.grade for c in candidates if not c.away), default=0)
    return [replace(c, away=LOWER_GRADE) if not c.away and c.grade < top else c for c in candidates]


def turn(present):
    """Whose turn it is by debt, and the changes: (receiver, {user: delta})."""
    whole = sum(c.weight for c in present)
    shares = {c.user: (Decimal(c.weight) / whole).quantize(UNIT, ROUND_DOWN) for c in present}
    receiver = max(present, key=lambda c: (c.debt + shares[c.user], -c.user))
    deltas = {user: share for user, share in shares.items() if user != receiver.user}
    return receiver, deltas | {receiver.user: -sum(deltas.values(), Decimal(0))}
