"""A mail server on loopback that misbehaves on demand and remembers what it was given."""

import contextlib
import email
import email.policy
import socket
import threading

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP

REFUSALS = {"421": "421 4.3.2 not now", "451": "451 4.7.1 greylisted", "550": "550 5.1.1 no such user"}


class Sink:
    """``mode``: ok · 421 · 451 · 550 · drop_before (hangs up before the letter is taken over) · drop_answer (takes the
    letter, hangs up instead of "250") · drop_after ("250", then hangs up) · hold (takes the letter, answers nothing
    until ``release`` is set)."""

    def __init__(self):
        self.mode, self.letters = "ok", []
        self.taken, self.release = threading.Event(), threading.Event()

    async def handle_RCPT(self, server, session, envelope, address, options):
        if self.mode in REFUSALS:
            return REFUSALS[self.mode]
        if self.mode == "drop_before":
            server.transport.close()
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        letter = email.message_from_bytes(envelope.content, policy=email.policy.default)
        self.letters.append((letter, envelope.rcpt_tos))
        self.taken.set()
        if self.mode == "hold":
            await server.loop.run_in_executor(None, self.release.wait, 20)
        if self.mode == "drop_answer":
            server.transport.close()
        if self.mode == "drop_after":
            server.loop.call_later(0.05, server.transport.close)
        return "250 OK"

    @property
    def ids(self):
        return [letter["Message-ID"] for letter, _to in self.letters]


class _Quiet(Controller):
    def factory(self):
        return SMTP(self.handler, enable_SMTPUTF8=True)


@contextlib.contextmanager
def running():
    """A sink that listens; ``sink.port`` is where."""
    sink = Sink()
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        sink.port = probe.getsockname()[1]
    controller = _Quiet(sink, hostname="127.0.0.1", port=sink.port)
    controller.start()
    try:
        yield sink
    finally:
        sink.release.set()
        controller.stop()
