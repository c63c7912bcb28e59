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
    kept = [0.0, None]

    @functools.wraps(load)
    def cached():
        if time.monotonic() >= kept[0]:
            value = load()
            kept[:] = [time.monotonic() + settings.CONFIG_TTL, value]
        return kept[1]

    return cached
