"""A list in the browser: taken in, looked at, mapped, tried, started; each step is a state of its row."""

from itertools import islice

from django.db import transaction
from django.utils.translation import gettext as _

from crm.core.jobs import enqueue
from crm.core.models import AuditEntry
from leads.importing import mapping as mappings
from leads.importing.table import open_table
from leads.models import Import
from leads.services.importing import begin
from leads.services.undoing import WrongState, ring
from leads.services.undoing import begin as begin_undo

PREVIEW = 10  # rows
SHOWN = 80  # characters of a cell
State = Import.State


class WrongStep(Exception):
    """Somebody, or another tab, has taken the import further meanwhile."""


def look(stream, **said):
    """(options, suggested mapping document) of an uploaded file; raises Unreadable."""
    table = open_table(stream, **said)
    rows = [row.cells for row in islice(table.rows, PREVIEW * 3) if row.cells][:PREVIEW]
    width = len(table.columns)
    preview = [[cell[:SHOWN] for cell in (cells + [""] * width)[:width]] for cells in rows]
    options = table.options | {"columns": table.columns, "preview": preview}
    return options, {"columns": mappings.suggest(table.columns, kind=table.kind)}


@transaction.atomic
def take_in(file, source, *, by):
    """An Import of an uploaded file, ready to be mapped as its source's last list of the same columns was.

    Raises Unreadable.
    """
    options, suggested = look(file)
    file.seek(0)
    job = Import.objects.create(
        source=source, by=by, file=file, file_name=file.name[:200], size=file.size, options=options,
        mapping=_remembered(source, options["columns"]) or suggested,
    )  # fmt: skip
    details = {"import": job.pk, "size": job.size}
    AuditEntry.objects.create(user=by, action="import", subject=job.file_name[:120], details=details)
    return job


def _remembered(source, columns):
    for last in Import.objects.filter(source=source, state=State.DONE).exclude(mapping={})[:5]:
        if last.options.get("columns") == columns:
            return last.mapping
    return None


def reread(job, *, encoding, delimiter, header):
    """Look at the file anew, with what the user says of it; raises Unreadable or WrongStep."""
    with job.file.open("rb") as stream:
        options, suggested = look(stream, encoding=encoding, delimiter=delimiter, header=header)
    known = set(job.mapping.get("columns", {})) <= set(options["columns"])
    changes = {"options": options, "mapping": job.mapping if known and job.mapping else suggested}
    waiting = Import.objects.filter(pk=job.pk, state__in=[State.READY, State.CHECKED])
    if not waiting.update(state=State.READY, **changes):
        raise WrongStep(_("This list is being imported already."))


@transaction.atomic
def try_out(job, mapping):
    """Keep the mapping and try the import without a trace, in the background."""
    changes = {"mapping": mapping, "state": State.CHECKING, "forecast": {}, "error": "", "error_file": ""}
    changes |= {"diff": {}, "diff_file": ""}
    if not Import.objects.filter(pk=job.pk, state__in=[State.READY, State.CHECKED]).update(**changes):
        raise WrongStep(_("This list is being imported already."))
    _throw_away(job.error_file, job.diff_file)  # of the last try
    enqueue("crm.try_import", job.pk)


def _throw_away(*files):
    """Delete stored files once the transaction has forgotten them."""
    named = [(file.storage, file.name) for file in files if file]
    transaction.on_commit(lambda: [storage.delete(name) for storage, name in named])


@transaction.atomic
def start(job, *, by, sets_going=False):
    """Carry out in the background what was tried; ``sets_going``: with letters, sequences and notices for the new leads.

    Raises WrongStep, or Unreadable where there is no funnel.
    """
    row = Import.objects.select_for_update().get(pk=job.pk)
    if row.state != State.CHECKED:
        raise WrongStep(_("This list is being imported already."))
    Import.objects.filter(pk=row.pk).update(sets_going=sets_going)
    begin(row)
    details = {"import": row.pk, "started": True, "sets_going": sets_going}
    AuditEntry.objects.create(user=by, action="import", subject=row.file_name[:120], details=details)
    enqueue("crm.import", f"{row.pk}:0")


@transaction.atomic
def undo(job, *, by):
    """Have the import undone in the background; raises WrongStep."""
    try:
        row = begin_undo(job, by=by)
    except WrongState as error:
        raise WrongStep(str(error)) from error
    if row.state == State.UNDOING:
        ring(row)


@transaction.atomic
def discard(job):
    """Forget a list that was not started, with its file."""
    row = Import.objects.select_for_update().get(pk=job.pk)
    if row.state not in {State.READY, State.CHECKED, State.FAILED} or row.rows:
        raise WrongStep(_("What was imported cannot be discarded."))
    _throw_away(row.file, row.error_file, row.diff_file)
    row.delete()
