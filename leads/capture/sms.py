"""What the adapters of SMS share: who is greeted, who has written, words that stop it all. Pure."""

from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from leads.capture.base import Setting
from leads.capture.talk import Allowed, Chat, Said
from leads.identity import Known, phone

NO_EMAIL, FIRST, NOBODY = "no_email", "first", "off"
WELCOME = Setting(
    _("Welcome by SMS"),
    _("One welcome per enquiry: an SMS or an email, never both. By itself it goes to phones of our own country only."),
    kind="choice", default=NO_EMAIL,
    choices=((NO_EMAIL, _("those who leave no email")), (FIRST, _("everybody with a mobile phone")),
             (NOBODY, pgettext_lazy("whom an SMS welcomes", "nobody"))),
)  # fmt: skip
PER_DAY = 200  # by itself and by people together
CEILING = Setting(
    _("SMS a day at most"), kind="number", default=PER_DAY,
    help=_("SMS are paid for: beyond so many nothing goes out until midnight, and administrators are told. "
           "New enquiries are then welcomed by email where there is one."),
)  # fmt: skip
# What a person answers to get no more SMS, or to get them again: a word alone.
STOP = {"stop", "стоп", "отписка", "отписаться", "отказ", "unsubscribe", "cancel", "end", "quit", "stopall"}
START = {"start", "старт", "unstop"}


def chat(number, region="RU"):
    """The Chat of a phone; None for short numbers and names, which nobody can answer to."""
    found = phone(number, region)
    return Chat("sms", found.e164.lstrip("+"), identities=(Known("phone", found.e164, raw=number),)) if found else None


def heard(number, text, name, *, at=None, files=(), region="RU"):
    """The events of one incoming SMS; ``name``: the provider's id of it."""
    who = chat(number, region)
    if who is None or not (text or files):
        return []
    word = text.strip(" .!\"'«»").casefold()
    said = Said(who, name, text, at=at, files=files, weak=word in STOP | START)
    return [said, Allowed(who, word in START, at)] if said.weak else [said]
