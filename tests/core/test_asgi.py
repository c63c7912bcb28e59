"""The web process's entry: a request goes through middleware and view in one thread."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

from asgiref.testing import ApplicationCommunicator

from crm.asgi import OneThread

SCOPE = {
    "type": "http", "http_version": "1.1", "method": "GET", "path": "/static/js/theme.js", "query_string": b"",
    "headers": [(b"host", b"localhost")], "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "scheme": "http",
}  # fmt: skip


def test_the_whole_chain_runs_in_one_thread_outside_the_loop(monkeypatch):
    handler, threads = OneThread(), []

    def noted(request, chain=handler._middleware_chain):
        threads.append(threading.get_ident())
        return chain(request)

    monkeypatch.setattr(handler, "_middleware_chain", noted)

    async def ask():
        talk = ApplicationCommunicator(handler, SCOPE)
        await talk.send_input({"type": "http.request", "body": b""})
        start, body = await talk.receive_output(10), await talk.receive_output(10)
        await talk.wait()
        return start["status"], body["body"]

    with ThreadPoolExecutor(1) as apart:  # a test of the browser may have left a loop in this thread
        status, body = apart.submit(asyncio.run, ask()).result()
    assert status == 200 and b"theme" in body
    assert len(threads) == 1 and threads[0] != threading.get_ident()
    assert not asyncio.iscoroutinefunction(handler._middleware_chain)
