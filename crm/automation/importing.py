"""What the storeys above leads do with each chunk of a list: won deals, scores, owners. Nobody is written to."""

import time
from functools import partial

from django.conf import settings
from django.db import connection, transaction
from django.urls import reverse
from django.utils import translation

from crm.core.jobs import clock, enqueue, enqueue_many
from crm.core.notices import notify
from deals.models import Deal, DealStageMove
from deals.services.imports import book_won
from leads.importing.errors import MappingError, Unreadable
from leads.models import Assignment, Identity, Import, Interaction, Lead, Person, StageMove, Status, Touch
from leads.services import importing
from leads.services.import_diff import Diff
from nurturing import services as nurturing
from routing.services import deal_new
from scoring.models import Evidence
from scoring.services import rescore_noted, score_new

SLICE = 15.0  # seconds of one job: live work gets its turn between two of them
MANY = 1000  # new leads
GROWN = (Lead, Person, Identity, Interaction, StageMove, Touch, Assignment, Deal, DealStageMove, Evidence)


def settle(leads, *, sets_going=False):
    """Scores and owners of new leads, within the transaction of the chunk: no lead of a list is ever seen half made.

    ``sets_going``: they are greeted, enrolled and announced as if they had come by themselves; else nobody hears of
    them. Returns what is done once the leads are written, and what is done last.
    """
    book_scores = score_new(leads)
    book_owners = deal_new([lead for lead in leads if lead.status == Status.OPEN])

    def written(done):
        book_won(done.wins)
        book_scores()
        done.notes.update(rescore_noted(done.updated))
        if sets_going:
            enqueue_many("crm.welcome", [lead.pk for lead in leads if lead.status == Status.OPEN])

    return written, book_owners  # the owners last: they lock what live enquiries wait for


def welcome(lead, interaction):
    """What a list sets going for one of its new leads, where who brought it in has asked for that; the lead is locked."""
    if lead.owner:
        notify(lead.owner, "assigned", url=reverse("leads:card", args=[lead.pk]), lead=lead.pk, name=str(lead))
    nurturing.greet(lead, interaction, asked=True)
    nurturing.enrol(lead, interaction, asked=True)


def whole(job, opened):
    """Carry an import out from beginning to end in this process; returns it finished."""
    importing.begin(job)
    importing.carry_out(job, opened, then=settle)
    learn_sizes(job)
    return importing.finish(job, opened.table.columns)


def learn_sizes(job):
    """Tell the planner of tables that the list has made half as large again; it would plan for few rows until
    autovacuum came by, which does for the rest."""
    if job.created < MANY:
        return
    with connection.cursor() as cursor:
        names = [model._meta.db_table for model in GROWN]
        cursor.execute(
            "select relname from pg_class where relname = any(%s) and reltuples < %s", [names, 2 * job.created]
        )
        if grown := sorted(row[0] for row in cursor.fetchall()):
            cursor.execute(f"analyze {', '.join(grown)}")


def _language_of(job):
    """The file of errors speaks the language of who asked for it."""
    return translation.override((job.by and job.by.language) or settings.LANGUAGE_CODE)


def go_on(pk, run):
    """A slice of an import in the background; its last transaction names the next one."""
    job = Import.objects.select_related("source__origin", "by").filter(pk=pk, state=Import.State.RUNNING).first()
    if job is None:
        return run.done()
    with job.file.open("rb") as stream, _language_of(job):
        try:
            opened = importing.opened(stream, job.mapping, job.source, options=job.options)
            then = partial(settle, sets_going=job.sets_going)
            through = importing.carry_out(job, opened, then=then, until=time.monotonic() + SLICE)
        except (Unreadable, MappingError) as error:
            importing.give_up(pk, error)
            return run.done()
        except importing.Overtaken:
            return run.done()
        if through:
            learn_sizes(job)
            importing.finish(job, opened.table.columns)
    with transaction.atomic():
        run.done()
        if not through:
            enqueue("crm.import", f"{pk}:{job.rows}", due_at=clock())
    return None


def rehearse(pk, run):
    """The dry run of an uploaded list: its counts and errors go to the Import, nothing else is written."""
    job = Import.objects.select_related("source__origin", "by").filter(pk=pk, state=Import.State.CHECKING).first()
    if job is None:
        return run.done()
    with job.file.open("rb") as stream, _language_of(job):
        try:
            opened = importing.opened(stream, job.mapping, job.source, options=job.options)
            diff = Diff()
            counts, errors = importing.rehearse(
                opened,
                on_progress=lambda rows: Import.objects.filter(pk=pk).update(forecast={"so_far": rows}),
                diff=diff,
            )
            found = {"forecast": counts, "error_file": errors or "", "diff": diff.shown, "diff_file": diff.save()}
        except (Unreadable, MappingError) as error:
            importing.give_up(pk, error)
            return run.done()
    with transaction.atomic():
        run.done()
        Import.objects.filter(pk=pk, state=Import.State.CHECKING).update(state=Import.State.CHECKED, **found)
    return None
