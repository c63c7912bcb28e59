"""How many posts a source takes: a token bucket in each process; limits are generous enough for that."""

import math
import threading
import time

MOST_BUCKETS = 10_000

_lock = threading.Lock()
_buckets = {}  # key → (tokens, at)


def wait(key, per_minute, *, clock=time.monotonic):
    """Seconds to wait before another post is taken; 0: it is taken now, and counted."""
    if per_minute <= 0:
        return 0
    now = clock()
    with _lock:
        tokens, at = _buckets.get(key, (float(per_minute), now))
        tokens = min(float(per_minute), tokens + (now - at) * per_minute / 60)
        if tokens < 1:
            _buckets[key] = (tokens, now)
            return math.ceil((1 - tokens) * 60 / per_minute)
        if len(_buckets) >= MOST_BUCKETS:
            _forget(now)
        _buckets[key] = (tokens - 1, now)
    return 0


def _forget(now):
    """Drop buckets that nobody has touched for a minute: they are full again; all of them under a flood."""
    for key in [key for key, (_tokens, at) in _buckets.items() if now - at > 60] or list(_buckets):
        del _buckets[key]


def reset():
    with _lock:
        _buckets.clear()
