"""One body that carries several enquiries: where each stands, and the body as if it held that one alone. Pure.

Several are the objects of a JSON array, of a list called as in ``LISTS``, of a list called as in ``MAYBE`` whose every
object has a contact of its own, or of the list that the source's setting ``each`` names (``payload.leads``); ``-`` says
that a body is always one enquiry. What stands beside the list is said of each of them.
"""

import json
import re
from collections.abc import Mapping

from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from leads.capture.answers import BESIDE, LABELS, VALUES
from leads.capture.base import JSON, MEGABYTE, Refused, Setting, body_kind, charset_of, path_of, read_json
from leads.capture.names import CONTACTS, CONTAINERS, fold, meaning
from leads.capture.xml_body import is_xml, read_xml

MOST = 1000  # enquiries in one body
MAX_BODY = 2 * MEGABYTE  # 2 kB for each
LONGEST = 190  # characters of a list's path
ONE = "-"  # of the setting: a body is one enquiry
LISTS = {"leads", "enquiries", "inquiries", "submissions", "applications", "лиды", "заявки", "обращения"}
MAYBE = {"data", "items", "records", "rows", "results", "entries", "requests", "orders", "contacts", "заказы"}
PERSONAL = {*CONTACTS, "name", "first_name", "last_name", "middle_name", "visitor", "own_id"}
_NAMED = {*LABELS, *VALUES, *BESIDE}

EACH = Setting(
    _("List of several enquiries"),
    help=_("Where one body brings several: the path of the list, such as leads or data.items. Empty: known by its name. "
           "A hyphen: a body is always one enquiry."),
)  # fmt: skip


def places_in(content_type, raw, each=""):
    """Paths of the enquiries of a body that is not read yet; [] where it is one, or cannot be read."""
    if each == ONE or not (is_xml(content_type, raw) or re.search(rb"\[[\s\x00]*\{", raw)):
        return []
    try:
        if not is_xml(content_type, raw) and body_kind(content_type, raw) != JSON:
            return []
        payload, _warnings = tree(content_type, raw)
    except Refused:
        return []  # told by whoever reads it as one
    found = places(payload, each)
    if len(found) > MOST:
        raise Refused(422, "invalid", _now("At most %d enquiries are taken in one body.") % MOST)
    return found


def tree(content_type, raw):
    """(value, warnings) of a body of objects and lists, JSON or XML; raises Refused."""
    if is_xml(content_type, raw):
        return read_xml(raw, lambda names: _named([names]) and bool(names & {*LABELS}) and bool(names & {*VALUES})), []
    return read_json(raw, charset_of(content_type))


def places(payload, each=""):
    """``leads.0``, ``leads.1`` … of the enquiries in a JSON value; [] where there are not several."""
    path = path_of(str(each)) if each else _known(payload)
    if path is None:
        return []
    items = payload if path == "" else _stated(payload, path)
    if not isinstance(items, list) or len(items) < 2 or not _objects(items):
        return []
    return [f"{path}.{number}".lstrip(".") for number in range(len(items))] if len(path) < LONGEST else []


def lists(payload):
    """Paths of the lists of objects within an object: what a body's several enquiries may be."""
    found, todo = [], [("", payload)]
    while todo and len(found) < 50:
        path, value = todo.pop(0)
        if isinstance(value, Mapping):
            todo += [(f"{path}.{name}".lstrip("."), inner) for name, inner in value.items() if "." not in name]
        elif isinstance(value, list) and path and _objects(value) and not _named(value):
            found.append(path)
    return found


def _stated(payload, path):
    """What stands at a path of names, or None."""
    for name in path.split("."):
        payload = payload.get(name) if isinstance(payload, Mapping) else None
    return payload


def _known(payload):
    """The path of the list that is known without being stated, or None."""
    if isinstance(payload, list):
        return None if _named(payload) else ""
    if not isinstance(payload, Mapping):
        return None
    known = [name for name, value in payload.items() if isinstance(value, list) and "." not in name and _objects(value)]
    if sure := [name for name in known if fold(name) in LISTS]:
        return sure[0] if len(sure) == 1 and not _named(payload[sure[0]]) else None
    people = [name for name in known if fold(name) in MAYBE and all(map(_contact, payload[name]))]
    beside = {name: value for name, value in payload.items() if name not in people}
    return people[0] if len(people) == 1 and not _contact(beside) else None


def _objects(items):
    return any(isinstance(item, Mapping) and item for item in items)


def _named(items):
    """Whether it is a list of named values (``[{"name": "email", "value": "a@b"}]``): one enquiry, however long."""
    return all(isinstance(item, Mapping | set) and (set(item) <= _NAMED or _answer(item)) for item in items)


def _answer(item):
    names = {fold(name) for name in item}
    return not names.isdisjoint(LABELS) and not names.isdisjoint(VALUES) and not _contact(item)


def _contact(item):
    return isinstance(item, Mapping) and any(meaning(str(name)) in CONTACTS for name in item)


# --- One of several -------------------------------------------------------------------------------------------------


def only(payload, path):
    """The value with one enquiry in its list; raises Refused where there is none at this path.

    What stands beside the list is kept but for contacts and names: they would be those of whoever sent the list.
    """
    return _found(_with, payload, path, lambda items, place: [items[place]], _impersonal)


def pieces(content_type, raw, paths):
    """(path, the enquiry as a JSON body of its own, where it stands in that): a long body is read once, not for each."""
    value, _warnings = tree(content_type, raw)
    for path in paths:
        first = f"{path.rpartition('.')[0]}.0".lstrip(".")
        yield path, json.dumps(only(value, path)).encode(), first


def alone(payload, path):
    """One enquiry as if it had come by itself, with the plain values that stand beside its list."""
    *names, _place = path.split(".")
    items = only(payload, path)
    item = (_stated(items, ".".join(names)) if names else items)[0]
    beside = _impersonal(payload) if names else {}
    plain = {name: value for name, value in beside.items() if not isinstance(value, Mapping | list)}
    return {**plain, **item} if isinstance(item, Mapping) else {}


def without(payload, path):
    """The value with nothing left of one enquiry; the others keep their places."""
    return _found(_with, payload, path, lambda items, place: [*items[:place], None, *items[place + 1 :]], dict)


def _with(payload, path, change, beside):
    name, _dot, rest = path.partition(".")
    if not rest:
        return change(payload, int(name))
    return {**beside(payload), name: _with(payload[name], rest, change, beside)}


def _impersonal(values):
    """A mapping without what tells who somebody is, as far as such things are known by name."""
    kept = {}
    for name, value in values.items():
        if meaning(name) not in PERSONAL:
            kept[name] = _impersonal(value) if isinstance(value, Mapping) and fold(name) in CONTAINERS else value
    return kept


def _found(step, payload, path, *more):
    try:
        return step(payload, path, *more)
    except (LookupError, ValueError, TypeError, AttributeError):
        raise Refused(400, "unparseable", _now("There is no enquiry at “%s” of the body.") % path) from None
