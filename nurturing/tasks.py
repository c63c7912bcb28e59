"""Background work of nurturing."""

from crm.core.jobs import job
from nurturing import services


@job("nurturing.advance")
def advance(ref):
    services.advance(int(ref))
