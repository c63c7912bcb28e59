"""Before Django reads a body: how much of it is taken and how long a client may take to send it.

Django spools a whole request to disk before a view sees it; a door open to strangers must say no earlier.
"""

import asyncio

SMALL = 5 * 1024 * 1024  # bytes: enquiries, forms, API
LARGE = 200 * 1024 * 1024  # bytes: uploaded lists, materials of a source
LISTS = ("/leads/imports/", "/sources/")
PATIENCE = 30.0  # seconds between two pieces of a body

ANSWERS = {408: b'{"error": "timeout"}', 413: b'{"error": "too_large"}'}


class _Refused(Exception):
    def __init__(self, status):
        self.status = status


class BodyLimits:
    """ASGI middleware: 413 for a body over the limit, declared or sent; 408 for one that stops coming."""

    def __init__(self, app, patience=PATIENCE):
        self.app, self.patience = app, patience

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        limit = LARGE if scope["path"].startswith(LISTS) else SMALL
        if self.declared(scope) > limit:
            return await self.refuse(send, 413)
        try:
            return await self.app(scope, self.measured(receive, limit), send)
        except _Refused as refused:
            return await self.refuse(send, refused.status)

    @staticmethod
    def declared(scope):
        length = dict(scope["headers"]).get(b"content-length", b"0")
        return int(length) if length.isdigit() else 0

    def measured(self, receive, limit):
        seen, ended = 0, False

        async def measure():
            nonlocal seen, ended
            if ended:  # the body is in; what may still come is that the client leaves, whenever it likes
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), self.patience)
            except TimeoutError:
                raise _Refused(408) from None
            seen += len(message.get("body", b""))
            ended = not message.get("more_body", False)
            if seen > limit:
                raise _Refused(413)
            return message

        return measure

    @staticmethod
    async def refuse(send, status):
        body = ANSWERS[status]
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
