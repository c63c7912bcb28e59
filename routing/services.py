"""Which colleague gets a lead, and the proof of why.

Locks: the lead first (by whoever calls ``route``; ``deal_pool`` and ``route_many`` take theirs), then the debts of the
rule, in the order of their keys. Every decision is an Assignment with its trace.
"""

from dataclasses import dataclass, field, replace
from datetime import timedelta

from django.db import connection, transaction
from django.db.models import Count, Exists, OuterRef, Q, Sum
from django.urls import reverse
from django.utils import timezone

from crm.core.jobs import enqueue
from crm.core.notices import notify
from crm.core.recent import recent
from leads.conditions import check, facts_of, uses
from leads.models import Assignment, Band, Interaction, Kind, Lead, Status
from leads.services.alarms import heads_of, tell_hot
from leads.services.ownership import assign, assign_many, park
from routing.models import Debt, DebtEntry, Rule
from routing.staff import Staff, staff
from routing.strategies import BOOKED, LOAD, SKILL, choose

How = Assignment.How
CHUNK = 100  # leads of one dealing job
UNDATED = timedelta(minutes=10)  # how often a lead for which nobody is expected is tried again
SHOWN = 40  # candidates written into a trace
PARKED = Assignment.objects.filter(lead=OuterRef("pk"), how=How.NOBODY)  # tried, and nobody was expected


@dataclass(frozen=True)
class Rulebook:
    rules: list  # (rule, keys of its skills), in order
    counts_enquiries: bool


@recent
def rulebook():
    rules = list(Rule.objects.filter(is_active=True).prefetch_related("skills"))
    return Rulebook(
        rules=[(rule, frozenset(skill.pk for skill in rule.skills.all())) for rule in rules],
        counts_enquiries=uses((rule.condition for rule in rules), "enquiries"),
    )


@dataclass
class Decision:
    """What the rules say about one lead, before anything is written."""

    trace: list = field(default_factory=list)
    rule: Rule | None = None
    choice: object = None
    until: object = None  # when somebody comes, where nobody is at work

    @property
    def receiver(self):
        return self.choice.receiver if self.choice else None


# --- one lead --------------------------------------------------------------------------------------------------------
def route(lead, *, interaction=None, how=None, now=None):
    """Give the lead to whom the rules say, or leave it in the pool; the caller holds its lock.

    A lead whose owner works on is left alone (None is returned). A person who comes back goes to the former owner
    named in the interaction, if that one is at work.
    """
    if lead.status != Status.OPEN or (lead.owner_id and lead.owner.is_active):
        return None
    now = now or timezone.now()
    if former := _former_owner(lead, interaction, now):
        return assign(lead, former.user, how=How.RETURN, trace=[_returned(former)])
    decision = decide(lead, now=now)
    if decision.receiver is None:
        return _park(lead, decision)
    return _give(lead, decision, how or How.RULE)


def decide(lead, *, now, dry=False):
    """Try the rules in order; ``dry`` locks nothing (the simulator)."""
    book, people = rulebook(), staff()
    facts = facts_of(lead, enquiries=_enquiries(lead) if book.counts_enquiries else None)
    decision = Decision()
    for rule, skills in book.rules:
        outcome = check(rule.condition, facts)
        if not outcome.holds:
            decision.trace.append(_skipped(rule, outcome))
            continue
        sellers = people.fitting(rule, skills, facts)
        choice = _choose(rule, Staff.candidates(sellers, now), dry=dry)
        decision.trace.append(_matched(rule, choice))
        if choice.receiver is not None:
            decision.rule, decision.choice, decision.until = rule, choice, None
            return decision
        decision.until = decision.until or Staff.next_open(sellers, now)
    return decision


def _choose(rule, candidates, *, dry=False):
    """Bring in what the strategy weighs: debts (locked) or loads."""
    present = [c.user for c in candidates if not c.away]
    if not present:
        return choose(rule.strategy, candidates)
    if rule.strategy in BOOKED:
        debts = _debts(rule, present) if dry else _locked_debts(rule, present)
        candidates = [
            replace(c, debt=debts[c.user]) if c.user in debts else c for c in candidates
        ]
    elif rule.strategy == LOAD:
        loads = open_loads(present)
        candidates = [replace(c, load=loads.get(c.user, 0)) for c in candidates]
    return choose(rule.strategy, candidates)


def _debts(rule, users, *, lock=False):
    rows = Debt.objects.filter(rule=rule, user__in=users)
    if lock:  # in the order of keys, so that two assignments never wait for each other
        rows = rows.select_for_update(no_key=True).order_by("pk")
    return dict(rows.values_list("user_id", "debt"))


def _locked_debts(rule, users):
    debts = _debts(rule, users, lock=True)
    if missing := set(users) - debts.keys():
        Debt.objects.bulk_create([Debt(rule=rule, user_id=user) for user in sorted(missing)], ignore_conflicts=True)
        debts = _debts(rule, users, lock=True)
    return debts


def open_loads(users):
    """Open leads of each user."""
    return dict(
        Lead.objects.open().filter(owner__in=users).values_list("owner").annotate(Count("id")).order_by()
    )


def _enquiries(lead):
    return Interaction.objects.filter(person=lead.person_id, kind__in=[Kind.CAPTURED, Kind.RECAPTURED]).count()


def _former_owner(lead, interaction, now):
    former = interaction.details.get("previous_owner") if interaction else None
    seller = staff().named(former) if former else None
    return seller if seller and seller.work.at_work(now) else None


def _give(lead, decision, how):
    to = staff().named(decision.receiver.user).user
    row = assign(lead, to, how=how, trace=decision.trace)
    if decision.choice.deltas:
        _book(decision.rule, {row.pk: decision.choice.deltas}, {to.pk: 1})
    return row


def _book(rule, entries, given):
    """Write the ledger and bring the counters along, in one statement. ``entries``: assignment → {user: delta}."""
    rows = [(a, user, delta) for a, deltas in entries.items() for user, delta in deltas.items() if delta]
    users = sorted(given)
    sql = """
        with entry as (
          insert into routing_debtentry (rule_id, assignment_id, user_id, delta)
          select %s, * from unnest(%s::bigint[], %s::bigint[], %s::numeric[])
          returning user_id, delta),
        moved as (
          select user_id, sum(delta) as delta, sum(given) as given from (
            select user_id, delta, 0 as given from entry
            union all select user_id, 0, given from unnest(%s::bigint[], %s::int[]) as g(user_id, given)) m
          group by user_id)
        update routing_debt d set debt = d.debt + moved.delta, given = d.given + moved.given
        from moved where d.rule_id = %s and d.user_id = moved.user_id"""
    columns = [list(column) for column in zip(*rows, strict=True)] or [[], [], []]
    with connection.cursor() as cursor:
        cursor.execute(sql, [rule.pk, *columns, users, [given[user] for user in users], rule.pk])


# --- the trace -------------------------------------------------------------------------------------------------------
def _skipped(rule, outcome):
    have = outcome.have if isinstance(outcome.have, str | int | float | list | None) else str(outcome.have)
    return {
        "rule": rule.pk, "name": rule.name, "matched": False, "why": outcome.why, "test": outcome.failed, "have": have,
    }  # fmt: skip


def _matched(rule, choice):
    """The step of a rule whose condition held: who was considered, who was away and why, counters before and after."""
    receiver = choice.receiver
    ranked = sorted(choice.candidates, key=lambda c: (bool(c.away), c is not receiver, c.user))
    return {
        "rule": rule.pk,
        "name": rule.name,
        "matched": True,
        "strategy": rule.strategy,
        "test": rule.condition,
        "given": receiver.user if receiver else None,
        "candidates": [_seen(c, rule, choice) for c in ranked[:SHOWN]],
        "more": max(0, len(ranked) - SHOWN),
    }


def _seen(candidate, rule, choice):
    seen = {"user": candidate.user, "name": candidate.name, "at_work": not candidate.away}
    if candidate.away:
        return seen | {"why": candidate.away}
    if rule.strategy == LOAD:
        gets = int(candidate is choice.receiver)
        return seen | {"before": candidate.load, "after": candidate.load + gets}
    if choice.deltas:
        after = candidate.debt + choice.deltas[candidate.user]
        return seen | {"before": str(candidate.debt), "after": str(after)}
    return seen


def _returned(seller):
    return {"rule": None, "name": "", "matched": True, "strategy": "return", "given": seller.user.pk,
            "candidates": [{"user": seller.user.pk, "name": str(seller.user), "at_work": True}]}  # fmt: skip


# --- the pool --------------------------------------------------------------------------------------------------------
def _park(lead, decision):
    """Into the pool until somebody comes; said again with the same outcome it writes nothing."""
    last = lead.assignments.order_by("-pk").first()
    _enqueue_deal(decision.until)
    if last and last.how == How.NOBODY and lead.parked_until == decision.until:
        return last
    row = park(lead, decision.until, trace=decision.trace)
    if lead.owner_id:  # of somebody who has left: the pool takes it
        Lead.objects.filter(pk=lead.pk).update(owner=None, team=None)
        lead.owner = None
    if decision.until is None:
        for head in heads_of(lead):
            notify(head, "unassigned", url=reverse("leads:card", args=[lead.pk]), lead=lead.pk, name=str(lead))
    return row


def _enqueue_deal(until):
    if until is None:
        enqueue("routing.deal", "undated", due_at=timezone.now() + UNDATED)
    else:
        enqueue("routing.deal", until.isoformat(), due_at=until)


def enqueue_deal():
    """Deal what is due in the pool; for the clock and after a change of rules or people."""
    enqueue("routing.deal", "now")


@transaction.atomic
def deal_pool(*, after=None, now=None, limit=CHUNK):
    """Deal a chunk of the pool's leads that are due, hottest first, among all who are at work.

    A lead for whose rules still nobody is at work goes back with its next time. ``after`` is where the chunk before
    ended, (score, key); returns where this one ended, None when it was the last.
    """
    now = now or timezone.now()
    due = Q(parked_until__lte=now) | Q(parked_until=None) & Exists(PARKED)
    waiting = Lead.objects.open().filter(due, owner=None)
    if after:
        score, pk = after
        waiting = waiting.filter(Q(score__lt=score) | Q(score=score, pk__gt=pk))
    places = list(waiting.order_by("-score", "pk").values_list("score", "pk")[:limit])
    leads = Lead.objects.filter(pk__in=[pk for _score, pk in places], owner=None)
    leads = leads.select_related("source", "first_origin", "stage", "owner", "person")
    for lead in leads.select_for_update(no_key=True, skip_locked=True, of=("self",)).order_by("-score", "pk"):
        row = route(lead, how=How.POOL, now=now)
        if row and row.to_owner_id and lead.band == Band.HOT:
            tell_hot(lead)
    return places[-1] if len(places) == limit else None


# --- sets ------------------------------------------------------------------------------------------------------------
@transaction.atomic
def route_many(leads, *, how=How.IMPORT, now=None):
    """Give owners to many leads at once (a queryset of at most some thousands), as an imported list wants it.

    Hours do not matter, leave does; open leads without an owner only. Debts are locked once and carried in memory;
    each rule books one net entry a person, on the last of its assignments. Returns the assignments.
    """
    now, book, people = now or timezone.now(), rulebook(), staff()
    leads = list(
        leads.filter(status=Status.OPEN, owner=None)
        .select_for_update(no_key=True, of=("self",))
        .select_related("source", "first_origin", "stage")
        .order_by("pk")
    )
    hands = {rule.pk: _Hand(rule, skills, people, now) for rule, skills in book.rules}
    given = []  # (lead, seller, trace, hand)
    for lead in leads:
        facts = facts_of(lead, enquiries=_enquiries(lead) if book.counts_enquiries else None)
        trace = []
        for rule, _skills in book.rules:
            outcome = check(rule.condition, facts)
            if not outcome.holds:
                trace.append(_skipped(rule, outcome))
                continue
            choice = hands[rule.pk].next(facts)
            trace.append(_matched(rule, choice) | {"candidates": [_seen(choice.receiver, rule, choice)]}
                         if choice.receiver else _matched(rule, choice))
            if choice.receiver:
                given.append((lead, people.named(choice.receiver.user).user, trace, hands[rule.pk]))
                break
    rows = assign_many([g[0] for g in given], [g[1] for g in given], how=how, traces=[g[2] for g in given])
    for hand in hands.values():
        hand.book([row for row, g in zip(rows, given, strict=True) if g[3] is hand])
    return rows


class _Hand:
    """One rule dealing many leads: its candidates with their counters, locked once and carried along in memory."""

    def __init__(self, rule, skills, people, now):
        self.rule, self.skills, self.people, self.now = rule, skills, people, now
        self.known = {}  # user → Candidate with counters as they stand
        self.asked = {}  # who fits, by what the answer depends on
        self.deltas, self.given = {}, {}

    def next(self, facts):
        """The choice for the next lead, and the counters moved on."""
        key = facts.get("product") if self.rule.strategy == SKILL and not self.skills else None
        if key not in self.asked:
            sellers = self.people.fitting(self.rule, self.skills, facts)
            fitting = Staff.candidates(sellers, self.now, any_hour=True)
            self._learn([c for c in fitting if c.user not in self.known])
            self.asked[key] = [c.user for c in fitting]
        choice = choose(self.rule.strategy, [self.known[user] for user in self.asked[key]])
        if choice.receiver:
            self._move(choice)
        return choice

    def _learn(self, candidates):
        present = [c.user for c in candidates if not c.away]
        debts = _locked_debts(self.rule, present) if present and self.rule.strategy in BOOKED else {}
        loads = open_loads(present) if present and self.rule.strategy == LOAD else {}
        for c in candidates:
            self.known[c.user] = replace(c, debt=debts.get(c.user, c.debt), load=loads.get(c.user, 0))

    def _move(self, choice):
        to = choice.receiver.user
        self.known[to] = replace(self.known[to], load=self.known[to].load + 1)
        for user, delta in (choice.deltas or {}).items():
            self.known[user] = replace(self.known[user], debt=self.known[user].debt + delta)
            self.deltas[user] = self.deltas.get(user, 0) + delta
        if choice.deltas:
            self.given[to] = self.given.get(to, 0) + 1

    def book(self, rows):
        if rows and self.given:
            _book(self.rule, {rows[-1].pk: self.deltas}, self.given)


# --- proof -----------------------------------------------------------------------------------------------------------
def recount_debts():
    """How many counters differ from their ledger, plus rules whose debts do not add up to 0 (0 is right)."""
    booked = {
        (rule, user): total
        for rule, user, total in DebtEntry.objects.values_list("rule", "user").annotate(Sum("delta")).order_by()
    }
    kept = {(rule, user): debt for rule, user, debt in Debt.objects.values_list("rule", "user", "debt")}
    wrong = sum(booked.get(key, 0) != kept.get(key, 0) for key in booked.keys() | kept.keys())
    return wrong + Debt.objects.values("rule").annotate(sum=Sum("debt")).exclude(sum=0).count()
