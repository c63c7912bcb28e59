"""Pure rules of scoring."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from scoring.models import Thresholds
from scoring.rules import (
    Have,
    band_of,
    decay_steps,
    engagement_changes,
    fit_changes,
    qualification_of,
    remaining,
)

START = datetime(2026, 3, 1, tzinfo=UTC)
KAZAN = [{"field": "city", "op": "eq", "value": "Казань"}]


def rule(**fields):
    defaults = {"id": 1, "points": 10, "cap": 0, "half_life": 0, "condition": [], "is_active": True}
    return SimpleNamespace(**{**defaults, **fields})


def told(changes):
    return [(change.rule.id, change.points, change.withdraws) for change in changes]


def test_fit_gives_once_and_takes_back_what_no_longer_holds():
    rules = [rule(id=1, condition=KAZAN), rule(id=2, points=-5)]
    assert told(fit_changes(rules, {"city": "казань"}, {})) == [(1, 10, False), (2, -5, False)]
    have = {1: Have(10, 1), 2: Have(-5, 1)}
    assert told(fit_changes(rules, {"city": "КАЗАНЬ"}, have)) == []
    assert told(fit_changes(rules, {"city": "Уфа"}, have)) == [(1, -10, True)]


def test_fit_follows_changed_points_and_rules_that_are_switched_off():
    have = {1: Have(10, 1)}
    assert told(fit_changes([rule(points=14)], {}, have)) == [(1, 4, False)]
    assert told(fit_changes([rule(is_active=False)], {}, have)) == [(1, -10, True)]


def test_engagement_stops_at_its_cap_and_never_counts_an_event_twice():
    rules = [rule(id=1, cap=2), rule(id=2), rule(id=3, condition=KAZAN)]
    have = {1: Have(20, 2), 2: Have(10, 1, here=True)}
    assert told(engagement_changes(rules, {"city": "Уфа"}, have)) == []
    assert told(engagement_changes(rules, {"city": "Казань"}, {1: Have(10, 1)})) == [
        (1, 10, False), (2, 10, False), (3, 10, False),
    ]  # fmt: skip


def test_fifteen_points_fade_by_halves_to_nothing():
    day = timedelta(days=30)
    steps, due = decay_steps(15, START + day, 30, until=START + timedelta(days=365))
    assert steps == [(1, -8, START + day), (2, -4, START + 2 * day), (3, -2, START + 3 * day), (4, -1, START + 4 * day)]
    assert due is None


def test_negative_points_fade_towards_zero_too():
    assert [remaining(-15, n) for n in range(5)] == [-15, -7, -3, -1, 0]


@given(
    points=st.integers(-1000, 1000).filter(bool),
    days=st.integers(1, 60),
    cuts=st.lists(st.integers(0, 2000), max_size=8).map(sorted),
)
def test_however_often_decay_is_rung_the_rows_are_the_same(points, days, cuts):
    first = START + timedelta(days=days)
    whole, _due = decay_steps(points, first, days, until=START + timedelta(days=2000))
    rows, due, step = [], first, 0
    for cut in [*cuts, 2000]:
        more, due = decay_steps(points, due, days, until=START + timedelta(days=cut), step=step)
        rows, step = rows + more, step + len(more)
    assert rows == whole
    left = points + sum(delta for _step, delta, _at in rows)
    assert left == remaining(points, len(rows)) and abs(left) <= abs(points)


def test_bands_and_qualification_begin_at_their_limits():
    limits = Thresholds(warm=30, hot=60, mql=20, sql=80)
    assert [band_of(n, limits) for n in (29, 30, 59, 60)] == ["cold", "warm", "warm", "hot"]
    assert [qualification_of(n, limits) for n in (19, 20, 79, 80)] == [0, 1, 1, 2]
