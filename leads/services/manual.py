"""Leads that a colleague writes down: who has this client already, and the new card."""

from typing import NamedTuple

from django.db import transaction
from django.db.models import Q

from leads import search
from leads.models import Assignment, Identity, Lead, Status
from leads.services.intake import open_lead, pseudo_source
from leads.services.ownership import assign

SHOWN = 3  # duplicates shown while typing


class Known(NamedTuple):
    """A client who is known already. ``lead`` only where the colleague may open it; else ``owner`` alone is named."""

    lead: Lead | None
    owner: object
    is_open: bool
    by_name: bool = False  # the name alone is the same


def known(identities, *, by, name=""):
    """Who is known by these contacts, each person once; then, among the leads that ``by`` sees, who has this name."""
    wanted = Q()
    for sign in identities:
        wanted |= Q(kind=sign.kind, scope=sign.scope, value=sign.value)
    people = Identity.objects.filter(wanted).values_list("person", flat=True)[:20] if wanted else []
    latest = _latest(Lead.objects.filter(person__in=list(people)))
    seen = set(Lead.objects.visible_to(by).filter(pk__in=[lead.pk for lead in latest]).values_list("pk", flat=True))
    found = [Known(x if x.pk in seen else None, x.owner, x.status == Status.OPEN) for x in latest]
    return (found + [Known(x, x.owner, x.status == Status.OPEN, True) for x in _named(name, by, latest)])[:SHOWN]


def _latest(leads):
    """Of each person the open lead, else the last one."""
    best = {}
    for lead in leads.select_related("owner").order_by("-id")[:60]:
        held = best.get(lead.person_id)
        if held is None or (held.status != Status.OPEN and lead.status == Status.OPEN):
            best[lead.person_id] = lead
    return list(best.values())


def _named(name, by, besides):
    """Leads of the same full name; one word is no name to go by."""
    if len(name.split()) < 2:
        return []
    try:
        where = search.condition(name)
    except search.TooShort:
        return []
    people = {lead.person_id for lead in besides}
    return _latest(Lead.objects.visible_to(by).filter(where).exclude(person__in=people))[:SHOWN]


@transaction.atomic
def take_down(fields, identities, *, by, owner=None, origin=None):
    """Write the enquiry down; returns (lead, "lead" | "merged").

    A new card goes to ``owner`` (None: routing decides). Where the client's lead is open already, the enquiry goes to
    that card and its owner is told.
    """
    marks = {"utm_source": origin.name} if origin else {}
    lead, outcome = open_lead(fields=fields, identities=identities, source=pseudo_source("manual"), by=by, marks=marks)
    if owner and (outcome == "lead" or lead.owner_id is None):
        assign(lead, owner, how=Assignment.How.HAND, by=by)
    return lead, outcome
