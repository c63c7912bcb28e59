"""Conditions that administrators write over a lead's fields; one language for scoring, routing, sequences, segments.

A condition is a list of tests that must all hold: ``[{"field": "city", "op": "in", "value": ["Казань"]}]``; the empty
list holds for every lead. Pure: works on a dict of facts, knows no database.
"""

import functools
import json
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from operator import attrgetter

from django.core.exceptions import ValidationError
from django.utils.formats import number_format
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from leads.models import Band, Qualification
from leads.models.intake import Channel
from leads.story import CALL_RESULTS

NUMBERS = {"budget", "company_size", "score", "fit", "engagement", "qualification", "enquiries"}
FIELDS = {
    "name": gettext_lazy("name"),
    "email": gettext_lazy("email"),
    "phone": gettext_lazy("phone"),
    "company_name": gettext_lazy("company"),
    "job_title": gettext_lazy("job title"),
    "city": gettext_lazy("city"),
    "region": gettext_lazy("region"),
    "country": gettext_lazy("country"),
    "language": gettext_lazy("language"),
    "industry": gettext_lazy("industry"),
    "company_size": gettext_lazy("employees"),
    "product": gettext_lazy("product"),
    "need": gettext_lazy("need"),
    "budget": gettext_lazy("budget"),
    "authority": gettext_lazy("who decides"),
    "decision_date": gettext_lazy("decision date"),
    "tags": gettext_lazy("tags"),
    "source": gettext_lazy("capture source"),
    "origin": gettext_lazy("lead source"),
    "channel": gettext_lazy("channel"),
    "campaign": gettext_lazy("campaign"),
    "stage": gettext_lazy("stage"),
    "band": gettext_lazy("readiness"),
    "score": gettext_lazy("score"),
    "fit": gettext_lazy("fit"),
    "engagement": gettext_lazy("engagement"),
    "qualification": gettext_lazy("qualification"),
    "enquiries": gettext_lazy("enquiries so far"),
}
# Of the interaction that an engagement rule looks at; not of the lead.
EVENT_FIELDS = {
    "url": gettext_lazy("page address"),
    "result": gettext_lazy("call result"),
    "text": gettext_lazy("text"),
}
OPS = {
    "eq": gettext_lazy("is"),
    "ne": gettext_lazy("is not"),
    "in": gettext_lazy("is one of"),
    "not_in": gettext_lazy("is none of"),
    "contains": gettext_lazy("contains"),
    "gte": gettext_lazy("at least"),
    "lte": gettext_lazy("at most"),
    "filled": gettext_lazy("is filled in"),
    "empty": gettext_lazy("is empty"),
}
# A test in a sentence, where its comparison is no verb that suits every field.
SENTENCES = {
    "eq": gettext_lazy("%(field)s: %(value)s"),
    "ne": gettext_lazy("%(field)s: not %(value)s"),
    "in": gettext_lazy("%(field)s: %(value)s"),
    "not_in": gettext_lazy("%(field)s: any but %(value)s"),
    "filled": gettext_lazy("%(field)s: filled in"),
    "empty": gettext_lazy("%(field)s: empty"),
}
# Fields whose values are known: what is stored → what people read and write.
VALUES = {
    "band": dict(Band.choices),
    "channel": dict(Channel.choices),
    "qualification": {str(value): label for value, label in Qualification.choices},
    "result": CALL_RESULTS,
}

# Facts that follow from the points; a scoring rule that looked at them would chase its own tail.
OF_SCORE = {"band", "score", "fit", "engagement", "qualification"}
LONGEST = 200  # characters of a value that a reason quotes
CUSTOM = "custom."  # a field of the lead's own: "custom.contract_no"


@dataclass(frozen=True)
class Outcome:
    holds: bool
    condition: list
    failed: dict | None = None  # the first test that did not hold
    have: object = None  # what the lead has in its field

    @property
    def why(self):
        """The first test that failed, or all that held, in words of the active language."""
        return all_in_words(self.condition) if self.holds else failure_in_words(self.failed, self.have)

    @property
    def stored(self):
        """The same as it is kept; ``reworded`` says it in the language of whoever reads."""
        have = self.have[:LONGEST] if isinstance(self.have, str) else self.have
        found = self.condition if self.holds else {"test": self.failed, "have": have}
        return json.dumps(found, ensure_ascii=False, separators=(",", ":"), default=str)


def fold(value):
    """Case, ё and surrounding space do not tell values apart."""
    return _folded(str(value))


@functools.lru_cache(10_000)  # the words of rules, cities and sources come again with every lead
def _folded(text):
    return text.strip().casefold().replace("ё", "е")


def said(field, value):
    """A stored value as people read it."""
    return str(VALUES.get(field, {}).get(str(value), value))


def meant(field, word):
    """What is stored for a word that somebody wrote: the value of that name, else the word itself."""
    for value, label in VALUES.get(field, {}).items():
        if fold(word) in (fold(label), fold(value)):
            return value
    return word


def _number(value):
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _words(value):
    if value is None or value == "":
        return []
    return [fold(v) for v in value] if isinstance(value, list | tuple | set) else [fold(value)]


def _compare(op, have, want):
    left, right = _number(have), _number(want)
    if left is None or right is None:
        return False
    return left >= right if op == "gte" else left <= right


def holds(test, facts):
    """Whether one test holds for the facts."""
    op, have, want = test["op"], facts.get(test["field"]), test.get("value")
    words, wanted = _words(have), _words(want)
    if test["field"] in NUMBERS:  # 100000.00 is 100000
        words, wanted = [_number(w) for w in words], [_number(w) for w in wanted]
    if op in {"filled", "empty"}:
        return bool(words) == (op == "filled")
    if op in {"gte", "lte"}:
        return _compare(op, have, want)
    if op == "contains":
        return any(str(w) in str(word) for w in wanted for word in words)
    same = bool(set(words) & set(wanted))
    return not same if op in {"ne", "not_in"} else same


def in_words(test):
    field, value = test["field"], test.get("value")
    return _in_words(get_language(), field, test["op"], "" if value is None else _shown(field, value))


def _shown(field, value):
    several = isinstance(value, list | tuple | set)
    return ", ".join(_read(field, one) for one in value) if several else _read(field, value)


def _read(field, value):
    """As ``said``, thousands of a number apart: in a sentence, not in a box."""
    word = said(field, value)
    number = _number(value) if field in NUMBERS and word == str(value) else None
    if number is None:
        return word
    return number_format(number, 0 if number == number.to_integral_value() else None, force_grouping=True)


@functools.lru_cache(2000)
def _in_words(_language, field, op, shown):
    label = FIELDS.get(field) or EVENT_FIELDS.get(field) or field.removeprefix(CUSTOM)
    if op in SENTENCES:
        return SENTENCES[op] % {"field": label, "value": shown}
    return f"{label} {OPS[op]} {shown}".strip()


def all_in_words(condition):
    """What a condition asks for, in the active language."""
    return "; ".join(in_words(test) for test in condition) or _("holds for every lead")


def failure_in_words(test, have):
    """Which test failed and what the lead has instead, in the active language."""
    shown = "—" if have in (None, "", [], (), set()) else _shown(test["field"], have)
    return _("%(test)s — here: %(have)s") % {"test": in_words(test), "have": shown}


def reworded(stored):
    """A reason as ``Outcome.stored`` keeps it, in the active language; what was kept as words stays as it is."""
    if not stored.startswith(("[", "{")):
        return stored
    found = json.loads(stored)
    return all_in_words(found) if isinstance(found, list) else failure_in_words(found["test"], found["have"])


def check(condition, facts):
    """The outcome of a condition with the reason in words, in the active language."""
    for test in condition:
        if not holds(test, facts):
            return Outcome(False, condition, test, facts.get(test["field"]))
    return Outcome(True, condition)


class Remembered:
    """``check`` for many leads in one go: what was answered once for the same values is not worked out again."""

    def __init__(self):
        self.outcomes = {}

    def check(self, condition, facts):
        asked = asked_of([condition], facts)
        if asked is None:
            return check(condition, facts)
        key = (id(condition), asked)
        known = self.outcomes.get(key)
        if known is None:
            known = self.outcomes[key] = check(condition, facts)
        return known


def asked_of(conditions, facts):
    """The values on which the outcomes depend, as a key; None where one of them is a list or an object."""
    found = []
    for condition in conditions:
        for test in condition:
            have = facts.get(test["field"])
            if test["op"] == "filled":
                have = have not in (None, "", [], (), set())
            elif isinstance(have, list | dict | set):
                return None
            found.append(have)
    return tuple(found)


def uses(conditions, field):
    """Whether any of the conditions asks for the field: what costs a query is fetched only then."""
    return any(test.get("field") == field for condition in conditions for test in condition)


def validate(condition, *, event=False, without=frozenset()):
    """Raise ValidationError in the user's language where the condition cannot be evaluated.

    ``event``: fields of the interaction may be asked for as well; ``without``: fields that may not.
    """
    if not isinstance(condition, list) or len(condition) > 20:
        raise ValidationError(_("A condition is a list of at most 20 tests."))
    fields = (FIELDS.keys() | (EVENT_FIELDS.keys() if event else set())) - without
    for test in condition:
        _validate_test(test, fields)


def _validate_test(test, fields):
    field = test.get("field") if isinstance(test, dict) else None
    if not isinstance(field, str) or not (field in fields or field.startswith(CUSTOM)):
        raise ValidationError(_("Unknown field in the condition: %s") % (field or test,))
    op, value = test.get("op"), test.get("value")
    if not isinstance(op, str) or op not in OPS:
        raise ValidationError(_("Unknown comparison: %s") % op)
    if isinstance(value, dict) or (isinstance(value, list) and any(isinstance(v, dict | list) for v in value)):
        raise ValidationError(_("“%s” is no value to compare with.") % value)
    if op in {"gte", "lte"} and _number(value) is None:
        raise ValidationError(_("“%s” needs a number.") % in_words(test))
    if op not in {"filled", "empty"} and not any(_words(value)):
        raise ValidationError(_("“%s” needs a value.") % in_words(test))
    if op in {"eq", "ne", "in", "not_in"} and field in VALUES:
        _validate_words(field, value if isinstance(value, list) else [value])


def _validate_words(field, values):
    known = VALUES[field]
    for value in values:
        if str(value) not in known:
            names = {"value": value, "names": ", ".join(map(str, known.values()))}
            raise ValidationError(_("There is no “%(value)s” here; there are: %(names)s.") % names)


PLAIN = (
    "name", "email", "phone", "company_name", "job_title", "city", "region", "country", "language", "industry",
    "company_size", "product", "need", "budget", "authority", "decision_date", "tags", "band", "score", "fit",
    "engagement", "qualification",
)  # fmt: skip
plain_of = attrgetter(*PLAIN)


def facts_of(lead, *, enquiries=None):
    """The lead's facts; expects source, first_origin and stage to be loaded (select_related)."""
    return dict(zip(PLAIN, plain_of(lead), strict=True)) | {
        "source": lead.source.key if lead.source else "",
        "channel": lead.source.channel if lead.source else "",
        "origin": lead.first_origin.name if lead.first_origin else "",
        "campaign": lead.last_campaign,
        "stage": lead.stage.name,
        "enquiries": enquiries,
        **{f"{CUSTOM}{key}": value for key, value in lead.custom.items()},
    }
