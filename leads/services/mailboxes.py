"""Reading mailboxes: every letter is a receipt, stored with its job and the cursor in one transaction.

Nothing on the server is marked; a cut at any place leaves what is committed and a cursor that says so, and the next
look begins with a single letter, so that the worst of lines gets on. The same bytes under the same source are one
receipt (the receipt's own key), so that a folder that is numbered anew, or a letter that lies in two folders, has no
second effect. A letter that the server lists and does not give, look after look, becomes a receipt that says so.
"""

import hashlib
import logging
import time
import uuid
from contextlib import ExitStack, contextmanager
from datetime import timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models import CharField, Exists, Max, OuterRef
from django.db.models.functions import Cast, Now
from django.utils import timezone

from crm.core.jobs import enqueue, enqueue_many
from crm.core.models import Job
from leads import imap
from leads.capture import imap as adapter
from leads.capture.base import clean
from leads.capture.letter import CUT
from leads.models import MailFolder, Source, Submission
from leads.services import watch
from leads.services.judging import TASK
from leads.services.mailroom import ARRIVED

log = logging.getLogger(__name__)
POLL = "leads.poll_mailbox"
EVERY = timedelta(seconds=50)  # the minute's tick comes a little sooner or later
BATCH_BYTES, BATCH = 4 * 1024 * 1024, 50  # of one FETCH and one transaction
CHUNK = 500  # letters whose sizes are asked for at once
TRIES = 3  # looks at which a letter may be listed and not given
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
    except imap.Trouble as error:
        watch.tell_mailbox(source)
        other = error.code == "folder"  # folders that do open are read as ever
        run.later(str(error), cap=1 if other else BACKOFF, after=EVERY.total_seconds() if other else 0)
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
    with _alone(source):
        names, denied = adapter.folders(source.settings), None
        try:
            with _entered(source) as box:
                while names:
                    try:
                        _read_folder(box, source, names[0], report, until)
                    except imap.Denied as error:  # the other folders have nothing to do with it
                        _note_failure(source, names[:1], error)
                        denied = error
                    names = names[1:]
        except imap.Trouble as error:
            _note_failure(source, names, error)
            raise
    if denied:
        raise denied
    return report


@contextmanager
def _entered(source):
    """The open mailbox; a token that the server does not take any more is exchanged, once."""
    with ExitStack() as stack:
        try:
            box = stack.enter_context(imap.Box(way(source)))
        except imap.Denied as error:
            if error.code != "token":
                raise
            box = stack.enter_context(imap.Box(way(source, anew=True)))
        yield box


def _note_failure(source, names, error):
    for name in names:
        MailFolder.objects.get_or_create(source=source, name=name)
    said = clean(f"{error.code}|{error.said}")[:300]
    MailFolder.objects.filter(source=source, name__in=names).update(failed_at=Now(), error=said)


def trouble(folder):
    """What is wrong with a folder, in the reader's language; empty where nothing is."""
    code, _bar, said = folder.error.partition("|")
    return imap.told(code, said) if code else ""


def way(source, *, anew=False):
    """How to get into the mailbox; asks for a token where it needs one, ``anew`` whatever it has."""
    stated, tls = source.settings, source.settings.get("tls") or "ssl"
    auth = stated.get("auth") or "password"
    inside = settings.LOCAL or bool(stated.get("inside"))
    if not stated.get("host"):
        raise imap.Denied("host")
    if tls == "none" and not settings.LOCAL:
        raise imap.Denied("open")
    port = adapter.number(stated, "port") if str(stated.get("port") or "").isdigit() else (993 if tls == "ssl" else 143)
    token = "" if auth == "password" else _token(source, auth, anew)
    return imap.Way(
        host=str(stated["host"]).strip(), port=port, tls=tls, user=str(stated.get("user") or ""),
        password=str(stated.get("password") or ""), token=token, inside=inside,
    )  # fmt: skip


def _token(source, auth, anew):
    """An access token; one at a time asks for it: a provider that gives a new refresh token takes the old one back."""
    url = str(source.settings.get("token_url") or imap.TOKEN_URLS.get(auth) or "")
    refresh_token = str(source.settings.get("refresh_token") or "")
    if not anew and (token := imap.kept_token(url, refresh_token)):
        return token
    with transaction.atomic():
        row = Source.objects.select_for_update(no_key=True).get(pk=source.pk)
        stated, former = row.settings, source.settings
        token, renewed = imap.access_token(
            url, client_id=str(stated.get("client_id") or ""), client_secret=str(stated.get("client_secret") or ""),
            refresh_token=str(stated.get("refresh_token") or ""),
            scope=imap.MICROSOFT_SCOPE if auth == "microsoft" else "", trusted=str(stated.get("token_url") or ""),
        )  # fmt: skip
        if renewed and renewed != stated.get("refresh_token"):
            row.settings = {**stated, "refresh_token": renewed}
            row.save(update_fields=["settings"])
            source.settings = {**former, "refresh_token": renewed}
    return token


def _read_folder(box, source, name, report, until):
    folder, _made = MailFolder.objects.get_or_create(source=source, name=name)
    opened = box.open(name)
    if folder.uidvalidity != opened.validity:  # never read before, or numbered anew: what is known is told by its bytes
        folder.uidvalidity, folder.last_uid, folder.old_below = opened.validity, 0, opened.following
    for chunk in _chunks(_waiting(box, source, folder), 1 if folder.error else CHUNK):
        for batch in _batches(box.sketches(chunk)):
            if until and time.monotonic() > until:
                report["more"] = True
                break
            _take(box, source, folder, batch, report)
        if report["more"]:
            break
        _move(folder, chunk[-1])
    else:
        _move(folder, folder.old_below - 1)
    MailFolder.objects.filter(pk=folder.pk).update(polled_at=Now(), error="", failed_at=None)


def _waiting(box, source, folder):
    """UIDs that are to be taken: of what lay there at the first look only the young."""
    first, old_below = folder.last_uid + 1, folder.old_below
    if first >= old_below:
        return box.uids(first)
    since = source.created_at - timedelta(days=adapter.number(source.settings, "first_days"))
    return box.uids(first, old_below - 1, since.date()) + box.uids(old_below)


def _chunks(uids, size):
    """In turn, more and more at a time."""
    while uids:
        yield uids[:size]
        uids, size = uids[size:], min(CHUNK, 2 * size)


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
    found = _fetched(box, source, batch)
    withheld = next((s for s in batch if s.uid not in found and box.sketches([s.uid])), None)
    end = batch.index(withheld) if withheld else len(batch)
    rows = [_row(source, folder, s, found[s.uid]) for s in batch[:end] if s.uid in found]
    with transaction.atomic():
        stored = _store(rows)
        _move(folder, withheld.uid - 1 if withheld else batch[-1].uid, stored)
    report["stored"] += stored
    report["skipped"] += len(rows) - stored
    if withheld:
        _pass_over(source, folder, withheld)
        if batch[end + 1 :]:
            _take(box, source, folder, batch[end + 1 :], report)


def _fetched(box, source, batch):
    """{uid: raw letter}; where several are asked for and some do not come, those are asked for one by one."""
    most = adapter.number(source.settings, "max_letter")
    small = [s.uid for s in batch if s.size <= most]
    found = box.letters(small) if small else {}
    for sketch in batch:
        if sketch.size > most:
            if (raw := box.letters([sketch.uid], most=BEGINNING).get(sketch.uid)) is not None:
                found[sketch.uid] = f"{CUT}: {sketch.size}\r\n".encode() + raw
        elif sketch.uid not in found:
            found |= box.letters([sketch.uid])
    return found


def _pass_over(source, folder, sketch):
    """A letter that is listed and not given: waited for at some looks, then a receipt says that it is missing."""
    folder.withheld = folder.withheld + 1 if folder.withheld_uid == sketch.uid else 1
    folder.withheld_uid = sketch.uid
    folder.save(update_fields=["withheld_uid", "withheld"])
    if folder.withheld < TRIES:
        raise imap.Broken("not_given", f"{folder.name}, UID {sketch.uid}")
    row = _row(source, folder, sketch, b"")
    row.idempotency_key = f"withheld:{folder.pk}:{folder.uidvalidity}:{sketch.uid}"
    row.state, row.reason, row.detail = Submission.State.ERROR, Submission.Reason.FAILED, "the server did not give it"
    row.judged_at = timezone.now()
    with transaction.atomic():
        Submission.objects.bulk_create([row], ignore_conflicts=True)
        _move(folder, sketch.uid)
        watch.tell_error(row)


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
    folder.save(update_fields=["uidvalidity", "last_uid", "old_below", "stored"])


# --- Trying ---------------------------------------------------------------------------------------------------------------


def check(source):
    """Open the mailbox and look: ``{"folders": names, "letters": {folder: count}}``; raises imap.Broken, imap.Denied."""
    with _entered(source) as box:
        letters = {name: box.open(name).count for name in adapter.folders(source.settings)}
        return {"folders": box.folders(), "letters": letters}
