"""One action on many leads: each is asked for its rights and gates by itself, refusals are counted by their reason."""

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.urls import reverse
from django.utils import timezone, translation
from django_fsm import TransitionNotAllowed

from crm.core.funnel import GateRefused, StaleCard
from crm.core.jobs import enqueue
from crm.core.models import Reason, Stage, User
from crm.core.notices import notify
from crm.core.refusals import Refusal, kept
from leads.models import BulkRun, Lead
from leads.services import cards, funnel

AT_ONCE = 100  # leads done within the request; more go to the background
AT_MOST = 1000  # leads of one run
CHUNK = 100  # leads a job
Action = BulkRun.Action
REFUSALS = (PermissionDenied, ValidationError, TransitionNotAllowed, GateRefused, StaleCard)


def start(action, ids, *, by, **params):
    """Run the action on the leads with these keys; returns the BulkRun, finished when there are few.

    ``params``: ``owner``, ``stage`` or ``reason`` by key, ``tag`` or ``note`` as text. Keys past AT_MOST are left out.
    """
    run = BulkRun.objects.create(by=by, action=action, params=params, ids=list(dict.fromkeys(ids))[:AT_MOST])
    if run.total > AT_ONCE:
        enqueue("leads.bulk", run.pk)
    else:
        advance(run)
    return run


def go_on(run_pk):
    """The next chunk of a run in the background; the rights are those that its user has now."""
    run = BulkRun.objects.select_for_update().select_related("by").get(pk=run_pk)
    if run.state == BulkRun.State.DONE:
        return
    with translation.override(run.by.language or translation.get_language()):
        advance(run)
    if run.state == BulkRun.State.RUNNING:
        enqueue("leads.bulk", run.pk)
    else:
        url = reverse("leads:bulk_run", args=[run.pk])
        notify(run.by, "bulk", url=url, done=run.done, refused=run.refused)


@transaction.atomic
def advance(run):
    """Do one chunk and note how far it got."""
    keys = run.ids[run.place : run.place + CHUNK]
    leads = Lead.objects.editable_by(run.by).select_related("stage", "owner").in_bulk(keys) if run.by.is_active else {}
    refusals = run.counted
    verb = _verb(run)
    for key in sorted(keys):  # one order for all: two runs over the same leads do not block each other
        why = _try(verb, leads.get(key), run.by)
        run.done += not why
        run.refused += bool(why)
        if why:
            _count(refusals, *why)
            run.left.append(key)
    run.refusals, run.place = refusals, run.place + len(keys)
    if run.place >= run.total:
        run.state, run.finished_at = BulkRun.State.DONE, timezone.now()
    run.save()


def _try(verb, lead, by):
    """Why the verb was refused, as a code with values; None when it was done."""
    if lead is None:
        return "not_open", {}
    try:
        with transaction.atomic():
            verb(lead, by)
    except REFUSALS as error:
        return kept(error)
    return None


def _count(refusals, code, values):
    row = next((row for row in refusals if row[:2] == [code, values]), None)
    if row is None:
        refusals.append(row := [code, values, 0])
    row[2] += 1


def _verb(run):
    """The action as a function of (lead, by)."""
    params = run.params
    if run.action == Action.OWNER:
        to = User.objects.owners_for(run.by).filter(pk=params["owner"]).first()
        return lambda lead, by: _owner(lead, to, by)
    if run.action == Action.STAGE:
        stage = Stage.objects.filter(pk=params["stage"], pipeline__kind="lead").first()
        return lambda lead, by: _stage(lead, stage, by)
    if run.action == Action.REJECT:
        reason = Reason.objects.filter(pk=params["reason"], kind="lead").first()
        return lambda lead, by: funnel.reject(lead, reason, by=by, note=params.get("note", ""))
    if run.action == Action.TAG:
        return lambda lead, by: cards.tag(lead, add=[params["tag"]], by=by)
    return lambda lead, by: cards.tag(lead, remove=[params["tag"]], by=by)


def _owner(lead, to, by):
    if to is None:
        raise PermissionDenied(Refusal("none_to_them"))
    cards.change_owner(lead, to, by=by)


def _stage(lead, stage, by):
    if stage is None:
        raise ValidationError(Refusal("no_stage"))
    funnel.move_stage(lead, stage, by=by)
