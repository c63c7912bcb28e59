"""An event loop for a test, in a thread of its own: a browser test of the same run may hold the main thread's."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from asgiref.sync import sync_to_async
from django.db import connections


async def _leave_nothing(scene):
    try:
        return await scene
    finally:
        await sync_to_async(connections.close_all)()  # of the thread that the views ran in


def in_a_loop(scene):
    """Run a coroutine to its end and return what it returns."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, _leave_nothing(scene)).result()
