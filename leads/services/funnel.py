"""Moves of a lead on its funnel; the same on every path: form, board, bulk, API, automation."""

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from crm.core.funnel import StaleCard, move_kind
from crm.core.models import Reason, Stage
from leads.models import Kind, Lead, StageMove, Status
from leads.services.timeline import record


def locked(lead, *, version=None):
    """The lead's row, locked for this transaction; raises StaleCard when it has moved since ``version``."""
    fresh = Lead.objects.select_for_update(no_key=True).select_related(None).get(pk=lead.pk)
    if version is not None and fresh.version != version:
        raise StaleCard(fresh)
    return fresh


def enter_funnel(lead, *, by=None, at=None, imported=False):
    """Book the entry of a new lead into its funnel."""
    extra = {} if at is None else {"at": at}
    return StageMove.objects.create(
        lead=lead, kind=StageMove.Kind.ENTERED, to_stage_id=lead.stage_id, by=by, imported=imported, **extra
    )


def _book(lead, kind, *, source, target, by, since, now, reason=None, note="", imported=False):
    lead.version += 1
    return StageMove.objects.create(
        lead=lead,
        kind=kind,
        from_stage_id=source,
        to_stage_id=target,
        by=by,
        at=now,
        reason=reason,
        note=note,
        seconds=max(0, int((now - since).total_seconds())),
        imported=imported,
    )


@transaction.atomic
def move_stage(lead, to, *, by=None, version=None):
    """Move to another stage; returns the lead as saved.

    Raises TransitionNotAllowed, PermissionDenied, GateRefused (fields lack) or StaleCard; then nothing is changed.
    """
    lead = locked(lead, version=version)
    if lead.status != Status.OPEN:
        raise PermissionDenied(_("A closed lead does not move; reopen it first."))
    if lead.stage_id == to.pk:
        return lead
    source, now = lead.stage, timezone.now()
    lead.move(to, by=by)
    stages = list(Stage.objects.filter(pipeline_id=lead.pipeline_id).order_by("position", "id"))
    kind = move_kind(source, to, stages)
    _book(lead, kind, source=source.pk, target=to.pk, by=by, since=lead.stage_entered_at, now=now)
    lead.stage_entered_at = now
    lead.save(update_fields=["stage", "stage_entered_at", "version"])
    record(lead, Kind.STAGE_MOVED, by=by, move=kind, **{"from": source.name, "to": to.name})
    return lead


@transaction.atomic
def reject(lead, reason, *, by=None, note="", version=None):
    """Close as rejected with a reason of the dictionary; raises ValidationError without one."""
    if not isinstance(reason, Reason) or reason.kind != "lead":
        raise ValidationError(_("Choose why the lead is rejected."))
    lead = locked(lead, version=version)
    lead.reject(reason)
    _close(lead, StageMove.Kind.REJECTED, by=by, reason=reason, note=note)
    record(lead, Kind.REJECTED, by=by, text=note, reason=reason.name)
    return lead


@transaction.atomic
def convert(lead, *, by=None):
    """Close as converted (the deal is opened by deals.services.convert); the caller holds the lock."""
    lead.convert()
    _close(lead, StageMove.Kind.CONVERTED, by=by)
    return lead


def _close(lead, kind, *, by, reason=None, note=""):
    now = timezone.now()
    lead.closed_at, lead.waiting_since, lead.parked_until = now, None, None
    _book(
        lead, kind, source=lead.stage_id, target=lead.stage_id, by=by, since=lead.stage_entered_at, now=now,
        reason=reason, note=note,
    )  # fmt: skip
    lead.save(update_fields=["status", "rejected_reason", "closed_at", "waiting_since", "parked_until", "version"])


@transaction.atomic
def reopen(lead, *, by=None):
    """Back to work at the stage where it was closed; the reason stays in history."""
    lead = locked(lead)
    closed_at = lead.closed_at
    lead.reopen()
    now = timezone.now()
    _book(
        lead, StageMove.Kind.REOPENED, source=lead.stage_id, target=lead.stage_id, by=by, since=closed_at or now, now=now
    )
    lead.stage_entered_at = now
    lead.save(update_fields=["status", "rejected_reason", "closed_at", "stage_entered_at", "version"])
    record(lead, Kind.REOPENED, by=by)
    return lead
