"""Who may be the same human being: suggested, never merged by itself.

A phone that differs in one digit, or a like name at the same company. What a colleague has said to be two stays two.
"""

from dataclasses import dataclass
from difflib import SequenceMatcher

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from crm.core.templatetags.ui import phone
from leads.conditions import fold
from leads.models import Identity, Lead, NotSame, Person

AT_MOST = 5
COLLEAGUES = 300  # of one company that are looked through
ALIKE = 0.82  # of two words of a name: a letter or two off


@dataclass(frozen=True)
class Twin:
    person: Person
    why: str


def of(person, user):
    """At most AT_MOST Twins that the user may see, the likeliest first."""
    why = _by_phone(person) | _by_name(person)
    for pk in _parted(person):
        why.pop(pk, None)
    if not why:
        return []
    seen = Person.objects.visible_to(user).filter(pk__in=why, merged_into=None).select_related("company", "owner")
    return sorted((Twin(row, why[row.pk]) for row in seen), key=lambda twin: list(why).index(twin.person.pk))[:AT_MOST]


def surviving(said):
    """What a search looks for: cards that stayed, also by what those said that went into them."""
    gone = list(Lead.objects.filter(said, merged_into__isnull=False).values_list("merged_into", flat=True)[:100])
    return (said | Q(pk__in=gone) if gone else said) & Q(merged_into=None)


def slips(number):
    """Numbers that differ from this one in a digit, or in the order of two neighbours; the country code stands."""
    start = 2
    digits = list(number)
    found = {
        number[:place] + digit + number[place + 1 :]
        for place in range(start, len(number))
        for digit in "0123456789"
        if digit != digits[place]
    }
    for place in range(start, len(number) - 1):
        found.add(number[:place] + number[place + 1] + number[place] + number[place + 2 :])
    return found - {number}


def _by_phone(person):
    own = list(person.identities.filter(kind="phone", is_shared=False).values_list("value", flat=True)[:10])
    near = {slip for number in own for slip in slips(number)} - set(own)
    rows = Identity.objects.filter(kind="phone", scope="", value__in=near).exclude(person=person) if near else []
    return {row.person_id: _("the phone differs in one digit: %s") % phone(row.value) for row in rows}


def _by_name(person):
    if not (person.name and person.company_id):
        return {}
    rows = Person.objects.filter(company=person.company_id, merged_into=None).exclude(pk=person.pk).exclude(name="")
    return {
        pk: _("a like name at the same company")
        for pk, name in rows.order_by("-pk").values_list("pk", "name")[:COLLEAGUES]
        if alike(person.name, name)
    }


def alike(one, two):
    """Whether two names may be one: the words in any order, each a letter off at most, an initial for a name."""
    first, second = sorted((fold(name).replace(".", " ").split() for name in (one, two)), key=len)
    if len(second) > len(first) + 1 or not first:
        return False
    for word in first:
        best = max(second, key=lambda other: _likeness(word, other), default="")
        if _likeness(word, best) < ALIKE:
            return False
        second.remove(best)
    return True


def _likeness(one, two):
    if min(len(one), len(two)) == 1:
        return float(one[:1] == two[:1])
    return SequenceMatcher(None, one, two).ratio()


def _parted(person):
    pairs = NotSame.objects.filter(Q(person=person) | Q(other=person)).values_list("person", "other")
    return {key for pair in pairs for key in pair} - {person.pk}


@transaction.atomic
def part(person, other, *, by):
    """Say that these are two: they are not suggested to each other again."""
    small, large = sorted((person.pk, other.pk))
    if small != large:
        NotSame.objects.get_or_create(person_id=small, other_id=large, defaults={"by": by})
