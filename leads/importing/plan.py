"""What is to be done for each row: a new card, an addition to a known one, or nothing. Pure: no database here."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

from leads.importing.rows import Record

EMPTY = (None, "", [], {})


@dataclass(slots=True)
class Card:
    """A person with the lead that a list may complete. Keys below zero are of people who are to be made."""

    pk: int
    name: str = ""
    lead: int | None = None
    facts: dict = field(default_factory=dict)  # of the lead, as it stands; "origin" is whether it has one
    had: dict = field(default_factory=dict)  # of the lead, as it stood before the chunk, by column
    about: dict = field(default_factory=dict)  # of the person
    company: int | None = None
    record: Record | None = None  # the row that makes the lead
    changes: dict = field(default_factory=dict)  # to the lead that was there
    learned: list = field(default_factory=list)  # (Known, shared)
    line: int = 0


class Seen(NamedTuple):
    """A sign of identity and whose it is."""

    kind: str
    scope: str
    value: str
    person_id: int
    is_shared: bool
    person: Card


class Result(NamedTuple):
    record: Record
    state: str  # of ImportRow.State
    reason: str = ""
    card: Card | None = None
    changed: dict | None = None  # field → [before, after]


class World:
    """Who is known, as far as the rows of one chunk ask.

    ``choose`` picks the person of the signs found; ``of_many`` says whether a sign is that of many people; ``erased``
    are the signs of people who were deleted on purpose.
    """

    def __init__(self, choose, first_key=-1, *, of_many, erased=frozenset()):
        self.choose, self.key, self.of_many, self.erased = choose, first_key, of_many, erased
        self.index = defaultdict(list)  # sign → Seen rows
        self.cards = {}  # person → Card

    def know(self, kind, scope, value, card, *, shared=False):
        self.index[(kind, scope, value)].append(Seen(kind, scope, value, card.pk, shared, card))

    def take(self, record):
        """The Result of a row; the world then holds what the row has added."""
        if record.reason:
            return Result(record, "failed", record.reason)
        rows = [seen for k in record.signs for seen in self.index.get((k.kind, k.scope, k.value), ())]
        card, others = self.choose(rows, record.signs, record.fields.get("name", ""))
        if others:
            record.warnings.append("several:")
        if card is None:
            if self.erased and any((k.kind, k.scope, k.value) in self.erased for k in record.signs):
                return Result(record, "skipped", "erased")
            card = self.cards[self.key] = Card(self.key, name=record.fields.get("name", ""))
            self.key -= 1
        news = self._learn(card, record)
        if card.lead is None and card.record is None:
            card.record, card.facts, card.line = record, facts_of(record), record.line
            return Result(record, "created", card=card)
        return self._complete(card, record, news)

    def _learn(self, card, record):
        """Signs that the person did not have; what is somebody else's stays theirs, unless several share it anyway."""
        news = []
        for known in record.signs:
            there = self.index.get((known.kind, known.scope, known.value))
            many = self.of_many(known.kind, known.value)
            if there and any(seen.person_id == card.pk or not (seen.is_shared or many) for seen in there):
                continue
            shared = many or bool(there)
            card.learned.append((known, shared))
            self.know(known.kind, known.scope, known.value, card, shared=shared)
            news.append(known)
        return news

    def _complete(self, card, record, news):
        fresh = additions(card.facts, facts_of(record))
        changed = {name: [card.facts.get(name), value] for name, value in fresh.items()}
        card.facts |= fresh
        if card.record is None:
            card.changes |= fresh
            card.line = card.line or (record.line if fresh or news else 0)
        if "origin" in fresh:
            card.changes["marks"] = record.marks
        if fresh or news:
            changed |= {"contacts": ["", [known.value for known in news]]} if news else {}
            return Result(record, "updated", card=card, changed=changed)
        return Result(record, "skipped", "known", card)


def facts_of(record):
    """What a row says of a lead, by the lead's own field names."""
    facts = dict(record.fields)
    for known in record.signs:
        if known.kind in {"phone", "email"}:
            facts.setdefault(known.kind, known.value)
    if origin := record.origin or record.marks.get("utm_source"):
        facts["origin"] = origin
    return {name: value for name, value in facts.items() if value not in EMPTY}


def additions(have, new):
    """What the card lacks and the row says; nothing that stands on a card is ever overwritten."""
    found = {}
    for name, value in new.items():
        mine = have.get(name)
        if mine in EMPTY:
            found[name] = value
        elif name == "custom":
            merged = _merged(mine, value)
            if merged != mine:
                found[name] = merged
        elif name == "tags" and (more := [tag for tag in value if tag not in mine]):
            found[name] = [*mine, *more]
    return found


def _merged(mine, new):
    merged = {**new, **mine}
    if isinstance(mine.get("after_contact"), dict) and isinstance(new.get("after_contact"), dict):
        merged["after_contact"] = {**new["after_contact"], **mine["after_contact"]}
    return merged
