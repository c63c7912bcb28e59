"""A stand-in for Telegram, WhatsApp, VK, SMS.ru and Twilio on this machine: speaks their protocols, remembers what it was told."""

import contextlib
import email
import email.policy
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

FILE = b"%PDF-1.4 a file of the client's"


class Messengers:
    """``site``: the company's page, under /site/. ``told``: [(path, body)]; ``answers``: [(status, body, headers)] that come before the usual ones; "hang up" too."""

    def __init__(self):
        self.told, self.answers, self.headers, self.site = [], [], [], ""
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"desk": self}))
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.file = FILE
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def say(self, status, body=None, **headers):
        self.answers.append((status, body or {}, headers))

    def texts(self):
        return [body.get("text") or body.get("message") for _path, body in self.told]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@contextlib.contextmanager
def running():
    desk = Messengers()
    try:
        yield desk
    finally:
        desk.close()


def _form(kind, raw):
    """A posted form: texts, and of a file (name, type, bytes)."""
    said = email.message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + raw, policy=email.policy.HTTP)
    found = {}
    for part in said.iter_parts():
        content, name = part.get_payload(decode=True), part.get_param("name", header="content-disposition")
        file = part.get_filename()
        found[name] = (file, part.get_content_type(), content) if file else content.decode()
    return found


def _sms_ru(to, number):
    one = {"status": "OK", "status_code": 100, "sms_id": f"000000-{number}"}
    return {"status": "OK", "status_code": 100, "sms": {to: one}, "balance": 10.5}


class _Handler(BaseHTTPRequestHandler):
    desk = None
    protocol_version = "HTTP/1.1"

    def log_message(self, *_args):
        pass

    def do_GET(self):
        path = urlsplit(self.path).path
        self.desk.headers.append(dict(self.headers))
        if path == "/site/":
            self._send(200, self.desk.site.encode(), "text/html; charset=utf-8")
            return
        if path.startswith(("/file/", "/media/")):
            self._send(200, self.desk.file, "application/pdf")
            return
        self._say(200, {"url": f"{self.desk.url}/media/{path.rsplit('/', 1)[-1]}", "file_size": len(self.desk.file)})

    def do_POST(self):
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kind = self.headers.get("Content-Type", "")
        if "multipart" in kind:
            body = _form(kind, raw)
        else:
            body = json.loads(raw) if "json" in kind else {n: v[0] for n, v in parse_qs(raw.decode()).items()}
        self.desk.headers.append(dict(self.headers))
        self.desk.told.append((self.path, body))
        if self.desk.answers:
            status, said, headers = self.desk.answers.pop(0)
            if status == "hang up":
                self.close_connection = True
                self.connection.close()
                return
            self._say(status, said, headers)
            return
        self._say(200, self._usual(urlsplit(self.path).path, body))

    def _usual(self, path, body):
        number = len(self.desk.told)
        usual = {
            "/media": lambda: {"id": f"M{number}"},
            "docs.getMessagesUploadServer": lambda: {"response": {"upload_url": f"{self.desk.url}/upload?act=doc"}},
            "/upload": lambda: {"file": "ticket"},
            "docs.save": lambda: {"response": {"type": "doc", "doc": {"id": 7, "owner_id": -5}}},
            "/getFile": lambda: {
                "ok": True,
                "result": {"file_id": body["file_id"], "file_path": "documents/file_1.pdf"},
            },
            "users.get": lambda: {"response": [{"id": 88, "first_name": "Иван", "last_name": "Вкшин"}]},
            "messages.send": lambda: {"response": number},
            "/sms/send": lambda: _sms_ru(body["to"], number),
            "/Messages.json": lambda: {"sid": f"SM{number:032d}", "status": "queued"},
        }
        for end, answer in usual.items():
            if path.endswith(end):
                return answer()
        if "/bot" in path:
            return {"ok": True, "result": {"message_id": number}}
        return {"messaging_product": "whatsapp", "messages": [{"id": f"wamid.{number}"}]}

    def _say(self, status, body, headers=None):
        self._send(status, json.dumps(body).encode(), "application/json", headers or {})

    def _send(self, status, raw, kind, headers=None):
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": len(raw), **(headers or {})}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(raw)
