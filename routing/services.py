"""Which colleague gets a lead, and the proof of why.

Locks: the lead first (by whoever calls ``route``; ``deal_pool`` and ``route_many`` take theirs), then the debts of the
rule, in the order of their keys. Every decision is an Assignment with its trace.
"""

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal

from django.db import connection, transaction
from django.db.models import Count, Exists, OuterRef, Q, Sum
from django.urls import reverse
from django.utils import timezone

from crm.core.copying import vouched
from crm.core.jobs import enqueue
from crm.core.models import User
from crm.core.notices import notify
from crm.core.recent import recent
from leads.conditions import Remembered, check, facts_of, uses
from leads.models import Assignment, Band, Interaction, Kind, Lead, Status
from leads.services.alarms import heads_of, tell_hot
from leads.services.ownership import assign, assign_many, book_assignments, park
from routing.models import Debt, DebtEntry, Rule
from routing.staff import Staff, staff
from routing.strategies import BOOKED, LEFT, LOAD, SKILL, Choice, choose

How = Assignment.How
MILLION = 1_000_000
CHUNK = 100  # leads of one dealing job
UNDATED = timedelta(minutes=10)  # how often a lead for which nobody is expected is tried again
ENQUIRIES = [Kind.CAPTURED, Kind.RECAPTURED]
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
        debts = _debts(rule, present) if dry else _all_debts(rule, present)
        candidates = [c if c.away else _indebted(c, debts) for c in candidates]
    elif rule.strategy == LOAD:
        loads = open_loads(present)
        candidates = [replace(c, load=loads.get(c.user, 0)) for c in candidates]
    return choose(rule.strategy, candidates)


def _debts(rule, users, *, lock=False):
    """{user: debt}, or None for whoever has left or stopped taking leads since the staff was read."""
    rows = Debt.objects.filter(rule=rule, user__in=users)
    if lock:  # in the order of keys, so that two assignments never wait for each other
        rows = rows.select_for_update(no_key=True, of=("self",)).order_by("pk")
    found = rows.values_list("user_id", "debt", "user__is_active", "user__takes_leads")
    return {user: debt if active and takes else None for user, debt, active, takes in found}


def _all_debts(rule, users):
    """The debts of the users, locked; made where somebody has none."""
    debts = _debts(rule, users, lock=True)
    if missing := set(users) - debts.keys():
        Debt.objects.bulk_create([Debt(rule=rule, user_id=user) for user in sorted(missing)], ignore_conflicts=True)
        debts = _debts(rule, users, lock=True)
    return debts


def _indebted(candidate, debts):
    debt = debts.get(candidate.user, 0)
    return replace(candidate, away=LEFT) if debt is None else replace(candidate, debt=Decimal(debt))


def open_loads(users):
    """Open leads of each user."""
    return dict(Lead.objects.open().filter(owner__in=users).values_list("owner").annotate(Count("id")).order_by())


def _enquiries(lead):
    return Interaction.objects.filter(person=lead.person_id, kind__in=ENQUIRIES).count()


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


def enqueue_deal(why="now"):
    """Deal what is due in the pool; for the clock, and after a change of rules or people."""
    enqueue("routing.deal", why)


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
    given, owners, hands = _deal_all(leads, book, people, now)
    rows = assign_many([g[0] for g in given], owners, how=how, traces=[g[2] for g in given])
    _book_hands(hands, given, [row.pk for row in rows])
    return rows


def deal_new(leads, *, how=How.IMPORT, now=None):
    """Give owners to leads of a list that have keys and are about to be written, as ``route_many`` would.

    Returns what is to be called last in the transaction: it books the assignments and the debts.
    """
    now = now or timezone.now()
    given, owners, hands = _deal_all(leads, rulebook(), staff(), now)
    for (lead, *_rest), owner in zip(given, owners, strict=True):
        lead.owner_id, lead.team_id, lead.assigned_at = owner.pk, owner.team_id, now

    def written():
        for lead, *_rest in given:
            lead.owner_id = None  # whose it was before
        with vouched({User: {owner.pk for owner in owners}}):  # the leads are of this transaction
            made = book_assignments([g[0] for g in given], owners, how=how, traces=[g[2] for g in given])
        # Live enquiries wait for the debts: what the commit would check is checked before these are locked.
        connection.check_constraints()
        _book_hands(hands, given, made)

    return written


def _deal_all(leads, book, people, now):
    """([(lead, user, trace, hand)] of those who get an owner, the owners, the hands that dealt)."""
    hands = {rule.pk: _Hand(rule, skills, people, now) for rule, skills in book.rules}
    enquiries = _enquiries_of(leads) if book.counts_enquiries else {}
    given, ask = [], Remembered().check
    for lead in leads:
        facts = facts_of(lead, enquiries=enquiries.get(lead.person_id, 0) if book.counts_enquiries else None)
        if taken := _deal_one(facts, book, hands, ask):
            given.append((lead, *taken))
    return given, [people.named(user).user for _lead, user, _trace, _hand in given], hands


def _book_hands(hands, given, made):
    last = {hand.rule.pk: pk for pk, (_lead, _user, _trace, hand) in zip(made, given, strict=True)}
    for pk in sorted(hands):
        hands[pk].book(last.get(pk))


def _enquiries_of(leads):
    people = Interaction.objects.filter(person__in=[lead.person_id for lead in leads], kind__in=ENQUIRIES)
    return dict(people.values_list("person").annotate(Count("id")).order_by())


def _deal_one(facts, book, hands, ask):
    """(receiver's key, trace, the hand that dealt it) for one lead of many; None where no rule has anybody."""
    trace = []
    for rule, _skills in book.rules:
        outcome = ask(rule.condition, facts)
        if not outcome.holds:
            trace.append(_skipped(rule, outcome))
            continue
        user, step = hands[rule.pk].next(facts)
        trace.append(step)
        if user:
            return user, trace, hands[rule.pk]
    return None


class _Hand:
    """One rule dealing many leads: counters read once and carried along in memory, in millionths of a lead.

    They are not locked meanwhile, for a live enquiry must not wait for a list: what others dealt in that second is
    kept, as only changes are booked.
    """

    def __init__(self, rule, skills, people, now):
        self.rule, self.skills, self.people, self.now = rule, skills, people, now
        self.names, self.counters, self.before = {}, {}, {}  # by user
        self.asked = {}  # [(user, share or weight)] by what the answer depends on
        self.given = Counter()

    def next(self, facts):
        """(receiver's key or None, step of the trace); the counters move on."""
        key = facts.get("product") if self.rule.strategy == SKILL and not self.skills else None
        if key not in self.asked:
            self.asked[key] = self._ask(facts)
        present = self._free(self.asked[key])
        if not present:
            return None, _matched(self.rule, Choice([]))
        user, before = self._take(present)
        self.given[user] += 1
        step = _matched(self.rule, Choice([]))
        seen = {"user": user, "name": self.names[user], "at_work": True}
        if before is not None:
            seen |= {"before": self._shown(before), "after": self._shown(self.counters[user])}
        return user, step | {"given": user, "candidates": [seen], "more": len(present) - 1}

    def _ask(self, facts):
        """Who is there for such a lead, with the share (ledger) or the weight (load) of each."""
        sellers = self.people.fitting(self.rule, self.skills, facts)
        choice = choose(self.rule.strategy, Staff.candidates(sellers, self.now, any_hour=True))
        present = [c for c in choice.candidates if not c.away]
        self.names |= {c.user: c.name for c in present}
        users = [c.user for c in present if c.user not in self.counters]
        if self.rule.strategy == LOAD:
            loads = open_loads(users)
            self.counters |= {user: loads.get(user, 0) for user in users}
            return [(c.user, (c.weight, c.capacity)) for c in present]
        if self.rule.strategy in BOOKED and present:
            debts = _debts(self.rule, users) if users else {}
            self.counters |= {user: int((debts.get(user) or 0) * MILLION) for user in users}
            self.before |= {user: self.counters[user] for user in users}
            whole = sum(c.weight for c in present)
            return [(c.user, c.weight * MILLION // whole) for c in present]
        return [(c.user, None) for c in present]

    def _free(self, present):
        """Without those whose capacity is used up, where the rule goes by load."""
        if self.rule.strategy != LOAD:
            return present
        return [(user, (weight, most)) for user, (weight, most) in present if not most or self.counters[user] < most]

    def _take(self, present):
        """(receiver, its counter before); the same decisions as ``strategies.choose``, over plain integers."""
        counters = self.counters
        if self.rule.strategy == LOAD:
            user = min(present, key=lambda p: (counters[p[0]] / p[1][0], counters[p[0]], p[0]))[0]
            counters[user] += 1
            return user, counters[user] - 1
        if self.rule.strategy not in BOOKED:
            return present[0][0], None
        user = max(present, key=lambda p: (counters[p[0]] + p[1], -p[0]))[0]
        before, others = counters[user], 0
        for other, share in present:
            if other != user:
                counters[other] += share
                others += share
        counters[user] -= others  # exactly what the others were given: the sum stays 0
        return user, before

    def _shown(self, counter):
        return counter if self.rule.strategy == LOAD else f"{counter / MILLION:.6f}"

    def book(self, assignment):
        """One net entry a person, on the last assignment of the rule; the debts are locked from here to the commit."""
        if assignment is None or self.rule.strategy not in BOOKED:
            return
        moved = {user: Decimal(self.counters[user] - before) / MILLION for user, before in self.before.items()}
        _all_debts(self.rule, moved)
        _book(self.rule, {assignment: moved}, self.given)


def take_back(leads):
    """Take the assignments of leads of a list out of the ledger; the leads are about to go.

    Returns what is to be called last in the transaction: it brings the counters along.
    """
    sql = """
        with gone as (select id, to_owner_id, (trace->-1->>'rule')::bigint as rule from leads_assignment
                      where lead_id = any(%s)),
        entry as (delete from routing_debtentry where assignment_id in (select id from gone)
                  returning rule_id, user_id, delta)
        select rule, user_id, sum(delta), sum(given)::int from (
          select rule_id as rule, user_id, delta, 0 as given from entry
          union all select rule, to_owner_id, 0, 1 from gone where to_owner_id is not null) m
        group by rule, user_id"""
    with connection.cursor() as cursor:
        cursor.execute(sql, [list(leads)])
        moved = [row for row in cursor.fetchall() if row[0] is not None]

    def close():
        rules = Debt.objects.filter(rule__in={row[0] for row in moved})
        list(rules.select_for_update(no_key=True).order_by("pk").values_list("pk"))
        with connection.cursor() as cursor:
            cursor.execute(
                """update routing_debt d set debt = d.debt - m.delta, given = greatest(0, d.given - m.given)
                   from unnest(%s::bigint[], %s::bigint[], %s::numeric[], %s::int[]) as m(rule, usr, delta, given)
                   where d.rule_id = m.rule and d.user_id = m.usr""",
                [list(column) for column in zip(*moved, strict=True)] or [[], [], [], []],
            )
        rules.filter(debt=0, given=0).delete()

    return close


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
