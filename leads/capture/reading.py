"""How a provider writes a number or a date, chosen by name on the page of a mapping. Pure: text in, text out."""

import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

from django.utils.translation import gettext_lazy as _

FORMATS = {
    "": _("as it is"),
    "cents": _("a sum in cents or kopecks"),
    "comma": _("a number like 1.234,56"),
    "digits": _("digits alone"),
    "dmy": _("a date like 31.12.2026"),
    "mdy": _("a date like 12/31/2026"),
    "iso": _("a date like 2026-12-31T10:00:00Z"),
    "unix": _("a date in seconds since 1970"),
    "unix_ms": _("a date in milliseconds since 1970"),
    "first": _("the first word"),
    "lower": _("in small letters"),
}


def readable(text, name):
    """The text read as its format says; what cannot be read so stays as it came."""
    try:
        return _READ[name](text.strip()) if name else text
    except (KeyError, ValueError, OverflowError, OSError, InvalidOperation, IndexError):
        return text


def _number(text):
    found = re.fullmatch(r"[^\d-]*(-?\d+(?:\.\d+)?)[^\d]*", text)
    if not found:
        raise ValueError(text)
    return Decimal(found[1])


def _plain(number):
    return format(number.normalize(), "f")


def _date(text, *, day, month, year):
    found = re.match(r"(\d{1,4})\D(\d{1,2})\D(\d{1,4})(?!\d)", text)
    return datetime(int(found[year]), int(found[month]), int(found[day]), tzinfo=UTC).date().isoformat()


def _matched(text, **places):
    if not re.match(r"\d{1,4}\D\d{1,2}\D\d{1,4}(?!\d)", text):
        raise ValueError(text)
    return _date(text, **places)


_READ = {
    "cents": lambda text: _plain(_number(text) / 100),
    "comma": lambda text: _plain(_number(re.sub(r"[\s.'’\u00a0]", "", text).replace(",", "."))),
    "digits": lambda text: re.sub(r"\D", "", text),
    "dmy": lambda text: _matched(text, day=1, month=2, year=3),
    "mdy": lambda text: _matched(text, day=2, month=1, year=3),
    "iso": lambda text: datetime.fromisoformat(text).date().isoformat(),
    "unix": lambda text: datetime.fromtimestamp(float(text), UTC).date().isoformat(),
    "unix_ms": lambda text: datetime.fromtimestamp(float(text) / 1000, UTC).date().isoformat(),
    "first": lambda text: text.split()[0],
    "lower": str.lower,
}
