"""The web server against those who send the head of a request slowly, for ever, or not at all."""

import asyncio
import contextlib

import uvicorn

from crm.boot import web
from tests.core.loops import in_a_loop


async def hello(scope, receive, send):
    await asyncio.sleep(0.3 if scope["path"] == "/slow" else 0)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


async def _read(reader):
    """All that comes until the connection is closed, however it is."""
    found = b""
    with contextlib.suppress(ConnectionError):
        while piece := await reader.read(65536):
            found += piece
    return found


def said_to(*pieces, pause=0.0):
    """What the server answers until it closes the connection."""

    async def scene():
        config = uvicorn.Config(hello, **web.OPTIONS | {"timeout_keep_alive": 1, "log_config": None})
        config.load()
        state, loop = uvicorn.server.ServerState(), asyncio.get_running_loop()
        server = await loop.create_server(lambda: web.BoundedHeads(config, state, {}), "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        answers = asyncio.create_task(_read(reader))
        try:
            with contextlib.suppress(ConnectionError):  # said to nobody any more
                for piece in pieces:
                    writer.write(piece)
                    await asyncio.sleep(pause)
            return await asyncio.wait_for(answers, 5)
        finally:
            writer.close()
            server.close()

    return in_a_loop(scene())


HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n"


def test_a_request_is_answered_and_another_on_the_same_connection():
    assert said_to(HEAD + b"\r\n", HEAD, b"\r\n", pause=0.1).count(b"200 OK") == 2


def test_a_head_that_drips_is_given_up(monkeypatch):
    monkeypatch.setattr(web, "HEAD_TIME", 0.3)
    assert said_to(HEAD, *[b"X"] * 4, pause=0.05) == b""
    assert said_to(HEAD + b"\r\n", HEAD, *[b"X"] * 4, pause=0.05).count(b"200 OK") == 1


def test_who_says_nothing_is_given_up(monkeypatch):
    monkeypatch.setattr(web, "HEAD_TIME", 0.3)
    assert said_to() == b""
    assert said_to(HEAD + b"\r\n", b"\r\n", pause=0.1).count(b"200 OK") == 1  # an empty line begins no request


def test_an_answer_on_its_way_is_not_cut_off_by_the_request_behind_it(monkeypatch):
    monkeypatch.setattr(web, "HEAD_TIME", 0.1)
    assert said_to(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n" + HEAD).count(b"200 OK") == 1


def test_a_head_without_an_end_is_refused():
    answer = said_to(HEAD, *[b"X-A: " + b"a" * 60_000 + b"\r\n"] * 4, pause=0.05)
    assert answer.startswith(b"HTTP/1.1 400 ")
