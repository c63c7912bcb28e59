"""The way out: where it may go, how long it waits, how much it reads."""

import contextlib
import json
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time

import pytest
from django.core.exceptions import ValidationError

from crm.core import outbound
from crm.core.outbound import Refused, Unreachable

# Every spelling of an address that must not be called; {port} is where somebody listens on the loopback.
FORBIDDEN = [
    "http://127.0.0.1:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://2130706433:{port}/",
    "http://0x7f.1:{port}/",
    "http://0x7f000001:{port}/",
    "http://127.1:{port}/",
    "http://0:{port}/",
    "http://0.0.0.0:{port}/",
    "http://[::1]:{port}/",
    "http://[::]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::ffff:7f00:1]:{port}/",
    "http://[64:ff9b::7f00:1]:{port}/",
    "http://[2002:7f00:1::]:{port}/",
    "http://localhost:{port}/",
    "http://localhost.:{port}/",
    "http://LOCALHOST:{port}/",
    "http://a@127.0.0.1:{port}/",
    "http://8.8.8.8@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}\\@8.8.8.8/",
    "http://１２７.0.0.1:{port}/",
    "http://127。0。0。1:{port}/",
    "http://127.0.0.1:{port}\r\nX: y/",
]
NEVER = [
    "http://[::ffff:a9fe:a9fe]/latest/meta-data/",
    "http://169.254.169.254/latest/meta-data/",
    "http://10.0.0.1/",
    "http://192.168.1.1/",
    "http://172.16.0.1/",
    "http://100.64.0.1/",
    "http://224.0.0.1/",
    "http://[fe80::1]/",
    "http://[fd00::1]/",
    "http://[fec0::1]/",
    "http://8.8.8.8:5432/",
    "http://8.8.8.8:6379/",
    "http://8.8.8.8:25/",
    "http://8.8.8.8:8000/",
    "file:///etc/passwd",
    "gopher://8.8.8.8/",
    "ftp://8.8.8.8/",
    "http://",
    "//8.8.8.8/",
    "8.8.8.8",
    "javascript:alert(1)",
    "",
    "http://8.8.8.8:99999/",
    "http://[8.8.8.8/",
    "http://a..b/",
    "http://8.8.8.8/" + "a" * 5000,
]


def whole(request):
    head, end, body = request.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    return bool(end) and len(body) >= int(length[1] if length else 0)


class Listener:
    """A server on the loopback that says what it is told and counts who came."""

    def __init__(self, say, tls=None):
        self.say, self.tls, self.heard, self.came = say, tls, [], 0
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.origin = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                link, _who = self.socket.accept()
            except OSError:
                return
            self.came += 1
            with contextlib.suppress(OSError), contextlib.closing(link):
                link.settimeout(5)
                with self.tls.wrap_socket(link, server_side=True) if self.tls else link as wire:
                    self.heard.append(self.request(wire))
                    self.say(wire, self.heard[-1])

    @staticmethod
    def request(wire):
        found = b""
        while not whole(found) and (piece := wire.recv(65536)):
            found += piece
        return found.decode(errors="replace")

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join(6)


@pytest.fixture
def listen():
    with contextlib.ExitStack() as stack:

        def start(say, tls=None):
            listener = Listener(say, tls)
            stack.callback(listener.close)
            return listener

        yield start


def saying(text):
    return lambda wire, _request: wire.sendall(text.encode())


def answer(body="ok", status="200 OK", *headers):
    return "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body.encode())}", *headers, "", body])


def seconds(call):
    start = time.monotonic()
    with pytest.raises(Unreachable):
        call()
    return time.monotonic() - start


@pytest.mark.parametrize("url", FORBIDDEN)
def test_no_spelling_of_the_loopback_is_called(listen, url):
    listener = listen(saying(answer()))
    url = url.replace("{port}", str(listener.port))
    with pytest.raises(ValidationError):
        outbound.check_url(url)
    with pytest.raises(Refused):
        outbound.fetch("GET", url, timeout=2)
    assert listener.came == 0


@pytest.mark.parametrize("url", NEVER)
def test_inner_networks_foreign_ports_and_other_schemes_are_refused(url):
    with pytest.raises(ValidationError):
        outbound.check_url(url)
    with pytest.raises(Refused):
        outbound.fetch("GET", url, timeout=2)


def test_a_stated_origin_is_called_and_it_alone(listen):
    named, other = listen(saying(answer('{"a": 1}'))), listen(saying(answer()))
    assert outbound.fetch("GET", f"{named.origin}/x?y=1", trusted=f"{named.origin}/api").json() == {"a": 1}
    for url in (other.origin, f"https://127.0.0.1:{named.port}/", f"http://localhost:{named.port}/"):
        with pytest.raises(Refused):
            outbound.fetch("GET", url, trusted=named.origin)
    assert (named.came, other.came) == (1, 0)
    assert named.heard[0].split("\r\n")[0] == "GET /x?y=1 HTTP/1.1"
    assert f"Host: 127.0.0.1:{named.port}" in named.heard[0]


@pytest.mark.parametrize("origin", ["http://127.0.0.1:5432", "http://169.254.169.254", "http://127.0.0.1:25"])
def test_a_stated_origin_is_no_database_and_no_metadata_service(origin):
    with pytest.raises(ValidationError):
        outbound.check_url(origin, trusted=origin)


def resolving(monkeypatch, *answers):
    """Names resolve to these addresses, one look-up after another; returns the list of look-ups."""
    asked, real = [], socket.getaddrinfo

    def look_up(host, port, **_more):
        addresses = answers[min(len(asked), len(answers) - 1)]
        asked.append(host)
        return [found for address in addresses for found in real(address, port, type=socket.SOCK_STREAM)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return asked


def test_a_name_of_the_loopback_is_refused_even_beside_a_public_address(listen, monkeypatch):
    listener = listen(saying(answer()))
    resolving(monkeypatch, ["8.8.8.8", "127.0.0.1"])
    monkeypatch.setattr(outbound, "PORTS", {listener.port})
    with pytest.raises(Refused):
        outbound.fetch("GET", f"http://inner.example:{listener.port}/", timeout=2)
    assert listener.came == 0


def test_a_name_that_changes_gains_nothing(listen, monkeypatch):
    listener, reached = listen(saying(answer())), []
    asked = resolving(monkeypatch, ["93.184.216.34"], ["127.0.0.1"])
    monkeypatch.setattr(outbound, "PORTS", {listener.port})

    def connect(target, addresses, deadline):
        reached.extend(found[4][0] for found in addresses)
        raise ConnectionRefusedError

    monkeypatch.setattr(outbound, "_connected", connect)
    with pytest.raises(Unreachable):
        outbound.fetch("GET", f"http://rebind.example:{listener.port}/", timeout=2)
    assert (asked, reached, listener.came) == (["rebind.example"], ["93.184.216.34"], 0)


def test_redirects_are_checked_anew(listen):
    inner = listen(saying(answer()))
    outer = listen(saying(answer("", "302 Found", f"Location: http://127.0.0.1:{inner.port}/")))
    with pytest.raises(Refused):
        outbound.fetch("GET", outer.origin, trusted=outer.origin)
    assert inner.came == 0


def test_three_redirects_are_followed_and_no_more(listen):
    def hop(wire, request):
        number = int(request.split("/")[1].split(" ")[0])
        wire.sendall((answer("", "302 Found", f"Location: /{number - 1}") if number else answer("there")).encode())

    listener = listen(hop)
    assert outbound.fetch("GET", f"{listener.origin}/3", trusted=listener.origin).body == b"there"
    with pytest.raises(Unreachable):
        outbound.fetch("GET", f"{listener.origin}/9", trusted=listener.origin)
    assert listener.came == 8


def test_a_post_is_not_sent_again_by_a_redirect(listen):
    listener = listen(saying(answer("", "307 Temporary Redirect", "Location: /again")))
    got = outbound.fetch("POST", listener.origin, json={"имя": "Анна"}, trusted=listener.origin)
    assert (got.status, listener.came) == (307, 1)
    assert "Content-Type: application/json" in listener.heard[0]


def test_keys_do_not_travel_to_another_origin(listen, monkeypatch):
    second = listen(saying(answer("file")))
    first = listen(saying(answer("", "302 Found", f"Location: {second.origin}/file")))
    monkeypatch.setattr(outbound, "_is_trusted", lambda target, trusted: True)
    headers = {"Authorization": "Bearer key", "Range": "bytes=0-"}
    with outbound.stream(first.origin, headers=headers) as (status, _headers, pieces):
        assert (status, b"".join(pieces)) == (200, b"file")
    assert "Bearer key" in first.heard[0] and "Bearer key" not in second.heard[0] and "Range" in second.heard[0]


def drip(wire, _request):
    wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _number in range(100):
        wire.sendall(b"a")
        time.sleep(0.1)


def dripping_head(wire, _request):
    for _number in range(100):
        wire.sendall(b"H")
        time.sleep(0.1)


def endless(wire, _request):
    wire.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        wire.sendall(b"a" * 65536)


def endless_head(wire, _request):
    wire.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        wire.sendall(b"X-More: " + b"a" * 60000 + b"\r\n")


@pytest.mark.parametrize("say", [lambda wire, request: time.sleep(3), drip, dripping_head, endless, endless_head])
def test_whoever_does_not_end_is_left(listen, say):
    listener = listen(say)
    call = lambda: outbound.fetch("GET", listener.origin, timeout=0.6, trusted=listener.origin)  # noqa: E731
    assert seconds(call) < 1.2


@pytest.mark.parametrize(
    "text",
    [
        answer("a" * 70000),
        "HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\naaa",
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ncut off",
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "nonsense\r\n\r\n",
        "",
    ],
    ids=["too large", "says it is huge", "cut off", "compressed", "broken chunks", "no HTTP", "nothing"],
)
def test_an_answer_that_is_none(listen, text):
    listener = listen(saying(text))
    with pytest.raises(Unreachable) as error:
        outbound.fetch("GET", f"{listener.origin}/bot123:token/", params={"key": "value"}, trusted=listener.origin)
    assert "token" not in str(error.value) and "value" not in str(error.value)


def test_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as server:
        origin = f"http://127.0.0.1:{server.getsockname()[1]}"
    with pytest.raises(Unreachable):
        outbound.fetch("GET", origin, trusted=origin)


def test_a_line_break_in_a_header_is_not_sent(listen):
    listener = listen(saying(answer()))
    with pytest.raises(Refused):
        outbound.fetch("GET", listener.origin, headers={"X-A": "b\r\nX-C: d"}, trusted=listener.origin)
    assert listener.heard in ([], [""])


def test_forms_parameters_and_errors(listen):
    listener = listen(saying(answer(json.dumps({"error": "no"}), "404 Not Found", "X-Kind: Z")))
    got = outbound.fetch("POST", listener.origin, params={"a": "б"}, data={"text": "x y"}, trusted=listener.origin)
    assert (got.status, got.headers["x-kind"], got.json()) == (404, "Z", {"error": "no"})
    assert listener.heard[0].startswith("POST /?a=%D0%B1 HTTP/1.1") and listener.heard[0].endswith("text=x+y")


def test_a_stream_stops_at_its_limit(listen):
    listener = listen(endless)
    with (
        pytest.raises(Unreachable),
        outbound.stream(listener.origin, max_bytes=200_000, trusted=listener.origin) as (_status, _headers, pieces),
    ):
        assert sum(len(piece) for piece in pieces) <= 200_000


def test_a_certificate_of_nobody_is_refused(listen, tmp_path):
    openssl = shutil.which("openssl")
    if not openssl:
        pytest.skip("NO OPENSSL: the certificate of a stranger was not tried")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1",
         "-keyout", key, "-out", cert], check=True, capture_output=True,
    )  # fmt: skip
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(cert, key)
    listener = listen(saying(answer()), tls)
    with pytest.raises(Unreachable):
        outbound.fetch("GET", listener.origin, trusted=listener.origin)
    assert listener.heard == []


def test_https_to_a_server_that_speaks_http(listen):
    listener = listen(saying(answer()))
    origin = f"https://127.0.0.1:{listener.port}"
    with pytest.raises(Unreachable):
        outbound.fetch("GET", origin, timeout=3, trusted=origin)


def test_the_outside_is_allowed():
    for url in ("https://93.184.216.34/x", "http://93.184.216.34:8080/", "https://[2606:2800:220:1::1]/"):
        outbound.check_url(url)
    outbound.check_url("https://no-such-host.invalid/")  # looked at again when it is called
