"""``python -m crm.boot.web (--fd N | --host H --port P [--processes N])``: uvicorn with the product's options.

``manage.py up`` opens the port itself and hands the listening socket to single processes, each of which dies with it;
in a container uvicorn opens the port and keeps its own processes.
"""

import argparse
import socket

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_TIME = 30.0  # seconds for the head of a request
HEAD_SIZE = 128 * 1024  # bytes of it


class BoundedHeads(HttpToolsProtocol):
    """uvicorn waits for the end of a head for ever and keeps however much of it comes: both are a stranger's to use up.

    A head is awaited from the connection on, and again from the first byte after an answer.
    """

    awaited, size = None, 0  # the clock of the head that is awaited, and its bytes so far

    def connection_made(self, transport):
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data):
        if self.awaited is None and (self.cycle is None or self.cycle.response_complete):
            self._await_head()
        super().data_received(data)
        if self.awaited is not None:
            self.size += len(data)
            if self.size > HEAD_SIZE and not self.transport.is_closing():
                self.send_400_response("The head of this request is too large.")

    def on_message_begin(self):
        super().on_message_begin()
        if self.awaited is None:
            self._await_head()

    def on_headers_complete(self):
        self._head_came()
        super().on_headers_complete()

    def connection_lost(self, exc):
        self._head_came()
        super().connection_lost(exc)

    def _await_head(self):
        self.size, self.awaited = 0, self.loop.call_later(HEAD_TIME, self._give_up)

    def _head_came(self):
        if self.awaited is not None:
            self.awaited.cancel()
            self.awaited = None

    def _give_up(self):
        """An answer that is still on its way is not cut off by the request behind it."""
        self._await_head() if self.cycle and not self.cycle.response_complete else self.transport.close()


OPTIONS = {
    "http": BoundedHeads,
    "ws": "none",
    "lifespan": "off",  # Django has none
    "access_log": False,
    "log_level": "warning",
    "server_header": False,
    "proxy_headers": False,  # X-Forwarded-* are judged in one place: TRUSTED_PROXIES in the settings
    "timeout_keep_alive": 30,  # seconds
    "timeout_graceful_shutdown": 3,  # seconds; a live stream never ends by itself
    "backlog": 1024,
}
APPLICATION = "crm.asgi:application"


def serve_socket(fd):
    listening = socket.socket(fileno=fd)
    uvicorn.Server(uvicorn.Config(APPLICATION, **OPTIONS)).run(sockets=[listening])


def main():
    parser = argparse.ArgumentParser(prog="python -m crm.boot.web")
    parser.add_argument("--fd", type=int)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--processes", type=int, default=1)
    given = parser.parse_args()
    if given.fd is not None:
        serve_socket(given.fd)
    else:
        uvicorn.run(APPLICATION, host=given.host, port=given.port, workers=given.processes, **OPTIONS)


if __name__ == "__main__":
    main()
