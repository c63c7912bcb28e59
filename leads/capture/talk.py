"""What is said in messengers and chats, in one form for all providers; and how their JSON is read without stumbling.

Pure. ``Said`` carries a message and, with ``edited_at``, its later wording: whichever comes first, the end is the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from django.utils.translation import gettext as _

from leads.capture.base import JSON, Body, Parsed, Refused, body_kind, charset_of, clean, parse_body, read_json
from leads.identity import line

MAX_TEXT = 20_000
MAX_BODY = 4 * 1024 * 1024  # bytes: providers send many events in one delivery


# --- Events ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Chat:
    """Who talks, and where. ``identities``: the signs by which the person is known; ``details``: for our answers."""

    channel: str
    id: str
    title: str = ""
    identities: tuple = ()
    fields: dict = field(default_factory=dict)
    marks: dict = field(default_factory=dict)
    details: dict = field(default_factory=dict)
    consent: bool = False

    def as_json(self):
        return {"channel": self.channel, "chat": self.id, "name": self.title}


@dataclass(frozen=True)
class File:
    kind: str
    ref: str
    url: str = ""
    name: str = ""
    mime: str = ""
    size: int | None = None


@dataclass(frozen=True)
class _News:
    """What has happened in a chat."""

    chat: Chat

    def _told(self, what, **more):
        return {"what": what, **self.chat.as_json(), **more}


@dataclass(frozen=True)
class Said(_News):
    """A message. ``is_ours``: written by the company; ``weak``: says nothing by itself (a reaction, a service note)."""

    id: str
    text: str = ""
    kind: str = "text"
    at: datetime | None = None
    edited_at: datetime | None = None
    files: tuple = ()
    is_ours: bool = False
    author: str = ""
    weak: bool = False
    token: str = ""  # of our own message, where the provider gives it back

    def as_json(self):
        said = self._told("said", id=self.id, kind=self.kind, text=self.text[:500])
        return said | {name: True for name in ("is_ours", "weak") if getattr(self, name)}


@dataclass(frozen=True)
class Deleted(_News):
    """Messages that somebody took back."""

    ids: tuple
    at: datetime | None = None

    def as_json(self):
        return self._told("deleted", ids=list(self.ids[:20]))


@dataclass(frozen=True)
class Status(_News):
    """What became of a message of ours. ``status``: sent, delivered, read or failed; ``up_to``: and all before it."""

    id: str
    status: str
    at: datetime | None = None
    why: str = ""
    token: str = ""
    up_to: bool = False

    def as_json(self):
        return self._told("status", id=self.id, status=self.status)


@dataclass(frozen=True)
class Met(_News):
    """Somebody is there, or has said who they are, without a message.

    ``enquiry``: they want something; ``weak``: of a stranger it is no enquiry. A chat without an id is none.
    """

    enquiry: bool = False
    weak: bool = False

    def as_json(self):
        return self._told("met")


@dataclass(frozen=True)
class Transcript(_News):
    """A chat that is over, with all that was said in it."""

    lines: tuple = ()

    def as_json(self):
        return self._told("transcript", lines=len(self.lines))


@dataclass(frozen=True)
class Allowed(_News):
    """The client forbids us to write, or allows it again."""

    allowed: bool
    at: datetime | None = None

    def as_json(self):
        return self._told("allowed" if self.allowed else "blocked")


# --- Reading ----------------------------------------------------------------------------------------------------------


def read(content_type, raw):
    """The Body of a provider's delivery: its JSON as it is, however many events it holds."""
    if body_kind(content_type, raw) != JSON:
        return parse_body(content_type, raw)
    payload, warnings = read_json(raw, charset_of(content_type))
    if not isinstance(payload, Mapping):
        raise Refused(422, "invalid", _("One delivery is one JSON object."))
    return Body({}, warnings=warnings, payload=payload)


def dig(value, *path):
    """The value at a path of names and places, or None."""
    for step in path:
        if isinstance(step, int):
            value = value[step] if isinstance(value, list) and -len(value) <= step < len(value) else None
        else:
            value = value.get(step) if isinstance(value, Mapping) else None
    return value


def part(value, *path):
    found = dig(value, *path)
    return found if isinstance(found, Mapping) else {}


def parts(value, *path):
    """The objects of a list; what is no object is left out."""
    found = dig(value, *path)
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []


def word(value, *path, limit=200):
    """One line of text or a number as text; empty where there is none."""
    found = dig(value, *path)
    if isinstance(found, bool) or not isinstance(found, str | int | float):
        return ""
    return line(found, limit)


def prose(value, *path):
    """Text with its line breaks."""
    found = dig(value, *path)
    return clean(found)[:MAX_TEXT].strip() if isinstance(found, str) else ""


def whole(value, *path):
    """A whole number, also one that is written as text; None where there is none."""
    found = dig(value, *path)
    if isinstance(found, str) and found.removeprefix("-").isdecimal() and len(found) < 19:
        found = int(found)
    return found if isinstance(found, int) and not isinstance(found, bool) and abs(found) < 2**63 else None


def moment(value, *path):
    """A time given in seconds since 1970; None for what is none (or lies beyond any calendar)."""
    seconds = whole(value, *path)
    return datetime.fromtimestamp(seconds, UTC) if seconds and 0 < seconds < 10_000_000_000 else None


def nothing(reason="not_enquiry", kind="not_enquiry"):
    """What is stored and answered, and leads to nothing."""
    return Parsed(kind=kind, reason=reason)


def found(events, warnings=()):
    """Parsed of what a delivery holds."""
    return Parsed(kind="event", events=list(events), warnings=list(warnings)) if events else nothing()


def asked_as_test(body):
    """Our own "send a test" is a form with one field."""
    return body.payload is None and bool(body.fields.get("test"))
