"""A conversation with an IMAP server (RFC 9051, 3501): only reading, by UID, within limits.

Nothing is ever marked or moved on the server; where a client has read to is our own matter. Whatever the server says
or leaves unsaid becomes ``Broken`` (try again) or ``Denied`` (it will not help).
"""

import base64
import contextlib
import imaplib
import re
import ssl
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from django.utils.translation import gettext as _

from crm.core import outbound

TIMEOUT = 20.0  # seconds for each step
MAX_ANSWER = 60 * 1024 * 1024  # bytes of one answer of the server, whatever it announces
TOKEN_URLS = {
    "google": "https://oauth2.googleapis.com/token",
    "microsoft": "https://login.microsoftonline.com/common/oauth2/v2.0/token",
}
MICROSOFT_SCOPE = "https://outlook.office.com/IMAP.AccessAsUser.All offline_access"
_UID, _SIZE = re.compile(rb"\bUID (\d+)"), re.compile(rb"\bRFC822\.SIZE (\d+)")
_DATE = re.compile(rb'INTERNALDATE "([^"]+)"')


class Broken(Exception):
    """The conversation ended early: the network, the server, an answer that makes no sense."""


class Denied(Exception):
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
class Sketch:
    """A letter as the server lists it."""

    uid: int
    size: int
    at: datetime | None


class _Limited:
    """imaplib with our sockets and without trust in announced sizes."""

    way = None

    def _create_socket(self, timeout):
        return outbound.connect(self.host, self.port, inside=self.way.inside, timeout=timeout or TIMEOUT)

    def read(self, size):
        if size > MAX_ANSWER:
            raise Broken(_("The server announced %d bytes.") % size)
        data = super().read(size)
        if len(data) < size:
            raise Broken(_("The connection was cut."))
        return data


class _Plain(_Limited, imaplib.IMAP4):
    pass


class _Secure(_Limited, imaplib.IMAP4_SSL):
    def _create_socket(self, timeout):
        sock = super()._create_socket(timeout)
        return self.ssl_context.wrap_socket(sock, server_hostname=self.host)


@contextlib.contextmanager
def _clear():
    """Whatever goes wrong in here is said in two words: again, or never."""
    try:
        yield
    except (Broken, Denied):
        raise
    except outbound.Refused as refused:
        raise Denied(str(refused)) from None
    except outbound.Unreachable as error:
        raise Broken(str(error)) from None
    except imaplib.IMAP4.abort as error:
        raise Broken(_words(error)) from None
    except imaplib.IMAP4.error as error:
        raise Denied(_words(error)) from None
    except (OSError, EOFError, ValueError, AttributeError, TypeError, IndexError, KeyError) as error:
        raise Broken(f"{type(error).__name__}: {_words(error)}") from None


def _words(error):
    said = error.args[0] if error.args else ""
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    text = text.removeprefix("b'").removesuffix("'")
    return re.sub(r"[\x00-\x1f\x7f]+", " ", text)[:200]


class Box:
    """An open mailbox: ``with Box(way) as box``."""

    def __init__(self, way):
        self.way = way

    def __enter__(self):
        with _clear():
            self.link = self._opened()
            try:
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
        way = self.way
        maker = type("_Link", (_Secure if way.tls == "ssl" else _Plain,), {"way": way})
        more = {"ssl_context": ssl.create_default_context()} if way.tls == "ssl" else {}
        link = maker(way.host, way.port, timeout=TIMEOUT, **more)
        if way.tls == "starttls":
            link.starttls(ssl_context=ssl.create_default_context())
        return link

    def _log_in(self):
        way = self.way
        if way.token:
            said = f"user={way.user}\x01auth=Bearer {way.token}\x01\x01".encode()
            self.link.authenticate("XOAUTH2", lambda _challenge: said)
        elif way.user.isascii() and way.password.isascii():
            self.link.login(way.user, way.password)
        else:
            said = b"\0" + way.user.encode() + b"\0" + way.password.encode()
            self.link.authenticate("PLAIN", lambda _challenge: said)

    def folders(self):
        """Names of all folders that can be read."""
        with _clear():
            _typ, rows = self.link.list()
            found = [
                re.match(rb'\(([^)]*)\) (?:"[^"]*"|NIL) (.+)$', row) for row in rows or [] if isinstance(row, bytes)
            ]
            names = [m[2] for m in found if m and b"\\noselect" not in m[1].lower()]
            return [_readable(name.strip(b'"').decode("ascii", "replace")) for name in names]

    def open(self, folder):
        """UIDVALIDITY of the folder, opened for reading only."""
        with _clear():
            typ, said = self.link.select(_quoted(folder), readonly=True)
            if typ != "OK":
                raise Denied(_("The folder “%s” cannot be opened.") % folder)
            _typ, rows = self.link.response("UIDVALIDITY")
            return int(rows[-1])

    def uids(self, after, since=None):
        """UIDs above ``after``, in order; ``since``: a date of arrival."""
        with _clear():
            criteria = [f"UID {after + 1}:*"] + ([f"SINCE {_imap_date(since)}"] if since else [])
            typ, rows = self.link.uid("SEARCH", *criteria)
            if typ != "OK":
                raise Broken(_("The server does not search."))
            found = {int(uid) for row in rows if row for uid in row.split()}
            return sorted(uid for uid in found if uid > after)  # "n:*" names the last letter whatever n is

    def sketches(self, uids):
        """Sizes and times of arrival; a letter that is gone meanwhile is left out."""
        with _clear():
            _typ, rows = self.link.uid("FETCH", _set(uids), "(UID RFC822.SIZE INTERNALDATE)")
            found = [_sketch(row if isinstance(row, bytes) else row[0]) for row in rows if row]
            return sorted((s for s in found if s and s.uid in set(uids)), key=lambda s: s.uid)

    def letters(self, uids, most=None):
        """{uid: raw letter}; ``most``: only so many bytes of each."""
        part = f"BODY.PEEK[]<0.{most}>" if most else "BODY.PEEK[]"
        with _clear():
            typ, rows = self.link.uid("FETCH", _set(uids), f"(UID {part})")
            if typ != "OK":
                raise Broken(_("The server did not give a letter."))
            return _bodies(rows, set(uids))


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


def access_token(url, *, client_id, client_secret, refresh_token, scope="", trusted=""):
    """(access token, a new refresh token or empty) of an OAuth 2 grant; asked for once in its lifetime."""
    key, now = (url, refresh_token), time.monotonic()
    if key in _tokens and _tokens[key][1] > now:
        return _tokens[key][0], ""
    form = {"grant_type": "refresh_token", "client_id": client_id, "refresh_token": refresh_token}
    form |= {"client_secret": client_secret} if client_secret else {}
    form |= {"scope": scope} if scope else {}
    with _clear():
        answer = outbound.fetch("POST", url, data=form, trusted=trusted)
        said = answer.json()
        if answer.status != 200 or not said.get("access_token"):
            why = str(said.get("error_description") or said.get("error") or answer.status)[:150]
            raise (Broken if answer.status >= 500 else Denied)(_("No token was given: %s") % why)
    _tokens[key] = (said["access_token"], now + max(30, int(said.get("expires_in") or 3600) - 120))
    return said["access_token"], str(said.get("refresh_token") or "")
