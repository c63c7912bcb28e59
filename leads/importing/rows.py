"""From a row of the file to what it says of a lead, normalised as at every other door."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from leads import identity
from leads.capture import fields as capture
from leads.importing.mapping import Mapping

FORMATS = (
    "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d.%m.%Y", "%d.%m.%y", "%d/%m/%Y %H:%M", "%d/%m/%Y", "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d", "%Y%m%d",
)  # fmt: skip
CUSTOM_VALUE = 500  # characters
_CUT = re.compile(r"['’]?\d[.,]?\d*E\+?\d{1,2}", re.IGNORECASE)


@dataclass(slots=True)
class Record:
    """What one row says. ``reason``: why it cannot be taken (a code of REASONS), else empty."""

    line: int
    cells: list | None
    reason: str = ""
    fields: dict = field(default_factory=dict)
    signs: list = field(default_factory=list)
    marks: dict = field(default_factory=dict)
    origin: str = ""
    at: datetime | None = None
    outcome: str = ""  # "won", "lost" or open
    closed_at: datetime | None = None
    amount: Decimal | None = None
    warnings: list = field(default_factory=list)


class Reader:
    """Reads rows by one mapping; ``source`` gives the scope of external ids, ``zone`` the meaning of naive times."""

    def __init__(self, mapping: Mapping, source, *, zone, now, region="RU"):
        self.mapping, self.source, self.zone, self.now, self.region = mapping, source, zone, now, region

    def read(self, row) -> Record:
        record = Record(row.line, row.cells, row.problem)
        if row.problem:
            return record
        cells = row.cells
        if len(cells) > self.mapping.width and any(cell.strip() for cell in cells[self.mapping.width :]):
            record.warnings.append("extra_cells:")
        named, own = self._sorted(cells)
        external = self._cell(cells, self.mapping.external)
        if external:
            named["external_id"] = [external]
        record.signs = capture.signs(named, self.source, record.warnings, self.region)
        record.fields = capture.lead_fields(named, record.warnings)
        record.marks = capture.marks(named, {})
        self._own(record, own, cells)
        self._outcome(record, cells)
        if self.mapping.date:
            record.at = self._moment(record, self._cell(cells, self.mapping.date), self.mapping.date.format)
        self._judge(record)
        return record

    @staticmethod
    def _cell(cells, rule):
        """The text of a column in a row; empty where it says nothing."""
        if rule is None or rule.place >= len(cells):
            return ""
        text = cells[rule.place].strip()
        return "" if text in rule.missing else text

    def _sorted(self, cells):
        """(field → values for what every door knows, Rule → text for what only lists have)."""
        named, own = {}, {}
        for rule in self.mapping.rules:
            if not (text := self._cell(cells, rule)):
                continue
            if rule.field in {"origin", "authority", "decision_date"} or rule.field.startswith("custom."):
                own[rule] = text
            else:
                named.setdefault(rule.field, []).append(text)
        return named, own

    def _own(self, record, own, cells):
        custom = {}
        for rule, text in own.items():
            if rule.field == "origin":
                record.origin = record.origin or text.replace("\x00", "")[:120]
            elif rule.field == "authority":
                record.fields["authority"] = identity.line(text, 200)
            elif rule.field == "decision_date":
                if moment := self._moment(record, text, rule.format, past=False):
                    record.fields["decision_date"] = moment.astimezone(self.zone).date()
            else:
                custom[rule.field.removeprefix("custom.")] = identity.line(text, CUSTOM_VALUE)
        after = {rule.column: self._cell(cells, rule) for rule in self.mapping.after}
        if after := {name: identity.line(text, CUSTOM_VALUE) for name, text in after.items() if text}:
            custom["after_contact"] = after
        if custom:
            record.fields["custom"] = custom

    def _outcome(self, record, cells):
        stated = self.mapping.outcome
        if stated is None or stated.place >= len(cells):
            return
        text = cells[stated.place].strip()
        record.outcome = "won" if text in stated.won else "lost" if text in stated.lost else ""
        if record.outcome and stated.date:
            record.closed_at = self._moment(record, self._cell(cells, stated.date), stated.date.format)
        if record.outcome == "won" and stated.amount:
            record.amount = capture.lead_fields({"budget": [self._cell(cells, stated.amount)]}, []).get("budget")

    def _moment(self, record, text, form, *, past=True):
        """An instant; a warning and None for what is none, or lies ahead where it must be past."""
        if not text:
            return None
        found = moment(text, form, self.zone)
        if found is None or (past and found > self.now + timedelta(days=1)):
            record.warnings.append(f"date:{identity.line(text, 60)}")
            return None
        return min(found, self.now) if past else found

    @staticmethod
    def _judge(record):
        record.warnings = [
            f"phone_mangled:{w[6:]}" if w.startswith("phone:") and _CUT.fullmatch(w[6:].strip()) else w
            for w in record.warnings
        ]
        if record.signs:
            return
        kinds = {warning.partition(":")[0] for warning in record.warnings}
        mangled, bad = "phone_mangled" in kinds, kinds & {"phone", "email"}
        record.reason = "phone_mangled" if mangled else "bad_contact" if bad else "no_contact"


def moment(text, form, zone):
    """An aware datetime of a text; by its format (strptime's, or ``unix``), else ISO or as Russians write dates."""
    try:
        if form == "unix":
            return datetime.fromtimestamp(float(text), UTC)
        found = datetime.strptime(text, form) if form else _guessed(text)  # noqa: DTZ007 - the zone is given below
    except (ValueError, OverflowError, OSError):
        return None
    if found is None or not 1900 <= found.year <= 2200:
        return None
    return found if found.tzinfo else found.replace(tzinfo=zone)


def _guessed(text):
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    for form in FORMATS:
        try:
            return datetime.strptime(text, form)  # noqa: DTZ007
        except ValueError:
            continue
    return None
