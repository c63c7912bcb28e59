"""A provider that lets in by tokens only: its token endpoint (RFC 6749, 6) and the door of its IMAP server (XOAUTH2)."""

import base64
import contextlib
import json
import select
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

from tests.leads.capture.postbox import PASSWORD, USER

REFUSAL = {"status": "400", "schemes": "Bearer", "scope": "https://mail.google.com/"}


class Grants:
    """``says``: (status, JSON value or bytes) of each answer, the last one for ever; ``asked``: the forms that came."""

    def __init__(self):
        self.says, self.asked, outer = [], [], self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):  # noqa: N802 - http.server's name
                form = self.rfile.read(int(self.headers["Content-Length"])).decode()
                outer.asked.append({name: values[0] for name, values in parse_qs(form).items()})
                status, value = outer.says.pop(0) if len(outer.says) > 1 else outer.says[0]
                body = value if isinstance(value, bytes) else json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_words):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/token"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)


class Gate:
    """Stands before the tests' IMAP server and lets in who shows one of ``valid``; ``shown``: what was shown."""

    def __init__(self, port):
        self.to, self.valid, self.shown, self.after_refusal = port, set(), [], []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _address = self.listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with client, contextlib.suppress(OSError), client.makefile("rb") as lines:
            client.settimeout(10)
            client.sendall(b"* OK ready\r\n")
            while line := lines.readline():
                tag, _space, command = line.strip().partition(b" ")
                if command == b"CAPABILITY":
                    client.sendall(b"* CAPABILITY IMAP4rev1 AUTH=XOAUTH2 SASL-IR\r\n" + tag + b" OK done\r\n")
                elif command != b"AUTHENTICATE XOAUTH2":
                    client.sendall(tag + b" BAD by tokens only\r\n")
                elif self._lets_in(client, lines):
                    self._inside(client, tag)
                    return
                else:
                    client.sendall(tag + b" NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)\r\n")

    def _lets_in(self, client, lines):
        client.sendall(b"+ \r\n")
        self.shown.append(base64.b64decode(lines.readline().strip()))
        if self.shown[-1] in {f"user={USER}\x01auth=Bearer {token}\x01\x01".encode() for token in self.valid}:
            return True
        client.sendall(b"+ " + base64.b64encode(json.dumps(REFUSAL).encode()) + b"\r\n")
        self.after_refusal.append(lines.readline())
        return False

    def _inside(self, client, tag):
        with socket.create_connection(("127.0.0.1", self.to)) as server, server.makefile("rb") as said:
            said.readline()
            server.sendall(f'in LOGIN "{USER}" "{PASSWORD}"\r\n'.encode())
            while not said.readline().startswith(b"in OK"):
                pass
            client.sendall(tag + b" OK welcome\r\n")
            while True:
                ready, _w, _x = select.select([client, server], [], [], 20)
                for source in ready:
                    if not (data := source.recv(65536)):
                        return
                    (server if source is client else client).sendall(data)
                if not ready:
                    return

    def close(self):
        self.listener.close()
