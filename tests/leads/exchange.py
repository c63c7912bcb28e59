"""A stand-in for the APIs of telephone exchanges: recordings with and without ranges, requests to call."""

import contextlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

SOUND = bytes(range(256)) * 400  # 102,400 bytes


@dataclass
class Exchange:
    url: str = ""
    asked: list = field(default_factory=list)  # (method, path, query or form, Authorization)
    answers: dict = field(default_factory=dict)  # path → (status, JSON)
    ranges: bool = True


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_args):
        pass

    @property
    def exchange(self):
        return self.server.exchange

    def _said(self):
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        kind, parts = self.headers.get("Content-Type", ""), urlsplit(self.path)
        said = json.loads(raw) if "json" in kind else {n: v[0] for n, v in parse_qs(raw or parts.query).items()}
        self.exchange.asked.append((self.command, parts.path, said, self.headers.get("Authorization", "")))
        return parts.path

    def _answer(self, status, body, headers):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _json(self, path):
        status, value = self.exchange.answers.get(path, (404, {}))
        self._answer(status, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def do_GET(self):
        path = self._said()
        if path not in self.exchange.answers and ("sound" in path or "Recordings" in path):
            self._sound()
        else:
            self._json(path)

    def _sound(self):
        span = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")) if self.exchange.ranges else None
        if not span:
            self._answer(200, SOUND, {"Content-Type": "text/html"})  # as some exchanges call it
            return
        first, last = int(span[1]), min(int(span[2] or len(SOUND)), len(SOUND) - 1)
        shown = {"Content-Type": "audio/mpeg", "Content-Range": f"bytes {first}-{last}/{len(SOUND)}"}
        self._answer(206, SOUND[first : last + 1], shown)

    def do_POST(self):
        path = self._said()
        if path == "/vpbx/queries/recording/post":
            self._answer(302, b"", {"Location": f"{self.exchange.url}/sound.mp3"})
        else:
            self._json(path)


@contextlib.contextmanager
def running():
    exchange = Exchange()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.exchange = exchange
    exchange.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield exchange
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
