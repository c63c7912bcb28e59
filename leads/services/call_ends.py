"""When a call is over: its row of the timeline, the task to call back, and what a colleague says came of it."""

from datetime import timedelta

from django.db import transaction
from django.db.models import OuterRef, Subquery
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import override

from crm.core.models import Organisation
from crm.core.templatetags.ui import phone as shown_phone
from leads.models import Call, Interaction, Kind, Lead, Task
from leads.services import calls, cards
from leads.services.tasks import finish, set_task
from leads.services.timeline import amend, record

# How the timeline and the form of a call logged by hand call it.
AS_LOGGED = {
    Call.Result.ANSWERED: "reached",
    Call.Result.MISSED: "missed",
    Call.Result.NO_ANSWER: "no_answer",
    Call.Result.BUSY: "busy",
    Call.Result.FAILED: "no_answer",
}
SAME_CALL = timedelta(minutes=15)  # a call logged by hand so near to one of the exchange is that one


@transaction.atomic
def settle(pk):
    """Draw what follows from a call that is over; said twice, drawn once. What becomes known later corrects it."""
    call = Call.objects.select_for_update(of=("self",), no_key=True).filter(pk=pk).first()
    if call is None or call.state != Call.State.ENDED or call.person_id is None:
        return
    if call.lead_id:
        leads = Lead.objects.select_for_update(no_key=True, of=("self",)).select_related("owner")
        call.lead = leads.get(pk=call.lead_id)
    missed, former = call.result == Call.Result.MISSED, call.interaction
    if former is None:
        call.interaction = (None if missed else _logged(call)) or _recorded(call)
        call.save(update_fields=["interaction"])
    elif not _amended(call):
        return
    if missed and (former is None or former.kind != Kind.CALL_MISSED):
        _call_back(call)
    elif call.result == Call.Result.ANSWERED:
        _done(call)


def _told(call):
    """What the row of the timeline says of the call."""
    missed = call.result == Call.Result.MISSED
    return {
        "kind": Kind.CALL_MISSED if missed else Kind.CALL, "by": None if missed else call.colleague,
        "at": min(call.ended_at or call.started_at or timezone.now(), timezone.now()),
        "call": call.pk, "direction": call.direction, "result": call.outcome or AS_LOGGED.get(call.result, ""),
    }  # fmt: skip


def _recorded(call):
    said = _told(call)
    return record(call.lead or call.person, said.pop("kind"), **said)


def _amended(call):
    """Whether the row had to be corrected; one that a colleague wrote by hand stays theirs."""
    row, said = call.interaction, _told(call)
    if row.details.get("call") != call.pk:
        return False
    row.lead = call.lead
    return amend(row, **said)


def _logged(call):
    """The row that the colleague wrote of this very call before the exchange reported it."""
    if not (call.lead_id and call.colleague_id):
        return None
    moments = [moment for moment in (call.started_at, call.ended_at) if moment]
    if not moments:
        return None
    rows = Interaction.objects.filter(
        lead=call.lead_id, kind=Kind.CALL, by=call.colleague_id, phone_call=None,
        at__gte=min(moments) - timedelta(minutes=1), at__lte=max(moments) + SAME_CALL,
    )  # fmt: skip
    return rows.order_by("at").first()


# --- Missed, and reached again ----------------------------------------------------------------------------------------


def _prefix(lead):
    return f"callback:{lead.pk}:"


def _call_back(call):
    """Nobody picked it up: the clock runs, the owner learns of it and has a task; one open at a time."""
    lead = call.lead
    if lead is None or lead.status != "open":
        return
    if lead.waiting_since is None:
        lead.waiting_since = timezone.now()
        Lead.objects.filter(pk=lead.pk).update(waiting_since=lead.waiting_since)
    owner = lead.owner
    if owner:
        calls.tell(call, owner, "missed")
    if lead.tasks.filter(done_at=None, dedup__startswith=_prefix(lead)).exists():
        return
    due_at = timezone.now() + timedelta(minutes=Organisation.get().missed_call_minutes)
    with override(Organisation.get().language_for(owner)):
        title = _("Call back: %s") % (shown_phone(call.client) if call.client else lead)
    set_task(lead, title=title, due_at=due_at, assignee=owner, dedup=f"{_prefix(lead)}{call.pk}")


def hand_out():
    """Calls to return that nobody had, because the lead had no owner yet, go to the owner it has by now."""
    owner = Lead.objects.filter(pk=OuterRef("lead")).values("owner")
    lost = Task.objects.filter(assignee=None, done_at=None, dedup__startswith="callback:", lead__owner__isnull=False)
    return lost.update(assignee=Subquery(owner))


def _done(call):
    """They have spoken: what asked to call back is done."""
    if call.lead_id is None:
        return
    for task in call.lead.tasks.filter(done_at=None, dedup__startswith=_prefix(call.lead)):
        finish(task, by=call.colleague, result="")


# --- What came of it --------------------------------------------------------------------------------------------------


def unnoted(lead, user):
    """The colleague's latest call with this lead that they have said nothing about; None where there is none."""
    rows = Call.objects.filter(
        lead=lead, colleague=user, outcome="", note="", created_at__gte=timezone.now() - SAME_CALL
    )  # fmt: skip
    return rows.exclude(interaction=None).order_by("-created_at").first()


@transaction.atomic
def note(call, *, by, result, text="", next_step=None, closes=None):
    """Say what came of a call of the exchange: on its own row, no second one. Returns the call.

    ``next_step``: what set_task takes; ``closes``: the open Task that this call was.
    """
    call = Call.objects.select_for_update(of=("self",), no_key=True).select_related("lead__owner").get(pk=call.pk)
    call.outcome, call.note, call.noted_by = result, text.replace("\x00", "").strip(), by
    call.save(update_fields=["outcome", "note", "noted_by"])
    if call.interaction_id:
        row = call.interaction
        row.lead = call.lead
        amend(row, kind=row.kind, by=row.by or (by if row.kind == Kind.CALL else None), text=call.note, result=result)
    if closes is not None:
        finish(closes, by=by, result="")
    if call.lead and next_step:
        set_task(call.lead, **{"assignee": call.lead.owner or by, "by": by} | next_step)
    return call


def log(lead, *, by, result, text="", next_step=None, closes=None):
    """Record a call by hand; one that the exchange has just reported is said more of instead of told twice."""
    said = {"by": by, "result": result, "text": text, "next_step": next_step, "closes": closes}
    if call := unnoted(lead, by):
        return note(call, **said)
    return cards.log_call(lead, **said)
