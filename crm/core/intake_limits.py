"""Before Django reads a body: how much of it is taken and how long a client may take to send it.

Django spools a whole request to disk before a view sees it; a door open to strangers must say no earlier.
"""

import asyncio
import contextlib
import re

from crm.core.storage import is_full

SMALL = 5 * 1024 * 1024  # bytes: enquiries, forms, API
LARGE = 200 * 1024 * 1024  # bytes: uploaded lists, materials of a source
MIDDLE = 21 * 1024 * 1024  # bytes: a colleague's message to a client, which may bring a file
LISTS = ("/leads/imports/", "/sources/")
TALK = re.compile(r"/leads/\d+/talk/")
PATIENCE = 30.0  # seconds between two pieces of a body, and for all of it at SLOWEST
SLOWEST = 1024  # bytes a second on the average: a body that drips holds its connection and its file no longer
LINGER = 5.0  # seconds in which the rest of a refused body may pass by, so that its sender reads the answer
PASSED_BY = 64 * 1024 * 1024  # bytes of it

ANSWERS = {408: b'{"error": "timeout"}', 413: b'{"error": "too_large"}', 503: b'{"error": "unavailable"}'}


class _Refused(Exception):
    def __init__(self, status):
        self.status = status


def limit_of(path):
    """Bytes that a body sent to this path may have."""
    if path.startswith(LISTS):
        return LARGE
    return MIDDLE if TALK.match(path) else SMALL


class BodyLimits:
    """ASGI middleware: 413 for a body over the limit, declared or sent; 408 for one that stops coming."""

    def __init__(self, app, patience=PATIENCE, slowest=SLOWEST):
        self.app, self.patience, self.slowest = app, patience, slowest

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        limit = limit_of(scope["path"])
        if self.declared(scope) > limit:
            return await self.refuse(receive, send, 413)
        try:
            return await self.app(scope, self.measured(receive, limit), send)
        except _Refused as refused:
            return await self.refuse(receive, send, refused.status)
        except OSError as error:  # of the body that Django lays down: nobody has been asked yet
            if not is_full(error):
                raise
            return await self.refuse(receive, send, 503)

    @staticmethod
    def declared(scope):
        length = dict(scope["headers"]).get(b"content-length", b"0")
        return int(length) if length.isdigit() else 0

    def measured(self, receive, limit):
        seen, ended, clock = 0, False, asyncio.get_running_loop().time
        began = clock()

        async def measure():
            nonlocal seen, ended
            if ended:  # the body is in; what may still come is that the client leaves, whenever it likes
                return await receive()
            left = began + self.patience + seen / self.slowest - clock()
            try:
                message = await asyncio.wait_for(receive(), min(left, self.patience))
            except TimeoutError:
                raise _Refused(408) from None
            seen += len(message.get("body", b""))
            ended = not message.get("more_body", False)
            if seen > limit:
                raise _Refused(413)
            return message

        return measure

    @classmethod
    async def refuse(cls, receive, send, status):
        body = ANSWERS[status]
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
            *([(b"retry-after", b"5")] if status == 503 else []),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": True})
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(cls.pass_by(receive), 0 if status == 408 else LINGER)
        await send({"type": "http.response.body"})

    @staticmethod
    async def pass_by(receive):
        """Let the rest of a body come: a connection closed in the middle of it takes the answer along."""
        seen, more = 0, True
        while more and seen < PASSED_BY:
            message = await receive()
            seen, more = seen + len(message.get("body", b"")), message.get("more_body", False)
