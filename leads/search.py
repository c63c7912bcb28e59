"""What a person types into the search box, as conditions that the trigram and phone indexes serve."""

import re

from django.db.models import Q
from django.utils.translation import gettext_lazy as _

LONGEST = 100  # characters looked at
WORDS = 8
TOO_SHORT = _("Type at least 3 letters or 4 digits.")


class TooShort(ValueError):
    """A trigram index has nothing to say to one or two characters."""


def fold(text):
    """As the search column is written: lower case, ё = е."""
    return text.lower().replace("ё", "е")


def tidy(raw):
    return " ".join((raw or "")[:LONGEST].replace("\x00", " ").split())


def digits_of(text):
    """The digits where the text can only be a phone or its end, "" otherwise; 8 and 7 of a full number fall away."""
    if re.search(r"[^\d\s()+.\-–—/]", text):
        return ""
    digits = re.sub(r"\D", "", text)
    return digits[1:] if len(digits) == 11 and digits[0] in "78" else digits


def condition(raw):
    """The Q of a search text; raises TooShort."""
    text = tidy(raw)
    digits = digits_of(text)
    if digits and len(digits) < 4:
        raise TooShort
    if len(digits) == 4:
        return Q(phone_tail=digits)
    if len(digits) > 4:
        return Q(search__contains=digits)
    words = fold(text).split()[:WORDS]
    if not any(len(word) >= 3 for word in words):
        raise TooShort
    where = Q()
    for word in words:
        where &= Q(search__contains=word)
    return where


def hint(raw):
    """What to say of a search text that nothing can be found by yet; "" otherwise."""
    try:
        if tidy(raw):
            condition(raw)
    except TooShort:
        return TOO_SHORT
    return ""


def identities(raw):
    """Signs under which a person may be known besides the lead's own copy: a second phone, another address."""
    text = tidy(raw)
    digits = digits_of(text)
    if len(digits) >= 10:
        return Q(kind="phone", value__in=[f"+{digits}", f"+7{digits}"])
    if re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", text):
        return Q(kind="email", value=text.lower())
    return None
