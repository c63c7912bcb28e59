"""Calls that a colleague starts from a card: the exchange rings the colleague's phone, then the client's.

claim (committed) → the provider's API → placed | failed (committed). A worker that died in between leaves a row that
nobody can judge: ``unsure``; the client is never called a second time by itself.
"""

import logging

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from crm.core import outbound
from crm.core.jobs import enqueue
from leads.capture import ADAPTERS, calling
from leads.models import Dialling, Extension

log = logging.getLogger(__name__)
TASK = "leads.dial"
TIMEOUT = 10.0  # seconds
State = Dialling.State


def phone_of(user):
    """The colleague's Extension at an exchange that can be asked to call; None where there is none."""
    rows = Extension.objects.select_related("source").filter(user=user, source__is_active=True).order_by("pk")
    return next((row for row in rows if _can(row.source)), None)


def _can(source):
    adapter = ADAPTERS.get(source.adapter)
    return hasattr(adapter, "dial") and adapter.can_dial(source)


@transaction.atomic
def ask(lead, *, by, token):
    """Ask for a call to the lead's phone; returns the Dialling. The same token asks once. Raises ValidationError."""
    if former := Dialling.objects.filter(token=token, user=by).first():
        return former
    own = phone_of(by)
    if own is None:
        raise ValidationError(_("You have no extension at an exchange that could call for you."))
    if not lead.phone:
        raise ValidationError(_("The lead has no phone number."))
    try:
        with transaction.atomic():
            row = Dialling.objects.create(
                user=by, lead=lead, source=own.source, extension=own.number, phone=lead.phone, token=token
            )
    except IntegrityError:
        return Dialling.objects.get(token=token)
    enqueue(TASK, row.pk)
    return row


def place(pk, run):
    """Ask the exchange, at most once; ``run`` is the job's (see crm.core.jobs)."""
    row = _claim(pk, run)
    if row is None:
        return
    state, reason, external = _asked(row)
    with transaction.atomic():
        Dialling.objects.filter(pk=pk, state=State.PLACING).update(
            state=state, reason=reason[:300], external_id=external[:128]
        )
        run.done()


@transaction.atomic(durable=True)
def _claim(pk, run):
    """The row, now ``placing``; None when there is nothing to do."""
    rows = Dialling.objects.select_for_update(of=("self",)).select_related("source", "user")
    row = rows.filter(pk=pk).first()
    if row is None or row.state != State.QUEUED:
        Dialling.objects.filter(pk=pk, state=State.PLACING).update(state=State.UNSURE)
        run.done()
        return None
    row.state = State.PLACING
    Dialling.objects.filter(pk=pk).update(state=State.PLACING, claimed_at=Now())
    return row


def _asked(row):
    """(state, reason, the provider's id) after one request."""
    adapter, source = ADAPTERS[row.source.adapter], row.source
    own = Extension.objects.filter(user=row.user, source=source, number=row.extension).first()
    if own is None:
        return State.FAILED, _("the extension is gone"), ""
    try:
        request = adapter.dial(source, own=own, number=row.phone, token=row.token)
        answer = outbound.fetch(
            request.method, request.url, headers=dict(request.headers), params=request.params, json=request.json,
            data=request.data, timeout=TIMEOUT, trusted=request.trusted,
        )  # fmt: skip
    except outbound.Refused as refused:
        return State.FAILED, str(refused), ""
    except outbound.Unreachable as error:  # it may have been heard all the same
        return State.UNSURE, str(error), ""
    try:
        return State.PLACED, "", adapter.dialled(answer)
    except (calling.Failed, ValueError, AttributeError, TypeError) as error:
        log.warning("dialling %s: %s", row.pk, error)
        return State.FAILED, str(error), ""
