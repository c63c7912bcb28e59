"""Tasks: the next step of every card. ``Lead.next_step_at`` is always the soonest open task of the lead."""

from datetime import timedelta

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Min
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from crm.core.notices import notify
from leads.models import Kind, Lead, Person, Task
from leads.services.timeline import record

FARTHEST = timedelta(days=3660)  # a due time ten years off is a slip of the hand


def named(rows, user):
    """The tasks, each with ``subject``: its lead where ``user`` may see it, else None; one's own leads one always sees.

    ``client``: the person of a task that has no lead, where ``user`` may see them, else None.
    """
    others = {task.lead_id for task in rows if task.lead and task.lead.owner_id != user.pk}
    seen = set(Lead.objects.visible_to(user).filter(pk__in=others).values_list("pk", flat=True)) if others else set()
    clients = {task.person_id for task in rows if not task.lead_id}
    known = Person.objects.visible_to(user).in_bulk(clients) if clients else {}
    for task in rows:
        task.subject = task.lead if task.lead and (task.lead_id not in others or task.lead_id in seen) else None
        task.client = None if task.lead_id else known.get(task.person_id)
    return rows


@transaction.atomic
def set_task(subject, *, title, due_at, assignee, kind="call", by=None, deal=None, dedup=None):
    """Plan a step on a lead (or, without one, a person); returns the Task.

    ``due_at``: an aware instant; ``deal``: the key of a deal; ``dedup``: said twice, one task. The assignee is told
    unless it was their own doing. Raises ValidationError for an empty title or an impossible time.
    """
    title = " ".join(title.split())[:200]
    if not title or abs(due_at - timezone.now()) > FARTHEST:
        raise ValidationError(_("Say what to do.") if not title else _("This time is too far away."))
    lead = subject if isinstance(subject, Lead) else None
    fields = {
        "person_id": lead.person_id if lead else subject.pk,
        "lead": lead,
        "deal_ref": deal,
        "kind": kind,
        "title": title,
        "due_at": due_at,
        "assignee": assignee,
        "by": by,
    }
    task, made = Task.objects.get_or_create(dedup=dedup, defaults=fields) if dedup else (Task(**fields), True)
    if not made:
        return task
    task.save()
    plan(lead)
    record(subject, Kind.TASK_SET, by=by, deal=deal, text=title, **_facts(task))
    if assignee and by and assignee != by:
        notify(assignee, "task", url=_address(task), lead=task.lead_id, name=f"{title} — {subject}")
    return task


def _facts(task):
    return {"task": task.pk, "as": task.kind, "due": task.due_at.isoformat(), "to": task.assignee_id}


def _address(task):
    return reverse("leads:card", args=[task.lead_id]) if task.lead_id else reverse("leads:tasks")


def _locked(task):
    return Task.objects.select_for_update(no_key=True).get(pk=task.pk)


@transaction.atomic
def finish(task, *, by, result=""):
    """Tick the task off with what came of it; a task done already stays as it was. Returns the Task."""
    task = _locked(task)
    if task.done_at:
        return task
    task.done_at, task.done_by = timezone.now(), by
    task.save(update_fields=["done_at", "done_by"])
    plan(task.lead)
    record(task.lead or task.person, Kind.TASK_DONE, by=by, deal=task.deal_ref, text=result, title=task.title,
           **_facts(task))  # fmt: skip
    return task


@transaction.atomic
def postpone(task, due_at, *, by):
    """Move an open task to another time; returns the Task. Raises ValidationError for an impossible time."""
    if abs(due_at - timezone.now()) > FARTHEST:
        raise ValidationError(_("This time is too far away."))
    task = _locked(task)
    if task.done_at or task.due_at == due_at:
        return task
    before, task.due_at = task.due_at, due_at
    task.save(update_fields=["due_at"])
    plan(task.lead)
    record(task.lead or task.person, Kind.TASK_SET, by=by, deal=task.deal_ref, text=task.title,
           **{"from": before.isoformat()}, **_facts(task))  # fmt: skip
    return task


@transaction.atomic
def close_open(*, by, because, lead=None, deal=None):
    """Close what is still planned on a lead or a deal (its key) that has ended: nobody's day should hold it.

    ``because``: ``rejected``, ``converted``, ``won`` or ``lost``; the timeline states it. Returns the tasks.
    """
    mine = Task.objects.filter(lead_id=lead.pk, deal_ref=None) if lead else Task.objects.filter(deal_ref=deal)
    tasks = list(
        mine.open().select_for_update(no_key=True, of=("self",)).select_related("lead", "person").order_by("pk")
    )
    now = timezone.now()
    for task in tasks:
        task.done_at, task.done_by = now, by
        record(task.lead or task.person, Kind.TASK_DONE, by=by, deal=task.deal_ref, title=task.title, because=because,
               **_facts(task))  # fmt: skip
    Task.objects.bulk_update(tasks, ["done_at", "done_by"])
    for planned in {task.lead_id: lead or task.lead for task in tasks if task.lead_id}.values():
        plan(planned)
    return tasks


def plan(lead):
    """Set the lead's next step to its soonest open task (a deal's are the deal's); call after any change of its tasks."""
    if lead is None:
        return
    soonest = Task.objects.filter(lead_id=lead.pk, deal_ref=None, done_at=None).aggregate(at=Min("due_at"))["at"]
    Lead.objects.filter(pk=lead.pk).update(next_step_at=soonest)
    lead.next_step_at = soonest
