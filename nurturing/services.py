"""Keeping leads warm: the welcome, and sequences of letters, waits and tasks that stop by themselves."""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from crm.core.jobs import clock, enqueue
from crm.core.models import Organisation
from crm.core.recent import recent
from leads import conditions
from leads.models import Interaction, Kind, Lead, Message, Status
from leads.services import letters, optouts, talks
from leads.services.tasks import set_task
from leads.services.timeline import record, record_many
from nurturing.models import Enrolment, Sequence, Step, StepRun

State, Stop = Enrolment.State, Enrolment.Stop

MORNING, EVENING = time(9), time(20)  # letters go out between these, local time of the organisation
GREETED_ONCE_IN = timedelta(hours=24)  # a form sent again and again greets its address once
TASK_DUE = timedelta(hours=4)
CHUNK = 1000


# --- Welcome ---------------------------------------------------------------------------------------------------------
def greet(lead, interaction, *, asked=False):
    """One welcome per new enquiry, an SMS or a letter from the owner's name (so after the owner is found).

    Returns the Message or None. People of a list are greeted only where who brought it in has ``asked`` for it.
    """
    if lead.is_imported and not asked:
        return None
    cause = f"s{interaction.submission_id}" if interaction.submission_id else f"i{interaction.pk}"
    if source := talks.greeter(lead):
        template = letters.welcome_template(letters.language_of(lead), kind="sms")
        if template is not None:
            text, since = letters.render(template, lead)[1], timezone.now() - GREETED_ONCE_IN
            return talks.greet(lead, source, text=text, template=template, dedup=f"welcome:{cause}", since=since)
    return _greet_by_letter(lead, cause, returning=interaction.details.get("returning")) if lead.email else None


def _greet_by_letter(lead, cause, *, returning):
    if returning and (optouts.is_opted_out(lead.email) or _greeted_lately(lead.email)):
        return None  # of a new address the claim asks, as before every letter
    template = letters.welcome_template(letters.language_of(lead))
    if template is None:
        return None
    subject, text = letters.render(template, lead)
    return letters.write(
        lead, kind=Message.Kind.WELCOME, subject=subject, text=text, template=template, dedup=f"welcome:{cause}"
    )


def _greeted_lately(address):
    since = timezone.now() - GREETED_ONCE_IN
    leads = Lead.objects.filter(email=address).values("pk")
    return Message.objects.filter(lead__in=leads, to=address, kind=Message.Kind.WELCOME, created_at__gt=since).exists()


# --- In and out ------------------------------------------------------------------------------------------------------
@recent
def enrolling():
    """Active sequences that enrol by themselves."""
    return list(Sequence.objects.filter(is_active=True, enrols_by_rule=True))


def enrol(lead, interaction=None, *, asked=False):
    """Enrol the lead into each active sequence whose condition it meets; returns the new enrolments."""
    rules = enrolling()
    if not rules or (lead.is_imported and not asked) or lead.status != Status.OPEN or optouts.is_opted_out(lead.email):
        return []
    loaded = Lead.objects.select_related("source", "first_origin", "stage").get(pk=lead.pk)
    facts = conditions.facts_of(loaded)
    met = [sequence for sequence in rules if conditions.check(sequence.condition, facts).holds]
    return [row for sequence in met if (row := _start(loaded, sequence, by=None))]


@transaction.atomic
def enrol_by_hand(lead, sequence, *, by):
    """A colleague's own choice; an enrolment that was stopped goes on with its next step. Raises ValidationError."""
    if not sequence.is_active:
        raise ValidationError(_("The sequence is switched off."))
    if lead.status != Status.OPEN:
        raise ValidationError(_("The lead is closed."))
    if optouts.is_opted_out(lead.email):
        raise ValidationError(_("The client has opted out of emails."))
    row = _start(lead, sequence, by=by) or _resume(lead, sequence, by=by)
    if row is None:
        raise ValidationError(_("The lead has been through this sequence, or is in it now."))
    return row


def _start(lead, sequence, *, by):
    """A new enrolment; None when the lead has one already."""
    row, is_new = Enrolment.objects.get_or_create(sequence=sequence, lead=lead, defaults={"by": by, "next_at": Now()})
    return _go(row, lead, by=by) if is_new else None


def _resume(lead, sequence, *, by):
    """A stopped enrolment goes on with its next step; None when it runs or has ended by itself."""
    row = Enrolment.objects.select_for_update().get(sequence=sequence, lead=lead)
    if row.state != State.STOPPED:
        return None
    row.state, row.stopped_why, row.ended_at, row.next_at, row.by = State.RUNNING, "", None, Now(), by
    row.save(update_fields=["state", "stopped_why", "ended_at", "next_at", "by"])
    return _go(row, lead, by=by)


def _go(row, lead, *, by):
    record(lead, Kind.SEQUENCE, by=by, text=row.sequence.name, what="enrolled", enrolment=row.pk)
    enqueue("nurturing.advance", row.pk)
    return row


@transaction.atomic
def stop(lead, why, *, by=None):
    """Stop all that runs for the lead. ``why``: a value of Enrolment.Stop; returns how many were stopped."""
    rows = list(lead.enrolments.select_for_update(of=["self"]).filter(state=State.RUNNING).select_related("sequence"))
    for row in rows:
        _end(row, lead, State.STOPPED, why, by=by)
    return len(rows)


@transaction.atomic
def hold_merged(lead):
    """A lead that has become part of another is warmed up no more; when its next step was due is remembered."""
    return stop(lead, Stop.MERGED) if lead.merged_into_id else 0


@transaction.atomic
def resume_parted(lead):
    """What a merge has stopped goes on where it was, once the merge is undone; returns how many go on."""
    if lead.merged_into_id or lead.status != Status.OPEN:
        return 0
    merged = lead.enrolments.filter(state=State.STOPPED, stopped_why=Stop.MERGED)
    rows = list(merged.select_for_update(of=["self"]).select_related("sequence"))
    for row in rows:
        row.state, row.stopped_why, row.ended_at = State.RUNNING, "", None
        row.save(update_fields=["state", "stopped_why", "ended_at"])
        record(lead, Kind.SEQUENCE, text=row.sequence.name, what="enrolled", enrolment=row.pk)
        enqueue("nurturing.advance", row.pk, due_at=row.next_at)
    return len(rows)


@transaction.atomic
def stop_one(enrolment, *, by):
    """A colleague takes the lead out of one sequence; nothing happens to one that has ended."""
    row = Enrolment.objects.select_for_update(of=["self"]).select_related("lead", "sequence").get(pk=enrolment.pk)
    if row.state == State.RUNNING:
        _end(row, row.lead, State.STOPPED, Stop.BY_HAND, by=by)
    return row


def _end(row, lead, state, why="", *, by=None):
    row.next_at = row.next_at if why == Stop.MERGED else None
    row.state, row.stopped_why, row.ended_at = state, why, Now()
    row.save(update_fields=["state", "stopped_why", "next_at", "ended_at"])
    record(lead, Kind.SEQUENCE, by=by, text=row.sequence.name, what=state, why=why, enrolment=row.pk)


@transaction.atomic
def switch(sequence, *, on, by):
    """Switch a sequence on or off; off stops everybody who is in it. Returns how many were stopped."""
    Sequence.objects.filter(pk=sequence.pk).update(is_active=on)
    if on:
        return 0
    return sum(_stop_chunk(sequence, by) for _chunk in range(_chunks(sequence)))


def _chunks(sequence):
    return -(-sequence.enrolments.filter(state=State.RUNNING).count() // CHUNK)


def _stop_chunk(sequence, by):
    """A set of at most CHUNK enrolments in four statements: a sequence may hold thousands."""
    rows = list(
        sequence.enrolments.select_for_update(of=["self"]).filter(state=State.RUNNING).select_related("lead")[:CHUNK]
    )
    Enrolment.objects.filter(pk__in=[row.pk for row in rows]).update(
        state=State.STOPPED, stopped_why=Stop.SWITCHED_OFF, next_at=None, ended_at=Now()
    )
    record_many(
        [
            Interaction(
                person_id=row.lead.person_id,
                lead=row.lead,
                kind=Kind.SEQUENCE,
                by=by,
                text=sequence.name,
                details={"what": State.STOPPED, "why": Stop.SWITCHED_OFF, "enrolment": row.pk},
            )
            for row in rows
        ]
    )
    return len(rows)


# --- Steps -----------------------------------------------------------------------------------------------------------
@transaction.atomic
def advance(pk, *, now=None):
    """Take the steps of an enrolment that are due; the job ``nurturing.advance`` of its key calls again for the next.

    A step is taken once: its StepRun, its letter or task and the next due time are one transaction. ``now``: the
    database's time unless said otherwise.
    """
    now = now or clock()
    lead_pk = Enrolment.objects.filter(pk=pk).values_list("lead", flat=True).first()
    if lead_pk is None:
        return
    lead = Lead.objects.select_for_update(no_key=True, of=["self"]).select_related("owner").get(pk=lead_pk)
    row = Enrolment.objects.select_for_update(of=["self"]).select_related("sequence").get(pk=pk)
    if row.state != State.RUNNING:
        return
    if row.next_at and row.next_at > now:  # rung too early, or put off meanwhile
        enqueue("nurturing.advance", row.pk, due_at=row.next_at)
    elif why := _why_stop(row, lead):
        _end(row, lead, State.STOPPED, why)
    else:
        _take_steps(row, lead, now)


def _why_stop(row, lead):
    if not row.sequence.is_active:
        return Stop.SWITCHED_OFF
    if lead.merged_into_id:
        return Stop.MERGED
    if lead.status != Status.OPEN:
        return Stop.CONVERTED if lead.status == Status.CONVERTED else Stop.REJECTED
    return Stop.OPTED_OUT if lead.email and optouts.is_opted_out(lead.email) else ""


def _take_steps(row, lead, now):
    """Steps one after the other up to the next wait."""
    while step := next_step(row):
        due = _due(step, lead, now)
        if due is not None:
            return _wait_until(row, due)
        run = StepRun.objects.create(enrolment=row, step=step)
        if step.kind == Step.Kind.WAIT and step.hours:
            return _wait_until(row, now + timedelta(hours=step.hours))
        TAKE[step.kind](run, row, step, lead, now)
    return _end(row, lead, State.DONE)


def next_step(row):
    """The first step behind the last one taken that has not been taken: reordering never repeats one."""
    taken = StepRun.objects.filter(enrolment=row)
    reached = taken.order_by("-step__position").values_list("step__position", flat=True).first()
    steps = Step.objects.filter(sequence=row.sequence_id, is_archived=False).exclude(runs__enrolment=row)
    if reached is not None:
        steps = steps.filter(position__gt=reached)
    return steps.select_related("template").order_by("position", "pk").first()


def _wait_until(row, due):
    row.next_at = due
    row.save(update_fields=["next_at"])
    enqueue("nurturing.advance", row.pk, due_at=due)


def _due(step, lead, now):
    """When the step may be taken if not now: letters wait for the morning."""
    return next_daytime(now, zone_of(lead)) if step.kind == Step.Kind.EMAIL else None


def zone_of(lead):
    """The client's own time zone where it is known, else the organisation's."""
    for name in (lead.custom.get("time_zone"), Organisation.get().time_zone):
        try:
            return ZoneInfo(name)
        except (TypeError, ValueError, ZoneInfoNotFoundError):
            continue
    return timezone.get_default_timezone()


def next_daytime(now, zone):
    """None by day; else the next morning, as an instant."""
    local = now.astimezone(zone)
    if MORNING <= local.time() < EVENING:
        return None
    day = local.date() + timedelta(days=1) if local.time() >= EVENING else local.date()
    return datetime.combine(day, MORNING, zone)


def _write_letter(run, row, step, lead, now):
    subject, text = letters.render(step.template, lead)
    run.message = letters.write(
        lead, kind=Message.Kind.SEQUENCE, subject=subject, text=text, template=step.template,
        dedup=f"step:{row.pk}:{step.pk}",
    )  # fmt: skip
    run.save(update_fields=["message"])


def _set_task(run, row, step, lead, now):
    with translation.override(letters.language_of(lead)):
        title = step.title or _("Contact the client")
    run.task = set_task(
        lead, title=title, due_at=now + TASK_DUE, assignee=lead.owner, kind="call",
        dedup=f"step:{row.pk}:{step.pk}",
    )  # fmt: skip
    run.save(update_fields=["task"])


TAKE = {
    Step.Kind.WAIT: lambda *_about: None,  # a wait of no hours
    Step.Kind.EMAIL: _write_letter,
    Step.Kind.TASK: _set_task,
}


# --- The editor ------------------------------------------------------------------------------------------------------
@transaction.atomic
def place(step, sequence, *, at=None):
    """Put a step at index ``at`` of its sequence (None: the end) and number all steps anew."""
    Sequence.objects.select_for_update().get(pk=sequence.pk)
    others = [each for each in sequence.steps.order_by("position", "pk") if each.pk != step.pk]
    order = [*others[:at], step, *others[at:]] if at is not None else [*others, step]
    for position, each in enumerate(order, 1):
        each.position = position
        if each.pk:
            Step.objects.filter(pk=each.pk).update(position=position)
    step.sequence = sequence
    step.save()
    return step


@transaction.atomic
def move(step, *, by):
    """Move a step up (-1) or down (+1) among those in use."""
    Sequence.objects.select_for_update().get(pk=step.sequence_id)
    order = list(step.sequence.steps.order_by("position", "pk"))
    used = [each for each in order if not each.is_archived]
    here = used.index(step)
    there = here + by
    if not 0 <= there < len(used):
        return
    a, b = order.index(used[here]), order.index(used[there])
    order[a], order[b] = order[b], order[a]
    for position, each in enumerate(order, 1):
        Step.objects.filter(pk=each.pk).update(position=position)


@transaction.atomic
def remove(step):
    """Delete a step that nobody has taken; one with a history is archived and keeps it."""
    if step.runs.exists():
        Step.objects.filter(pk=step.pk).update(is_archived=True)
    else:
        step.delete()
