"""A deal's row under lock and its line in the timeline; every other deal service stands on these two."""

from django.db.models.functions import Now

from crm.core import funnel
from deals.models import Deal
from leads.models import Lead
from leads.services.timeline import record


def locked(deal, *, version=None):
    """The deal's row, locked for this transaction, its lead's row before it (the order in which all code locks).

    Raises StaleCard when the deal has moved since ``version``.
    """
    lead = Lead.objects.select_for_update(no_key=True).get(pk=deal.lead_id) if deal.lead_id else None
    fresh = funnel.locked(deal, version=version)
    if lead:
        fresh.lead = lead
    return fresh


def tell(deal, kind, *, by, text="", **details):
    """Record what happened to a deal where its person's history is read, and lift the deal in the lists."""
    row = record(deal.lead or deal.person, kind, by=by, text=text, deal=deal.pk, title=deal.title, **details)
    Deal.objects.filter(pk=deal.pk).update(active_at=Now())
    return row


def sum_of(deal):
    """The deal's money as a timeline row keeps it."""
    return {"amount": None if deal.amount is None else str(deal.amount), "currency": deal.currency}
