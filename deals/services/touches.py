"""Notes and calls about a deal: rows of the client's timeline that name the deal, and the next step after them."""

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from deals.services.history import locked, tell
from leads.models import Kind
from leads.services.cards import RESULTS
from leads.services.tasks import finish, set_task


@transaction.atomic
def note(deal, *, by, text, next_step=None):
    """Write a note; ``next_step``: what set_task takes (title, due_at, kind). Returns the Interaction."""
    text = _text(text)
    if not text:
        raise ValidationError(_("Write something first."))
    deal = locked(deal)
    row = tell(deal, Kind.NOTE, by=by, text=text)
    plan(deal, next_step, by=by)
    return row


@transaction.atomic
def log_call(deal, *, by, result, text="", next_step=None, closes=None):
    """Record a call with its result (RESULTS); ``closes``: the open Task that it was. Returns the Interaction."""
    if result not in RESULTS:
        raise ValidationError(_("Choose how the call went."))
    deal = locked(deal)
    row = tell(deal, Kind.CALL, by=by, text=_text(text), result=result, direction="out")
    if closes is not None:
        finish(closes, by=by)
    plan(deal, next_step, by=by)
    return row


@transaction.atomic
def plan(deal, step, *, by):
    """Plan the deal's next step; returns the Task. Raises ValidationError."""
    if not step:
        return None
    return set_task(deal.lead or deal.person, **{"assignee": deal.owner or by, "by": by, "deal": deal.pk} | step)


def _text(text):
    return text.replace("\x00", "").replace("\r\n", "\n").strip()
