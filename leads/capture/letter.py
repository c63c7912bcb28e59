"""A letter as it came (RFC 5322, MIME) read into its parts, whatever its program did to the standards.

Pure: bytes in, ``Letter`` out. Real mail has headers without names, charsets that do not exist and boundaries that
never close; only what is no mail at all is refused.
"""

import binascii
import email.utils
import hashlib
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.feedparser import BytesFeedParser
from email.message import Message
from email.policy import compat32
from typing import Any

from leads.capture.base import Refused, clean
from leads.capture.charsets import decoded, eight_bit, header_text
from leads.capture.letter_html import plain

MAX_PARTS = 250
MAX_DEPTH = 20
MAX_ATTACHMENTS = 50
MAX_ATTACHED = 25 * 1024 * 1024  # bytes, all files of a letter together
MAX_TEXT = 200_000  # characters of the text that is kept
MAX_HTML = 1_000_000
MAX_RAW_TEXT = 4 * MAX_HTML  # bytes of a text that are read at all
MAX_HEAD = 500_000  # bytes
MAX_LINES = 600_000  # a file of MAX_ATTACHED has 350,000
MAX_LINE = 2_000_000  # bytes
MAX_IDS = 50  # of References
CUT = "X-Crm-Cut"  # our own header: the letter was too large and only its beginning was fetched

_ADDRESS = re.compile(r"[^\s<>()\[\],;:\"@]+@[^\s<>()\[\],;:\"@]+\.?[^\s<>()\[\],;:\"@]*")
_ID = re.compile(r"<\s*([^<>\s]{1,990})\s*>")
_EXTENSION = {"text/html": ".html", "text/calendar": ".ics", "message/rfc822": ".eml", "image/png": ".png",
              "image/jpeg": ".jpg", "image/gif": ".gif", "application/pdf": ".pdf"}  # fmt: skip


@dataclass(frozen=True)
class Address:
    name: str
    address: str

    def __str__(self):
        return f"{self.name} <{self.address}>" if self.name else self.address


@dataclass(frozen=True)
class Attachment:
    """A file of a letter; ``skipped`` says why its content is not here."""

    name: str
    content_type: str
    size: int
    content: bytes = field(repr=False)
    cid: str = ""
    inline: bool = False
    skipped: str = ""


@dataclass(frozen=True)
class Letter:
    """``references``: Message-IDs that it answers, the nearest last; ``date``: what it says, if it says a date."""

    sender: Address
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    reply_to: tuple[Address, ...] = ()
    subject: str = ""
    date: datetime | None = None
    message_id: str = ""
    references: tuple[str, ...] = ()
    text: str = field(default="", repr=False)
    html: str = field(default="", repr=False)
    attachments: tuple[Attachment, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # lower-case names, the first of each
    warnings: tuple[str, ...] = ()
    parts: tuple[Any, ...] = field(default=(), repr=False)  # Part: what reports are read from
    content_type: str = "text/plain"
    digest: str = ""

    def as_json(self):
        return {
            "kind": "letter", "from": str(self.sender), "to": [str(a) for a in self.to[:10]], "subject": self.subject,
            "message_id": self.message_id, "date": self.date.isoformat() if self.date else "",
            "text": self.text[:1000], "attachments": [a.name for a in self.attachments[:20]],
        }  # fmt: skip

    def when(self, received_at):
        """When it was written, where that can be true; else when it came."""
        if self.date is None or self.date.year < 2000 or self.date > received_at + timedelta(days=1):
            return received_at
        return min(self.date, received_at)


@dataclass(frozen=True)
class Part:
    """A leaf of the letter; ``embedded``: it stands in a letter that is attached."""

    content_type: str
    text: str = field(default="", repr=False)
    params: Mapping[str, str] = field(default_factory=dict)
    embedded: bool = False


class _Policy(type(compat32)):
    """Headers as text, whatever bytes they are; the library's own would give question marks."""

    def header_fetch_parse(self, name, value):
        return eight_bit(value) if isinstance(value, str) else value


_POLICY = _Policy()
_HEADER, _END_OF_HEAD = re.compile(rb"[!-9;-~]+[ \t]*:"), re.compile(rb"\r?\n\r?\n")


def _bounded(raw):
    """(raw, warnings): as much as a letter may be made of; the parser makes an object of every line and header."""
    end, warnings = _END_OF_HEAD.search(raw), []
    start = end.start() if end else len(raw)
    if start > MAX_HEAD:
        last = raw.rfind(b"\n", 0, MAX_HEAD)
        raw, warnings = raw[: last if last > 0 else MAX_HEAD] + raw[start:], ["headers:too_many"]
    if len(raw) > MAX_LINES:
        end, why = _last_line(raw)
        raw, warnings = raw[:end], [*warnings, *why]
    return raw, warnings


def _last_line(raw):
    """(where to stop reading, why)."""
    at = -1
    for _line in range(MAX_LINES):
        end = raw.find(b"\n", at + 1)
        if (len(raw) if end < 0 else end) - at > MAX_LINE:
            return at + 1 + MAX_LINE, ["lines:too_long"]
        if end < 0:
            return len(raw), []
        at = end
    return at, ["lines:too_many"]


def _mended(raw):
    """A line among the headers that is none would end them for the parser: it goes on with the one before."""
    end = _END_OF_HEAD.search(raw)
    head = raw[: end.start()] if end else raw
    lines = head.split(b"\n")
    last = max((place for place, line in enumerate(lines) if _HEADER.match(line)), default=-1)
    for place, line in enumerate(lines[: last + 1]):
        if found := _HEADER.match(line):
            lines[place] = found[0].rstrip(b" \t:") + line[found.end() - 1 :]
        elif place and line.strip() and not line.startswith((b" ", b"\t")):
            lines[place] = b" " + line
    mended = b"\n".join(lines)
    return raw if mended == head else mended + raw[len(head) :]


def _message(raw):
    """As the library's message_from_bytes, which holds four copies of what it reads."""
    parser = BytesFeedParser(policy=_POLICY)
    for start in range(0, len(raw), 65536):
        parser.feed(raw[start : start + 65536])
    return parser.close()


def parse(raw):
    """The Letter in these bytes; raises Refused(422) for what is no letter."""
    try:
        bounded, warnings = _bounded(raw.lstrip(b"\r\n \t\x00"))
        return _letter(_message(_mended(bounded)), raw, warnings)
    except Refused:
        raise
    except Exception as error:  # whatever a hostile letter makes of the parser is the letter's fault, not the box's
        raise Refused(422, "unparseable", f"{type(error).__name__}: {clean(str(error))[:200]}") from error


def _letter(message, raw, warnings):
    headers = _headers(message)
    if not headers or not ({"from", "subject", "date", "received", "message-id", "to", "content-type"} & set(headers)):
        raise Refused(422, "unparseable", "no headers of a letter")
    body = _Body()
    body.walk(message)
    html, text = "\n".join(body.html)[:MAX_HTML], "\n".join(t.rstrip("\n") for t in body.texts)
    if html and (not text.strip() or _says_nothing(text)):
        text = plain(html)
    ids = references(message)
    return Letter(
        sender=next(iter(addresses(message, "from", "sender", "return-path")), Address(_name_only(headers), "")),
        to=tuple(addresses(message, "to", "x-original-to", "delivered-to")), cc=tuple(addresses(message, "cc")),
        reply_to=tuple(addresses(message, "reply-to")), subject=clean(headers.get("subject", ""))[:1000],
        date=_date(headers.get("date", "")), message_id=_one_id(headers.get("message-id", "")), references=tuple(ids),
        text=clean(text)[:MAX_TEXT], html=clean(html), attachments=tuple(body.attachments), headers=headers,
        warnings=tuple(dict.fromkeys(warnings + body.warnings + ["cut"] * (CUT.lower() in headers))), parts=tuple(body.parts),
        content_type=_type(message), digest=hashlib.sha256(raw).hexdigest(),
    )  # fmt: skip


def composed(pairs, *, text="", html="", files=(), sender="", to=""):
    """The Letter that a mail service took apart: its headers as (name, value), its texts, its files as Attachments.

    ``sender``, ``to``: what the service says where the headers do not.
    """
    message = Message(policy=_POLICY)
    for name, value in pairs:
        if re.fullmatch(r"[!-9;-~]{1,200}", str(name)) and len(message) < 500:
            message.add_header(str(name), clean(str(value)).replace("\r", " ").replace("\n", " "))
    for name, value in (("From", sender), ("To", to)):
        if value and not message.get(name):
            message.add_header(name, clean(str(value)).replace("\r", " ").replace("\n", " "))
    headers = _headers(message)
    reports = [Part(f.content_type, decoded(f.content)[0]) for f in files if _is_report(f.content_type)]
    kept = list(files)[: 2 * MAX_ATTACHMENTS]
    said = text if text.strip() or not html else plain(html)
    seed = repr([pairs, text, html, [(f.name, f.size) for f in kept]]).encode("utf-8", "replace")
    return Letter(
        sender=next(iter(addresses(message, "from", "sender")), Address("", "")),
        to=tuple(addresses(message, "to")), cc=tuple(addresses(message, "cc")),
        reply_to=tuple(addresses(message, "reply-to")), subject=clean(headers.get("subject", ""))[:1000],
        date=_date(headers.get("date", "")), message_id=_one_id(headers.get("message-id", "")),
        references=tuple(references(message)), text=clean(said)[:MAX_TEXT], html=clean(html)[:MAX_HTML],
        attachments=tuple(kept), headers=headers, parts=(Part("text/plain", clean(said)[:MAX_TEXT]), *reports),
        content_type=_type(message), digest=hashlib.sha256(seed).hexdigest(),
    )  # fmt: skip


def _is_report(kind):
    return kind.startswith("message/") or kind in {"text/rfc822-headers", "text/calendar", "application/ics"}


def _says_nothing(text):
    """A text part for programs that cannot show HTML ("use a program that can"), or a bare template."""
    bare = " ".join(text.split()).lower()
    return len(bare) < 200 and bool(
        re.search(
            r"html[- ]?(compatible|capable|format|messages?|e-?mail)|(view|see|read) .{0,40}html|поддерж.{0,30}html",
            bare,
        )
    )


# --- Headers --------------------------------------------------------------------------------------------------------


def _headers(message):
    found = {}
    for name, value in message.raw_items():
        lower = re.sub(r"[^!-~]", "", str(name)).lower()
        if lower and lower not in found:
            found[lower] = clean(header_text(value))[:4000]
    return found


def addresses(message, *names):
    """The addresses of the first of these headers that has any."""
    for name in names:
        found = [a for value in message.get_all(name, []) for a in _addresses(str(value))]
        if found:
            return found[:200]
    return []


def _addresses(value):
    """Split before the names are read: a name in encoded words may hold commas."""
    pairs = email.utils.getaddresses([value.replace("\r", " ").replace("\n", " ")])
    found = [Address(header_text(name).strip("'\" ")[:200], _bare(address)) for name, address in pairs]
    found = [a for a in found if "@" in a.address]
    if found:
        return found
    text = header_text(value)
    loose = [Address("", _bare(address)) for address in _ADDRESS.findall(text)]
    if len(loose) == 1:  # the name is what stands around it
        name = re.sub(r"[<>\"'(),;]+", " ", text.replace(loose[0].address, " "))
        return [Address(" ".join(name.split())[:200], loose[0].address)]
    return loose


def _name_only(headers):
    """ "MAILER-DAEMON <>": a sender who wants no answer."""
    return headers.get("from", "").replace("<>", "").strip("<>\"' ")[:200]


def _bare(address):
    found = _ADDRESS.search(header_text(address))
    return clean(found[0]).strip("'\".")[:254] if found else ""


def _date(text):
    """The date of a header, with its own zone; None where it is none."""
    try:
        parts = email.utils.parsedate_tz(text)
        if not parts:
            return None
        at = datetime(*parts[:6], tzinfo=UTC) - timedelta(seconds=parts[9] or 0)
        return at if at.year > 1 else None
    except (ValueError, OverflowError, TypeError, IndexError):
        return None


def _one_id(text):
    found = _ID.search(text)
    bare = found[1] if found else (text.split() or [""])[0].strip("<>")
    return bare[:990]


def references(message):
    """Message-IDs of References, then In-Reply-To: the nearest last."""
    found = []
    for name in ("references", "in-reply-to"):
        for value in message.get_all(name, []):
            found += [i for i in _ID.findall(header_text(value)) if i not in found]
    return found[-MAX_IDS:]


# --- Parts ----------------------------------------------------------------------------------------------------------


def _type(part):
    try:
        return part.get_content_type()
    except Exception:  # broken parameters
        return "application/octet-stream"


def _params(part):
    try:
        return {str(k).lower(): _param(v) for k, v in part.get_params(failobj=[])[1:]}
    except Exception:  # RFC 2231 pieces that do not fit together
        return {}


def _param(value):
    if isinstance(value, tuple):  # RFC 2231: (charset, language, text)
        raw = str(value[2]).encode("latin-1", "replace")
        return decoded(raw, value[0] or "")[0]
    return header_text(value)


def _file_name(part):
    """The name that the sender gave the file, as text to be shown; never a path."""
    for header, param in (("content-disposition", "filename"), ("content-type", "name")):
        try:
            value = part.get_param(param, header=header)
        except Exception:
            continue
        if value:
            return file_name(_param(value))
    return ""


def file_name(text):
    """A name to be shown and offered when the file is saved: no path, no control or direction signs."""
    text = "".join(c for c in clean(text) if unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Zl", "Zp"})
    text = re.split(r"[/\\]", text)[-1].strip(" .\t'\"")
    text = re.sub(r'[<>:"|?*;%]+', "_", text)
    if re.fullmatch(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?", text):
        text = f"_{text}"
    stem, dot, ending = text.rpartition(".")
    return text if len(text) <= 120 else f"{stem[: 119 - len(ending)]}.{ending[:20]}" if dot else text[:120]


class _Body:
    """What the walk through the parts collects."""

    def __init__(self):
        self.texts, self.html, self.attachments, self.parts, self.warnings = [], [], [], [], []
        self.count, self.size = 0, 0

    def walk(self, part, depth=0, embedded=False):
        self.count += 1
        if self.count > MAX_PARTS or depth > MAX_DEPTH:
            self.warnings.append("parts:too_many" if depth <= MAX_DEPTH else "parts:too_deep")
            return
        kind, payload = _type(part), part.get_payload()
        if kind.startswith("message/") and isinstance(payload, list):
            self._letter_in_letter(part, kind, payload, depth, embedded)
        elif isinstance(payload, list):
            self._many(part, kind, payload, depth, embedded)
        elif kind.startswith("multipart/") and depth <= MAX_DEPTH:
            self._unbound(part, depth, embedded)
        else:
            self._leaf(part, kind, embedded)

    def _unbound(self, part, depth, embedded):
        """A multipart whose boundary is not the one it declares: the first line that looks like one is taken."""
        raw = _content(part)
        found = re.search(rb"^--([^\s\"][^\r\n\"]{0,190}?)[ \t]*\r?$", raw, re.MULTILINE)
        kind = _type(part)
        if found and not found[1].startswith(b" "):
            head = b'Content-Type: %s; boundary="%s"\n\n' % (kind.encode("ascii", "replace"), found[1])
            again = _message(head + raw)
            if isinstance(again.get_payload(), list):
                self._many(again, kind, again.get_payload(), depth, embedded)
                return
        self._leaf(part, "text/plain", embedded)

    def _many(self, part, kind, payload, depth, embedded):
        start = len(self.texts), len(self.html)
        for child in payload:
            if isinstance(child, Message):
                self.walk(child, depth + 1, embedded)
        if kind == "multipart/alternative" and len(self.texts) > start[0] and len(self.html) == start[1]:
            del self.texts[start[0] + 1 :]  # two texts that say the same

    def _letter_in_letter(self, part, kind, payload, depth, embedded):
        """A report about a letter, or a letter passed on: read for what it says, kept as one file."""
        before = len(self.attachments), len(self.texts), len(self.html)
        for child in payload:
            if isinstance(child, Message):
                lines = "\n".join(f"{n}: {header_text(v)}" for n, v in child.raw_items())
                self.parts.append(Part(kind, clean(lines)[:50_000], embedded=embedded))
                if kind != "message/delivery-status" and depth < 3:
                    self.walk(child, depth + 1, True)
        for name, size in zip(("attachments", "texts", "html"), before, strict=True):
            del getattr(self, name)[size:]
        if kind in {"message/rfc822", "message/global"} and not embedded:
            self._attach_letter(part, payload)

    def _attach_letter(self, part, payload):
        if _depth(part) > MAX_DEPTH:  # writing it again would take the square of its depth
            self.warnings.append("parts:too_deep")
            self._attach(_file_name(part), "message/rfc822", b"", "", False, skipped="too_many")
            return
        try:
            content = payload[0].as_bytes(policy=_POLICY)
            subject = header_text(payload[0].get("subject", ""))
        except Exception:  # a letter that cannot be written again
            content, subject = b"", ""
        name = _file_name(part) or file_name(f"{subject[:80].replace('/', '-') or 'message'}.eml")
        self._attach(name, "message/rfc822", content, "", False)

    def _leaf(self, part, kind, embedded):
        params, name = _params(part), _file_name(part)
        raw = _content(part)
        disposition = str(part.get("content-disposition", "") or "").strip().lower()
        is_text = kind in {"text/plain", "text/html"} and not disposition.startswith("attachment")
        if kind.startswith(("text/", "message/")) or kind in {"application/ics", "application/json"}:
            text, warning = decoded(_beginning(raw), params.get("charset", ""))
            if warning:
                self.warnings.append(warning)
            text = text.replace("\r\n", "\n").replace("\r", "\n")
            self.parts.append(Part(kind, clean(text)[:MAX_TEXT], params, embedded))
            if is_text and not (name and self.texts + self.html):
                if not embedded:
                    (self.html if kind == "text/html" else self.texts).append(_flowed(text, params))
                return
        else:
            self.parts.append(Part(kind, "", params, embedded))
        cid = str(part.get("content-id", "") or "").strip().strip("<>")[:200]
        if not embedded:
            self._attach(name, kind, raw, cid, disposition.startswith("inline") or bool(cid and not disposition))

    def _attach(self, name, kind, content, cid, inline, skipped=""):
        name = name or f"file{len(self.attachments) + 1}{_EXTENSION.get(kind, '')}"
        if len(self.attachments) >= MAX_ATTACHMENTS:
            self.warnings.append("attachments:too_many")
            if len(self.attachments) >= 2 * MAX_ATTACHMENTS:
                return
            skipped = "too_many"
        elif self.size + len(content) > MAX_ATTACHED:
            self.warnings.append("attachments:too_large")
            skipped = "too_large"
        else:
            self.size += len(content)
        kept = b"" if skipped else content
        self.attachments.append(Attachment(name, clean(kind)[:100], len(content), kept, clean(cid), inline, skipped))


def _content(part):
    """The bytes of a leaf; what its encoding spoils is taken as it stands."""
    payload = part.get_payload()
    encoding = str(part.get("content-transfer-encoding", "")).strip().lower()
    if encoding == "base64" and isinstance(payload, str) and payload.isascii():
        return _base64(payload.encode())
    try:
        return part.get_payload(decode=True) or b""
    except Exception:
        return payload.encode("utf-8", "surrogateescape") if isinstance(payload, str) else b""


def _base64(coded):
    """Decoded, also where its end is missing; the library's way holds a file five times over."""
    try:
        return binascii.a2b_base64(coded)
    except binascii.Error:
        bare = re.sub(rb"[^A-Za-z0-9+/]", b"", coded)
        if len(bare) < 0.9 * len(coded):  # it only says that it is
            return coded
        return binascii.a2b_base64(bare[: len(bare) - (len(bare) % 4 == 1)] + b"=" * (-len(bare) % 4))


def _beginning(raw):
    """What is read of a text: to the end of a line, or of a word, so that no letter is cut in two."""
    if len(raw) <= MAX_RAW_TEXT:
        return raw
    end = max(raw.rfind(b"\n", 0, MAX_RAW_TEXT), raw.rfind(b" ", 0, MAX_RAW_TEXT))
    return raw[: end if end > 0 else MAX_RAW_TEXT]


def _depth(message):
    """How many letters stand in one another."""
    depth = 0
    while isinstance(message.get_payload(), list) and message.get_payload() and depth <= MAX_DEPTH:
        message, depth = message.get_payload()[0], depth + 1
    return depth


def _flowed(text, params):
    """RFC 3676: lines that end in a space go on in the next one."""
    if params.get("format", "").lower() != "flowed":
        return text
    lines, joined = text.split("\n"), []
    glue = "" if params.get("delsp", "").lower() == "yes" else " "
    open_line = False
    for line in lines:
        quoted = line.startswith(">")
        if open_line and not quoted and line != "-- " and joined and not joined[-1].startswith(">"):
            joined[-1] = joined[-1].rstrip(" ") + glue + line.removeprefix(" ")
        else:
            joined.append(line)
        open_line = line.endswith(" ") and line != "-- " and not quoted
    return "\n".join(joined)
