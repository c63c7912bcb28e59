"""HTTP to the outside: the only way out. What it may call is checked, and how much it reads and waits is limited.

An address is resolved once, every address of the name is checked, and the connection goes to a checked address: a name
that changes between two look-ups gains nothing. Redirects are followed by hand, each checked anew. ``trusted`` is an
origin that an administrator has stated (a stand-in on this machine, a telephone exchange in the office): it alone may be
private. What is raised names the host at most: paths and queries carry keys.
"""

import contextlib
import http.client
import io
import json as json_format
import secrets
import socket
import ssl
import threading
import time
from dataclasses import dataclass, field
from functools import cache
from ipaddress import IPv6Network, ip_address
from urllib.parse import quote, urlencode, urljoin, urlsplit

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

MAX_URL = 4000
MAX_REDIRECTS = 3
MAX_HEAD = 65536  # bytes of status line and headers
PORTS = {80, 443, 8080, 8443}  # what a public address may be called at
# What listens there speaks something else than HTTP; closed even at an origin that is trusted.
FOREIGN_PORTS = {
    *range(1, 80), 110, 111, 119, 135, 137, 139, 143, 161, 389, 445, 465, 514, 587, 636, 873, 993, 995, 1433, 1521,
    2049, 2375, 2379, 3306, 3389, 5432, 5672, 6379, 6432, 9042, 11211, 27017,
}  # fmt: skip
SAFE_HEADERS = {"accept", "range", "user-agent"}  # what a redirect may carry to another origin
NAT64 = IPv6Network("64:ff9b::/96")
GIVEN_OUT = IPv6Network("2000::/3")  # where public IPv6 addresses are


class Refused(Exception):
    """This address may not be called. Trying again does not help."""


class Unreachable(Exception):
    """No whole answer: the network, the time, the size, the certificate. May be tried again.

    ``sent``: the request may have arrived all the same; nobody knows what came of it.
    """

    def __init__(self, words, *, sent=True):
        super().__init__(words)
        self.sent = sent


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict  # names in lower case
    body: bytes = field(repr=False)

    def json(self):
        """The body as JSON; raises ValueError."""
        return json_format.loads(self.body)


# --- What may be called -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Target:
    scheme: str
    host: str  # lower case, ASCII, no dot at the end
    port: int
    path: str = field(default="/", repr=False)

    @property
    def origin(self):
        return self.scheme, self.host, self.port


def parse(url):
    """The Target of an address; raises Refused for what is no plain http(s) address."""
    url = str(url)
    if len(url) > MAX_URL or any(ord(c) <= 32 or ord(c) == 127 or c == "\\" for c in url):
        raise Refused(_("This is no address: it is too long or holds spaces or control characters."))
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        ascii_host = host if ":" in host else host.rstrip(".").encode("idna").decode().lower()
    except (ValueError, UnicodeError):
        raise Refused(_("This is no address.")) from None
    if parts.scheme not in {"http", "https"} or not ascii_host:
        raise Refused(_("Only http and https addresses can be called."))
    if "@" in parts.netloc:
        raise Refused(_("A user name in an address is not allowed."))
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._") + (
        "?" + quote(parts.query, safe="/?%:@!$&'()*+,;=~-._[]") if parts.query else ""
    )
    return Target(parts.scheme, ascii_host, port or {"http": 80, "https": 443}[parts.scheme], path)


def _is_trusted(target, trusted):
    if not trusted:
        return False
    try:
        return parse(trusted).origin == target.origin
    except Refused:
        return False


def _oddly_written(host):
    """``0177.0.0.1``, ``2130706433``, ``0x7f.1``: a number in the last place, and not four plain ones."""
    last = host.rpartition(".")[2]
    if ":" in host or not (last.isdigit() or last.startswith("0x")):
        return False
    parts = host.split(".")
    return not (len(parts) == 4 and all(p.isdigit() and p == str(int(p)) and int(p) < 256 for p in parts))


def _plain(address):
    """The IPv4 address within an IPv6 one, where it is only another spelling of it."""
    if address.version == 4:
        return address
    inner = address.ipv4_mapped or address.sixtofour
    if inner is None and (address in NAT64 or (int(address) >> 32 == 0 and int(address) > 1)):
        inner = ip_address(int(address) & 0xFFFFFFFF)
    return inner or address


def _public(address):
    if address.version == 6 and address not in GIVEN_OUT:
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _own(address):
    """What an administrator may name: this machine, the company's network; never a cloud's metadata service."""
    return not (address.is_link_local or address.is_multicast or address.is_unspecified)


def _checked(target, trusted, deadline):
    """The addresses that the target's name has now, all of them allowed; raises Refused, Unreachable."""
    own = _is_trusted(target, trusted)
    if target.port in FOREIGN_PORTS or not (own or target.port in PORTS):
        raise Refused(_("Port %d may not be called.") % target.port)
    if _oddly_written(target.host):
        raise Refused(_("This is no address."))
    found = _look_up(target.host, target.port, deadline)
    for *_kind, sockaddr in found:
        address = _plain(ip_address(sockaddr[0].partition("%")[0]))
        if not (_public(address) or (own and _own(address))):
            raise Refused(_("Addresses of an internal network may not be called: %s") % target.host)
    return found


def _look_up(host, port, deadline):
    """getaddrinfo, which has no time limit of its own."""
    found = []

    def ask():
        with contextlib.suppress(OSError, UnicodeError):
            found.extend(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))

    thread = threading.Thread(target=ask, daemon=True, name="look-up")
    thread.start()
    thread.join(_left(deadline))
    if not found:
        raise Unreachable(_("There is no such host: %s") % host, sent=False)
    return list(found)


def check_url(url, *, trusted=""):
    """Raise ValidationError unless the address may be called; a name that is not known now is looked at when called."""
    try:
        target = parse(url)
        with contextlib.suppress(Unreachable):
            _checked(target, trusted, time.monotonic() + 5)
    except Refused as refused:
        raise ValidationError(str(refused), code="address") from None


def connect(host, port, *, inside=False, timeout=20.0):
    """A socket for another protocol than HTTP (a mailbox), to an address that is checked as those of HTTP are.

    ``inside``: an administrator says that the server may be on this machine or in the company's network.
    """
    deadline, host = time.monotonic() + timeout, str(host).strip().rstrip(".").lower()
    if not host or len(host) > 253 or any(c in host for c in "/@?# \\[]") or _oddly_written(host):
        raise Refused(_("This is no host name: %s") % host[:100])
    found = _look_up(host, port, deadline)
    for *_kind, sockaddr in found:
        address = _plain(ip_address(sockaddr[0].partition("%")[0]))
        if not (_public(address) or (inside and _own(address))):
            raise Refused(_("Addresses of an internal network may not be called: %s") % host)
    return _connected(Target("tcp", host, port), found, deadline)


# --- The wire ---------------------------------------------------------------------------------------------------------


def _left(deadline):
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


class _Wire(io.RawIOBase):
    """A socket as http.client wants it, that ends at the deadline however slowly the bytes drip."""

    def __init__(self, sock, deadline, limit):
        self.sock, self.deadline, self.room, self.idle = sock, deadline, limit, None

    def sendall(self, data):
        self.sock.settimeout(_left(self.deadline))
        self.sock.sendall(data)

    def readable(self):
        return True

    def readinto(self, buffer):
        left = _left(self.deadline)
        self.sock.settimeout(min(left, self.idle or left))
        count = self.sock.recv_into(buffer)
        self.room -= count
        if self.room < 0:
            raise Unreachable(_("The answer is too large."))
        return count

    def makefile(self, *_mode):
        return io.BufferedReader(self)

    def close(self):
        """http.client closes early; whoever opened the socket closes it."""


@cache
def _tls():
    return ssl.create_default_context()


def _connected(target, addresses, deadline):
    """A socket to one of the checked addresses, its certificate checked against the name."""
    error = None
    for number, (family, kind, protocol, _name, sockaddr) in enumerate(addresses):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(_left(deadline) / (len(addresses) - number))
            sock.connect(sockaddr)
            sock.settimeout(_left(deadline))
            return _tls().wrap_socket(sock, server_hostname=target.host) if target.scheme == "https" else sock
        except OSError as failed:
            sock.close()
            error = failed
    raise error


def _said(target, error, *, sent=True):
    """What went wrong, in words without the path."""
    if isinstance(error, TimeoutError):
        what = _("no answer in time")
    elif isinstance(error, ssl.SSLCertVerificationError):
        what = _("its certificate does not hold")
    else:
        what = type(error).__name__
    return Unreachable(f"{target.host}: {what}", sent=sent)


@contextlib.contextmanager
def _exchange(method, target, headers, body, *, trusted, deadline, limit):
    """(wire, response) of one request; the socket lives as long as the block."""
    with contextlib.ExitStack() as stack:
        sent = False
        try:
            sock = stack.enter_context(_connected(target, _checked(target, trusted, deadline), deadline))
            sent = True
            wire = _Wire(sock, deadline, limit)
            link = http.client.HTTPConnection(target.host, target.port)
            link.default_port, link.sock = {"http": 80, "https": 443}[target.scheme], wire
            link.request(method, target.path, body=body, headers=headers)
            response = stack.enter_context(link.getresponse())
        except (OSError, http.client.HTTPException) as error:
            raise _said(target, error, sent=sent) from None
        except ValueError:  # a line break in a header
            raise Refused(_("A header that cannot be sent.")) from None
        yield wire, response


def _next(target, response):
    """Where a redirect leads, or None."""
    location = response.headers.get("location")
    if response.status not in {301, 302, 303, 307, 308} or not location:
        return None
    port = "" if target.port in {80, 443} else f":{target.port}"
    host = f"[{target.host}]" if ":" in target.host else target.host
    there = parse(urljoin(f"{target.scheme}://{host}{port}{target.path}", location))
    if target.scheme == "https" and there.scheme == "http":
        raise Refused(_("A redirect from https to http is not followed."))
    return there


@contextlib.contextmanager
def _followed(method, url, headers, body, *, trusted, deadline, limit):
    """_exchange with whatever answers at the end of at most MAX_REDIRECTS redirects; a post is never sent again."""
    target = parse(url)
    headers = {"Accept": "*/*", "User-Agent": "lead-crm", **(headers or {})}
    headers |= {"Accept-Encoding": "identity", "Connection": "close"}
    for _hop in range(MAX_REDIRECTS + 1):
        with _exchange(method, target, headers, body, trusted=trusted, deadline=deadline, limit=limit) as (wire, got):
            there = _next(target, got) if method in {"GET", "HEAD"} else None
            if there is None:
                if got.headers.get("content-encoding", "identity").lower() not in {"identity", ""}:
                    raise Unreachable(_("The answer is compressed, which was not asked for."))
                yield target, wire, got
                return
        if there.origin != target.origin:
            headers = {n: v for n, v in headers.items() if n.lower() in SAFE_HEADERS} | {"Accept-Encoding": "identity"}
        target = there
    raise Unreachable(_("Too many redirects."))


def _lower(response):
    return {name.lower(): value for name, value in response.headers.items()}


def _with_params(url, params):
    if not params:
        return url
    return f"{url}{'&' if '?' in url else '?'}{urlencode(params, doseq=True)}"


def _body(json, data, headers):
    """(bytes or None, headers) of what is sent: a JSON value, a form (a dict or pairs), or bytes as they are."""
    headers, given = dict(headers or {}), {name.lower() for name in headers or {}}
    if json is not None:
        kind, body = "application/json", json_format.dumps(json, ensure_ascii=False).encode()
    elif isinstance(data, dict | list | tuple):
        kind, body = "application/x-www-form-urlencoded", urlencode(data, doseq=True).encode()
    else:
        return (data.encode() if isinstance(data, str) else data), headers
    return body, headers if "content-type" in given else {**headers, "Content-Type": kind}


def multipart(fields, name, file):
    """(content type, bytes) of a form (a dict) with one file; ``file``: its name, type and bytes. RFC 7578.

    Names of files stand in UTF-8 with quotes and line breaks escaped, as browsers write them.
    """
    filename, kind, content = file
    boundary = f"----{secrets.token_hex(16)}"
    quoted = filename.translate({10: "%0A", 13: "%0D", 34: "%22"})
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'.encode()
        for field, value in fields.items()
    ]
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{quoted}"\r\n'
    parts += [f"{head}Content-Type: {kind}\r\n\r\n".encode(), content, f"\r\n--{boundary}--\r\n".encode()]
    return f"multipart/form-data; boundary={boundary}", b"".join(parts)


# --- Calling ----------------------------------------------------------------------------------------------------------


def fetch(method, url, *, headers=None, params=None, json=None, data=None, timeout=10.0, max_bytes=65536, trusted=""):
    """The Answer of one request. ``timeout``: seconds for all of it; ``max_bytes``: of the answer's body.

    ``json``: a value; ``data``: a form (dict or pairs) or bytes. Raises Refused and Unreachable.
    """
    deadline, (body, headers) = time.monotonic() + timeout, _body(json, data, headers)
    url, limit = _with_params(url, params), MAX_HEAD + 2 * max_bytes
    with _followed(method, url, headers, body, trusted=trusted, deadline=deadline, limit=limit) as (target, _wire, got):
        if (got.length or 0) > max_bytes:
            raise Unreachable(_("The answer is too large."))
        try:
            found = got.read(max_bytes + 1)
        except (OSError, http.client.HTTPException) as error:
            raise _said(target, error) from None
        if len(found) > max_bytes:
            raise Unreachable(_("The answer is too large."))
        if got.length:  # read(n) does not mind that less came than was promised
            raise Unreachable(_("%s: the answer was cut off") % target.host)
        return Answer(got.status, _lower(got), found)


@contextlib.contextmanager
def stream(url, *, headers=None, params=None, timeout=10.0, max_bytes=200 * 1024 * 1024, total=600.0, trusted=""):
    """(status, headers, iterator of bytes) of a GET. ``timeout``: seconds until the headers and between two pieces;
    ``total``: seconds for all of it; ``max_bytes``: of the body. Raises Refused and Unreachable, also while read.
    """
    url, limit, start = _with_params(url, params), MAX_HEAD + 2 * max_bytes, time.monotonic()
    with _followed(
        "GET", url, headers, None, trusted=trusted, deadline=start + timeout, limit=limit
    ) as (target, wire, got):  # fmt: skip
        if (got.length or 0) > max_bytes:
            raise Unreachable(_("The answer is too large."))
        wire.deadline, wire.idle = start + total, timeout
        yield got.status, _lower(got), _pieces(target, got, max_bytes)


def _pieces(target, response, max_bytes):
    try:
        while piece := response.read1(65536):
            max_bytes -= len(piece)
            if max_bytes < 0:
                raise Unreachable(_("The answer is too large."))
            yield piece
        if response.length:
            raise Unreachable(_("%s: the answer was cut off") % target.host)
    except (OSError, http.client.HTTPException) as error:
        raise _said(target, error) from None
