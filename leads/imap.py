"""A conversation with an IMAP server (RFC 9051, 3501): only reading, by UID, within limits.

Nothing is ever marked or moved on the server; where a client has read to is our own matter. Whatever the server says
or leaves unsaid becomes ``Broken`` (try again) or ``Denied`` (it will not help), in words for people.
"""

import base64
import contextlib
import imaplib
import io
import json
import re
import ssl
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from django.utils.translation import gettext_lazy as _

from crm.core import outbound

TIMEOUT = 20.0  # seconds for each step
PATIENCE = 180.0  # seconds for a whole conversation, however slowly its bytes drip; less than a worker's limit
MAX_ANSWER = 60 * 1024 * 1024  # bytes of one answer of the server, whatever it announces
MAX_LINE = 16 * 1024 * 1024  # bytes of a line: the numbers of a million letters fit
TOKEN_URLS = {
    "google": "https://oauth2.googleapis.com/token",
    "microsoft": "https://login.microsoftonline.com/common/oauth2/v2.0/token",
}
MICROSOFT_SCOPE = "https://outlook.office.com/IMAP.AccessAsUser.All offline_access"
_UID, _SIZE = re.compile(rb"\bUID (\d+)"), re.compile(rb"\bRFC822\.SIZE (\d+)")
_DATE = re.compile(rb'INTERNALDATE "([^"]+)"')

# What may be wrong with a mailbox; what the server itself says stands behind it.
WORDS = {
    "address": _("The server may not be called"),
    "bye": _("The server ended the conversation"),
    "certificate": _("The certificate of the server does not hold"),
    "cut": _("The connection was cut"),
    "encryption": _("No encrypted connection could be made"),
    "folder": _("The folder cannot be opened"),
    "host": _("The server of the mailbox is not stated yet"),
    "late": _("The server did not answer in time"),
    "login": _("The server refuses the user name or the password"),
    "no_token": _("The provider gives no access token"),
    "nonsense": _("The server answers what makes no sense"),
    "not_given": _("The server lists an email and does not give it"),
    "open": _("Without encryption only on this machine"),
    "refused": _("The server refuses"),
    "token": _("The server refuses the access token"),
    "too_large": _("The server announces more than an email can hold"),
    "unreachable": _("The server cannot be reached"),
}


def told(code, said=""):
    """A trouble in the reader's language."""
    words = WORDS.get(code, code)
    return f"{words}: {said}" if said else f"{words}."


class Trouble(Exception):
    """``code``: of WORDS; ``said``: what the server said, or what it is about. Its text is for people."""

    def __init__(self, code, said=""):
        super().__init__(code, said)
        self.code, self.said = code, said

    def __str__(self):
        return told(self.code, self.said)


class Broken(Trouble):
    """The conversation ended early: the network, the server, an answer that makes no sense."""


class Denied(Trouble):
    """The server (or our own guard) refuses: name and password, folder, address."""


@dataclass(frozen=True)
class Way:
    """How to get into a mailbox."""

    host: str
    port: int
    tls: str  # ssl, starttls or none
    user: str
    password: str = ""
    token: str = ""  # then by XOAUTH2
    inside: bool = False


@dataclass(frozen=True)
class Folder:
    """A folder that was opened: ``validity`` of its numbers, the number ``following`` the last one."""

    validity: int
    following: int
    count: int


@dataclass(frozen=True)
class Sketch:
    """A letter as the server lists it."""

    uid: int
    size: int
    at: datetime | None


class _Ear(io.RawIOBase):
    """What a server says, no later than the conversation's end however slowly it says it."""

    def __init__(self, sock, until):
        self.sock, self.until = sock, until

    def readable(self):
        return True

    def readinto(self, buffer):
        left = self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.sock.settimeout(min(TIMEOUT, left))
        return self.sock.recv_into(buffer)


class _Limited:
    """imaplib with our sockets and without trust in announced sizes."""

    box, until = None, 0.0
    _heard, _lines = None, None

    def _create_socket(self, timeout):
        self.box.link = self  # also while it is still being greeted
        return outbound.connect(self.host, self.port, inside=self.box.way.inside, timeout=timeout or TIMEOUT)

    def _ear(self):
        """Of the socket as it is now: what was said in the clear does not count after STARTTLS."""
        if self._heard is not self.sock:
            self._heard, self._lines = self.sock, io.BufferedReader(_Ear(self.sock, self.until), 65536)
        return self._lines

    def read(self, size):
        if size > MAX_ANSWER:
            raise Broken("too_large", str(size))
        data = self._ear().read(size)
        if len(data) < size:
            raise Broken("cut")
        return data

    def readline(self):
        line = self._ear().readline(MAX_LINE + 1)
        if len(line) > MAX_LINE:
            raise Broken("too_large", str(len(line)))
        return line


class _Plain(_Limited, imaplib.IMAP4):
    pass


class _Secure(_Limited, imaplib.IMAP4_SSL):
    def _create_socket(self, timeout):
        sock = super()._create_socket(timeout)
        return self.ssl_context.wrap_socket(sock, server_hostname=self.host)


@contextlib.contextmanager
def _clear(denied="refused", box=None):
    """Whatever goes wrong in here is said in two words: again, or never. ``denied``: what a refusal is about."""
    try:
        yield
    except Trouble:
        raise
    except outbound.Refused as refused:
        raise Denied("address", str(refused)) from None
    except outbound.Unreachable as error:
        raise Broken("unreachable", str(error)) from None
    except imaplib.IMAP4.abort as error:
        raise Broken(*_aborted(_words(error), box and box.link)) from None
    except imaplib.IMAP4.error as error:
        said = _words(error)
        raise (Broken("bye", said[6:]) if said.startswith("* BYE") else Denied(denied, said)) from None
    except OSError as error:
        raise Broken(*_network(error)) from None
    except (EOFError, ValueError, AttributeError, TypeError, IndexError, KeyError, RecursionError) as error:
        raise Broken("nonsense", _words(error)) from None


def _aborted(said, link):
    """(code, said) of what made imaplib give up."""
    if bye := link and link.untagged_responses.get("BYE"):
        return "bye", _line(bye[-1])
    if "socket error" in said:
        return "cut", ""
    if "TLS" in said:
        return "encryption", said
    found = re.sub(r"\\x[0-9a-f]{2}|\\[rnt\\']|'", " ", said.rpartition(": b")[2])
    return "nonsense", " ".join(found.split())[:60]


def _network(error):
    if isinstance(error, TimeoutError):
        return "late", ""
    if isinstance(error, ssl.SSLCertVerificationError):
        return "certificate", str(error.verify_message)[:200]
    if isinstance(error, ssl.SSLError):
        return "encryption", str(error.reason or "")[:200]
    if isinstance(error, ConnectionResetError | BrokenPipeError):
        return "cut", ""
    return "unreachable", str(error.strerror or type(error).__name__)[:200]


def _words(error):
    return _line(error.args[0] if error.args else "")


def _line(said):
    """What the server said, as a short line of text."""
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    text = text.removeprefix("b'").removesuffix("'")
    return re.sub(r"[\x00-\x1f\x7f\ufffd]+", " ", text)[:200].strip()


class Box:
    """An open mailbox: ``with Box(way) as box``."""

    def __init__(self, way):
        self.way, self.link = way, None

    def __enter__(self):
        try:
            with _clear(box=self):
                self.link = self._opened()
            self._log_in()
        except BaseException:
            self._hang_up()
            raise
        return self

    def __exit__(self, *_raised):
        with contextlib.suppress(Exception):  # good manners only
            self.link.logout()
        self._hang_up()

    def _hang_up(self):
        with contextlib.suppress(Exception):
            self.link.shutdown()

    def _opened(self):
        way, until = self.way, time.monotonic() + PATIENCE
        maker = type("_Link", (_Secure if way.tls == "ssl" else _Plain,), {"box": self, "until": until})
        more = {"ssl_context": ssl.create_default_context()} if way.tls == "ssl" else {}
        link = maker(way.host, way.port, timeout=TIMEOUT, **more)
        if way.tls == "starttls":
            with _clear("encryption", self):
                link.starttls(ssl_context=ssl.create_default_context())
        return link

    def _log_in(self):
        way = self.way
        with _clear("token" if way.token else "login", self):
            if way.token:
                self._log_in_by_token()
            elif way.user.isascii() and way.password.isascii():
                self.link.login(way.user, way.password)
            else:
                said = b"\0" + way.user.encode() + b"\0" + way.password.encode()
                self.link.authenticate("PLAIN", lambda _challenge: said)

    def _log_in_by_token(self):
        """XOAUTH2: one message of ours; a refusal comes as a challenge that wants an empty answer, then as a NO."""
        answers = [f"user={self.way.user}\x01auth=Bearer {self.way.token}\x01\x01".encode()]
        challenges = []

        def answer(challenge):
            challenges.append(challenge)
            return answers.pop() if answers else b""

        try:
            self.link.authenticate("XOAUTH2", answer)
        except imaplib.IMAP4.abort:
            raise
        except imaplib.IMAP4.error as error:
            why = [_status(challenges[1])] if len(challenges) > 1 else []
            raise Denied("token", ", ".join(filter(None, [_words(error), *why]))) from None

    def folders(self):
        """Names of all folders that can be read."""
        with _clear(box=self):
            _typ, rows = self.link.list()
            found = [
                re.match(rb'\(([^)]*)\) (?:"[^"]*"|NIL) (.+)$', row) for row in rows or [] if isinstance(row, bytes)
            ]
            names = [m[2] for m in found if m and b"\\noselect" not in m[1].lower()]
            return [_readable(name.strip(b'"').decode("ascii", "replace")) for name in names]

    def open(self, folder):
        """The Folder, opened for reading only."""
        with _clear("folder", self):
            typ, said = self.link.select(_quoted(folder), readonly=True)
            if typ != "OK":
                raise Denied("folder", f"{folder} ({_line(said[-1])})")
            validity, following = self._number("UIDVALIDITY"), self._number("UIDNEXT")
            count = int(said[-1] or 0)
        if validity is None:
            raise Broken("nonsense", "no UIDVALIDITY")
        return Folder(validity, following or max(self.uids(1), default=0) + 1, count)

    def _number(self, code):
        _typ, rows = self.link.response(code)
        return int(rows[-1]) if rows and rows[-1] else None

    def uids(self, first, last=None, since=None):
        """UIDs from ``first`` to ``last``, in order; ``since``: a date of arrival."""
        with _clear(box=self):
            criteria = [f"UID {first}:{last or '*'}"] + ([f"SINCE {_imap_date(since)}"] if since else [])
            typ, rows = self.link.uid("SEARCH", *criteria)
            if typ != "OK":
                raise Broken("refused", _line(rows[-1]))
            found = {int(uid) for row in rows if row for uid in row.split()}
            return sorted(uid for uid in found if uid >= first)  # "n:*" names the last letter whatever n is

    def sketches(self, uids):
        """Sizes and times of arrival; a letter that is gone meanwhile is left out."""
        wanted = set(uids)
        with _clear(box=self):
            typ, rows = self.link.uid("FETCH", _set(uids), "(UID RFC822.SIZE INTERNALDATE)")
            if typ != "OK":  # what it does not list now must not be taken for gone
                raise Broken("refused", _line(rows[-1]))
            found = [_sketch(row if isinstance(row, bytes) else row[0]) for row in rows if row]
            return sorted({s.uid: s for s in found if s and s.uid in wanted}.values(), key=lambda s: s.uid)

    def letters(self, uids, most=None):
        """{uid: raw letter}, as far as the server gives them; ``most``: only so many bytes of each."""
        part = f"BODY.PEEK[]<0.{most}>" if most else "BODY.PEEK[]"
        try:
            with _clear(box=self):
                _typ, rows = self.link.uid("FETCH", _set(uids), f"(UID {part})")
                return _bodies(rows, set(uids))
        except Denied:  # BAD, for one of them
            return {}


def _status(challenge):
    """The reason that a provider gives in its challenge: JSON, as Google and Microsoft do."""
    with contextlib.suppress(ValueError, AttributeError, TypeError):
        said = json.loads(challenge)
        return " ".join(str(said[name]) for name in ("status", "error", "error_description") if said.get(name))[:100]
    return ""


def _bodies(rows, wanted):
    found = {}
    for place, row in enumerate(rows):
        if not isinstance(row, tuple):
            continue
        after = rows[place + 1] if place + 1 < len(rows) and isinstance(rows[place + 1], bytes) else b""
        uid = _UID.search(row[0]) or _UID.search(after)
        if uid and int(uid[1]) in wanted:
            found[int(uid[1])] = row[1]
    return found


def _sketch(line):
    uid, size, at = _UID.search(line), _SIZE.search(line), _DATE.search(line)
    if not uid or not size:
        return None
    return Sketch(int(uid[1]), int(size[1]), _when(at[1].decode("ascii", "replace")) if at else None)


def _when(text):
    try:
        return datetime.strptime(text.strip(), "%d-%b-%Y %H:%M:%S %z").astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _imap_date(day):
    months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    return f"{day.day}-{months[day.month - 1]}-{day.year}"


def _set(uids):
    """1,2,3,7 → 1:3,7"""
    runs = []
    for uid in sorted(uids):
        if runs and uid == runs[-1][1] + 1:
            runs[-1][1] = uid
        else:
            runs.append([uid, uid])
    return ",".join(str(a) if a == b else f"{a}:{b}" for a, b in runs)


# --- Names of folders (RFC 3501, 5.1.3) -------------------------------------------------------------------------------


def _quoted(name):
    """A folder's name as the protocol wants it: modified UTF-7 in quotes."""
    coded = re.sub(r"[^\x20-\x7e]+", _shifted, name.replace("&", "&-"))
    return '"{}"'.format(coded.replace("\\", "\\\\").replace('"', '\\"'))


def _shifted(found):
    coded = base64.b64encode(found[0].encode("utf-16-be")).decode().rstrip("=").replace("/", ",")
    return f"&{coded}-"


def _readable(coded):
    def back(found):
        if not found[1]:
            return "&"
        raw = found[1].replace(",", "/")
        try:
            return base64.b64decode(raw + "=" * (-len(raw) % 4)).decode("utf-16-be")
        except ValueError:
            return found[0]

    return re.sub(r"&([^-]*)-", back, coded)


# --- Tokens -------------------------------------------------------------------------------------------------------------

_tokens = {}  # (address, refresh token) → (access token, until when by the clock of this process)


def kept_token(url, refresh_token):
    """The access token that was given for this grant, while it lasts; else empty."""
    token, until = _tokens.get((url, refresh_token), ("", 0.0))
    return token if until > time.monotonic() else ""


def access_token(url, *, client_id, client_secret, refresh_token, scope="", trusted=""):
    """(access token, a new refresh token or empty) of an OAuth 2 grant, asked for now (RFC 6749, 6)."""
    form = {"grant_type": "refresh_token", "client_id": client_id, "refresh_token": refresh_token}
    form |= {"client_secret": client_secret} if client_secret else {}
    form |= {"scope": scope} if scope else {}
    try:
        answer = outbound.fetch("POST", url, data=form, trusted=trusted)
        said = answer.json()
        said = said if isinstance(said, dict) else {}
    except outbound.Refused as refused:
        raise Denied("address", str(refused)) from None
    except outbound.Unreachable as error:
        raise Broken("no_token", str(error)) from None
    except ValueError:
        raise Broken("no_token", f"HTTP {answer.status}") from None
    token, renewed = str(said.get("access_token") or ""), str(said.get("refresh_token") or "")
    if answer.status != 200 or not token:
        raise (Broken if answer.status >= 500 or answer.status == 429 else Denied)("no_token", _why(said, answer))
    lasts = str(said.get("expires_in") or 3600)
    until = time.monotonic() + max(30, (int(lasts) if lasts.isdigit() else 3600) - 120)
    _tokens.pop((url, refresh_token), None)
    _tokens[url, renewed or refresh_token] = token, until
    return token, renewed


def _why(said, answer):
    """What the provider says of its refusal (RFC 6749, 5.2)."""
    words = [str(said.get(name) or "") for name in ("error", "error_description")]
    return re.sub(r"[\x00-\x1f\x7f]+", " ", ", ".join(filter(None, words)))[:200] or f"HTTP {answer.status}"
