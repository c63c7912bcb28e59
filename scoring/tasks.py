from crm.core.jobs import enqueue, job
from scoring import services


@job("scoring.decay", queue="bulk")
def decay(ref):
    """One chunk; while there was something to do there may be more."""
    if services.decay():
        enqueue("scoring.decay", ref)


@job("scoring.rescore_all", queue="bulk")
def rescore_all(ref):
    if services.rescore_next(int(ref)):
        enqueue("scoring.rescore_all", ref)
