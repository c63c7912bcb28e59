"""What every event needs and administrators seldom change: rules, thresholds, people, calendars."""

import functools
import time

from django.conf import settings


def recent(load):
    """Keep the value of a function without arguments for ``settings.CONFIG_TTL`` seconds in this process.

    A change made in the admin is felt by every worker after so long at most, without a query per event and without
    a message between processes. What must not be stale for a moment (is this person still active?) is asked again
    under the lock of the decision.
    """
    kept = (float("-inf"), None)  # replaced as one value: threads see a whole pair

    @functools.wraps(load)
    def cached():
        nonlocal kept
        read_at, value = kept
        if time.monotonic() - read_at >= settings.CONFIG_TTL:
            kept = (time.monotonic(), value := load())
        return value

    return cached


def recent_rows(rows):
    """``get(pk)`` of a small table's rows, read together and kept as above; ``rows``: makes the queryset.

    A row that is younger than what was read is asked for by itself; None where there is none. The rows are shared:
    only to be read.
    """

    @recent
    def by_pk():
        return {row.pk: row for row in rows()}

    def get(pk):
        if pk is None:
            return None
        found = by_pk().get(pk) if settings.CONFIG_TTL else None
        return found or rows().filter(pk=pk).first()

    return get
