"""Files of call records in a folder that is watched: what has been added since the last look becomes receipts.

A piece of a file and how far the file has been read are stored in one transaction: killed anywhere, nothing is taken
twice and nothing is passed by.
"""

import hashlib
import uuid
from pathlib import Path

from django.db import transaction
from django.db.models.functions import Now

from crm.core.jobs import enqueue
from leads.models import Source, Submission, WatchedFile
from leads.services.judging import TASK as JUDGE

TASK = "leads.cdr_folder"
PIECE = 128 * 1024  # bytes of one receipt
LINES = 500
PIECES = 50  # of one file at one look


def look_everywhere():
    """A job for each source that watches a folder."""
    for source in Source.objects.filter(adapter="asterisk", is_active=True):
        if source.settings.get("folder"):
            enqueue(TASK, source.pk)


def look(source_pk):
    """Take what is new in the folder of one source; returns how many receipts it became."""
    source = Source.objects.filter(pk=source_pk, is_active=True).first()
    folder = Path(str(source.settings.get("folder") or "")) if source else None
    if folder is None or not folder.is_absolute() or not folder.is_dir():
        return 0
    return sum(_read_on(source, path) for path in sorted(folder.glob("*.csv")) if path.is_file())


def _read_on(source, path):
    taken = 0
    with path.open("rb") as file:
        head = hashlib.sha256(file.readline(65536)).hexdigest()
        while taken < PIECES and _piece(source, path, file, head):
            taken += 1
    return taken


@transaction.atomic
def _piece(source, path, file, head):
    """One receipt of the next whole lines; whether there was one."""
    name = path.name[:255]
    WatchedFile.objects.get_or_create(source=source, name=name)
    seen = WatchedFile.objects.select_for_update().get(source=source, name=name)
    size = file.seek(0, 2)
    if seen.head != head or size < seen.offset:  # another file of the same name, or one that was emptied
        seen.head, seen.offset = head, 0
    file.seek(seen.offset)
    raw = _whole_lines(file.read(PIECE))
    if raw.strip():
        _store(source, name, raw)
    seen.offset += len(raw)
    WatchedFile.objects.filter(pk=seen.pk).update(head=seen.head, offset=seen.offset, read_at=Now())
    return bool(raw)


def _whole_lines(raw):
    """Up to LINES lines that are ended; a row that is being written waits for the next look."""
    lines = raw.splitlines(keepends=True)[:LINES]
    if lines and not lines[-1].endswith((b"\n", b"\r")):
        lines.pop()
    return b"".join(lines)


def _store(source, name, raw):
    row = Submission.objects.create(
        receipt=uuid.uuid4(), source=source, method="FILE", path=name, content_type="text/csv", body=raw,
        sha256=hashlib.sha256(raw).hexdigest(),
    )  # fmt: skip
    enqueue(JUDGE, row.pk)
