"""The live stream: one reader a process follows the tail of the Notice table and hands rows to open pages."""

import asyncio
import json
import logging
from collections import defaultdict

from asgiref.sync import sync_to_async
from django.db import connection
from django.utils import translation

from crm.core.models import Notice
from crm.core.notices import SILENT, targets, wording

log = logging.getLogger(__name__)

PERIOD = 0.4  # seconds between looks at the table
LOOKBACK = 500  # keys below the newest seen: a transaction that commits late is not missed
KEEPALIVE = 15  # seconds; a comment line keeps proxies from closing the stream
LEVELS = {"hot": "hot", "ringing": "hot", "ringing_other": "hot", "missed": "warning"}  # how long a toast stays
LIFE = 300  # seconds; then the page reconnects, and who may no longer sign in does not get back


def _read(after):
    """Notices with a key above ``after``; the thread's connection goes back to the pool."""
    try:
        return list(Notice.objects.filter(pk__gt=after).order_by("pk")[: 2 * LOOKBACK])
    finally:
        connection.close()


def _newest():
    try:
        return Notice.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    finally:
        connection.close()


class Hub:
    """Queues of the pages that are open in this process, fed by one reader task while there are any."""

    def __init__(self):
        self.queues = defaultdict(set)
        self.reader = None

    def join(self, user_id):
        queue = asyncio.Queue()
        self.queues[user_id].add(queue)
        if self.reader is None or self.reader.done() or self.reader.get_loop() is not asyncio.get_running_loop():
            self.reader = asyncio.create_task(self._follow())
        return queue

    def leave(self, user_id, queue):
        self.queues[user_id].discard(queue)
        if not self.queues[user_id]:
            del self.queues[user_id]

    async def _follow(self):
        seen, newest = set(), None
        while self.queues:
            try:
                newest = await sync_to_async(_newest)() if newest is None else newest
                rows = await sync_to_async(_read)(max(0, newest - LOOKBACK))
            except Exception as error:  # whatever it was, pages that are open must not go deaf
                log.warning("live reader: %s", error.__class__.__name__)
                await asyncio.sleep(2)
                continue
            for row in rows:
                if row.pk not in seen and (row.pk > newest or seen):
                    for queue in self.queues.get(row.user_id, ()):
                        queue.put_nowait(row)
            seen = {row.pk for row in rows}
            newest = max([newest, *seen])
            await asyncio.sleep(PERIOD)


hub = Hub()


def event(row, language):
    """A notice as server-sent events, worded in the reader's language."""
    with translation.override(language):
        text = wording(row)
    data = {
        "text": text,
        "href": row.url,
        "level": LEVELS.get(row.kind, "info"),
        "lead": row.details.get("lead"),
    }
    lines = [f"id: {row.pk}\nevent: notice\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"]
    if row.kind in SILENT:
        lines = [f"id: {row.pk}\n"]
    lines += [f'event: refresh\ndata: {{"target": "{target}"}}\n\n' for target in targets(row.kind)]
    return "".join(lines)


async def stream(user_id, language, last_id):
    """Events for one page: first what it missed since ``last_id`` (None: nothing), then what comes."""
    queue, loop = hub.join(user_id), asyncio.get_running_loop()
    end, sent = loop.time() + LIFE, set()
    try:
        yield "retry: 2000\n\n"
        if last_id is not None:
            for row in await sync_to_async(_missed)(user_id, last_id):
                sent.add(row.pk)
                yield event(row, language)
        while loop.time() < end:
            try:
                row = await asyncio.wait_for(queue.get(), KEEPALIVE)
            except TimeoutError:
                yield ": alive\n\n"
                continue
            if row.pk not in sent:
                yield event(row, language)
    finally:
        hub.leave(user_id, queue)


def _missed(user_id, last_id):
    try:
        return list(Notice.objects.filter(user_id=user_id, pk__gt=last_id).order_by("pk")[:50])
    finally:
        connection.close()
