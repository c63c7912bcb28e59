"""Reading mailboxes: every letter is a receipt, stored with its job and the cursor in one transaction.

Nothing on the server is marked; a cut at any place leaves what is committed and a cursor that says so. The same bytes
under the same source are one receipt (the receipt's own key), so that a folder that is numbered anew, or a letter that
lies in two folders, has no second effect.
"""

import hashlib
import logging
import time
import uuid
from contextlib import contextmanager
from datetime import timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models import CharField, Exists, Max, OuterRef
from django.db.models.functions import Cast, Now
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import override

from crm.core.jobs import enqueue, enqueue_many
from crm.core.models import Job
from leads import imap
from leads.capture import imap as adapter
from leads.capture.base import clean
from leads.capture.letter import CUT
from leads.models import MailFolder, Source, Submission
from leads.services.judging import TASK
from leads.services.mailroom import ARRIVED

log = logging.getLogger(__name__)
POLL = "leads.poll_mailbox"
EVERY = timedelta(seconds=50)  # the minute's tick comes a little sooner or later
BATCH_BYTES, BATCH = 4 * 1024 * 1024, 50  # of one FETCH and one transaction
BEGINNING = 512 * 1024  # bytes that are kept of a letter that is too large
ENOUGH = 25.0  # seconds after which the rest is left to another job
BACKOFF = 600  # seconds between attempts at a mailbox that does not open, at most


class Busy(Exception):
    """Somebody reads this mailbox now."""


# --- When ---------------------------------------------------------------------------------------------------------------


def mailboxes():
    return Source.objects.filter(adapter="imap", is_active=True, settings__has_key="host").exclude(settings__host="")


def enqueue_polls():
    """A job for each mailbox that has not been read for a while and has none."""
    jobs = Job.objects.filter(task=POLL, ref=Cast(OuterRef("pk"), CharField()))
    read_at = mailboxes().filter(~Exists(jobs)).annotate(read_at=Max("folders__polled_at"))
    for pk, at in read_at.values_list("pk", "read_at"):
        if at is None or at < timezone.now() - EVERY:
            enqueue(POLL, pk)


def enqueue_poll(source):
    """Read this mailbox now: by the worker, not in somebody's request."""
    enqueue(POLL, source.pk)


def poll_job(pk, run):
    """Read one mailbox; what does not open is tried again, seldomer and seldomer."""
    source = mailboxes().filter(pk=pk).first()
    if source is None:
        run.done()
        return
    try:
        report = poll(source, seconds=ENOUGH)
    except Busy:
        run.done()
    except (imap.Broken, imap.Denied) as error:
        run.later(str(error), cap=BACKOFF)
    else:
        with transaction.atomic():
            run.done()
            if report["more"]:
                enqueue(POLL, pk)


@contextmanager
def _alone(source):
    """One reader a mailbox, whatever process; the lock goes with the connection."""
    key = f"mailbox:{source.pk}"
    with connection.cursor() as cursor:
        cursor.execute("select pg_try_advisory_lock(hashtextextended(%s, 0))", [key])
        if not cursor.fetchone()[0]:
            raise Busy(key)
    try:
        yield
    finally:
        if connection.connection is not None and connection.is_usable():
            with connection.cursor() as cursor:
                cursor.execute("select pg_advisory_unlock(hashtextextended(%s, 0))", [key])


# --- Reading --------------------------------------------------------------------------------------------------------------


def poll(source, *, seconds=None):
    """Take what is new in a mailbox: ``{"stored", "skipped", "more"}``; raises Busy, imap.Broken, imap.Denied."""
    until = time.monotonic() + seconds if seconds else None
    report = {"stored": 0, "skipped": 0, "more": False}
    with _alone(source), override("en"):
        names = adapter.folders(source.settings)
        try:
            with imap.Box(way(source)) as box:
                for name in names:
                    _read_folder(box, source, name, report, until)
        except (imap.Broken, imap.Denied) as error:
            _note_failure(source, names, str(error))
            raise
    return report


def _note_failure(source, names, why):
    for name in names[:1]:
        MailFolder.objects.get_or_create(source=source, name=name)
    MailFolder.objects.filter(source=source, name__in=names).update(failed_at=Now(), error=clean(why)[:300])


def way(source):
    """How to get into the mailbox; asks for a token where it needs one."""
    stated, tls = source.settings, source.settings.get("tls") or "ssl"
    auth = stated.get("auth") or "password"
    inside = settings.LOCAL or bool(stated.get("inside"))
    if not stated.get("host"):
        raise imap.Denied(_("The server of the mailbox is not stated yet."))
    if tls == "none" and not settings.LOCAL:
        raise imap.Denied(_("Without encryption only on this machine."))
    port = adapter.number(stated, "port") if str(stated.get("port") or "").isdigit() else (993 if tls == "ssl" else 143)
    token = "" if auth == "password" else _token(source, auth)
    return imap.Way(
        host=str(stated["host"]).strip(), port=port, tls=tls, user=str(stated.get("user") or ""),
        password=str(stated.get("password") or ""), token=token, inside=inside,
    )  # fmt: skip


def _token(source, auth):
    """An access token; a provider that gives a new refresh token with it has taken the old one back."""
    stated = source.settings
    own = str(stated.get("token_url") or "")
    token, refreshed = imap.access_token(
        own or imap.TOKEN_URLS[auth], client_id=str(stated.get("client_id") or ""),
        client_secret=str(stated.get("client_secret") or ""), refresh_token=str(stated.get("refresh_token") or ""),
        scope=imap.MICROSOFT_SCOPE if auth == "microsoft" else "", trusted=own,
    )  # fmt: skip
    if refreshed and refreshed != stated.get("refresh_token"):
        with transaction.atomic():
            row = Source.objects.select_for_update().get(pk=source.pk)
            row.settings = {**row.settings, "refresh_token": refreshed}
            row.save(update_fields=["settings"])
    return token


def _read_folder(box, source, name, report, until):
    folder, _made = MailFolder.objects.get_or_create(source=source, name=name)
    validity = box.open(name)
    since = None
    if folder.uidvalidity != validity:  # never read before, or numbered anew: what is known is told by its bytes
        since = (source.created_at - timedelta(days=adapter.number(source.settings, "first_days"))).date()
        folder.uidvalidity, folder.last_uid = validity, 0
    uids = box.uids(folder.last_uid, since)
    for start in range(0, len(uids), 500):
        for batch in _batches(box.sketches(uids[start : start + 500])):
            if until and time.monotonic() > until:
                report["more"] = True
                break
            _take(box, source, folder, batch, report)
        if report["more"]:
            break
    if not uids:
        _move(folder, folder.last_uid)
    MailFolder.objects.filter(pk=folder.pk).update(polled_at=Now(), error="", failed_at=None)


def _batches(sketches):
    """Letters in turn, as many as may be held in memory at once."""
    batch, size = [], 0
    for sketch in sketches:
        if batch and (len(batch) == BATCH or size + sketch.size > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(sketch)
        size += sketch.size
    if batch:
        yield batch


def _take(box, source, folder, batch, report):
    """Fetch and store; the cursor moves in the same transaction, past what is gone meanwhile as well."""
    most = adapter.number(source.settings, "max_letter")
    small = [s.uid for s in batch if s.size <= most]
    found = box.letters(small) if small else {}
    rows, missing = [], []
    for sketch in batch:
        cut = sketch.size > most
        raw = box.letters([sketch.uid], most=BEGINNING).get(sketch.uid) if cut else found.get(sketch.uid)
        if raw is None:
            missing.append(sketch.uid)
            continue
        head = f"{CUT}: {sketch.size}\r\n".encode() if cut else b""
        rows.append(_row(source, folder, sketch, head + raw))
    if missing and box.sketches(missing):  # listed, still there, and not given: not passed over
        raise imap.Broken(_("The server did not give a letter."))
    with transaction.atomic():
        stored = _store(rows)
        _move(folder, batch[-1].uid, stored)
    report["stored"] += stored
    report["skipped"] += len(rows) - stored


def _row(source, folder, sketch, raw):
    digest = hashlib.sha256(raw).hexdigest()
    return Submission(
        receipt=uuid.uuid4(), source=source, method="IMAP", content_type=adapter.RFC822, body=raw, sha256=digest,
        path=f"{folder.name};UIDVALIDITY={folder.uidvalidity};UID={sketch.uid}"[:500], idempotency_key=f"mail:{digest}",
        headers={ARRIVED: sketch.at.isoformat()} if sketch.at else {},
    )  # fmt: skip


def _store(rows):
    """Insert those that are not stored yet, each with its job; returns how many."""
    keys = [row.idempotency_key for row in rows]
    if not rows:
        return 0
    receipts = [row.receipt for row in rows]
    Submission.objects.bulk_create(rows, ignore_conflicts=True)
    made = Submission.objects.filter(source=rows[0].source, idempotency_key__in=keys, receipt__in=receipts)
    pks = list(made.order_by("pk").values_list("pk", flat=True))
    enqueue_many(TASK, pks)
    return len(pks)


def _move(folder, uid, stored=0):
    folder.last_uid, folder.stored = max(folder.last_uid, uid), folder.stored + stored
    folder.save(update_fields=["uidvalidity", "last_uid", "stored"])


# --- Trying ---------------------------------------------------------------------------------------------------------------


def check(source):
    """Open the mailbox and look: ``{"folders": names, "letters": {folder: count}}``; raises imap.Broken, imap.Denied."""
    with imap.Box(way(source)) as box:
        letters = {}
        for name in adapter.folders(source.settings):
            box.open(name)
            letters[name] = len(box.uids(0))
        return {"folders": box.folders(), "letters": letters}
