"""Who works a lead: every change is an Assignment row that says why."""

from django.db import connection, transaction
from django.db.models.functions import Now
from django.urls import reverse

from crm.core.copying import blank, copy_in, keys
from crm.core.notices import notify
from leads.models import Assignment, Kind, Lead
from leads.services.timeline import record, record_quietly

How = Assignment.How


@transaction.atomic(savepoint=False)
def assign(lead, to, *, how, by=None, trace=None):
    """Give the lead to a colleague (the caller may hold its lock); returns the Assignment.

    Open tasks of the former owner move along. The new owner is told at once unless it was their own doing.
    """
    former = lead.owner_id
    row = Assignment.objects.create(lead=lead, from_owner_id=former, to_owner=to, how=how, by=by, trace=trace or [])
    lead.owner, lead.team_id, lead.parked_until = to, to.team_id, None
    Lead.objects.filter(pk=lead.pk).update(owner=to, team=to.team_id, parked_until=None, assigned_at=Now())
    if former and former != to.pk:
        lead.tasks.filter(done_at=None, assignee_id=former).update(assignee=to)
    record(
        lead, Kind.OWNER_CHANGED, by=by, how=how, assignment=row.pk, **{"from": former, "to": to.pk, "name": str(to)}
    )
    if to != by and how != How.IMPORT:
        notify(to, "assigned", url=reverse("leads:card", args=[lead.pk]), lead=lead.pk, name=str(lead))
    return row


@transaction.atomic(savepoint=False)
def assign_many(leads, owners, *, how, traces):
    """Give each locked lead the owner of the same place in ``owners``, in sets; tells nobody. Returns the Assignments.

    For imports: the leads have had no owner, so no tasks move along.
    """
    sql = """
        update leads_lead l set owner_id = n.owner, team_id = n.team, parked_until = null, assigned_at = now()
        from unnest(%s::bigint[], %s::bigint[], %s::bigint[]) as n(id, owner, team) where l.id = n.id"""
    with connection.cursor() as cursor:
        cursor.execute(sql, [[lead.pk for lead in leads], [o.pk for o in owners], [o.team_id for o in owners]])
    made = book_assignments(leads, owners, how=how, traces=traces)
    return list(Assignment.objects.filter(pk__in=made).order_by("pk"))


def book_assignments(leads, owners, *, how, traces):
    """The rows and the history of an assignment of many; the leads' own columns are the caller's. Returns the keys."""
    made, base = keys(Assignment, len(leads)), blank(Assignment)
    rows, events = [], []
    for pk, lead, owner, trace in zip(made, leads, owners, traces, strict=True):
        former, lead.owner, lead.team_id, lead.parked_until = lead.owner_id, owner, owner.team_id, None
        row = {"id": pk, "lead_id": lead.pk, "from_owner_id": former, "to_owner_id": owner.pk}
        rows.append(base | row | {"how": how.value, "trace": trace})
        details = {"how": how.value, "assignment": pk, "from": former, "to": owner.pk, "name": str(owner)}
        event = {"lead_id": lead.pk, "person_id": lead.person_id, "kind": Kind.OWNER_CHANGED.value, "details": details}
        events.append(event)
    copy_in(Assignment, rows)
    record_quietly(events)
    return made


@transaction.atomic(savepoint=False)
def park(lead, until, *, trace=None):
    """Leave the lead in the pool: nobody is at work before ``until`` (None: nobody is expected at all)."""
    row = Assignment.objects.create(lead=lead, from_owner_id=lead.owner_id, how=How.NOBODY, trace=trace or [])
    lead.parked_until = until
    Lead.objects.filter(pk=lead.pk).update(parked_until=until)
    record(lead, Kind.PARKED, until=until.isoformat() if until else None, assignment=row.pk)
    return row
