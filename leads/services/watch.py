"""What administrators are told of the doors: a source that has fallen silent, a receipt that ended in an error.

Silent is a source that nothing has come from for several times its usual gap; it is told once.
"""

import time
from datetime import timedelta
from statistics import median

from django.urls import reverse
from django.utils import timezone

from crm.core.models import Notice, Role, User
from crm.core.notices import notify
from leads.capture import ADAPTERS
from leads.models import Source, Submission

LOOK_BACK = timedelta(days=28)
SAMPLE = 300  # latest receipts by which a source is judged
ENOUGH = 10  # receipts before anything is called usual
TIMES = 5  # usual gaps
LONGEST = 1.5  # times the longest gap that was seen: nights and weekends are no silence
LEAST = timedelta(hours=1)
HOUR = timedelta(hours=1)
CLOSED = timedelta(minutes=15)  # a mailbox that has not been read for so long is told of

_surges = {}  # source → when it was told of by this process


def tolerated(times):
    """How long a source with receipts at these times (latest first) may be silent; None while nothing is usual."""
    gaps = [late - early for late, early in zip(times, times[1:], strict=False)]
    if len(gaps) < ENOUGH:
        return None
    usual = timedelta(seconds=median(gap.total_seconds() for gap in gaps))
    return max(TIMES * usual, LONGEST * max(gaps), LEAST)


def silent(now=None):
    """[(source, time of its last receipt)] of the active sources that have been silent for too long."""
    now, found = now or timezone.now(), []
    for source in Source.objects.filter(is_active=True, adapter__in=ADAPTERS):
        rows = Submission.objects.filter(source=source, received_at__gt=now - LOOK_BACK).order_by("-id")
        times = list(rows.values_list("received_at", flat=True)[:SAMPLE])
        longest = tolerated(times)
        if longest and now - times[0] > longest:
            found.append((source, times[0]))
    return found


def tell():
    """One notice for one silence to each administrator; returns the keys of the sources told about."""
    admins, told = list(User.objects.filter(role=Role.ADMIN, is_active=True)), []
    for source, last in silent():
        mark = {"source": source.key, "last": last.isoformat()}
        if Notice.objects.filter(kind="source_silent", details__contains=mark).exists():
            continue
        url = reverse("leads:source", args=[source.key])
        for admin in admins:
            notify(admin, "source_silent", url=url, name=source.name, **mark)
        told.append(source.key)
    return told


def tell_error(receipt):
    """A receipt has ended in an error: administrators learn of it, once an hour for a source."""
    url = reverse("leads:receipts") + f"?source={receipt.source.key}&state=error"
    _tell_once("receipt_error", receipt.source, url, timezone.now() - HOUR)


def tell_surge(source, *, clock=time.monotonic):
    """A form gets more than it takes by itself: administrators learn of it, once an hour."""
    if clock() - _surges.get(source.pk, float("-inf")) < HOUR.total_seconds():
        return  # known in this process: a flood must not ask for each of its posts
    _surges[source.pk] = clock()
    url = reverse("leads:receipts") + f"?source={source.key}&state=spam"
    _tell_once("form_surge", source, url, timezone.now() - HOUR)


def tell_sms_limit(source, since):
    """A source has sent the SMS that it may in a day: administrators learn of it, once that day."""
    _tell_once("sms_limit", source, reverse("leads:source", args=[source.key]), since)


def _tell_once(kind, source, url, since):
    if Notice.objects.filter(kind=kind, created_at__gt=since, details__source=source.key).exists():
        return
    for admin in User.objects.filter(role=Role.ADMIN, is_active=True):
        notify(admin, kind, url=url, name=source.name, source=source.key)


def tell_mailbox(source):
    """A mailbox, or a folder of it, has not been read for a while: administrators learn of it, once until it is again."""
    broken = source.folders.exclude(error="").values_list("polled_at", flat=True)
    since = min((at or source.created_at for at in broken), default=timezone.now())
    mark = {"source": source.key, "since": since.isoformat()}
    if timezone.now() - since < CLOSED or Notice.objects.filter(kind="mailbox_closed", details__contains=mark).exists():
        return
    url = reverse("leads:source", args=[source.key])
    for admin in User.objects.filter(role=Role.ADMIN, is_active=True):
        notify(admin, "mailbox_closed", url=url, name=source.name, **mark)
