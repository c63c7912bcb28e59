"""vCard 2.1 to 4.0 as rows of one table: what phones, Outlook, Google and Apple write."""

import base64
import io
import quopri
import re

from leads.importing.detecting import encoding_of
from leads.importing.errors import Unreadable

COLUMNS = (
    "FN", "N.family", "N.given", "N.middle", "TEL", "TEL 2", "TEL 3", "EMAIL", "EMAIL 2", "EMAIL 3", "ORG", "TITLE",
    "ADR.city", "ADR.region", "ADR.country", "URL", "NOTE", "UID",
)  # fmt: skip
# Which field each column means where the mapping does not say.
MEANING = {
    "FN": "name", "TEL": "phone", "TEL 2": "phone", "TEL 3": "phone", "EMAIL": "email", "EMAIL 2": "email",
    "EMAIL 3": "email", "ORG": "company_name", "TITLE": "job_title", "ADR.city": "city", "ADR.region": "region",
    "ADR.country": "country", "NOTE": "need",
}  # fmt: skip
READ = {column.partition(".")[0].partition(" ")[0] for column in COLUMNS}
LINE = 100_000  # characters kept of one unfolded line: photographs are passed over
CARD = 5000  # lines of one card
_PROPERTY = re.compile(r"^(?:[\w-]+\.)?([\w-]+)((?:;(?:[^\":;]|\"[^\"]*\")*)*)\s*:(.*)$", re.DOTALL)


def records(text):
    """Iterate over ``(line, cells, problem)`` for each card of the text stream."""
    card, start, depth = None, 0, 0
    for number, line in _unfolded(text):
        word = re.sub(r"^[\w-]+\.", "", line.strip()).upper().replace(" ", "")
        if word == "BEGIN:VCARD":
            depth += 1
            if card is None:
                card, start = [], number
        elif word == "END:VCARD" and card is not None:
            depth -= 1
            if depth <= 0:
                yield start, _cells(card), ""
                card, depth = None, 0
        elif card is not None and depth == 1 and len(card) < CARD:
            card.append(line)
    if card is not None:
        yield start, None, "unreadable"


def _unfolded(text):
    """Logical lines: a leading space continues the line before; so does a trailing = in quoted-printable."""
    kept, begun = "", 0
    for number, raw in enumerate(iter(lambda: text.readline(LINE), ""), start=1):
        line = raw.rstrip("\r\n")
        soft = kept.endswith("=") and "QUOTED-PRINTABLE" in kept.partition(":")[0].upper()
        if soft:
            kept = (kept[:-1] + line)[:LINE]
        elif line[:1] in (" ", "\t") and kept:
            kept = (kept + line[1:])[:LINE]
        else:
            if kept:
                yield begun, kept
            kept, begun = line, number
    if kept:
        yield begun, kept


def _cells(lines):
    found = dict.fromkeys(COLUMNS, "")
    for line in lines:
        match = _PROPERTY.match(line)
        if match and match[1].upper() in READ:
            name, params = match[1].upper(), match[2].upper()
            _take(found, name, params, _value(match[3], params))
    found["FN"] = found["FN"] or " ".join(filter(None, (found["N.family"], found["N.given"], found["N.middle"])))
    return [found[name][:20_000] for name in COLUMNS]


def _value(raw, params):
    """The text of a value that may have been wrapped for the mail of old: quoted-printable, base64, a charset of its
    own; of what states none, the one that reads as text."""
    if "QUOTED-PRINTABLE" in params:
        data = quopri.decodestring(raw.encode("utf-8", "replace"))
    elif re.search(r"ENCODING=(?:BASE64|B)\b|;BASE64\b", params):
        try:
            data = base64.b64decode(re.sub(r"\s", "", raw), validate=True)
        except ValueError:
            return raw
    else:
        return raw
    charset = re.search(r"CHARSET=\"?([\w-]+)", params)
    return _decoded(data, charset[1] if charset else "utf-8")


def _decoded(data, charset):
    for name in (charset, "utf-8"):
        try:
            return data.decode(name)
        except (LookupError, UnicodeDecodeError):
            continue
    try:
        return data.decode(encoding_of(io.BytesIO(data)), "replace")
    except Unreadable:  # a photograph where a text should be
        return ""


def _parts(value, mark=";"):
    """The parts of a structured value; an escaped mark does not part."""
    return [_plain(part) for part in re.split(rf"(?<!\\){mark}", value)]


def _plain(text):
    return re.sub(r"\\([\\,;:nN\"])", lambda m: "\n" if m[1] in "nN" else m[1], text).strip()


def _take(found, name, params, value):
    if name == "N":
        family, given, middle = (_parts(value) + ["", "", ""])[:3]
        found |= {"N.family": found["N.family"] or family, "N.given": found["N.given"] or given,
                  "N.middle": found["N.middle"] or middle}  # fmt: skip
    elif name in {"TEL", "EMAIL"}:
        if name == "TEL" and re.search(r"FAX|PAGER", params):
            return
        bare = re.sub(r"^(?:tel|mailto):", "", _plain(value), flags=re.IGNORECASE)
        bare = re.sub(r";ext=(\d+).*$", r" ext. \1", bare)  # of a tel: address
        place = next((c for c in (name, f"{name} 2", f"{name} 3") if not found[c]), None)
        if place and bare:
            found[place] = bare
    elif name == "ADR":
        parts = (_parts(value) + [""] * 7)[:7]
        found |= {key: found[key] or part for key, part in zip(("ADR.city", "ADR.region"), parts[3:5], strict=True)}
        found["ADR.country"] = found["ADR.country"] or parts[6]
    elif name == "ORG":
        found["ORG"] = found["ORG"] or _parts(value)[0]
    elif name in found:
        found[name] = found[name] or _plain(value)
