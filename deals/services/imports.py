"""Deals that a list says were won: by sets, marked as imported; nothing is sent and no automation is set going."""

from django.db import DEFAULT_DB_ALIAS
from django.utils.translation import gettext as _

from crm.core.copying import blank, copy_in, keys
from crm.core.funnel import entry_stage
from crm.core.models import Organisation
from deals.models import Deal, DealLine, DealStageMove, Status
from deals.services.funnel import title_for
from leads.models import Kind, Lead
from leads.services.timeline import record_quietly

TITLED = ("name", "phone", "email", "product", "need", "company_name", "person_id", "company_id", "created_at")


def book_won(wins, *, by=None):
    """Open and win a deal for each ``(lead key, closed_at, amount or None)``; the leads are converted already.

    Returns their keys. Raises LookupError where there is no deal pipeline.
    """
    if not wins:
        return []
    stage = entry_stage("deal")
    if stage is None:
        raise LookupError(_("There is no deal pipeline with stages yet; an administrator sets one up in Settings."))
    leads = {lead.pk: lead for lead in Lead.objects.filter(pk__in=[win.lead for win in wins]).only(*TITLED)}
    currency, base, move = Organisation.get().currency, blank(Deal), blank(DealStageMove)
    deals = [
        base | {"id": pk} | _deal(leads[win.lead], win, stage, currency)
        for win, pk in zip(wins, keys(Deal, len(wins)), strict=True)
    ]
    copy_in(Deal, deals)
    copy_in(DealStageMove, [move | row for deal in deals for row in _moves(deal, by)])
    record_quietly([_event(deal, by) for deal in deals])
    return [deal["id"] for deal in deals]


def _deal(lead, win, stage, currency):
    return {
        "person_id": lead.person_id, "company_id": lead.company_id, "lead_id": lead.pk, "title": title_for(lead),
        "amount": win.amount, "currency": currency, "pipeline_id": stage.pipeline_id, "stage_id": stage.pk,
        "status": Status.WON.value, "created_at": lead.created_at, "stage_entered_at": lead.created_at,
        "active_at": win.closed_at, "closed_at": win.closed_at, "version": 1, "is_imported": True,
    }  # fmt: skip


def _moves(deal, by):
    """Entered and won at the first stage: of what lay between, the list says nothing."""
    common = {
        "deal_id": deal["id"], "to_stage_id": deal["stage_id"], "by_id": by.pk if by else None,
        "amount": deal["amount"], "imported": True,
    }  # fmt: skip
    yield common | {"kind": "entered", "at": deal["created_at"], "from_stage_id": None, "seconds": 0}
    seconds = max(0, int((deal["closed_at"] - deal["created_at"]).total_seconds()))
    yield common | {"kind": "won", "at": deal["closed_at"], "from_stage_id": deal["stage_id"], "seconds": seconds}


def _event(deal, by):
    return {
        "person_id": deal["person_id"], "lead_id": deal["lead_id"], "deal_ref": deal["id"],
        "by_id": by.pk if by else None, "kind": Kind.IMPORTED.value, "at": deal["closed_at"],
        "details": {"outcome": "won", "title": deal["title"]},
    }  # fmt: skip


def worked_on(leads):
    """Those of the leads on whose imported deals somebody has worked since: their keys."""
    deals = Deal.objects.filter(lead__among=leads)
    touched = deals.exclude(is_imported=True, version=1)
    moved = DealStageMove.objects.filter(deal__in=deals, imported=False)
    lines = DealLine.objects.filter(deal__in=deals)
    return {
        *touched.values_list("lead", flat=True),
        *moved.values_list("deal__lead", flat=True),
        *lines.values_list("deal__lead", flat=True),
    }


def remove_won(leads):
    """Delete the deals that ``book_won`` made for these leads; nobody has worked on them."""
    DealStageMove.objects.filter(deal__lead__among=leads)._raw_delete(using=DEFAULT_DB_ALIAS)
    Deal.objects.filter(lead__among=leads)._raw_delete(using=DEFAULT_DB_ALIAS)
