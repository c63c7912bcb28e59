"""The relay: asks what is due and rings Celery. One is enough, two do no harm."""

import logging
import signal
import time

from celery import current_app
from django.core.management.base import BaseCommand
from django.db import DatabaseError, connection

from crm.core.jobs import beat, lease, release

log = logging.getLogger(__name__)

PERIOD = 0.07  # seconds between two questions when nothing is due
BACK_OFF = 1.0  # seconds after the broker or the database refused
ALIVE = 5.0  # seconds between two signs of life


class Command(BaseCommand):
    help = __doc__
    requires_system_checks = []

    def handle(self, **options):
        self.stopping = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self.stop)
        alive = 0.0
        while not self.stopping:
            try:
                if time.monotonic() - alive > ALIVE:
                    beat("relay")
                    alive = time.monotonic()
                if not ring(lease()):
                    time.sleep(PERIOD)
            except DatabaseError as error:
                log.warning("relay: database: %s", error.__class__.__name__)
                connection.close()
                time.sleep(BACK_OFF)

    def stop(self, *_signal):
        self.stopping = True


def ring(rows):
    """Ring once for each leased row; what the broker did not take is released for the next round. Returns how many."""
    for place, (pk, task, queue) in enumerate(rows):
        try:
            current_app.send_task(task, [pk], queue=queue, retry=False)
        except Exception as error:  # the broker may fail in any way of its client's; the rows are safe
            log.warning("relay: broker: %s", error.__class__.__name__)
            release([row[0] for row in rows[place:]])
            time.sleep(BACK_OFF)
            return place
    return len(rows)
