"""Moves of a lead on its funnel; the same on every path: form, board, bulk, API, automation."""

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.utils.translation import gettext as _
from django_fsm import TransitionNotAllowed

from crm.core import funnel
from crm.core.funnel import locked
from crm.core.models import Reason
from crm.core.refusals import Refusal
from leads.models import Kind, StageMove, Status
from leads.services.tasks import close_open
from leads.services.timeline import record

CLOSING = ["status", "rejected_reason", "closed_at", "waiting_since", "parked_until", "version"]


def enter_funnel(lead, *, by=None, at=None, imported=False):
    """Book the entry of a new lead into its funnel."""
    return funnel.enter(lead, by=by, at=at, imported=imported)


@transaction.atomic
def move_stage(lead, to, *, by=None, version=None):
    """Move to another stage; returns the lead as saved.

    Raises TransitionNotAllowed, PermissionDenied, GateRefused (fields lack) or StaleCard; then nothing is changed.
    """
    lead = locked(lead, version=version)
    if lead.status != Status.OPEN:
        raise PermissionDenied(Refusal("closed"))
    if lead.stage_id == to.pk:
        return lead
    source = lead.stage
    move = funnel.advance(lead, to, by=by)
    record(lead, Kind.STAGE_MOVED, by=by, move=move.kind, **{"from": source.name, "to": to.name})
    return lead


@transaction.atomic
def reject(lead, reason, *, by=None, note="", version=None):
    """Close as rejected with a reason of the dictionary; raises ValidationError without one."""
    if not isinstance(reason, Reason) or reason.kind != "lead":
        raise ValidationError(Refusal("no_reason"))
    lead = locked(lead, version=version)
    if lead.status != Status.OPEN:
        raise TransitionNotAllowed(Refusal("closed_already"))
    lead.reject(reason)
    _close(lead, StageMove.Kind.REJECTED, by=by, reason=reason, note=note)
    close_open(lead=lead, by=by, because="rejected")
    record(lead, Kind.REJECTED, by=by, text=note, reason=reason.name)
    return lead


@transaction.atomic
def convert(lead, *, by=None):
    """Close as converted (the deal is opened by deals.services.convert); the caller holds the lock.

    Raises GateRefused when a stage that the lead has not reached asks for what is empty.
    """
    if lead.status == Status.REJECTED:
        raise TransitionNotAllowed(_("A rejected lead does not become a deal; reopen it first."))
    funnel.check_way_out(lead)
    lead.convert()
    _close(lead, StageMove.Kind.CONVERTED, by=by)
    close_open(lead=lead, by=by, because="converted")
    return lead


def _close(lead, kind, *, by, **extra):
    lead.waiting_since, lead.parked_until = None, None
    funnel.close(lead, kind, by=by, **extra)
    lead.save(update_fields=CLOSING)


@transaction.atomic
def reopen(lead, *, by=None):
    """Back to work at the stage where it was closed; the reason stays in history."""
    lead = locked(lead)
    closed_at = lead.closed_at
    if lead.status == Status.OPEN:
        return lead
    lead.reopen()
    funnel.resume(lead, by=by, since=closed_at)
    lead.save(update_fields=["status", "rejected_reason", "closed_at", "stage_entered_at", "version"])
    record(lead, Kind.REOPENED, by=by)
    return lead
