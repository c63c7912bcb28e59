"""Answers under their questions, and contacts that nobody has called by a name we know. Pure.

Site builders send what was asked beside what was answered (``{"label": "Your phone", "value": "…"}``), in lists and in
mappings, with keys of their own. Here such a pair becomes a field that is called as its question.
"""

# ruff: noqa: SIM905 - lists of words read best as words

import re
from collections.abc import Mapping

from leads import identity
from leads.capture.base import Refused, flatten, read_json
from leads.capture.names import CONTACTS, fold, meaning, of_path, words

LABELS = (
    "key", "code", "slug", "column_id", "column_name", "name", "field", "label", "title", "question", "id", "Тип",
    "Наименование",
)  # fmt: skip
TELLING = (  # the same, folded, the most telling first
    "label", "title", "question", "column_name", "name", "field", "key", "code", "slug", "column_id", "id",
    "наименование", "тип",
)  # fmt: skip
VALUES = ("value", "values", "answer", "answers", "string_value", "text", "content", "val", "Значение")
# What may stand in a named value without being told.
BESIDE = {"type", "ref", "required", "position", "order", "Комментарий"}
LONGEST = 120  # characters of a question that is looked at
_ANSWERS = tuple(fold(name) for name in VALUES)
_TYPES = {"phone", "email", "name", "first_name", "last_name"}  # what a type of field says for sure
# Whose contacts are not the client's.
_OTHERS = frozenset(
    "manager owner agent operator employee assignee responsible staff admin author seller shop store site "
    "company organization office recipient to from sender account page campaign creator partner bot channel "
    "project url менеджер ответственный оператор сотрудник компания организация магазин".split()
)


def under_questions(fields):
    """Fields (path → values) with every question-and-answer pair as one field named as its question."""
    groups = _groups(fields)
    if not groups:
        return fields
    beside = [parent.rpartition(".")[0] for parent in groups]
    found, taken = {}, set()
    for parent, leaves in groups.items():
        row = parent.rpartition(".")[2].isdigit() or beside.count(parent.rpartition(".")[0]) > 1
        if question := _question(parent, leaves, row):
            answer = next(leaves[leaf] for leaf in sorted(leaves, key=_rank) if fold(leaf) in _ANSWERS)
            found.setdefault(question, []).extend(answer)
            taken |= {f"{parent}.{leaf}" for leaf in leaves}
    kept = {path: values for path, values in fields.items() if path not in taken}
    return {**kept, **{name: [*kept.get(name, []), *values] for name, values in found.items()}}


def _rank(leaf):
    return _ANSWERS.index(fold(leaf)) if fold(leaf) in _ANSWERS else len(_ANSWERS)


def _groups(fields):
    """parent → {path below it → values} of everything that has an answer directly below it."""
    groups = {}
    for path in fields:
        parent, _dot, last = path.rpartition(".")
        if parent and fold(last) in _ANSWERS:
            groups[parent] = {}
    for path, values in fields.items() if groups else ():
        parent = path.rpartition(".")[0]
        while parent and parent not in groups:
            parent = parent.rpartition(".")[0]
        if parent:
            groups[parent][path[len(parent) + 1 :]] = values
    return groups


def _question(parent, leaves, row):
    """What was asked, in the sender's words or in ours; "" where this is no pair.

    ``row``: it is one of several alike, so that a question that says nothing to us is one as well.
    """
    if any(meaning(leaf) in CONTACTS for leaf in leaves if fold(leaf) not in _ANSWERS):
        return ""  # a person's record that has a text
    labels = [(TELLING.index(mark), values[0]) for leaf, values in leaves.items() if (mark := _mark(leaf)) and values]
    said = [text.replace(".", " ").strip() for _place, text in sorted(labels) if 0 < len(text.strip()) <= LONGEST]
    if known := next((text for text in said if meaning(text)), ""):
        return known
    kind = meaning(next((v[0] for leaf, v in leaves.items() if fold(leaf) == "type" and v), "")[:LONGEST])
    if kind in _TYPES:
        return kind
    own = re.sub(r"(\.\d+)+$", "", parent)
    last = own.rpartition(".")[2]
    if meaning(last):
        return own if of_path(own) else last  # where it stands, for what stands beside it
    telling = [place for place, _text in labels if TELLING[place] != "id"]
    return said[0] if row and said and telling else ""


def _mark(leaf):
    """The word of TELLING that a path below an answer's parent has, or None: ``title``, ``question.label.ru``."""
    parts = [fold(part) for part in leaf.split(".")]
    return next((part for part in reversed(parts) if part in TELLING), None) if parts[-1] not in _ANSWERS else None


def spread(fields):
    """A text that is a JSON object or list becomes fields below its own name."""
    found = {}
    for path, values in fields.items():
        for value in values:
            inner = _inner(value)
            for leaf, text in flatten({path: inner}) if inner is not None else [(path, value)]:
                found.setdefault(leaf, []).append(text)
    return found


def _inner(text):
    if text[:1] not in "{[" or text[-1:] not in "}]" or len(text) > 100_000:
        return None
    try:
        value, _warnings = read_json(text.encode())
        return value if isinstance(value, Mapping | list) and value else None
    except (Refused, RecursionError):
        return None


# --- Contacts without a name ------------------------------------------------------------------------------------------


def contacts_anywhere(unknown, region):
    """{"phone" or "email": path} among fields that mean nothing to us, for a body that would else have no contact.

    First by the field's own name, wherever it stands; then by what the value looks like, where just one does. Contacts
    of the sender's own people (``manager.phone``) are nobody's enquiry.
    """
    ours = {
        p: v for p, v in unknown.items() if not _OTHERS.intersection(w for part in p.split(".") for w in words(part))
    }
    named = {}
    for path, values in ours.items():
        kind = meaning(path.rpartition(".")[2])
        if kind in READ and any(READ[kind](value, region) for value in values):
            named.setdefault(kind, path)
    return named or _by_look(ours, region)


def _by_look(fields, region):
    found = {}
    for kind, looks in LOOKS.items():
        alike = {}
        for path, values in fields.items():
            for value in values:
                if looks.fullmatch(value.strip()) and (read := READ[kind](value, region)):
                    alike.setdefault(read, path)
        if len(alike) == 1:
            found[kind] = next(iter(alike.values()))
    return found


def _phone(value, region):
    number = identity.phone(value, region)
    return number.e164 if number else None


def _email(value, region):
    return identity.email(value)


READ = {"phone": _phone, "email": _email}
# A bare row of digits may be anything: a phone by its look begins with + or has the signs that people put in one.
LOOKS = {
    "email": re.compile(r"[^\s@<>]{1,64}@[^\s@<>]{1,190}\.[^\s@<>.]{2,63}"),
    "phone": re.compile(
        r"\+[\d\s().-]{9,24}|[78]?[\s-]?\(\d{3,5}\)[\d\s-]{5,12}|8[\s-]\d{3}[\s-]\d{3}[\s-]\d{2}[\s-]\d{2}"
    ),
}
