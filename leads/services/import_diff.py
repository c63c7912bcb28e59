"""What a dry run would do, row by row: the first of each kind for the page, all of them as a file."""

import csv
import tempfile

from django.core.files.base import File
from django.core.files.storage import default_storage
from django.utils.translation import gettext as _

from crm.core.exports import safe_text
from crm.core.naming import numbered
from leads.importing.errors import REASONS
from leads.importing.mapping import LABELS
from leads.importing.plan import facts_of
from leads.models import ImportRow
from leads.models.imports import stored_as

SHOWN = 50  # rows of each kind on the page
WIDTH = 200  # characters of a value there
State = ImportRow.State


class Diff:
    """``add`` each Result; ``shown``: state → rows as JSON; ``save`` stores the file and returns its name."""

    def __init__(self):
        self.shown = {str(state): [] for state in State}
        self.file = tempfile.TemporaryFile("w+", encoding="utf-8-sig", newline="")  # noqa: SIM115 - closed by save()
        self.writer = csv.writer(self.file, delimiter=";", lineterminator="\r\n")
        self.writer.writerow([_("Line"), _("What would be done"), _("Card"), _("Changes"), _("Reason")])

    def add(self, result):
        changes = changes_of(result)
        name = result.record.fields.get("name", "")
        lead = result.card.lead or None if result.card else None  # a card that the same list makes has no number yet
        rows = self.shown[result.state]
        if len(rows) < SHOWN:
            cut = [[field, old[:WIDTH], new[:WIDTH]] for field, old, new in changes]
            rows.append({"line": result.record.line, "lead": lead, "name": name[:WIDTH], "changes": cut,
                         "reason": result.reason, "text": _in_short(result)})  # fmt: skip
        words = "; ".join(
            f"{label(field)}: {old} → {new}" if old else f"{label(field)}: {new}" for field, old, new in changes
        )
        cells = [result.record.line, State(result.state).label, name or (lead and numbered(lead)) or "", words]
        self.writer.writerow([safe_text(str(cell)) for cell in [*cells, REASONS.get(result.reason, result.reason)]])

    def save(self):
        self.file.flush()
        self.file.buffer.seek(0)
        with self.file:
            return default_storage.save(stored_as(None, "diff.csv"), File(self.file.buffer))


def _in_short(result):
    """A row that is refused, as it stands in the file."""
    return " · ".join(filter(None, result.record.cells or []))[:WIDTH] if result.state == State.FAILED else ""


def changes_of(result):
    """[(field, old, new)] in plain texts; of a new card all that it would hold, of a known one what would be filled in."""
    if result.state == State.CREATED:
        facts = facts_of(result.record)
        return [found for name, value in facts.items() if name != "name" for found in _parts(name, None, value)]
    return [found for name, (old, new) in (result.changed or {}).items() for found in _parts(name, old, new)]


def _parts(name, old, new):
    """An object is told field by field; a list by what is new in it."""
    if isinstance(new, dict):
        old = old or {}
        for key, value in new.items():
            if value != old.get(key):
                yield from _parts(key if name in {"custom", "after_contact"} else name, old.get(key), value)
        return
    if isinstance(new, list):
        new = [item for item in new if item not in (old or [])]
    yield name, _text(old), _text(new)


def _text(value):
    if value is None:
        return ""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def label(field):
    """A field in the reader's language."""
    return str(LABELS.get(field) or {"contacts": _("Contacts")}.get(field, field))
