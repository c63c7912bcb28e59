"""iCalendar (RFC 5545) of tasks. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass(frozen=True)
class Event:
    uid: str
    at: datetime
    summary: str
    description: str = ""
    url: str = ""
    minutes: int = 30


def _escaped(text):
    text = text.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,")
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\\n")
    return "".join(c for c in text if c.isprintable())


def _folded(line):
    """Lines of at most 75 octets, never cut within a character."""
    parts, part = [], ""
    for char in line:
        if len((part + char).encode()) > 74:
            parts.append(part)
            part = ""
        part += char
    return "\r\n ".join([*parts, part])


def _stamp(moment):
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def _event(event, now):
    return [
        "BEGIN:VEVENT",
        f"UID:{event.uid}",
        f"DTSTAMP:{_stamp(now)}",
        f"DTSTART:{_stamp(event.at)}",
        f"DTEND:{_stamp(event.at + timedelta(minutes=event.minutes))}",
        f"SUMMARY:{_escaped(event.summary)}",
        *([f"DESCRIPTION:{_escaped(event.description)}"] if event.description else []),
        *([f"URL:{event.url}"] if event.url else []),
        "BEGIN:VALARM",
        "ACTION:DISPLAY",
        "TRIGGER:-PT10M",
        f"DESCRIPTION:{_escaped(event.summary)}",
        "END:VALARM",
        "END:VEVENT",
    ]


def calendar(events, *, name, now):
    """The document as text."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Lead CRM//Tasks//EN", "METHOD:PUBLISH"]
    lines += [f"X-WR-CALNAME:{_escaped(name)}", "REFRESH-INTERVAL;VALUE=DURATION:PT15M"]
    for event in events:
        lines += _event(event, now)
    return "\r\n".join(_folded(line) for line in [*lines, "END:VCALENDAR"]) + "\r\n"
