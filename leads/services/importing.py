"""Lists: begun, tried without a trace, carried out chunk by chunk, finished with a file of what failed.

A chunk of rows is one transaction: matched, written, scored, given to owners and counted, or not at all. Whoever goes
on after a crash skips the rows that are counted. ``then(leads)`` is what the storeys above do with the new leads before
they are written; it returns what they do after that, with the Written.
"""

import csv
import gc
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.files.base import File
from django.core.files.storage import default_storage
from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.models import F
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from crm.core.exports import safe_text
from crm.core.funnel import entry_stage
from crm.core.models import Organisation, Reason
from crm.core.notices import notify
from leads.importing import mapping as mappings
from leads.importing.ahead import ahead
from leads.importing.errors import REASONS, MappingError, Unreadable
from leads.importing.rows import Reader
from leads.importing.table import Table, open_table
from leads.models import Import, ImportRow, Source
from leads.models.imports import stored_as
from leads.services import import_match
from leads.services.import_write import Writer
from leads.services.intake import lock_signs, pseudo_source

CHUNK = 1000  # rows of one transaction: a second's work, and few enough locks for any server's table
WHOLE = 50  # chunks between two collections of all garbage, old objects too: it takes a tenth of a second
TRIES = 5  # of a chunk that met another in a deadlock, or a colleague who was quicker
COUNTS = ("created", "updated", "skipped", "failed")
State = Import.State


class Overtaken(Exception):
    """Somebody else is carrying out this import."""


@dataclass
class Open:
    """A file with its mapping, ready to be read row by row."""

    table: Table
    mapping: mappings.Mapping
    reader: Reader

    def chunks(self, skip=0):
        """Lists of Records, read ahead."""
        rows = islice(self.table.rows, skip, None)
        return ahead(iter(lambda: [self.reader.read(row) for row in islice(rows, CHUNK)], []))


def opened(stream, stated, source, *, options=None):
    """The Open of a binary stream; raises Unreadable or MappingError before anything is written."""
    options_of = ("encoding", "delimiter", "header")
    said = (options or {}) | ({k: v for k, v in stated.items() if k in options_of} if isinstance(stated, dict) else {})
    table = open_table(stream, **{key: said.get(key) for key in options_of})
    mapping = mappings.read(stated, table.columns, kind=table.kind)
    organisation = Organisation.get()
    zone = ZoneInfo(organisation.time_zone)
    return Open(table, mapping, Reader(mapping, source, zone=zone, now=timezone.now(), region=organisation.region))


def source_named(key):
    """The Source with this key; raises MappingError for none. ``list`` is made when first asked for."""
    found = Source.objects.select_related("origin").filter(key=key).first()
    if found is None and key == "list":
        found = pseudo_source("list")
    if found is None:
        raise MappingError([_("There is no source “%s”.") % key])
    return found


def lost_reason():
    """The reason that an imported rejection states; nobody chooses it by hand."""
    with translation.override(settings.LANGUAGE_CODE):
        name = _("Imported: lost")
    return Reason.objects.get_or_create(kind="lead", name=name, defaults={"is_active": False, "position": 1000})[0]


# --- Trying ----------------------------------------------------------------------------------------------------------


def rehearse(opened_file, *, on_progress=None, diff=None):
    """Counts of what the import would do, and its file of errors (or None); changes nothing in the database.

    ``diff``: a Diff that is told of every row.
    """
    counts, errors = Counter(dict.fromkeys(COUNTS, 0)), ErrorFile(opened_file.table.columns)
    overlay = import_match.Overlay()
    try:
        for records in opened_file.chunks():
            with transaction.atomic():
                world = import_match.load(records, lock=False, overlay=overlay)
            results = [world.take(record) for record in records]
            overlay.keep(world, results)
            counts.update(result.state for result in results)
            for result in results:
                if result.state == "failed":
                    errors.add(result.record.line, result.record.cells, result.reason)
                if diff:
                    diff.add(result)
            if on_progress:
                on_progress(sum(counts.values()))
    finally:
        overlay.drop()
    return {"rows": sum(counts.values()), **{name: counts[name] for name in COUNTS}}, errors.save()


# --- Carrying out ----------------------------------------------------------------------------------------------------


def carry_out(job, opened_file, *, then, until=None):
    """Import chunk by chunk, each committed, from the row where it stands; True when the file is through.

    ``until``: a time.monotonic() after which no further chunk is begun.
    """
    with _collecting_by_chunk():
        for number, records in enumerate(opened_file.chunks(skip=job.rows), 1):
            grown = _with_patience(lambda records=records: _chunk(job, records, opened_file.mapping, then))
            gc.collect(1 if number % WHOLE else 2)
            for name, more in grown.items():
                setattr(job, name, getattr(job, name) + more)
            if until is not None and time.monotonic() >= until:
                return False
    return True


@contextmanager
def _collecting_by_chunk():
    """Garbage is collected between chunks: in the middle of one, a tenth of the time went to looking for none."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _with_patience(step):
    for attempt in range(TRIES):
        try:
            return step()
        except (OperationalError, IntegrityError) as error:
            state = getattr(error.__cause__, "sqlstate", "")
            if state not in {"40P01", "40001", "23505"} or attempt == TRIES - 1 or connection.in_atomic_block:
                raise
            time.sleep(0.05 * 2**attempt)
    return None


@transaction.atomic
def _chunk(job, records, mapping, then):
    """Match, write and count one chunk; returns by how much each count grew. Raises Overtaken where another did it."""
    row = Import.objects.select_for_update().select_related(None).get(pk=job.pk)
    if row.rows != job.rows or row.state != State.RUNNING:
        raise Overtaken
    lock_signs([known for record in records for known in record.signs])
    world = import_match.load(records, lock=True)
    results = [world.take(record) for record in records]
    stage = entry_stage("lead")
    lost = lost_reason() if any(record.outcome == "lost" for record in records) else None
    writer = Writer(job, stage=stage, reason=lost, now=timezone.now(), by=job.by, says_origin=mapping.says_origin)
    writer.write(results, then)
    counts = Counter(result.state for result in results)
    warned = sum(bool(r.record.warnings) for r in results if r.state != "failed")
    grown = {name: counts[name] for name in COUNTS} | {"rows": len(records), "warned": warned}
    Import.objects.filter(pk=job.pk).update(**{name: F(name) + more for name, more in grown.items()})
    return grown


@transaction.atomic
def begin(job):
    """From here on the import may write. Raises Unreadable where there is no lead funnel to put anybody in."""
    if entry_stage("lead") is None:
        raise Unreadable("no_funnel", _("There is no lead funnel with stages yet; an administrator sets one up."))
    Import.objects.filter(pk=job.pk).update(state=State.RUNNING)
    job.state = State.RUNNING


def finish(job, columns):
    """Write the file of errors and close the import; whoever started it is told."""
    errors = ErrorFile(columns)
    failed = ImportRow.objects.filter(of=job, state=ImportRow.State.FAILED).order_by("line")
    for line, reason, data in failed.values_list("line", "reason", "data").iterator(chunk_size=2000):
        errors.add(line, data.get("cells"), reason)
    name = errors.save() or ""
    with transaction.atomic():
        Import.objects.filter(pk=job.pk).update(state=State.DONE, finished_at=timezone.now(), error_file=name)
        if job.by:
            notify(job.by, "import", url=reverse("leads:import", args=[job.pk]), name=job.file_name)
    job.refresh_from_db()
    return job


def give_up(job_pk, why):
    """Close an import that cannot go on; what was imported stays and is counted."""
    Import.objects.filter(pk=job_pk).exclude(state__in=[State.DONE, State.UNDOING, State.UNDONE]).update(
        state=State.FAILED, error=str(why)[:2000], finished_at=timezone.now()
    )


# --- The file of errors ----------------------------------------------------------------------------------------------


class ErrorFile:
    """A CSV of the rows that failed, with the same columns, the line and the reason; no cell of it is a formula."""

    def __init__(self, columns):
        self.columns, self.file, self.writer = columns, None, None

    def add(self, line, cells, reason):
        if self.file is None:
            self.file = tempfile.TemporaryFile("w+", encoding="utf-8-sig", newline="")  # noqa: SIM115 - closed by save()
            self.writer = csv.writer(self.file, delimiter=";", lineterminator="\r\n")
            self._write([*self.columns, _("Line"), _("Reason")])
        cells = ((cells or []) + [""] * len(self.columns))[: len(self.columns)]
        self._write([*cells, str(line), str(REASONS.get(reason, reason))])

    def _write(self, cells):
        self.writer.writerow([safe_text(cell) for cell in cells])

    def save(self):
        """The name under which it is stored, or None where nothing failed."""
        if self.file is None:
            return None
        self.file.flush()
        self.file.buffer.seek(0)
        with self.file:
            return default_storage.save(stored_as(None, "errors.csv"), File(self.file.buffer))
