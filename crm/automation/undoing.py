"""What the storeys above leads take back when a list is undone."""

import time

from django.db import DEFAULT_DB_ALIAS, transaction

from crm.automation.importing import SLICE
from deals.models import Deal
from deals.services.imports import remove_won, worked_on
from leads.models import Import
from leads.services import undoing
from routing import services as routing
from scoring import services as scoring
from scoring.models import Evidence


def withdraw(leads):
    """Their deals, points and assignments; the leads themselves go next."""
    remove_won(leads)
    Evidence.objects.filter(lead__among=leads)._raw_delete(using=DEFAULT_DB_ALIAS)
    return routing.take_back(leads)


UPPER = undoing.Upper(
    models=frozenset({Deal, Evidence}), worked_on=worked_on, withdraw=withdraw, restore=scoring.take_back
)


def whole(job, *, by=None):
    """Undo an import from beginning to end in this process; returns it undone. Raises WrongState."""
    undoing.begin(job, by=by)
    undoing.carry_out(job, UPPER)
    job.refresh_from_db()
    return job


def go_on(pk, run):
    """A slice of it in the background; its last transaction names the next one."""
    job = Import.objects.filter(pk=pk, state=Import.State.UNDOING).first()
    if job is None:
        return run.done()
    through = undoing.carry_out(job, UPPER, until=time.monotonic() + SLICE)
    job.refresh_from_db()
    with transaction.atomic():
        run.done()
        if not through and job.state == Import.State.UNDOING:
            undoing.ring(job)
    return None
