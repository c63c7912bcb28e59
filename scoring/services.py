"""Scores: evidence rows are added, the lead's numbers follow in the same transaction.

Whoever calls ``rescore`` holds the lead's lock; the set-based verbs lock the leads themselves, in the order of their
keys. So ``Lead.score`` is the sum of the evidence rows at every commit.
"""

import json
from collections import defaultdict
from dataclasses import dataclass, field, replace

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, transaction
from django.db.models import Count, F, Max, Q, Sum
from django.utils import timezone

from crm.core.copying import blank, copy_in, copy_objects, vouched
from crm.core.jobs import enqueue
from crm.core.recent import recent
from leads.conditions import facts_of, uses
from leads.models import Interaction, Kind, Lead
from leads.services.timeline import record_many
from scoring.models import Evidence, Rescoring, Rule, Thresholds
from scoring.rules import (
    ENGAGEMENT,
    FIT,
    Change,
    Have,
    band_of,
    decay_steps,
    engagement_changes,
    event_facts,
    first_decay,
    fit_changes,
    fit_of_new,
    qualification_of,
)

CHUNK = 500  # leads, or decaying rows, of one job
FEW = 50  # rows: from here on COPY is quicker
ENQUIRIES = [Kind.CAPTURED, Kind.RECAPTURED]


@dataclass(frozen=True)
class Rulebook:
    rules: list
    fit: list  # the switched-off ones too: what they gave is taken back
    on: dict  # kind of interaction → engagement rules
    thresholds: Thresholds
    counts_enquiries: bool


@dataclass
class Sheet:
    """What a lead has so far."""

    have: dict = field(default_factory=dict)  # rule id → Have
    fit: int = 0
    engagement: int = 0

    @property
    def score(self):
        return self.fit + self.engagement

    def add(self, kind, points):
        setattr(self, kind, getattr(self, kind) + points)


@recent
def rulebook():
    """The rules and thresholds in force."""
    rules = list(Rule.objects.all())
    on = defaultdict(list)
    for rule in rules:
        if rule.kind == ENGAGEMENT and rule.is_active:
            for kind in rule.on:
                on[kind].append(rule)
    return Rulebook(
        rules=rules,
        fit=[rule for rule in rules if rule.kind == FIT],
        on=dict(on),
        thresholds=thresholds(),
        counts_enquiries=uses((rule.condition for rule in rules if rule.is_active), "enquiries"),
    )


def thresholds():
    """The one row of limits; the defaults where nobody has set it."""
    return Thresholds.objects.filter(pk=1).first() or Thresholds(pk=1)


# --- one lead, one interaction ---------------------------------------------------------------------------------------
def rescore(lead, interaction=None):
    """Add what the rules give for the lead as it is now and, once, for the interaction; the caller holds the lock.

    Said twice for the same interaction it adds nothing. Returns the new evidence.
    """
    book = rulebook()
    sheet = Sheet() if _untouched(lead, interaction) else _sheets([lead], interaction)[lead.pk]
    facts = facts_of(lead, enquiries=_enquiries([lead])[lead.pk] if book.counts_enquiries else None)
    rows = [_row(lead, change, interaction) for change in fit_changes(book.fit, facts, sheet.have)]
    if interaction is not None and (listening := book.on.get(interaction.kind)):
        facts |= event_facts(interaction.details, interaction.text)
        given = engagement_changes(listening, facts, sheet.have)
        rows += [_row(lead, change, interaction) for change in given]
    _book(rows, {lead.pk: sheet})
    _settle([lead], {lead.pk: sheet}, book.thresholds, cause=interaction)
    return rows


def _untouched(lead, interaction):
    """A lead that has just come: nothing has been given yet, so there is nothing to read."""
    return interaction is not None and interaction.kind == Kind.CAPTURED and not (lead.fit or lead.engagement)


def _sheets(leads, interaction=None):
    here = Q(interaction=interaction, step=0, withdraws=False) if interaction else Q(pk=None)
    sums = (
        Evidence.objects.filter(lead__in=leads)
        .values_list("lead_id", "rule_id", "kind")
        .annotate(
            total=Sum("points"),
            times=Count("id", filter=Q(step=0, withdraws=False)),
            here=Count("id", filter=here),
        )
        .order_by()
    )
    sheets = {lead.pk: Sheet() for lead in leads}
    for lead, rule, kind, total, times, again in sums:
        sheets[lead].have[rule] = Have(total, times, bool(again))
        sheets[lead].add(kind, total)
    return sheets


def _enquiries(leads):
    """How often each lead's person has asked for something."""
    people = dict(
        Interaction.objects.filter(person__in={lead.person_id for lead in leads}, kind__in=ENQUIRIES)
        .values_list("person")
        .annotate(times=Count("id"))
        .order_by()
    )
    return {lead.pk: people.get(lead.person_id, 0) for lead in leads}


def _row(lead, change, interaction):
    rule, at = change.rule, interaction.at if interaction else timezone.now()
    decays = rule.kind == ENGAGEMENT and not change.withdraws
    return Evidence(
        lead=lead,
        rule_id=rule.pk,
        kind=rule.kind,
        interaction=interaction,
        points=change.points,
        withdraws=change.withdraws,
        why=change.why,
        at=at,
        decays_at=first_decay(change.points, at, rule.half_life) if decays else None,
    )


def _book(rows, sheets):
    """Write the evidence and add it to the sheets of its leads."""
    Evidence.objects.bulk_create(rows) if len(rows) < FEW else copy_objects(rows)
    for row in rows:
        sheets[row.lead_id].add(row.kind, row.points)


def _settle(leads, sheets, limits, *, cause=None):
    """Bring the leads' columns to their sheets and record each change of band and qualification; returns a count."""
    changed, events = _apply(leads, sheets, limits, cause)
    _write(changed)
    if events:
        record_many(events)
    return len(changed)


def _apply(leads, sheets, limits, cause=None):
    """Bring the leads, not yet their rows, to their sheets; returns (leads changed, timeline rows to write).

    Qualification only rises: marketing has handed the lead over, and points that fade do not undo that.
    """
    now, changed, events = timezone.now(), [], []
    for lead in leads:
        sheet = sheets[lead.pk]
        band = band_of(sheet.score, limits)
        level = max(lead.qualification, qualification_of(sheet.score, limits))
        if (lead.score, lead.fit, lead.engagement, lead.band, lead.qualification) == (
            sheet.score, sheet.fit, sheet.engagement, band, level,
        ):  # fmt: skip
            continue
        events += _events(lead, sheet, band, level, cause)
        lead.score, lead.fit, lead.engagement, lead.band = sheet.score, sheet.fit, sheet.engagement, band
        lead.mql_at = lead.mql_at or (now if level >= 1 else None)
        lead.sql_at = lead.sql_at or (now if level >= 2 else None)
        lead.qualification = level
        changed.append(lead)
    return changed, events


def _events(lead, sheet, band, level, cause):
    """Timeline rows of the change; ``cause`` lets the alarm of a hot lead be rung for the one event that made it so."""
    common = {"score": sheet.score, "cause": cause.pk if cause else None}
    rows = []
    if band != lead.band:
        rows.append((Kind.BAND_CHANGED, {"from": lead.band, "to": band}))
    if level != lead.qualification:
        rows.append((Kind.QUALIFIED, {"from": lead.qualification, "to": level}))
    return [
        Interaction(lead_id=lead.pk, person_id=lead.person_id, kind=kind, details=details | common)
        for kind, details in rows
    ]


def _write(leads):
    """One statement for one lead or a thousand."""
    if not leads:
        return
    sql = """
        update leads_lead l set score = n.score, fit = n.fit, engagement = n.engagement, band = n.band,
          qualification = n.qualification, mql_at = n.mql_at, sql_at = n.sql_at
        from unnest(%s::bigint[], %s::int[], %s::int[], %s::int[], %s::text[], %s::int[], %s::timestamptz[],
                    %s::timestamptz[]) as n(id, score, fit, engagement, band, qualification, mql_at, sql_at)
        where l.id = n.id"""
    names = ["pk", "score", "fit", "engagement", "band", "qualification", "mql_at", "sql_at"]
    with connection.cursor() as cursor:
        cursor.execute(sql, [[getattr(lead, name) for lead in leads] for name in names])


# --- sets ------------------------------------------------------------------------------------------------------------
def _locked(leads):
    return list(
        leads.select_for_update(no_key=True, of=("self",))
        .select_related("source", "first_origin", "stage", "owner")
        .order_by("pk")
    )


@transaction.atomic
def rescore_many(leads):
    """Apply the rules to a set of leads (a queryset of at most some thousands) and to all that ever happened to them.

    For imports and after a change of rules: past events get the points of rules that did not exist then, fit is
    brought up to date, switched-off rules lose what they gave. Nobody is alarmed. Returns how many scores changed.
    """
    book, leads = rulebook(), _locked(leads)
    sheets = _sheets(leads)
    facts = _facts(leads, book)
    rows = _withdrawn(leads, sheets, book)
    for lead in leads:
        rows += [_row(lead, change, None) for change in fit_changes(book.fit, facts[lead.pk], sheets[lead.pk].have)]
    rows += _replayed(leads, sheets, facts, book)
    _book(rows, sheets)
    return _settle(leads, sheets, book.thresholds)


NUMBERS = ("score", "fit", "engagement", "band", "qualification", "mql_at", "sql_at")


@transaction.atomic
def rescore_noted(keys):
    """``rescore_many`` for leads that a list has completed; returns lead → what ``take_back`` needs to undo it."""
    if not keys:
        return {}
    leads, written = Lead.objects.filter(pk__in=keys), {"evidence": Evidence, "events": Interaction}
    before = {lead: dict(zip(NUMBERS, numbers, strict=True)) for lead, *numbers in _numbers(leads)}
    last = {name: model.objects.aggregate(last=Max("pk"))["last"] or 0 for name, model in written.items()}
    rescore_many(leads)
    after = {lead: dict(zip(NUMBERS, numbers, strict=True)) for lead, *numbers in _numbers(leads)}
    notes = {}
    for lead, had in before.items():  # what stayed is not noted: JSON would cut the microseconds off its times
        if moved := [name for name in NUMBERS if had[name] != after[lead][name]]:
            notes[lead] = {"score": [{name: of[name] for name in moved} for of in (had, after[lead])]}
    for name, model in written.items():
        rows = model.objects.filter(lead__in=keys, pk__gt=last[name])
        rows = rows.filter(kind__in=[Kind.BAND_CHANGED, Kind.QUALIFIED]) if model is Interaction else rows
        for lead, pk in rows.values_list("lead_id", "pk"):
            notes.setdefault(lead, {}).setdefault(name, []).append(pk)
    return notes


def _numbers(leads):
    return leads.values_list("pk", *NUMBERS)


@transaction.atomic
def take_back(notes):
    """Undo ``rescore_noted`` for leads, locked by the caller, whose fields have been restored; ``notes``: by lead.

    Where the score has moved on since, the rules say anew what the lead deserves.
    """
    evidence = [pk for note in notes.values() for pk in note.get("evidence", ())]
    Evidence.objects.filter(Q(pk__in=evidence) | Q(origin__in=evidence)).delete()
    Interaction.objects.filter(pk__in=[pk for note in notes.values() for pk in note.get("events", ())]).delete()
    leads = {lead.pk: lead for lead in _locked(Lead.objects.filter(pk__in=notes))}
    back, moved, sheets = [], [], _sheets(leads.values())
    for pk, lead in leads.items():
        before, after = notes[pk].get("score", (None, None))
        if before and _as_json(lead, after) == after and sheets[pk].score == before.get("score", lead.score):
            vars(lead).update(before)
            back.append(lead)
        elif sheets[pk].score != lead.score:
            moved.append(pk)
    _write(back)
    rescore_many(Lead.objects.filter(pk__in=moved))


def _as_json(lead, names):
    """The lead's numbers as a note that went through JSON has them."""
    return json.loads(json.dumps({name: getattr(lead, name) for name in names}, cls=DjangoJSONEncoder))


def score_new(leads):
    """Score leads of a list that have keys and are about to be written, so that they are written once.

    ``leads``: anything with a lead's fields. Returns what is to be called after that: it books evidence and history.
    """
    book, sheets, now = rulebook(), {lead.pk: Sheet() for lead in leads}, timezone.now()
    facts, base, rows, changes = _facts(leads, book), blank(Evidence), [], fit_of_new(book.fit)
    for lead in leads:
        for change in changes(facts[lead.pk]):
            sheets[lead.pk].add(FIT, change.points)
            row = {"lead_id": lead.pk, "rule_id": change.rule.pk, "kind": FIT, "points": change.points}
            rows.append(base | row | {"why": change.why, "at": now})
    _changed, events = _apply(leads, sheets, book.thresholds)

    def written():
        with vouched({Rule: {row["rule_id"] for row in rows}}):  # the leads are of this transaction
            copy_in(Evidence, rows)
        record_many(events)
        if Kind.IMPORTED in book.on:  # rules that look at how a lead came
            rescore_many(Lead.objects.filter(pk__in=list(sheets)))

    return written


def _facts(leads, book):
    enquiries = _enquiries(leads) if book.counts_enquiries else {}
    return {lead.pk: facts_of(lead, enquiries=enquiries.get(lead.pk)) for lead in leads}


def _withdrawn(leads, sheets, book):
    """Rows that take back what engagement rules gave which are off now; their decay ends."""
    off = {rule.pk: rule for rule in book.rules if rule.kind == ENGAGEMENT and not rule.is_active}
    if not off:
        return []
    Evidence.objects.filter(lead__in=leads, rule__in=off, decays_at__isnull=False).update(decays_at=None)
    return [
        _row(lead, Change(off[rule], -had.total, "", withdraws=True), None)
        for lead in leads
        for rule, had in sheets[lead.pk].have.items()
        if rule in off and had.total
    ]


def _replayed(leads, sheets, facts, book):
    """Points for past interactions that the engagement rules have not looked at yet."""
    if not book.on:
        return []
    by_pk = {lead.pk: lead for lead in leads}
    given = set(
        Evidence.objects.filter(lead__in=leads, kind=ENGAGEMENT, step=0, withdraws=False).values_list(
            "rule_id", "interaction_id"
        )
    )
    rows = []
    for event in Interaction.objects.filter(lead__in=leads, kind__in=book.on).order_by("at", "id"):
        lead, have = by_pk[event.lead_id], sheets[event.lead_id].have
        fresh = [rule for rule in book.on[event.kind] if (rule.pk, event.pk) not in given]
        known = facts[lead.pk] | event_facts(event.details, event.text)
        for change in engagement_changes(fresh, known, have):
            rows.append(_row(lead, change, event))
            had = have.get(change.rule.pk, Have())
            have[change.rule.pk] = replace(had, times=had.times + 1)
    return rows


def rescore_all(*, by=None):
    """Set the rules to work on every open lead, as a chain of jobs; returns the run with its progress."""
    run = Rescoring.objects.create(by=by, total=Lead.objects.open().count())
    enqueue("scoring.rescore_all", run.pk)
    return run


@transaction.atomic
def rescore_next(run_pk):
    """The next chunk of a run; True while there is more to do."""
    run = Rescoring.objects.select_for_update().get(pk=run_pk)
    if run.finished_at:
        return False
    keys = list(Lead.objects.open().filter(pk__gt=run.after).order_by("pk").values_list("pk", flat=True)[:CHUNK])
    run.changed += rescore_many(Lead.objects.filter(pk__in=keys)) if keys else 0
    run.done += len(keys)
    run.after = keys[-1] if keys else run.after
    run.finished_at = None if len(keys) == CHUNK else timezone.now()
    run.save(update_fields=["changed", "done", "after", "finished_at"])
    return run.finished_at is None


# --- decay -----------------------------------------------------------------------------------------------------------
def enqueue_decay():
    """Have the points that fell due fade; for the clock, which may say it as often as it likes."""
    enqueue("scoring.decay", "due")


@transaction.atomic
def decay(*, now=None):
    """Add the step rows of the ≤ 1 chunk of evidence that is longest overdue; returns how many steps were written.

    A step's date is the instant it fell due, not of the run: however often and late this is rung, the rows are the
    same.
    """
    now = now or timezone.now()
    due = Evidence.objects.filter(decays_at__lte=now).order_by("decays_at", "id").values_list("lead_id")[:CHUNK]
    leads = _locked(Lead.objects.filter(pk__in={lead for (lead,) in due}))
    origins = list(
        Evidence.objects.filter(lead__in=leads, decays_at__lte=now)
        .annotate(done=Max("decays__step"), half_life=F("rule__half_life"))
        .order_by("decays_at", "id")
    )
    rows = []
    for origin in origins:
        steps, origin.decays_at = decay_steps(
            origin.points, origin.decays_at, origin.half_life, until=now, step=origin.done or 0
        )
        rows += [_step(origin, *step) for step in steps]
    sheets = _sheets(leads)
    _book(rows, sheets)
    Evidence.objects.bulk_update(origins, ["decays_at"], batch_size=500)
    _settle(leads, sheets, rulebook().thresholds)
    return len(rows)


def _step(origin, step, points, at):
    return Evidence(
        lead_id=origin.lead_id, rule_id=origin.rule_id, kind=origin.kind, interaction_id=origin.interaction_id,
        origin=origin, step=step, points=points, at=at,
    )  # fmt: skip


# --- proof -----------------------------------------------------------------------------------------------------------
def recount():
    """How many leads differ from the sum of their evidence in score, fit, engagement or band (0 is right)."""
    limits = thresholds()
    sql = """
        select count(*) from leads_lead l
        left join (
          select lead_id, sum(points) as score, sum(points) filter (where kind = 'fit') as fit,
                 sum(points) filter (where kind = 'engagement') as engagement
          from scoring_evidence group by lead_id) e on e.lead_id = l.id
        where l.score <> coalesce(e.score, 0) or l.fit <> coalesce(e.fit, 0)
           or l.engagement <> coalesce(e.engagement, 0)
           or l.band <> case when l.score >= %s then 'hot' when l.score >= %s then 'warm' else 'cold' end"""
    with connection.cursor() as cursor:
        cursor.execute(sql, [limits.hot, limits.warm])
        return cursor.fetchone()[0]
