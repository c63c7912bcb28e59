"""Deals that a list says were won: by sets, marked as imported; nothing is sent and no automation is set going."""

from django.utils.translation import gettext as _

from crm.core.funnel import entry_stage
from crm.core.models import Organisation
from deals.models import Deal, DealStageMove
from deals.services.funnel import title_for
from leads.models import Interaction, Kind, Lead
from leads.services.timeline import record_many


def book_won(wins, *, by=None):
    """Open and win a deal for each ``(lead key, closed_at, amount or None)``; the leads are converted already.

    Raises LookupError where there is no deal pipeline.
    """
    if not wins:
        return []
    stage = entry_stage("deal")
    if stage is None:
        raise LookupError(_("There is no deal pipeline with stages yet; an administrator sets one up in Settings."))
    leads = Lead.objects.in_bulk([win.lead for win in wins])
    currency = Organisation.get().currency
    deals = Deal.objects.bulk_create(
        [_deal(leads[win.lead], win, stage, currency) for win in wins], batch_size=2000
    )
    DealStageMove.objects.bulk_create([move for deal in deals for move in _moves(deal, by)], batch_size=2000)
    record_many(
        Interaction(
            person_id=deal.person_id, lead_id=deal.lead_id, deal_ref=deal.pk, kind=Kind.IMPORTED, at=deal.closed_at, by=by,
            details={"outcome": "won", "title": deal.title},
        )
        for deal in deals
    )  # fmt: skip
    return deals


def _deal(lead, win, stage, currency):
    return Deal(
        person_id=lead.person_id, company_id=lead.company_id, lead=lead, title=title_for(lead), amount=win.amount,
        currency=currency, pipeline_id=stage.pipeline_id, stage_id=stage.pk, status="won", created_at=lead.created_at,
        stage_entered_at=lead.created_at, active_at=win.closed_at, closed_at=win.closed_at, version=1, is_imported=True,
    )  # fmt: skip


def _moves(deal, by):
    common = {"deal": deal, "to_stage_id": deal.stage_id, "by": by, "amount": deal.amount, "imported": True}
    yield DealStageMove(kind="entered", at=deal.created_at, **common)
    seconds = max(0, int((deal.closed_at - deal.created_at).total_seconds()))
    yield DealStageMove(kind="won", from_stage_id=deal.stage_id, at=deal.closed_at, seconds=seconds, **common)
