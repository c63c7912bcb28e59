"""What beat rings."""

from celery import shared_task

from crm.automation.housekeeping import tick


@shared_task(name="crm.tick")
def ring(_nothing: int = 0):
    tick()
