"""A real IMAP server (pymap) for tests, letters put into it by IMAP, and a proxy that cuts conversations."""

import contextlib
import imaplib
import select
import socket
import struct
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import make_msgid

from leads.services import sources

USER, PASSWORD = "sales@company.ru", "app-password"
# Every password is hashed as the cheapest allows: tests sign in hundreds of times.
SERVER = """
from pymap.config import IMAPConfig
from pysasl.hashing import BuiltinHash
IMAPConfig._get_hash_context = classmethod(lambda cls, path: BuiltinHash(rounds=1))
from pymap.main import main
main()
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def imap_server(tls=("--no-tls",)):
    """The port of a server with one empty mailbox, kept in memory; ``tls``: words for its certificate and key."""
    port = free_port()
    words = [sys.executable, "-W", "ignore", "-c", SERVER, "--host", "127.0.0.1", "--port", str(port), *tls]
    words += ["--no-service", "managesieve", "--no-service", "admin"]
    words += ["dict", "--demo-user", USER, "--demo-password", PASSWORD]
    server = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _attempt in range(200):
            if server.poll() is not None:
                raise RuntimeError("pymap did not start")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
                break
            time.sleep(0.05)
        yield port
    finally:
        server.terminate()
        server.wait(10)


@contextlib.contextmanager
def logged_in(port):
    link = imaplib.IMAP4("127.0.0.1", port, timeout=20)
    link.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # or every letter waits for an acknowledgement
    link.login(USER, PASSWORD)
    try:
        yield link
    finally:
        with contextlib.suppress(Exception):
            link.logout()


def put(port, *letters, folder="INBOX"):
    """Lay letters (bytes or EmailMessage) into a folder."""
    with logged_in(port) as link:
        if folder != "INBOX":
            link.create(folder)
        for letter in letters:
            raw = letter if isinstance(letter, bytes) else letter.as_bytes()
            typ, said = link.append(folder, None, None, raw)
            assert typ == "OK", said


def letter(
    text="Добрый день! Нужна кофемашина в офис.",
    *,
    sender="Пётр Иванов <petr@romashka.ru>",
    subject="Заявка",
    **headers,
):
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, USER, subject
    message["Message-ID"] = headers.pop("message_id", None) or make_msgid(domain="romashka.ru")
    message["Date"] = headers.pop("date", "Fri, 20 Nov 2026 12:30:00 +0300")
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content(text)
    return message


def emptied(port):
    """The server's port, its mailbox empty and without further folders."""
    with logged_in(port) as link:
        link.select("INBOX")
        link.store("1:*", "+FLAGS", "\\Deleted")
        link.expunge()
        link.close()
        for row in link.list()[1]:
            name = row.decode().split('"/" ')[-1].strip('"')
            if name.upper() != "INBOX":
                link.delete(f'"{name}"')
    return port


def mailbox(port, key="info", **more):
    """A source that reads the server's mailbox."""
    stated = {"host": "127.0.0.1", "port": port, "tls": "none", "user": USER, "password": PASSWORD}
    return sources.add(key=key, adapter="imap", name=key, settings=stated | more)


@dataclass(frozen=True)
class Fault:
    """After so many bytes of one ``side`` (down: the server's, up: the client's) the line ends in a way."""

    after: int
    side: str = "down"
    ending: str = "cut"  # cut, reset, bye, garbage, silence
    garbage: bytes = b""


class Proxy:
    """Passes bytes on to a server, until its ``fault``; ``refuses``: words that every LOGIN is answered with."""

    def __init__(self, port):
        self.to, self.fault, self.refuses = port, None, b""
        self.passed = {"down": 0, "up": 0}  # bytes of the last conversation
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _address = self.listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with client, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.to)) as server:
            self._pass(client, server, self.fault, {"down": 0, "up": 0})

    def _pass(self, client, server, fault, passed):
        self.passed = passed
        while True:
            ready, _w, _x = select.select([client, server], [], [], 20)
            for source in ready:
                side, other = ("up", server) if source is client else ("down", client)
                data = source.recv(4096)
                if side == "up" and self.refuses and b" LOGIN " in data:
                    other, data = client, data.split(b" ")[0] + b" NO " + self.refuses + b"\r\n"
                room = fault.after - passed[side] if fault and fault.side == side else len(data)
                other.sendall(data[:room])
                passed[side] += len(data[:room])
                if room < len(data):
                    return self._end(client, fault)
                if not data:
                    return None
            if not ready:
                return None

    def _end(self, client, fault):
        if fault.ending == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif fault.ending == "bye":
            client.sendall(b"\r\n* BYE overloaded, come back later\r\n")
        elif fault.ending == "garbage":
            client.sendall(fault.garbage)
        elif fault.ending == "silence":
            select.select([client], [], [], 5)  # until the client loses its patience
            client.recv(65536)
            select.select([client], [], [], 5)

    def close(self):
        self.listener.close()


@contextlib.contextmanager
def babble(*lines):
    """The port of a "server" that answers each line of the client's with the next of these, whatever was asked."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        with contextlib.suppress(OSError):
            while True:
                client, _address = listener.accept()
                with client, contextlib.suppress(OSError):
                    client.settimeout(10)
                    tag = b""
                    for line in lines:
                        client.sendall(line.replace(b"TAG", tag))
                        tag = client.recv(4096).split(b" ")[0] if line is not lines[-1] else b""

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()
