"""The questions of a hosted form, as its source's settings state them. Pure.

``settings["form"]`` is a list of ``{"label", "type", "field", "required", "options"}`` in order; without it a form asks
for name, phone, e-mail and a message, with what the older settings ``fields`` and ``hide`` add and take away.
"""

import re
from dataclasses import dataclass, field

from django.utils.translation import gettext_lazy as _

from leads import identity

TYPES = {
    "text": _("a line"),
    "textarea": _("several lines"),
    "phone": _("a phone"),
    "email": _("an email"),
    "number": _("a number"),
    "date": _("a date"),
    "choice": _("one of several"),
    "choices": _("some of several"),
    "checkbox": _("a tick"),
}
# What an answer is on the card; "" is a field of the form's own, kept under its question.
FIELDS = {
    "": _("own question"),
    "name": _("Your name"),
    "phone": _("Phone"),
    "email": _("Email"),
    "message": _("Message"),
    "company": _("Company"),
    "job_title": _("Job title"),
    "city": _("City"),
    "product": _("What are you interested in?"),
    "budget": _("Budget"),
    "telegram": _("Telegram"),
    "ref": _("Referral code"),
}
AUTOCOMPLETE = {"name": "name", "phone": "tel", "email": "email", "company": "organization", "city": "address-level2"}
FIRST = ("name", "phone", "email", "message")
SUBSCRIBING = ("name", "email")  # a letter needs an address and no more
MAX_ITEMS, MAX_OPTIONS = 40, 60


@dataclass(frozen=True)
class Item:
    name: str  # of the field as it is posted
    label: str
    type: str = "text"
    required: bool = False
    options: list[str] = field(default_factory=list)

    @property
    def autocomplete(self):
        return AUTOCOMPLETE.get(self.name, "")

    @property
    def input_type(self):
        return {"phone": "tel", "email": "email", "number": "number", "date": "date"}.get(self.type, "text")


def plain_name(label):
    """A question as the name of its field: without the signs that mean nesting."""
    return identity.line(re.sub(r"[\[\].]", " ", label), 60)


def _item(stated):
    ours = stated.get("field") if stated.get("field") in FIELDS else ""
    label = identity.line(stated.get("label"), 200) or str(FIELDS.get(ours) or "")
    kind = {"phone": "phone", "email": "email", "message": "textarea"}.get(ours) or stated.get("type")
    options = stated.get("options") if isinstance(stated.get("options"), list) else []
    return Item(
        name=ours or plain_name(label), label=label, type=kind if kind in TYPES else "text",
        required=bool(stated.get("required")),
        options=[identity.line(option, 200) for option in options if identity.line(option, 200)][:MAX_OPTIONS],
    )  # fmt: skip


def items_of(source):
    """The questions of a source's form, in order; a name stands once."""
    stated = source.settings.get("form")
    if not isinstance(stated, list) or not stated:
        stated = _without_builder(source)
    found = {}
    for row in stated[:MAX_ITEMS]:
        if isinstance(row, dict) and (item := _item(row)).name:
            found.setdefault(item.name, item)
    return list(found.values())


def _without_builder(source):
    first, needed = (SUBSCRIBING, "email") if source.adapter == "newsletter" else (FIRST, "phone")
    more, hidden = source.settings.get("fields") or [], source.settings.get("hide") or []
    names = [
        *(n for n in first if n == needed or n not in hidden),
        *(n for n in more if n in FIELDS and n not in first),
    ]
    return [{"field": name, "required": name == needed == "email"} for name in names]
