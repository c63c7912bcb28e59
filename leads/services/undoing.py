"""An import undone, chunk by chunk: the cards that it made go, the cards that it completed get back what they had.

What people did since stays: a new card on which anybody has worked is kept, of a completed one every field that was
changed since; both are listed with the reason. ``Upper`` is what the storeys above do with their part.
"""

import json
import time
from collections import defaultdict
from dataclasses import dataclass

from django.core.serializers.json import DjangoJSONEncoder
from django.db import DEFAULT_DB_ALIAS, connection, transaction
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from crm.core.copying import vouched
from crm.core.jobs import enqueue
from crm.core.models import AuditEntry
from crm.core.notices import notify
from leads.identity import Known
from leads.models import (
    Assignment,
    Company,
    Identity,
    Import,
    ImportRow,
    Interaction,
    Kind,
    Lead,
    Origin,
    Person,
    StageMove,
    Touch,
)
from leads.services.import_write import FACT_COLUMNS, PERSON_COLUMNS, update_columns
from leads.services.intake import lock_signs

CHUNK = 1000  # rows of one transaction
State, RowState, Undone = Import.State, ImportRow.State, ImportRow.Undone
BEGUN = (
    State.DONE,
    State.FAILED,
    State.UNDONE,
    State.RUNNING,
)  # who is carrying it out finds itself overtaken and stops
# What an import writes about a lead or a person; any other row that names one is somebody's work.
OWN = {Touch, Interaction, StageMove, Assignment, ImportRow, Identity, Lead}
SCORED = {Kind.BAND_CHANGED, Kind.QUALIFIED}  # written by a machine, unless somebody stands in ``by``
# After one of these the person may come back by a contact that the list brought: it stays.
IN_TOUCH = {
    Kind.CAPTURED, Kind.RECAPTURED, Kind.CALL, Kind.EMAIL_OUT, Kind.EMAIL_OPENED, Kind.EMAIL_CLICKED, Kind.REPLIED,
    Kind.UNSUBSCRIBED, Kind.MESSAGE_IN, Kind.EMAIL_IN, Kind.CALL_MISSED, Kind.BOUNCED, Kind.SUBSCRIBED, Kind.REGISTERED,
}  # fmt: skip


class WrongState(Exception):
    """The import cannot be undone, or no longer."""


@dataclass(frozen=True)
class Upper:
    """The part of the storeys above. ``models``: of rows that an import makes there."""

    models: frozenset
    worked_on: object  # keys of leads → those of them on whose rows above somebody has worked
    withdraw: object  # keys of leads that go → what is called last in the transaction
    restore: object  # {lead: notes of Written} of cards whose fields have been restored


# --- Begin and end ---------------------------------------------------------------------------------------------------


@transaction.atomic
def begin(job, *, by=None):
    """From here on the import is being undone, in the background; raises WrongState."""
    row = Import.objects.select_for_update().get(pk=job.pk)
    if row.state == State.UNDOING or (row.state == State.UNDONE and not row.undo["kept"]):
        return row
    if row.state not in BEGUN or not row.rows:
        raise WrongState(_("Only an import that has brought something in can be undone."))
    ImportRow.objects.filter(of=row, undone=Undone.KEPT).update(undone="")  # tried again: they may be free by now
    row.state = State.UNDOING
    done = {name: row.undo.get(name, 0) for name in ("removed", "restored")}
    row.undo = {"total": row.created + row.updated, "rows": sum(done.values()), **done, "kept": 0, "line": None}
    row.save(update_fields=["state", "undo"])
    details = {"import": row.pk, "undone": True}
    AuditEntry.objects.create(user=by, action="import", subject=row.file_name[:120], details=details)
    return row


def ring(job):
    """Have the next slice done in the background; in the transaction that made it due."""
    enqueue("crm.undo_import", f"{job.pk}:{job.undo['rows']}")


@transaction.atomic
def finish(job):
    """Companies and lead sources that came with the list and that nobody names any more go too; the import is undone."""
    made = ImportRow.objects.filter(of=job, data__has_key="made").values_list("data__made", flat=True)
    keys = defaultdict(list)
    for found in made:
        for name, more in found.items():
            keys[name] += more
    for model, name in ((Company, "companies"), (Origin, "origins")):
        for place in range(0, len(keys[name]), CHUNK):
            _drop_unnamed(model, keys[name][place : place + CHUNK])
    Import.objects.filter(pk=job.pk).update(state=State.UNDONE, finished_at=timezone.now())
    if job.by:
        notify(job.by, "import_undone", url=reverse("leads:import", args=[job.pk]), name=job.file_name)


def _drop_unnamed(model, keys):
    rows = model.objects.filter(pk__in=keys)
    for naming, field in _naming(model):
        rows = rows.exclude(pk__in=naming.objects.filter(**{f"{field}__in": keys}).values(field))
    rows._raw_delete(using=DEFAULT_DB_ALIAS)


def _naming(model):
    """(model, field) of every foreign key that points at the model, whoever declares it."""
    for relation in model._meta.get_fields(include_hidden=True):
        if relation.auto_created and not relation.concrete and (relation.one_to_many or relation.one_to_one):
            yield relation.related_model, relation.field.name


# --- Chunk by chunk --------------------------------------------------------------------------------------------------


def carry_out(job, upper, *, until=None):
    """Undo chunk by chunk, each committed, the completed cards before the new ones, the last rows first; True when
    all is undone. ``until``: a time.monotonic() after which no further chunk is begun."""
    while True:
        with transaction.atomic():
            row = Import.objects.select_for_update(of=("self",)).select_related("by").get(pk=job.pk)
            if row.state != State.UNDOING:
                return False
            rows = _next(row)
            if not rows:
                finish(row)
                return True
            done = (_restore if rows[0].state == RowState.UPDATED else _remove)(row, rows, upper)
            _count(row, rows, done)
        if until is not None and time.monotonic() >= until:
            return False


def _next(job):
    """The rows of the next chunk, all of one state."""
    line = job.undo["line"]
    for state in (RowState.UPDATED, RowState.CREATED):
        if job.undo.get("of", RowState.UPDATED) != state:
            continue
        rows = ImportRow.objects.filter(of=job, state=state, undone="")
        rows = list((rows.filter(line__lt=line) if line else rows).order_by("-line")[:CHUNK])
        if rows or state == RowState.CREATED:
            return rows
        job.undo["of"], line = RowState.CREATED.value, None
    return []


def _count(job, rows, done):
    """Note what became of the rows and where the work stands."""
    for outcome, keys in done.items():
        job.undo[outcome] += len(keys)
    job.undo |= {"rows": job.undo["rows"] + sum(map(len, done.values())), "line": rows[-1].line}
    job.save(update_fields=["undo"])


def _mark(done, reasons):
    """Write to the rows what became of them; ``done``: outcome → keys, ``reasons``: key of a kept row → (code, fields)."""
    for outcome in (Undone.REMOVED, Undone.RESTORED):
        ImportRow.objects.filter(pk__among=done.get(outcome, ())).update(undone=outcome)
    kept = ImportRow.objects.in_bulk(list(done.get(Undone.KEPT, ())))
    for pk, row in kept.items():
        row.reason, fields = reasons[pk]
        row.undone, row.data = Undone.KEPT, row.data | {"kept": fields}
    ImportRow.objects.bulk_update(kept.values(), ["undone", "reason", "data"], batch_size=500)


def _lock(people, leads):
    """As an enquiry of one of these people would: their contacts, then the cards. Nobody names them until the commit."""
    signs = Identity.objects.filter(person__among=people).values_list("kind", "value", "scope")
    lock_signs([Known(*sign) for sign in signs])
    found = set(Lead.objects.filter(pk__among=leads).select_for_update().order_by("pk").values_list("pk", flat=True))
    list(Person.objects.filter(pk__among=people).select_for_update().order_by("pk").values_list("pk"))
    return found


# --- New cards -------------------------------------------------------------------------------------------------------


def _remove(job, rows, upper):
    """Delete the cards that nobody has touched since; returns outcome → keys of rows."""
    leads, people = {row.lead_id for row in rows}, {row.person_id for row in rows}
    there = _lock(people, leads)
    why = _worked_on(job, rows, upper)
    gone = {row.lead_id for row in rows if row.lead_id in there and row.lead_id not in why}
    known = {row.person_id for row in rows if "was" in row.data}  # of people who were there before
    close = upper.withdraw(gone)
    with vouched({}):  # all rows that name them have been looked for, and the locks let no new one in
        for model in (Interaction, Touch, StageMove, Assignment):
            model.objects.filter(lead__among=gone)._raw_delete(using=DEFAULT_DB_ALIAS)
        _forget_signs([row for row in rows if row.lead_id in gone and row.person_id in known])
        mine = {row.person_id for row in rows if row.lead_id in gone} - known
        Identity.objects.filter(person__among=mine)._raw_delete(using=DEFAULT_DB_ALIAS)
        Lead.objects.filter(pk__among=gone)._raw_delete(using=DEFAULT_DB_ALIAS)
        Person.objects.filter(pk__among=mine)._raw_delete(using=DEFAULT_DB_ALIAS)
    of_cards = ImportRow.objects.filter(
        of=job, lead__among=leads, state__in=[RowState.CREATED, RowState.UPDATED], undone=""
    )
    done, reasons = defaultdict(list), {}
    for pk, lead in of_cards.values_list("pk", "lead_id"):  # with the rows further down that completed them
        done[Undone.KEPT if lead in why else Undone.REMOVED].append(pk)
        reasons[pk] = (why.get(lead), [])
    _mark(done, reasons)
    close()
    return done


def _worked_on(job, rows, upper):
    """lead → code of KEPT for the new cards that somebody has made theirs."""
    leads, by_person = {row.lead_id for row in rows}, {row.person_id: row.lead_id for row in rows}
    why = dict.fromkeys(upper.worked_on(leads), "deal")
    own = OWN | upper.models
    for model, field in _naming(Lead):
        if model not in own:
            why |= dict.fromkeys(
                model.objects.filter(**{f"{field}__among": leads}).values_list(field, flat=True), "linked"
            )
    for model, field in _naming(Person):
        if model not in own:
            named = model.objects.filter(**{f"{field}__among": by_person}).values_list(field, flat=True)
            why |= {by_person[person]: "linked" for person in named}
    others = Lead.objects.filter(person__among=by_person).exclude(pk__among=leads).values_list("person_id", flat=True)
    fresh = {row.person_id for row in rows if "was" not in row.data}
    why |= {by_person[person]: "linked" for person in others if person in fresh}
    return why | _lived(job, leads, by_person)


def _lived(job, leads, by_person):
    """What the timeline knows besides the import itself."""
    events = Interaction.objects.filter(lead__among=leads)
    why = {}
    for lead, kind, by, details in events.values_list("lead_id", "kind", "by_id", "details"):
        if kind == Kind.IMPORTED:
            if details.get("import", job.pk) != job.pk:
                why.setdefault(lead, "list")
        elif not (kind in SCORED and by is None) and not (
            kind == Kind.OWNER_CHANGED and details.get("how") == "import"
        ):
            why[lead] = "worked"
    personal = Interaction.objects.filter(person__among=by_person, lead=None).values_list("person_id", flat=True)
    return {by_person[person]: "worked" for person in personal} | why


# --- Completed cards -------------------------------------------------------------------------------------------------


def _restore(job, rows, upper):
    """Give known cards back what they had; returns outcome → keys of rows. Rows about new cards wait for their card."""
    mine = set(
        ImportRow.objects.filter(of=job, state=RowState.CREATED, lead__among={row.lead_id for row in rows}).values_list(
            "lead_id", flat=True
        )
    )
    rows = [row for row in rows if row.lead_id not in mine]
    leads, people = {row.lead_id for row in rows}, {row.person_id for row in rows}
    _lock(people, leads)
    back = [row for row in rows if "was" in row.data]
    left = _put_back(Lead, FACT_COLUMNS, "lead", back, lists=True)
    for pk, fields in _put_back(Person, PERSON_COLUMNS, "person", back).items():
        left[pk] = sorted({*left.get(pk, ()), *fields})
    for pk in _contacted(job, back):
        left[pk] = [*left.get(pk, ()), "contacts"]
    _forget_signs([row for row in back if "contacts" not in left.get(row.pk, ())])
    Touch.objects.filter(pk__in=[row.data["was"].get("touch") for row in back]).delete()
    events = Interaction.objects.filter(lead__in=[row.lead_id for row in back], kind=Kind.IMPORTED)
    events.filter(details__import=job.pk)._raw_delete(using=DEFAULT_DB_ALIAS)
    upper.restore({row.lead_id: row.data["was"]["notes"] for row in back if "notes" in row.data["was"]})
    done = defaultdict(list)
    for row in rows:
        done[Undone.KEPT if left.get(row.pk) else Undone.RESTORED].append(row.pk)
    _mark(done, {pk: ("changed", fields) for pk, fields in left.items()})
    return done


def _put_back(model, columns, part, rows, *, lists=False):
    """Set the columns that still hold what the list wrote to what they held before; returns row → fields left as they
    are, because somebody has changed them since."""
    names = [name for name, _cast in columns] + (["tags", "custom"] if lists else [])
    keys = {row.pk: row.lead_id if model is Lead else row.person_id for row in rows}
    now = {values.pop("pk"): values for values in model.objects.filter(pk__among=keys.values()).values("pk", *names)}
    changes, left = {}, {}
    for row in rows:  # the last first: a card that two rows completed goes back in steps
        have, wanted = now.get(keys[row.pk]), changes.setdefault(keys[row.pk], {})
        for name, (before, after) in row.data["was"].get(part, {}).items():
            if have is not None and _plain(have[name]) == after:
                wanted[name] = have[name] = before
            else:
                left.setdefault(row.pk, []).append(name)
    update_columns(model, columns, [(pk, wanted) for pk, wanted in changes.items() if wanted], lists=lists)
    return left


def _plain(value):
    """As it stands in a JSON document."""
    return json.loads(json.dumps(value, cls=DjangoJSONEncoder))


def _contacted(job, rows):
    """Keys of rows whose people have been in touch since: their contacts stay."""
    since = Interaction.objects.filter(person__in=[row.person_id for row in rows], at__gt=job.created_at)
    people = set(since.filter(kind__in=IN_TOUCH).values_list("person_id", flat=True))
    return [row.pk for row in rows if row.person_id in people and row.data["was"].get("signs")]


def _forget_signs(rows):
    """Delete the contacts that came with these rows."""
    signs = [(row.person_id, *sign) for row in rows for sign in row.data["was"].get("signs", ())]
    if not signs:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            """delete from leads_identity i
               using unnest(%s::bigint[], %s::text[], %s::text[], %s::text[]) as s(person, kind, scope, value)
               where i.kind = s.kind and i.scope = s.scope and i.value = s.value and i.person_id = s.person""",
            [list(column) for column in zip(*signs, strict=True)],
        )
