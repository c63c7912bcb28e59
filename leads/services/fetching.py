"""Enquiries that a provider only announces: asked for by their ids, each a row with a state, five attempts.

announced → a row and a job (committed) → asked for → the answer stored (committed) → judged. The receipt waits until
every enquiry that it announced is settled.
"""

import hashlib
import hmac

from django.db import transaction
from django.db.models.functions import Now

from crm.core import outbound
from crm.core.jobs import ATTEMPTS, enqueue
from crm.core.models import Organisation
from crm.core.recent import recent
from leads import identity
from leads.capture import meta
from leads.models import Fetch, Submission, Touch
from leads.services import watch
from leads.services.intake import open_lead
from leads.services.outcome import Outcome, Reason, State

TASK = "leads.fetch"
TIMEOUT = 10.0  # seconds
FIELDS = (
    "id,created_time,field_data,form_id,ad_id,ad_name,adset_id,adset_name,campaign_id,campaign_name,is_organic,platform"
)
PLAIN = "id,created_time,field_data,form_id,ad_id"  # what a token without the rights of an advertiser may read
LATER = {1, 2, 4, 17, 32, 341, 368, 613, 80004, 80005}  # Graph's codes for "not now"
_WEIGHT = [State.LEAD, State.MERGED, State.SPAM, State.REJECTED]


class Denied(Exception):
    """The provider said no, and will say no again."""


# --- Announced --------------------------------------------------------------------------------------------------------


def announced(event, submission):
    """Handler of ``meta.Announced``: the receipt waits for what is fetched; announced again, it is the same."""
    row, is_new = Fetch.objects.get_or_create(
        source_id=submission.source_id, external_id=event.leadgen_id,
        defaults={"submission": submission, "facts": event.facts},
    )  # fmt: skip
    own = row.submission_id == submission.pk
    if own and row.state == Fetch.State.FAILED:  # replayed
        Fetch.objects.filter(pk=row.pk).update(state=Fetch.State.WAITING, attempts=0, error="")
    elif not (is_new or own):
        return Outcome(State.MERGED, lead=row.lead, reason=Reason.SAME)
    elif row.state == Fetch.State.DONE:
        return Outcome(row.outcome, lead=row.lead, reason=row.reason)
    enqueue(TASK, row.pk)
    return Outcome(State.WAITING)


# --- Asked for --------------------------------------------------------------------------------------------------------


def fetch(pk, run):
    """Ask for one enquiry and make its card; ``run`` is the job's (see crm.core.jobs)."""
    row = Fetch.objects.select_related("source__origin", "source__consent").filter(pk=pk).first()
    if row is None or row.state != Fetch.State.WAITING:
        run.done()
        return
    try:
        answer = row.answer or ask(row)
    except outbound.Unreachable as error:
        _not_now(row, str(error), run)
    except (outbound.Refused, Denied) as error:
        _give_up(row, str(error), run)
    else:
        Fetch.objects.filter(pk=row.pk).update(answer=answer, facts=row.facts)
        _settle(row.pk, answer, run)


def ask(row):
    """What the Graph API says of the enquiry; raises Unreachable, Refused, Denied."""
    settings = row.source.settings
    token = str(settings.get("access_token") or "")
    if not token:
        raise Denied("no access token: enter the page's token in the source's settings")
    try:
        found = _graph(row.source, row.external_id, token, FIELDS)
    except Denied:
        found = _graph(row.source, row.external_id, token, PLAIN)
    form = str(found.get("form_id") or row.facts.get("form_id") or "")
    if form and "form_name" not in row.facts and (name := _form_name(row.source, form, token)):
        row.facts = {**row.facts, "form_name": name}
    return found


def _graph(source, node, token, fields):
    base = str(source.settings.get("base_url") or meta.BASE_URL).rstrip("/")
    version = str(source.settings.get("version") or meta.VERSION).strip("/")
    params = {"access_token": token, "fields": fields}
    if source.secret:  # asked for by apps that require it, and never wrong
        params["appsecret_proof"] = hmac.new(source.secret.encode(), token.encode(), hashlib.sha256).hexdigest()
    answer = outbound.fetch("GET", f"{base}/{version}/{node}", params=params, timeout=TIMEOUT, trusted=base)
    try:
        found = answer.json()
    except ValueError:
        raise outbound.Unreachable(f"HTTP {answer.status}, no JSON") from None
    said = found.get("error") if isinstance(found, dict) else {}
    if answer.status == 200 and isinstance(found, dict) and not said:
        return found
    said = said if isinstance(said, dict) else {}
    words = f"HTTP {answer.status} {said.get('code', '')} {identity.line(said.get('message'), 200)}".strip()
    if answer.status >= 500 or answer.status == 429 or said.get("is_transient") or said.get("code") in LATER:
        raise outbound.Unreachable(words)
    raise Denied(words)


def _form_name(source, form, token):
    """The form's name, where it can be had; an enquiry is not held up by it."""
    try:
        return identity.line(_graph(source, form, token, "id,name").get("name"), 200)
    except (outbound.Refused, outbound.Unreachable, Denied):
        return ""


# --- Settled ----------------------------------------------------------------------------------------------------------


@recent
def _region():
    return Organisation.get().region


@transaction.atomic
def _settle(pk, answer, run):
    """Make the card of what was fetched, and the receipt say so; once, whoever else runs the same."""
    row = Fetch.objects.select_for_update(of=["self"]).select_related("source", "submission").get(pk=pk)
    if row.state == Fetch.State.WAITING:
        outcome = _judged(row, answer)
        row.state, row.outcome, row.lead, row.reason = Fetch.State.DONE, outcome.state, outcome.lead, outcome.reason
        row.error, row.done_at = "", Now()
        row.save(update_fields=["state", "outcome", "lead", "reason", "error", "done_at"])
        _tell_receipt(row.submission_id)
    run.done()


def _judged(row, answer):
    parsed = meta.parse_lead(answer, row.facts, row.source, _region())
    receipt = row.submission
    found = {**(receipt.parsed or {}), row.external_id: parsed.as_json()}
    Submission.objects.filter(pk=receipt.pk).update(parsed=found, warnings=parsed.warnings[:50])
    if parsed.kind != "lead":
        return Outcome(State.REJECTED, reason=Reason.TEST)
    if not parsed.identities:
        return Outcome(State.REJECTED, reason=Reason.NO_CONTACT)
    details = {"product": parsed.fields.get("product"), "external": row.external_id}
    lead, state = open_lead(
        fields=parsed.fields, identities=parsed.identities, source=row.source, submission=_first_use(receipt),
        marks=parsed.marks, at=receipt.received_at, consent=True, details=details,
    )  # fmt: skip
    return Outcome(state, lead=lead)


def _first_use(receipt):
    """A receipt is the touch of one enquiry: the others of the same body have none of their own."""
    return None if Touch.objects.filter(submission=receipt).exists() else receipt


def _tell_receipt(pk):
    """The receipt's state, once nothing of it is to be fetched any more."""
    receipt = Submission.objects.select_for_update(no_key=True).get(pk=pk)
    rows = list(receipt.fetches.order_by("pk"))
    if receipt.state not in {State.WAITING, State.ERROR} or any(r.state == Fetch.State.WAITING for r in rows):
        return
    failed = next((r for r in rows if r.state == Fetch.State.FAILED), None)
    if failed:
        changes = {"state": State.ERROR, "reason": Reason.FAILED, "detail": failed.error}
    else:
        best = min(rows, key=lambda r: _WEIGHT.index(r.outcome))
        person = best.lead.person_id if best.lead else None
        changes = {"state": best.outcome, "reason": best.reason, "detail": "", "lead": best.lead, "person_id": person}
    Submission.objects.filter(pk=pk).update(**changes, judged_at=Now())
    if failed:
        watch.tell_error(receipt)


def _not_now(row, why, run):
    if row.attempts + 1 >= ATTEMPTS:
        _give_up(row, why, run)
        return
    with transaction.atomic():
        Fetch.objects.filter(pk=row.pk).update(attempts=row.attempts + 1, error=why[:500])
        run.later(why)


@transaction.atomic
def _give_up(row, why, run):
    """Nothing more is tried: the receipt says why and can be replayed; administrators are told."""
    Fetch.objects.filter(pk=row.pk, state=Fetch.State.WAITING).update(
        state=Fetch.State.FAILED, attempts=row.attempts + 1, error=why[:500]
    )
    _tell_receipt(row.submission_id)
    run.done()


def died(ref, error):
    """The job itself failed too often: a fault of ours, not of the provider's."""
    row = Fetch.objects.filter(pk=int(ref), state=Fetch.State.WAITING).first()
    if row:
        Fetch.objects.filter(pk=row.pk).update(state=Fetch.State.FAILED, error=error[:500])
        _tell_receipt(row.submission_id)
