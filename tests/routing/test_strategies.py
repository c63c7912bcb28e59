"""Pure strategies of routing."""

from collections import Counter
from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from routing.strategies import (
    ABSENT,
    EVENLY,
    FULL,
    GRADE,
    LOAD,
    LOWER_GRADE,
    NO_SHARE,
    OFF_HOURS,
    PERSON,
    Candidate,
    choose,
)


def deal(people, times, present=None):
    """Deal so many leads; ``present(n)``: who is at work at the n-th. Returns (people with debts, given)."""
    given_to = Counter()
    for n in range(times):
        here = [p if present is None or p.user in present(n) else replace(p, away=OFF_HOURS) for p in people]
        choice = choose(EVENLY, here)
        if choice.receiver is None:
            continue
        assert sum(choice.deltas.values()) == 0
        people = [replace(p, debt=p.debt + choice.deltas.get(p.user, 0)) for p in people]
        given_to[choice.receiver.user] += 1
    return people, given_to


def team(count, weight=1):
    return [Candidate(user, weight=weight) for user in range(1, count + 1)]


@given(count=st.integers(1, 12), times=st.integers(0, 60), weight=st.integers(1, 5))
def test_with_equal_weights_nobody_is_ever_a_whole_lead_ahead_or_behind(count, times, weight):
    people = team(count, weight)
    for _lead in range(times):
        people, _given = deal(people, 1)
        assert max(abs(p.debt) for p in people) <= 1
        assert sum(p.debt for p in people) == 0
    _people, given_to = deal(team(count, weight), times)
    shares = [given_to[p.user] for p in people]
    assert max(shares) - min(shares) <= 1


@given(weights=st.lists(st.integers(1, 6), min_size=1, max_size=6), rounds=st.integers(1, 4))
def test_weights_are_kept_to_the_lead(weights, rounds):
    people = [Candidate(user, weight=weight) for user, weight in enumerate(weights, 1)]
    _people, given_to = deal(people, sum(weights) * rounds)
    assert [given_to[p.user] for p in people] == [weight * rounds for weight in weights]


@given(count=st.integers(2, 6), days=st.lists(st.sets(st.integers(1, 6)), max_size=40))
def test_debts_add_up_to_nothing_whoever_is_away_and_even_out_when_all_are_back(count, days):
    people, _given = deal(team(count), len(days), lambda n: days[n])
    assert sum(p.debt for p in people) == 0
    people, _given = deal(people, count * (count + 1))
    assert max(abs(p.debt) for p in people) <= 1


def test_leave_is_not_booked_and_a_newcomer_starts_at_nothing():
    people = team(3)
    people, _given = deal(people, 9, lambda n: {1, 2})
    assert people[2].debt == 0
    people, given_to = deal([*people, Candidate(4)], 8)
    assert given_to == {1: 2, 2: 2, 3: 2, 4: 2}


def test_who_is_passed_by_is_told_why():
    people = [
        Candidate(1, away=ABSENT), Candidate(2, weight=0), Candidate(3, capacity=5, load=5),
        Candidate(4, load=3, weight=1), Candidate(5, load=4, weight=2),
    ]  # fmt: skip
    choice = choose(LOAD, people)
    assert [c.away for c in choice.candidates] == [ABSENT, NO_SHARE, FULL, "", ""]
    assert choice.receiver.user == 5 and choice.deltas is None


def test_the_highest_grade_at_work_gets_it():
    people = [Candidate(1, grade=4, away=OFF_HOURS), Candidate(2, grade=3), Candidate(3, grade=3)]
    people.append(Candidate(4, grade=1))
    choice = choose(GRADE, people)
    assert [c.away for c in choice.candidates] == [OFF_HOURS, "", "", LOWER_GRADE]
    assert choice.receiver.user == 2 and choice.deltas == {2: Decimal("-0.5"), 3: Decimal("0.5")}


def test_a_named_person_needs_no_share_but_must_be_at_work():
    assert choose(PERSON, [Candidate(1, weight=0)]).receiver.user == 1
    assert choose(PERSON, [Candidate(1, away=OFF_HOURS)]).receiver is None


def test_a_third_of_a_lead_is_not_lost():
    choice = choose(EVENLY, team(3))
    assert choice.deltas == {2: Decimal("0.333333"), 3: Decimal("0.333333"), 1: Decimal("-0.666666")}
