"""A chunk of a list into the tables, by sets: COPY for what is new, one statement for what is completed."""

import json
from dataclasses import dataclass, field
from datetime import datetime
from operator import itemgetter
from types import SimpleNamespace
from typing import NamedTuple

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection

from crm.core.copying import blank, copy_in, keys, vouched
from crm.core.models import Pipeline, Reason, Stage, Team, User
from leads import identity
from leads.models import Company, Identity, ImportRow, Kind, Lead, Origin, Person, Source, StageMove, Touch
from leads.services.intake import PERSON_FIELDS
from leads.services.origins import name_of
from leads.services.timeline import record_quietly

FACT_COLUMNS = [  # columns of a lead that a list fills in; the second names the type of a cast
    ("name", ""), ("phone", ""), ("email", ""), ("company_name", ""), ("job_title", ""), ("city", ""), ("region", ""),
    ("country", ""), ("language", ""), ("industry", ""), ("company_size", "int"), ("product", ""), ("need", ""),
    ("budget", "numeric"), ("authority", ""), ("decision_date", "date"), ("company_id", "bigint"),
    ("first_origin_id", "bigint"), ("last_origin_id", "bigint"), ("first_campaign", ""), ("last_campaign", ""),
]  # fmt: skip


STATUS = {"won": "converted", "lost": "rejected", "": "open"}


PERSON_COLUMNS = [*((name, "") for name in PERSON_FIELDS), ("company_id", "bigint")]


class Win(NamedTuple):
    """A lead whose deal a list says was won."""

    lead: int
    closed_at: datetime
    amount: object  # Decimal, or None where the list does not say


@dataclass
class Written:
    """Keys of leads; ``wins`` still lack their deals, which live a storey higher.

    ``notes``: lead → what the storeys above need to know when the import is undone.
    """

    created: list = field(default_factory=list)
    updated: list = field(default_factory=list)
    wins: list = field(default_factory=list)
    notes: dict = field(default_factory=dict)


# --- The chunk -------------------------------------------------------------------------------------------------------


class Writer:
    """Writes the results of one chunk; the caller holds the locks and the transaction."""

    def __init__(self, job, *, stage, reason, now, by=None, says_origin=False):
        self.job, self.stage, self.reason, self.now, self.by = job, stage, reason, now, by
        self.source, self.says_origin = job.source, says_origin
        self.was, self.news = {}, {}  # card's key → what undoing needs; keys of what came with the chunk
        whole = blank(Lead)
        self.columns = [*whole, "id", "stage_entered_at", "created_at", "active_at"]
        self.base = whole | {
            "source": self.source, "source_id": self.source.pk, "stage": stage, "stage_id": stage.pk,
            "pipeline_id": stage.pipeline_id, "is_imported": True,
        }  # fmt: skip

    def write(self, results, prepare):
        """``prepare(leads)`` sees the new leads before they are written and returns what is called with the Written,
        and what is called last."""
        cards = list({id(r.card): r.card for r in results if r.card and r.state != "skipped"}.values())
        fresh = [card for card in cards if card.record]
        known = [card for card in cards if not card.record]
        self.companies = self._companies(cards)
        self.origins = self._origins(cards)
        self._people(fresh)
        leads, moves, touches, wins = self._leads(fresh)
        written, close = prepare(leads)
        with vouched(self._named(cards, leads)):
            copy_in(Person, self.people)
            self._identities(cards)
            copy_in(Lead, [vars(lead) for lead in leads], self.columns)
            copy_in(StageMove, moves)
            copy_in(Touch, touches)
            self._timeline(fresh, known)
        self._complete(known)
        done = Written([card.lead for card in fresh], [card.lead for card in known], wins)
        written(done)
        self._lines(results, done)
        close()
        return done

    def _named(self, cards, leads):
        """What the new rows name, besides each other and the leads that are locked."""
        return {
            User: {*(lead.owner_id for lead in leads), self._who},
            Team: {lead.team_id for lead in leads},
            Pipeline: [self.stage.pipeline_id],
            Stage: [self.stage.pk],
            Reason: [self.reason and self.reason.pk],
            Source: [self.source.pk],
            Origin: {lead.first_origin_id for lead in leads},
            Company: {*(lead.company_id for lead in leads), *(card.company for card in cards)},
            Person: {card.pk for card in cards if card.pk not in self.made},
        }

    def _companies(self, cards):
        """company key → row, made where new."""
        names = {}
        for card in cards:
            name = (card.facts if card.record else card.changes).get("company_name")
            if name:
                names.setdefault(identity.company_key(name) or name.casefold()[:200], name)
        if not names:
            return {}
        there = Company.objects.in_bulk(list(names), field_name="name_key")
        if new := sorted(names.keys() - there.keys()):
            rows = [Company(name_key=key, name=names[key][:200]) for key in new]
            Company.objects.bulk_create(rows, ignore_conflicts=True)
            there |= (fresh := Company.objects.in_bulk(new, field_name="name_key"))
            self.news["companies"] = [company.pk for company in fresh.values()]
        return there

    def _company(self, name):
        if not name:
            return None
        found = self.companies.get(identity.company_key(name) or name.casefold()[:200])
        return found.pk if found else None

    def _origins(self, cards):
        """Exact name → Origin, made at first sight."""
        wanted = {}
        for card in cards:
            if "origin" in (card.facts if card.record else card.changes):
                name, channel = self._origin_name(card)
                wanted.setdefault(name, channel)
        there = Origin.objects.in_bulk(list(wanted), field_name="name") if wanted else {}
        if new := sorted(wanted.keys() - there.keys()):
            rows = [Origin(name=name, channel=wanted[name]) for name in new]
            Origin.objects.bulk_create(rows, ignore_conflicts=True)
            there |= (fresh := Origin.objects.in_bulk(new, field_name="name"))
            self.news["origins"] = [origin.pk for origin in fresh.values()]
        return there

    def _origin_name(self, card):
        """(name, channel): a column of the file as it stands there, else what the marks speak of."""
        marks = card.record.marks if card.record else card.changes.get("marks", {})
        stated = card.facts["origin"]
        if stated == marks.get("utm_source"):
            return name_of(marks)
        return stated, self.source.channel

    def _origin(self, card):
        if "origin" in card.facts and isinstance(card.facts["origin"], str):
            return self.origins[self._origin_name(card)[0]]
        return None if self.says_origin else self.source.origin

    def _people(self, fresh):
        new = [card for card in fresh if card.pk < 0]
        base = blank(Person)
        rows = []
        for card, pk in zip(new, keys(Person, len(new)), strict=True):
            card.pk, card.company = pk, self._company(card.facts.get("company_name"))
            about = {name: card.facts.get(name, "") for name in PERSON_FIELDS}
            rows.append({"id": pk, **base, **about, "company_id": card.company})
        self.people, self.made = rows, {row["id"] for row in rows}

    @staticmethod
    def _identities(cards):
        """In one order, so that two lists never wait for each other. Where a colleague was quicker with a contact,
        the unique index refuses the chunk, which is then tried anew and finds whose it is."""
        rows = [
            {"kind": k.kind, "scope": k.scope, "value": k.value, "person_id": card.pk, "raw": k.raw[:254],
             "extension": k.extension[:10], "is_shared": shared}
            for card in cards
            for k, shared in card.learned
        ]  # fmt: skip
        copy_in(Identity, sorted(rows, key=itemgetter("kind", "scope", "value", "person_id")))

    # --- new leads ---------------------------------------------------------------------------------------------------

    def _leads(self, fresh):
        """(leads, their entry into the funnel and outcome, their arrival, Wins)."""
        move, touch = blank(StageMove), blank(Touch)
        leads, moves, touches, wins = [], [], [], []
        for card, pk in zip(fresh, keys(Lead, len(fresh)), strict=True):
            card.lead, at, record = pk, card.record.at or self.now, card.record
            closed_at = max(record.closed_at or self.now, at) if record.outcome else None
            leads.append(self._lead(card, at, closed_at))
            enter = {"lead_id": pk, "to_stage_id": self.stage.pk, "by_id": self._who, "imported": True}
            moves.append(move | enter | {"kind": "entered", "at": at})
            if record.outcome:
                moves.append(move | enter | self._closing(record, at, closed_at))
            touches.append(touch | {"person_id": card.pk, "lead_id": pk, "at": at, "marks": record.marks,
                                    "origin_id": leads[-1].first_origin_id})  # fmt: skip
            if record.outcome == "won":
                wins.append(Win(pk, closed_at, record.amount))
        return leads, moves, touches, wins

    @property
    def _who(self):
        return self.by.pk if self.by else None

    def _lead(self, card, at, closed_at):
        """A lead with the attributes that scoring and routing look at; a model's instance costs ten times as much."""
        facts, record, origin = card.facts, card.record, self._origin(card)
        campaign = record.marks.get("utm_campaign", "")[:120]
        lead = SimpleNamespace()
        vars(lead).update(
            self.base | facts, pk=card.lead, id=card.lead, person_id=card.pk,
            first_origin=origin, first_origin_id=origin and origin.pk, last_origin_id=origin and origin.pk,
            first_campaign=campaign, last_campaign=campaign,
            company_id=self._company(facts.get("company_name")) or card.company, status=STATUS[record.outcome],
            stage_entered_at=at, created_at=at, active_at=at, closed_at=closed_at, version=1 if record.outcome else 0,
            rejected_reason_id=self.reason.pk if record.outcome == "lost" else None,
        )  # fmt: skip
        return lead

    def _closing(self, record, at, closed_at):
        kind = "converted" if record.outcome == "won" else "rejected"
        return {
            "kind": kind, "from_stage_id": self.stage.pk, "at": closed_at,
            "seconds": int((closed_at - at).total_seconds()),
            "reason_id": self.reason.pk if record.outcome == "lost" else None,
        }  # fmt: skip

    # --- known leads -------------------------------------------------------------------------------------------------

    def _complete(self, known):
        rows, people, touches = [], [], []
        for card in known:
            changes = {n: v for n, v in card.changes.items() if n not in {"origin", "marks"}}
            if company := self._company(changes.get("company_name")):
                changes["company_id"] = company
            if "origin" in card.changes:
                marks = card.changes.get("marks", {})
                changes |= self._attributed(card, marks)
                touches.append(self._touch(card, self._origin(card).pk, marks))
            about = self._about(card, changes)
            rows += [(card.lead, changes)] if changes else []
            people += [(card.pk, about)] if about else []
            self.was[card.pk] = {"lead": _pairs(card.had, changes), "person": _pairs(card.about, about)}
        for touch, pk in zip(touches, keys(Touch, len(touches)), strict=True):
            touch["id"] = pk
            self.was[touch["person_id"]]["touch"] = pk
        copy_in(Touch, touches)
        update_columns(Lead, FACT_COLUMNS, rows, lists=True)
        update_columns(Person, PERSON_COLUMNS, people)

    def _attributed(self, card, marks):
        """Where the lead came from, as far as that was not known."""
        origin, campaign = self._origin(card).pk, marks.get("utm_campaign", "")[:120]
        found = {"first_origin_id": origin, "last_origin_id": origin}
        found |= {"first_campaign": campaign, "last_campaign": campaign}
        return {name: value for name, value in found.items() if value and not card.had[name]}

    def _touch(self, card, origin, marks):
        return {"person_id": card.pk, "lead_id": card.lead, "at": self.now, "origin_id": origin, "marks": marks}

    @staticmethod
    def _about(card, changes):
        """What the person's own card lacked as well."""
        found = {n: changes[n] for n in PERSON_FIELDS if changes.get(n) and not card.about.get(n)}
        if changes.get("company_id") and not card.company:
            found["company_id"] = changes["company_id"]
        return found

    # --- history -----------------------------------------------------------------------------------------------------

    def _timeline(self, fresh, known):
        common = {"source": self.source.name, "import": self.job.pk}
        rows = []
        for card in fresh:
            details = common | {"line": card.line} | ({"outcome": card.record.outcome} if card.record.outcome else {})
            if card.record.warnings:
                details["warnings"] = card.record.warnings
            rows.append(self._event(card, card.record.at or self.now, details, str(card.facts.get("need", ""))))
        for card in known:
            fields = sorted(set(card.changes) - {"marks"})
            rows.append(self._event(card, self.now, common | {"line": card.line, "completed": fields}, ""))
        record_quietly(rows)

    def _event(self, card, at, details, text):
        return {
            "person_id": card.pk, "lead_id": card.lead, "kind": Kind.IMPORTED.value, "at": at, "by_id": self._who,
            "text": text, "details": details,
        }  # fmt: skip

    def _lines(self, results, done):
        """The rows' own records, with what undoing needs on the first row of each card and of the chunk."""
        left = {}
        for result in results:
            if result.card and result.state in {"created", "updated"} and (was := self._was(result.card, done)):
                left.setdefault(id(result.card), was)
        rows, news = [], {"made": self.news} if self.news else {}
        for result in results:
            more = news if result.state in {"created", "updated"} else {}
            news = {} if more else news
            taken = left.pop(id(result.card), None) if result.state in {"created", "updated"} else None
            rows.append(self._line(result, more | ({"was": taken} if taken else {})))
        with vouched({}):  # the import itself is locked
            copy_in(ImportRow, rows)

    def _was(self, card, done):
        if card.pk in self.made:  # all of it goes
            return None
        was = {name: kept for name, kept in self.was.get(card.pk, {}).items() if kept}
        was["signs"] = [[k.kind, k.scope, k.value] for k, _shared in card.learned]
        if notes := done.notes.get(card.lead):
            was["notes"] = notes
        return was

    def _line(self, result, data):
        record = result.record
        if result.state == "failed":
            data["cells"] = record.cells
        if record.warnings:
            data["warnings"] = record.warnings
        if result.changed:
            data["changed"] = result.changed
        card = result.card
        return {
            "of_id": self.job.pk, "line": record.line, "state": result.state, "reason": result.reason, "data": data,
            "person_id": card.pk if card else None, "lead_id": card.lead if card else None, "undone": "",
        }  # fmt: skip


def _pairs(had, changes):
    """column → [before, after]."""
    return {name: [had.get(name), value] for name, value in changes.items()}


def update_columns(model, columns, rows, *, lists=False):
    """Set columns of rows given as (key, changes by column), in one statement; ``columns``: names with casts."""
    if not rows:
        return
    sets = [
        f"{name} = case when n.f ? '{name}' then (n.f->>'{name}'){f'::{kind}' if kind else ''} else t.{name} end"
        for name, kind in columns
    ]
    if lists:
        listed = "array(select jsonb_array_elements_text(n.f->'tags'))"
        sets.append(f"tags = case when n.f ? 'tags' then {listed} else t.tags end")
        sets.append("custom = case when n.f ? 'custom' then n.f->'custom' else t.custom end")
    sql = f"update {model._meta.db_table} t set {', '.join(sets)} from unnest(%s::bigint[], %s::jsonb[]) as n(id, f) where t.id = n.id"  # nosec B608 - names of our own columns
    with connection.cursor() as cursor:
        cursor.execute(sql, [[pk for pk, _f in rows], [json.dumps(f, cls=DjangoJSONEncoder) for _pk, f in rows]])
