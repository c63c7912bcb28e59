"""Who works a lead: every change is an Assignment row that says why."""

from django.db import transaction
from django.db.models.functions import Now
from django.urls import reverse

from crm.core.notices import notify
from leads.models import Assignment, Kind, Lead
from leads.services.timeline import record

How = Assignment.How


@transaction.atomic
def assign(lead, to, *, how, by=None, trace=None):
    """Give the lead to a colleague (the caller may hold its lock); returns the Assignment.

    Open tasks of the former owner move along. The new owner is told at once unless it was their own doing.
    """
    former = lead.owner_id
    row = Assignment.objects.create(
        lead=lead, from_owner_id=former, to_owner=to, how=how, by=by, trace=trace or []
    )
    lead.owner, lead.team_id, lead.parked_until = to, to.team_id, None
    Lead.objects.filter(pk=lead.pk).update(owner=to, team=to.team_id, parked_until=None, assigned_at=Now())
    if former and former != to.pk:
        lead.tasks.filter(done_at=None, assignee_id=former).update(assignee=to)
    record(lead, Kind.OWNER_CHANGED, by=by, how=how, assignment=row.pk, **{"from": former, "to": to.pk, "name": str(to)})
    if to != by and how != How.IMPORT:
        notify(to, "assigned", url=reverse("leads:card", args=[lead.pk]), lead=lead.pk, name=str(lead))
    return row


@transaction.atomic
def park(lead, until, *, trace=None):
    """Leave the lead in the pool: nobody is at work before ``until`` (None: nobody is expected at all)."""
    row = Assignment.objects.create(lead=lead, from_owner_id=lead.owner_id, how=How.NOBODY, trace=trace or [])
    lead.parked_until = until
    Lead.objects.filter(pk=lead.pk).update(parked_until=until)
    record(lead, Kind.PARKED, until=until.isoformat() if until else None, assignment=row.pk)
    return row
