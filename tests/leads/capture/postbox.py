"""A real IMAP server (pymap) for tests, letters put into it by IMAP, and a proxy that cuts conversations."""

import contextlib
import imaplib
import select
import socket
import subprocess
import sys
import threading
import time
from email.message import EmailMessage
from email.utils import make_msgid

USER, PASSWORD = "sales@company.ru", "app-password"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def imap_server():
    """The port of a server with one empty mailbox, kept in memory."""
    port = free_port()
    start = "from pymap.main import main; main()"
    words = [sys.executable, "-W", "ignore", "-c", start, "--host", "127.0.0.1", "--port", str(port), "--no-tls"]
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


def empty(port, folder="INBOX"):
    """A folder that is numbered anew: deleted and made again (INBOX cannot be, so another one is used)."""
    with logged_in(port) as link:
        link.delete(folder)
        link.create(folder)


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


class Proxy:
    """Passes bytes on to a server and hangs up after so many of the server's (``limit``), or never."""

    def __init__(self, port):
        self.to, self.limit, self.passed, self.cut = port, None, 0, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _address = self.listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        passed = 0
        with client, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.to)) as server:
            while True:
                ready, _w, _x = select.select([client, server], [], [], 20)
                if not ready:
                    return
                for source in ready:
                    data = source.recv(4096)
                    if not data:
                        return
                    if source is client:
                        server.sendall(data)
                        continue
                    room = len(data) if self.limit is None else max(0, self.limit - passed)
                    client.sendall(data[:room])
                    passed += len(data)
                    self.passed = passed
                    if room < len(data):
                        self.cut += 1
                        return

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
