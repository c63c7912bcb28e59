"""From flat fields, named as any site builder likes, to a lead's fields, signs of identity and marks. Pure."""

import re
from decimal import Decimal, InvalidOperation

from django.utils.translation import gettext as _

from leads import identity
from leads.capture.answers import contacts_anywhere, spread, under_questions
from leads.capture.base import Parsed, Refused, path_of
from leads.capture.names import CONTACTS, MARKS, PROTECTED, fold, meaning, of_path
from leads.identity import Known

MAX_FIELD = 2000  # characters
MAX_TEXT = 20_000  # characters of a message, and of what we do not know
MAX_CUSTOM = 50
MAX_CUSTOM_VALUE = 500
WIDTHS = {
    "name": 200, "company_name": 200, "job_title": 200, "city": 120, "region": 120, "country": 60, "language": 5,
    "industry": 120, "product": 200, "need": MAX_TEXT,
}  # fmt: skip
_LONG = {"need"}
_THINGS = {"form", "page", "quiz", "campaign", "event", "project"}  # that have names as well
REACHED = CONTACTS - {"external_id"}  # by which a person can be answered
_YES = frozenset("on yes y true 1 да согласен согласна agree agreed checked принимаю".split())  # noqa: SIM905


def canonical(path, mapping):
    """The field that a path means: by the source's mapping, else by its names."""
    return mapping[path] if path in mapping else of_path(path)


def mapping_of(source):
    """The source's own names: ``settings["mapping"] = {"payment[orderid]": "external_id"}``."""
    stated = source.settings.get("mapping") or {}
    return {path_of(str(path)): str(target) for path, target in stated.items()}


def sort_fields(fields, source, mapping):
    """(canonical name → values, unknown path → values); raises Refused(422) for a field that is too long."""
    named, unknown, paths = {}, {}, {}
    limit = int(source.settings.get("max_field") or MAX_FIELD)
    for path, values in fields.items():
        name = canonical(path, mapping)
        _check_length(path, values, MAX_TEXT if name is None or name in _LONG else limit)
        if name is None:
            unknown[path] = values
        elif name != "-" and (said := [v for v in values if v.strip()]):
            paths.setdefault(name, {})[path] = said
    for path in _not_of_people(paths, mapping):
        unknown[path] = paths["name"].pop(path)
    for name, found in paths.items():
        if found:
            named[name] = [value for values in found.values() for value in values]
    return named, unknown


def _not_of_people(paths, mapping):
    """Paths of names that are of a form, not of who filled it in: there is a better one beside a contact, or in parts."""
    names = [path for path in paths.get("name", {}) if path not in mapping]
    beside = {_parent(path) for kind in (*CONTACTS, "first_name", "last_name") for path in paths.get(kind, {})}
    better = {"first_name", "last_name"} & set(paths) or any(_parent(path) in beside for path in names)
    return [p for p in names if _parent(p) not in beside and (better or _parent(p).rpartition(".")[2] in _THINGS)]


def _parent(path):
    """What a field stands in; of ``contact.phones.0.number``, the contact."""
    parts = path.split(".")[:-1]
    while parts and (parts[-1].isdigit() or meaning(parts[-1]) in CONTACTS):
        parts.pop()
    return ".".join(parts)


def _check_length(path, values, limit):
    for value in values:
        if len(value) > limit:
            raise Refused(
                422,
                "too_long",
                _("“%(field)s” has %(length)d characters; %(limit)d are allowed.")
                % {"field": path[:80], "length": len(value), "limit": limit},
            )


# --- Identity -------------------------------------------------------------------------------------------------------


def signs(named, source, warnings, region="RU"):
    """Signs of identity in the order of trust; a contact that could not be read becomes a warning."""
    found = []
    for raw in named.get("phone", []):
        numbers = identity.phones(raw, region)
        found += [Known("phone", n.e164, raw=identity.line(raw, 254), extension=n.extension[:10]) for n in numbers]
        if not numbers:
            warnings.append(f"phone:{identity.line(raw, 200)}")
    for raw in named.get("email", []):
        addresses = identity.emails(raw)
        found += [Known("email", address, raw=identity.line(raw, 254)) for address in addresses]
        if not addresses:
            warnings.append(f"email:{identity.line(raw, 200)}")
    found += [Known("external", identity.line(v, 254), source.key[:40]) for v in named.get("external_id", [])[:3]]
    for kind in ("telegram", "whatsapp", "vk"):
        found += [known for raw in named.get(kind, [])[:3] if (known := _messenger(kind, raw, region))]
    once = {}
    for known in found:
        once.setdefault((known.kind, known.scope, known.value), known)
    return list(once.values())[: identity.MAX_SEVERAL * 2]


def _messenger(kind, raw, region):
    if kind == "whatsapp":
        number = identity.phone(raw, region)
        return Known("whatsapp", number.e164, raw=identity.line(raw, 254)) if number else None
    handle = re.sub(
        r"^(?:https?://)?(?:www\.)?(?:t\.me|telegram\.me|vk\.com|vk\.ru)/", "", raw.strip(), flags=re.IGNORECASE
    )
    handle = handle.split("?")[0].strip("@/ ").lower()
    return Known(kind, handle, raw=identity.line(raw, 254)) if re.fullmatch(r"[a-z0-9_.]{2,64}", handle) else None


# --- Fields ---------------------------------------------------------------------------------------------------------


def _name(named):
    """The whole name, or its parts in the order of its script: «Петров Иван», "Ivan Petrov"."""
    whole = " ".join(named.get("name", [])[:1])
    parts = {part: named[part][0] for part in ("last_name", "first_name", "middle_name") if part in named}
    if whole and ("first_name" in parts or "last_name" not in parts):
        return whole
    if whole:
        parts = {"last_name": parts["last_name"], "first_name": whole} | {
            p: parts[p] for p in parts if p == "middle_name"
        }
    ours = re.search(r"[А-Яа-яЁё]", "".join(parts.values()))
    order = parts if ours else [part for part in ("first_name", "middle_name", "last_name") if part in parts]
    return " ".join(parts[part] for part in order)


def _budget(raw):
    """A sum of money written by hand: «до 1,5 млн», "100 000 ₽"; None where it says nothing."""
    text = identity.line(raw).casefold().replace("\u2009", " ")
    found = re.search(r"\d[\d\s'’]*(?:[.,]\d+)?", text)
    if not found:
        return None
    digits = re.sub(r"[\s'’]", "", found[0])
    if re.search(r"[.,]\d{3}$", digits):
        digits = re.sub(r"[.,]", "", digits)
    rest = text[found.end() :].strip()
    factor = (
        10**6
        if rest.startswith(("млн", "mln", "миллион", "million"))
        else 1000
        if re.match(r"тыс|т\.|k\b|к\b", rest)
        else 1
    )
    try:
        amount = Decimal(digits.replace(",", ".")) * factor
    except InvalidOperation:
        return None
    return amount.quantize(Decimal("0.01")) if amount < 10**12 else None


def _whole_number(raw):
    digits = re.sub(r"[\s\xa0]", "", raw)
    return int(digits) if re.fullmatch(r"\d{1,9}", digits) and int(digits) < 2**31 else None


_READ = {
    "name": identity.person_name,
    "city": identity.city,
    "need": lambda raw: re.sub(r"[\x00-\x08\x0b-\x1f\x7f]", "", raw.replace("\r\n", "\n").replace("\r", "\n")).strip(),
    "budget": _budget,
    "company_size": _whole_number,
    "language": lambda raw: raw.strip()[:2].lower() if re.fullmatch(r"[A-Za-z]{2}([-_].*)?", raw.strip()) else None,
}
_LEAD_FIELDS = (
    "company_name", "job_title", "city", "region", "country", "language", "industry", "company_size", "product", "need",
    "budget",
)  # fmt: skip


def lead_fields(named, warnings):
    """A lead's fields, normalised; what cannot be read or does not fit goes to ``warnings`` with its raw value."""
    raw = {name: "\n".join(named[name]) if name == "need" else named[name][0] for name in _LEAD_FIELDS if name in named}
    if name := _name(named):
        raw["name"] = name
        if re.search(r"[\r\n]", name):
            warnings.append(f"name:{identity.line(name, 200)}")
    fields = {}
    for name, value in raw.items():
        read = _READ.get(name, identity.line)(value)
        if read in (None, ""):
            warnings.append(f"{name}:{identity.line(value, 200)}")
            continue
        if name in WIDTHS and len(value.strip()) > WIDTHS[name]:
            warnings.append(f"shortened:{name}")
        fields[name] = read[: WIDTHS[name]] if name in WIDTHS else read
    if tags := _tags(named):
        fields["tags"] = tags
    return fields


def _tags(named):
    words = (identity.line(word, 40) for value in named.get("tags", []) for word in re.split(r"[,;|\n]", value))
    return list(dict.fromkeys(word for word in words if word))[:20]


def custom(unknown, mapping_custom):
    """Short plain fields that we have no name for; the product's own names and machinery are left out."""
    kept = {}
    for path, values in unknown.items():
        value = identity.line(", ".join(values), MAX_CUSTOM_VALUE + 1)
        name = identity.line(path, 60)
        last = fold(path.rsplit(".", 1)[-1])
        if not name or not value or last in PROTECTED or fold(path) in PROTECTED or path.startswith("_"):
            continue
        if len(value) <= MAX_CUSTOM_VALUE and len(kept) < MAX_CUSTOM:
            kept[name] = value
    return kept | mapping_custom


def marks(named, headers):
    """Marketing's marks as received; the referrer is what the page said, the landing what the visitor saw."""
    found = {name: named[name][0][:500] for name in (*sorted(MARKS), "referrer", "landing") if name in named}
    if "landing" not in found and headers.get("Referer"):
        found["landing"] = identity.line(headers["Referer"], 500)
    return found


def agreed(named):
    return any(value.strip().casefold() in _YES for value in named.get("consent", []))


def _sorted(fields, source, mapping):
    """``sort_fields``, and again with JSON within fields spread out where there seems to be no contact."""
    named, unknown = sort_fields(_asked(fields, mapping), source, mapping)
    if not REACHED.intersection(named):
        named, unknown = sort_fields(_asked(spread(fields), mapping), source, mapping)
    return named, unknown


def _asked(fields, mapping):
    """The fields under their questions, but for those that the source's settings name as they came."""
    stated = {path: values for path, values in fields.items() if path in mapping}
    return stated | under_questions({path: values for path, values in fields.items() if path not in stated})


def extract(body, source, headers, region="RU", mapping=None):
    """Parsed of flat fields: what web forms, JSON and site builders have in common.

    ``mapping``: path → our name, instead of the source's own.
    """
    warnings = list(body.warnings)
    named, unknown = _sorted(body.fields, source, mapping_of(source) if mapping is None else mapping)
    if mapping is None and not REACHED.intersection(named):
        for kind, path in contacts_anywhere(unknown, region).items():
            named[kind] = unknown.pop(path)
            warnings.append(f"taken_for_{kind}:{identity.line(path, 200)}")
    stated = {name.removeprefix("custom."): ", ".join(v) for name, v in named.items() if name.startswith("custom.")}
    parsed = Parsed(identities=signs(named, source, warnings, region), warnings=warnings)
    parsed.fields = lead_fields(named, warnings)
    if kept := custom(unknown, stated):
        parsed.fields["custom"] = kept
    parsed.marks, parsed.consent = marks(named, headers), agreed(named)
    parsed.visitor = visitor(named)
    parsed.own_id = identity.line("".join(named.get("own_id", [])[:1]), 200)
    return parsed


def is_test(body, parsed):
    """What a program sends to try an address: ``test`` and nobody to answer to."""
    return str(body.fields.get("test", [""])[0]).lower() in {"true", "test"} and not parsed.identities


def visitor(named):
    text = named.get("visitor", [""])[0].strip().lower()
    return text if re.fullmatch(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", text) else ""
