"""A provider's API on this machine: says what it is told, remembers what it was asked."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


class StandIn:
    """``says``: path → (status, JSON value) or a list of those, one a call, the last for ever."""

    def __init__(self):
        self.says, self.asked, outer = {}, [], self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):  # noqa: N802 - http.server's name
                parts = urlsplit(self.path)
                outer.asked.append((parts.path, {n: v[0] for n, v in parse_qs(parts.query).items()}))
                status, value = outer.answer(parts.path)
                body = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_words):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def answer(self, path):
        said = self.says.get(path, (404, {"error": {"message": "unknown", "code": 100}}))
        if isinstance(said, list):
            said = said.pop(0) if len(said) > 1 else said[0]
        return said

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)
