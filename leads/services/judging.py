"""The judge: what a stored receipt becomes. Runs after the answer, as the job ``leads.judge``; and its replay."""

import hashlib

from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.utils.translation import override

from crm.core.jobs import enqueue_many
from crm.core.models import AuditEntry, Job, Organisation
from crm.core.recent import recent, recent_rows
from leads.capture import ADAPTERS
from leads.capture.base import Refused
from leads.models import Source, Submission
from leads.services import confirmations, inbound, parts, site, watch
from leads.services.intake import Erased, open_lead

State, Reason = Submission.State, Submission.Reason
TASK = "leads.judge"
# What reading the same body again may mend (a mapping was added, a limit lifted, a bug fixed).
READ_AGAIN = {
    Reason.NO_CONTACT, Reason.UNPARSEABLE, Reason.TOO_LONG, Reason.INVALID, Reason.NOT_ENQUIRY, Reason.FAILED,
    Reason.SURGE,
}  # fmt: skip
NOTHING_KEPT = {Reason.TOO_LARGE}  # the body was not stored: there is nothing to judge


@recent
def phone_region():
    return Organisation.get().region


def read(submission, *, fresh=True):
    """Parsed of the stored bytes; raises Refused."""
    source = submission.source
    adapter = ADAPTERS[source.adapter]
    body = parts.body_of(submission, fresh=fresh)
    return adapter.parse(
        body, source, headers=submission.headers, region=phone_region(), path=submission.path,
        received_at=submission.received_at,
    )  # fmt: skip


source_of = recent_rows(lambda: Source.objects.select_related("origin", "consent"))


def _locked(pk, *, fresh=False):
    """The receipt, locked. ``fresh``: with its source as it is now; a replay follows a change of settings."""
    row = Submission.objects.select_for_update(no_key=True).filter(pk=pk).first()
    if row is not None and not fresh:
        row.source = source_of(row.source_id)
    return row


@transaction.atomic(savepoint=False)
def judge(pk, *, force=False, fresh=False):
    """Decide a waiting receipt; returns it, or None when there is nothing to decide. Said twice, done once.

    ``force``: an administrator says that it is an enquiry, whatever the traps say.
    """
    submission = _locked(pk, fresh=fresh)
    if submission is None or submission.state not in {State.WAITING, State.ERROR}:
        return None
    try:
        enqueue_many(TASK, [other.pk for other in parts.found_later(submission)])
        parsed = read(submission, fresh=fresh)
    except Refused as refused:
        detail = _told_to_us(submission, refused, fresh)
        return _settle(submission, state=State.REJECTED, reason=refused.reason, detail=detail)
    try:
        return _decided(submission, parsed, force)
    except Erased:
        return _settle(submission, state=State.REJECTED, reason=Reason.ERASED)  # and nothing of what it says is kept


def _told_to_us(submission, refused, fresh):
    """Why it is refused, in the company's language: it is kept, and colleagues read it."""
    with override(Organisation.get().language):
        try:
            read(submission, fresh=fresh)
        except Refused as said:
            return str(said.detail)
    return str(refused.detail)


def _found(parsed):
    """What the receipts page shows of what was read."""
    return {"parsed": parsed.as_json(), "warnings": [w[:300] for w in parsed.warnings[:50]]}


def _decided(submission, parsed, force):
    """The receipt as it becomes a card, a part of one, or nothing."""
    if parsed.kind == "event":
        submission.forced = force
        outcome, parsed.events = inbound.take(parsed.events, submission)
        return _settle(submission, **outcome.as_values(), **_found(parsed))
    found = _found(parsed)
    if parsed.kind != "lead" and not (force and parsed.identities):
        state = State.SPAM if parsed.kind == "spam" else State.REJECTED
        return _settle(submission, state=state, reason=parsed.reason, **found)
    if not parsed.identities:
        return _settle(submission, state=State.REJECTED, reason=Reason.NO_CONTACT, **found)
    if parsed.own_id and (former := _said_before(submission, parsed.own_id)):
        same = {"reason": Reason.SAME, "lead": former.lead, "person_id": former.person_id}
        return _settle(submission, state=State.MERGED, **same, **found)
    if not force and (waiting := confirmations.lacking(submission, parsed)):
        return _settle(submission, **waiting.as_values(), **found)
    lead, outcome = open_lead(
        fields=parsed.fields, identities=parsed.identities, source=submission.source, submission=submission,
        marks=parsed.marks, at=submission.received_at, consent=parsed.consent, visitor=parsed.visitor,
        details=_details(parsed),
    )  # fmt: skip
    site.follow(parsed.events, lead, submission)
    return _settle(submission, state=outcome, lead=lead, person_id=lead.person_id, **found)


def _said_before(submission, own_id):
    """The receipt that brought this enquiry of a provider before; where there is none, this one is marked as it."""
    key = f"own:{hashlib.sha256(own_id.encode()).hexdigest()}"
    others = Submission.objects.filter(source_id=submission.source_id, idempotency_key=key).exclude(pk=submission.pk)
    if submission.idempotency_key is None and not others.exists():
        try:
            with transaction.atomic():
                Submission.objects.filter(pk=submission.pk).update(idempotency_key=key)
        except IntegrityError:
            pass  # its twin, judged at the same moment, was first
        else:
            return None
    return others.filter(lead__isnull=False).select_related("lead").defer("body").first()


def _details(parsed):
    """What the timeline shows of an enquiry besides its text."""
    shown = {
        "page": parsed.marks.get("landing"),
        "product": parsed.fields.get("product"),
        "warnings": parsed.warnings[:20],
    }
    return {name: value for name, value in shown.items() if value}


def _settle(submission, *, state, reason="", detail="", **found):
    values = {"state": state, "reason": reason, "detail": detail[:500], **found}
    for name, value in values.items():
        setattr(submission, name, value)
    judged_at = None if state == State.WAITING else Now()  # something of it is still to be fetched
    Submission.objects.filter(pk=submission.pk).update(**values, judged_at=judged_at)
    return submission


def gave_up(ref, error):
    """The job died after its last attempt: the receipt says so and can be replayed."""
    rows = Submission.objects.filter(pk=int(ref), state=State.WAITING)
    if rows.update(state=State.ERROR, reason=Reason.FAILED, detail=error[:500], judged_at=Now()):
        watch.tell_error(Submission.objects.select_related("source").defer("body").get(pk=int(ref)))


def may_replay(submission):
    """Whether a replay could change anything: what became a card never changes again, and a body must be there."""
    refused = submission.state in {State.ERROR, State.SPAM, State.REJECTED} and submission.reason not in NOTHING_KEPT
    return refused and bool(parts.raw_of(submission))


@transaction.atomic
def replay(submission, *, by, force=False):
    """Judge again what did not become a card; returns the receipt as it stands then.

    Without ``force`` the same body is only read again: refused senders and trapped robots stay where they are.
    """
    row = _locked(submission.pk, fresh=True)
    if row is None or not may_replay(row) or not (force or row.reason in READ_AGAIN):
        return row
    AuditEntry.objects.create(
        user=by,
        action="receipt_forced" if force else "receipt_replayed",
        subject=str(row.receipt),
        details={"reason": row.reason},
    )
    Submission.objects.filter(pk=row.pk).update(state=State.WAITING, reason="", detail="")
    Job.objects.filter(task=TASK, ref=str(row.pk)).delete()  # a dead one
    return judge(row.pk, force=force, fresh=True)


@transaction.atomic
def replay_many(receipts, *, by):
    """Set many receipts to be read again by the workers; returns how many."""
    rows = receipts.readable().filter(state__in=[State.ERROR, State.REJECTED, State.SPAM], reason__in=READ_AGAIN)
    pks = list(rows.select_for_update(of=("self",), skip_locked=True).values_list("pk", flat=True)[:5000])
    Submission.objects.filter(pk__in=pks).update(state=State.WAITING, reason="", detail="")
    Job.objects.filter(task=TASK, ref__in=[str(pk) for pk in pks]).delete()
    enqueue_many(TASK, pks)
    AuditEntry.objects.create(user=by, action="receipts_replayed", details={"count": len(pks)})
    return len(pks)
