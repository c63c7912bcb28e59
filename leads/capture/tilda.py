"""Tilda: the webhook of its forms and its shop (help.tilda.cc/forms/webhook).

It comes urlencoded or as JSON. An order stands in ``payment``: as bracketed fields, or as a JSON text of its own.
``COOKIES`` carries the visit's first marks in ``TILDAUTM``. When the address is entered, Tilda posts ``test=test`` once;
it waits five seconds for an answer and tries twice more. A key can be added as a field, a header or in the address.
"""

from collections.abc import Mapping
from dataclasses import replace
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, unquote

from django.utils.translation import gettext_lazy as _

from leads import identity
from leads.capture.base import Refused, Reply, Setting, check_secret, clean, flatten, named, read_json
from leads.capture.canary import form as form_canary
from leads.capture.fields import extract, mapping_of
from leads.capture.names import MARKS, fold
from leads.models.intake import Channel

LABEL = _("Tilda")
NEEDS_SECRET = True
SECRET_HELP = _("Enter the same one at Tilda as the value of the API key.")
CHANNEL = Channel.SITE
TAKES_ALL = True
COMMON = ("mapping",)
SETTINGS = {
    "secret_name": Setting(
        _("Name of the API key"),
        default="secret",
        help=_("As it is called in Tilda, where the key's value is entered."),
    ),
}
COUNTERS = {"_ym_uid": "ym_uid", "_ga": "ga_client_id", "roistat_visit": "roistat"}  # cookie → mark
TEST = {"test": ["test"]}


def reply(envelope, source):
    return Reply(200, "ok")


def _secret_name(source):
    return str(source.settings.get("secret_name") or "secret")


def verify(envelope, source, body):
    if not source.secret or body is None:
        return
    if body.fields == TEST:
        return  # tried before the key is entered; nothing comes of it
    check_secret(envelope, source, given=named(envelope, body, _secret_name(source)))


canary = form_canary


def parse(body, source, *, headers, region="RU", path="", received_at=None):
    fields = {name: values for name, values in body.fields.items() if name != _secret_name(source)}
    cookies = _cookies(_taken(fields, "cookies"))
    order = _order(fields)
    number = "".join(_taken(fields, "tranid"))
    mapping = {"custom.order": "custom.order", **mapping_of(source)}
    found = extract(replace(body, fields=fields | order), source, headers, region, mapping)
    found.marks = _marks(cookies) | found.marks
    deal = "".join(order.get("custom.order", [])) or "".join(fields.get("payment.systranid", []))
    found.own_id = found.own_id or number or (f"order:{deal}" if deal else "")
    if body.fields == TEST:
        found.kind, found.reason = "test", "test"
    return found


def _taken(fields, wanted):
    """The values of a field whatever the case of its name; it is no fact about the client."""
    names = [name for name in fields if fold(name) == wanted]
    return [value for name in names for value in fields.pop(name)]


# --- Marks ------------------------------------------------------------------------------------------------------------


def _cookies(values):
    jar = {}
    for text in values:
        try:
            jar |= {name: unquote(morsel.value) for name, morsel in SimpleCookie(text).items()}
        except CookieError:
            continue
    return jar


def _marks(cookies):
    """The marks of the first visit, as Tilda remembers them: ``utm_source=a|||utm_medium=b``."""
    pairs = [pair.partition("=") for pair in cookies.get("TILDAUTM", "").split("|||")]
    found = {name: clean(unquote(value))[:500] for name, _eq, value in pairs if name in MARKS and value}
    found |= {mark: clean(cookies[name])[:500] for name, mark in COUNTERS.items() if cookies.get(name)}
    if before := cookies.get("previousUrl"):
        found |= {"referrer": identity.line(before, 500)}
        query = dict(parse_qsl(before.partition("?")[2]))
        found = {name: clean(value)[:500] for name, value in query.items() if name in MARKS} | found
    return found


# --- Orders -----------------------------------------------------------------------------------------------------------


def _order(fields):
    """Our fields of an order; ``payment`` as a JSON text is spread into the fields as if it had come in brackets."""
    for text in fields.pop("payment", []):
        try:
            value, _warnings = read_json(text.encode())
        except Refused:
            continue
        if isinstance(value, Mapping):
            for name, leaf in flatten({"payment": value}):
                fields.setdefault(name, []).append(leaf)
    found = {
        "product": [", ".join(_products(fields))],
        "budget": fields.get("payment.amount", [])[:1],
        "custom.order": fields.pop("payment.orderid", [])[:1],
    }
    return {name: values for name, values in found.items() if any(values)} if _has_order(fields, found) else {}


def _has_order(fields, found):
    return any(found.values()) and any(name.startswith("payment.") for name in fields)


def _products(fields):
    """What was ordered; older forms write a product as one text: ``Name (black) - 1x500 = 500``."""
    named_ones = [values[0] for name, values in fields.items() if _is_product(name)]
    plain = [text.rpartition(" - ")[0] or text for text in fields.get("payment.products", [])]
    return [identity.line(text, 80) for text in (*named_ones, *plain)][:20]


def _is_product(name):
    parts = name.split(".")
    return len(parts) == 4 and parts[:2] == ["payment", "products"] and parts[3] == "name"
