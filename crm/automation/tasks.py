"""The jobs that run the reactions."""

import logging

from django.db import transaction

from crm.automation import importing, undoing
from crm.automation.reactions import REACTIONS, STEPS
from crm.core.jobs import enqueue, job
from crm.core.models import Stage
from crm.core.recent import recent_rows
from leads.models import Interaction, Kind, Origin, Source
from leads.services.importing import give_up

log = logging.getLogger(__name__)


@job("crm.react")
def react(ref):
    """Run the reactions to one interaction; ``ref`` is its key."""
    found = _locked(ref)
    if found is None:
        return
    lead, interaction = found
    steps = REACTIONS.get(interaction.kind, [])
    try:
        with transaction.atomic():  # all in one savepoint: the usual case costs two statements, not two a step
            for step in steps:
                step(lead, interaction)
    except Exception:
        log.exception("a reaction to interaction %s failed; its steps are tried one by one", ref)
        _one_by_one(ref, steps)


def _one_by_one(ref, steps):
    """Each step in a savepoint of its own; one that fails becomes a job of its own and holds up no other."""
    for step in steps:
        lead, interaction = _locked(ref)  # as the steps before have left it
        try:
            with transaction.atomic():
                step(lead, interaction)
        except Exception:
            log.exception("step %s of interaction %s failed; it becomes a job of its own", step.__name__, ref)
            enqueue("crm.step", f"{ref}:{step.__name__}")


@job("crm.step")
def run_step(ref):
    """One step that failed within its reaction; ``ref``: "<interaction>:<step>". Retried and shown as any job is."""
    pk, name = ref.split(":")
    if (found := _locked(pk)) and name in STEPS:
        STEPS[name](*found)


def _failed_import(ref, error):
    give_up(ref.partition(":")[0], error)


@job("crm.import", queue="bulk", atomic=False, on_dead=_failed_import)
def import_list(ref, run):
    """A slice of an uploaded list; ``ref``: "<import>:<rows done>"."""
    importing.go_on(int(ref.partition(":")[0]), run)


@job("crm.try_import", queue="bulk", atomic=False, on_dead=_failed_import)
def try_import(ref, run):
    """The dry run of an uploaded list; ``ref``: its key."""
    importing.rehearse(int(ref), run)


@job("crm.welcome", queue="bulk")
def welcome_imported(ref):
    """One new lead of a list that was to set automations going; ``ref``: its key."""
    arrival = Interaction.objects.filter(lead=ref, kind=Kind.IMPORTED, deal_ref=None).order_by("pk").first()
    if arrival and (found := _locked(arrival.pk)):
        importing.welcome(*found)


@job("crm.undo_import", queue="bulk", atomic=False)
def undo_list(ref, run):
    """A slice of the undoing of a list; ``ref``: "<import>:<rows done>"."""
    undoing.go_on(int(ref.partition(":")[0]), run)


source_of = recent_rows(lambda: Source.objects.all())
origin_of = recent_rows(lambda: Origin.objects.all())
stage_of = recent_rows(lambda: Stage.objects.select_related("pipeline"))


def _locked(pk):
    """(lead, interaction) with the lead locked and what conditions ask for at hand; None where one is gone."""
    interaction = (
        Interaction.objects.select_for_update(no_key=True, of=("lead",))
        .select_related("lead__person")
        .filter(pk=pk, lead__version__gte=0)  # of every lead: makes the join an inner one, which can be locked
        .first()
    )
    if interaction is None:
        return None
    lead = interaction.lead
    lead.source, lead.stage = source_of(lead.source_id), stage_of(lead.stage_id)
    lead.first_origin = origin_of(lead.first_origin_id)
    return lead, interaction
