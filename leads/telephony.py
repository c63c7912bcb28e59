"""What a call is, folded from what was said of it. Pure; the order in which things become known does not matter.

An exchange reports a call in pieces: it rings, somebody answers, it is over, the recording is ready; each may come
late, twice, or never. ``fold`` takes them as a set and says what is known of the call.
"""

import hashlib
import json
import re
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta

from leads import identity

# What a piece of news is about. "picked_up": by a menu or a queue, no human yet; "left": one leg of it is over.
STARTED, RINGING, PICKED_UP, ANSWERED, LEFT, ENDED, RECORDED = STAGES = (
    "started", "ringing", "picked_up", "answered", "left", "ended", "recorded",
)  # fmt: skip
IN, OUT, INTERNAL = "in", "out", "internal"
MISSED_AS = {IN: "missed", OUT: "no_answer", INTERNAL: "no_answer", "": "missed"}
HIDDEN = re.compile(
    r"(?:\+?266696687|\+?464|0+|anonymous|unknown|private|restricted|unavailable|withheld|hidden|none|null|s|-)",
    re.IGNORECASE,
)
LONGEST = timedelta(days=2)  # a call that "lasted" longer has a wrong clock


@dataclass(frozen=True, kw_only=True)
class About:
    """What may be said of a call, and what is known of it in the end."""

    direction: str = ""
    client: str = ""  # E.164, or as the exchange wrote what is none; empty: hidden or not said
    ours: str = ""
    extension: str = ""
    name: str = ""
    started_at: datetime | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    duration: int | None = None
    talk: int | None = None
    result: str = ""
    recording: str = ""


@dataclass(frozen=True)
class CallEvent(About):
    """One piece of news. ``weight``: of two that say otherwise, the greater is believed."""

    call: str  # the provider's id of the whole call
    stage: str
    at: datetime | None = None
    leg: str = ""
    weight: int = 1
    heard: bool = False  # the provider states no time: ``at`` is when we heard of it

    def as_json(self):
        """Without what is not known; times as ISO text."""
        known = {name: value for name, value in asdict(self).items() if value not in (None, "") and value is not False}
        return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in known.items()}

    @property
    def key(self):
        """The same for the same news, however often it comes."""
        said = self.as_json()
        if self.heard:
            del said["at"]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


_TIMES = {"at", "started_at", "answered_at", "ended_at"}
_NAMES = {field.name for field in fields(CallEvent)}


def from_json(said):
    values = {name: value for name, value in said.items() if name in _NAMES}
    return CallEvent(**{n: datetime.fromisoformat(v) if n in _TIMES else v for n, v in values.items()})


@dataclass(frozen=True)
class Facts(About):
    """What is known of a call."""

    state: str = "ringing"  # ringing, talking, ended
    sure: bool = True  # False: over as far as is known, but nobody has said so

    def as_values(self):
        values = asdict(self)
        values.pop("sure")
        return values


_FIRST = datetime.min.replace(tzinfo=UTC)


def _best(events, name, prefer=()):
    """The value that is believed: of a preferred stage, of the greatest weight, the latest."""
    told = [event for event in events if getattr(event, name) not in (None, "")]
    if not told:
        return "" if name not in {"duration", "talk"} else None

    def rank(event):
        return (
            event.stage in prefer, event.weight, STAGES.index(event.stage), event.at or _FIRST, getattr(event, name)
        )  # fmt: skip

    return getattr(max(told, key=rank), name)


def _earliest(moments):
    return min((moment for moment in moments if moment), default=None)


def _latest(moments):
    return max((moment for moment in moments if moment), default=None)


def fold(events):
    """Facts of a call from its CallEvents: any order, any repetition, the same result."""
    events = frozenset(events)
    by = {stage: [event for event in events if event.stage == stage] for stage in STAGES}
    direction = _best(events, "direction")
    answered_at, result = _answer(events, by, direction)
    ended, sure = _over(events, by)
    started_at = _earliest([e.started_at or (e.at if e.stage != RECORDED else None) for e in events])
    ended_at = _latest([e.ended_at or e.at for e in (by[ENDED] or by[LEFT])]) if ended else None
    state = "ended" if ended else "talking" if answered_at else "ringing"
    talk, duration = _lengths(events, started_at, answered_at, ended_at)
    return Facts(
        direction=direction, client=_best(events, "client"), ours=_best(events, "ours"), name=_best(events, "name"),
        extension=_best(events, "extension", prefer=(ANSWERED,)), recording=_best(events, "recording"),
        started_at=started_at, ended_at=ended_at, state=state, sure=sure, duration=duration,
        answered_at=answered_at if result in {"", "answered"} or not ended else None,
        result=result if ended else "", talk=talk if result == "answered" or not ended else 0,
    )  # fmt: skip


def _answer(events, by, direction):
    """(when a human answered, how the call went if it is over)."""
    stated = _best(by[ENDED], "result")
    menus = by[PICKED_UP] if not by[RINGING] else []  # a menu counts as an answer only where nobody's phone rang
    moments = [e.answered_at or e.at for e in by[ANSWERED]] + [e.answered_at for e in by[ENDED]]
    answered_at = _earliest(moments) or (None if stated not in {"", "answered"} else _earliest([e.at for e in menus]))
    if stated:
        return answered_at, stated if stated == "answered" or direction == OUT else MISSED_AS[direction]
    lasted = not by[RINGING] and any(e.duration for e in by[ENDED] if e.talk is None)
    talked = by[ANSWERED] or menus or lasted or any(e.talk for e in by[ENDED])
    return answered_at, "answered" if talked else MISSED_AS[direction]


def _over(events, by):
    """(whether it is over, whether somebody has said so)."""
    if by[ENDED]:
        return True, True
    legs = {event.leg for event in events if event.leg and event.stage in (STARTED, RINGING, PICKED_UP, ANSWERED, LEFT)}
    return bool(legs) and legs == {event.leg for event in by[LEFT]}, False


def _lengths(events, started_at, answered_at, ended_at):
    def between(first, last):
        return (
            int((last - first).total_seconds()) if first and last and timedelta(0) <= last - first < LONGEST else None
        )

    talk, duration = _best(events, "talk"), _best(events, "duration")
    return (
        talk if _possible(talk) else between(answered_at, ended_at),
        duration if _possible(duration) else between(started_at, ended_at),
    )


def _possible(length):
    return length is not None and 0 <= length < LONGEST.total_seconds()


# --- What adapters share ----------------------------------------------------------------------------------------------


def number(raw, region="RU"):
    """A client's number: E.164 where it can be told, else as it is written; empty where the caller hides it."""
    text = identity.line(raw, 60)
    bare = re.sub(r"[\s()\-]", "", text)
    if not bare or HIDDEN.fullmatch(bare):
        return ""
    found = identity.phone(text, region)
    return found.e164 if found else text[:40]


def party(raw):
    """The user part of ``sip:101@host``, ``client:anna``, ``PJSIP/101-0000001a``; a plain number as it is."""
    text = identity.line(raw, 200)
    if match := re.match(r"(?:sips?|client|tel):([^@;?]+)", text, re.IGNORECASE):
        return match[1][:64]
    if match := re.match(r"(?:PJSIP|SIP|IAX2|SCCP|DAHDI|Local)/([^@/]+?)(?:-[0-9a-f]+(?:;\d)?)?(?:@|$)", text, re.I):
        return match[1][:64]
    return text[:64]


def is_internal(raw, longest=5):
    """Whether it is an extension: a few digits."""
    text = party(raw)
    return text.isdigit() and text.isascii() and 1 <= len(text) <= longest


def seconds(raw):
    """A length in seconds, or None."""
    text = identity.line(raw, 20)
    if match := re.fullmatch(r"(\d{1,7})(?:\.\d+)?", text):
        return int(match[1])
    if match := re.fullmatch(r"(?:(\d{1,3}):)?(\d{1,3}):(\d{2})", text):
        return int(match[1] or 0) * 3600 + int(match[2]) * 60 + int(match[3])
    return None


def moment(raw, zone):
    """A moment as exchanges write it: Unix seconds (or ms), ISO, ``2026-01-01 12:00:00`` in ``zone``; or None."""
    text = identity.line(raw, 40)
    try:
        if re.fullmatch(r"\d{9,13}(?:\.\d+)?", text):
            stamp = float(text)
            return datetime.fromtimestamp(stamp / 1000 if stamp >= 1e11 else stamp, UTC)
        found = datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        return None
    if not 1990 <= found.year <= 2200:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)
