"""The life of a deal: opened, moved, won or lost, reopened, repeated; each verb is one transaction."""

from decimal import Decimal

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _
from django_fsm import TransitionNotAllowed

from crm.core import funnel
from crm.core.funnel import GateRefused, entry_stage, missing_fields
from crm.core.models import Organisation, Reason
from deals.models import Deal, DealLine, DealStageMove, Status
from deals.services.cards import checked, edit
from deals.services.history import locked, sum_of, tell
from leads.models import Kind
from leads.models import Status as LeadStatus
from leads.services import cards as lead_cards
from leads.services import funnel as lead_funnel
from leads.services.tasks import close_open

TITLE = 200
CLOSING = ["status", "lost_reason", "closed_at", "version"]


def title_for(lead):
    """What a salesperson would call the deal: the product or the first words of the need, and for whom."""
    what = lead.product or next(iter(lead.need.strip().splitlines()), "")[:100].strip()
    whom = lead.company_name or str(lead)
    return (f"{what} — {whom}" if what else _("Deal with %(name)s") % {"name": whom})[:TITLE]


@transaction.atomic
def convert(lead, *, by=None, title=None, amount=None, expected_close=None, pipeline=None, facts=None):
    """Open the lead's deal and close the lead as converted; called again it returns the same deal.

    ``amount`` defaults to the lead's budget; ``facts``: fields of the lead to fill in first, as ``cards.edit`` takes
    them. Raises GateRefused (fields of the lead lack), TransitionNotAllowed (a rejected lead) or ValidationError.
    """
    lead = lead_funnel.locked(lead)
    deal = Deal.objects.filter(lead=lead).first()
    if deal and lead.status != LeadStatus.OPEN:
        return deal
    if facts:
        lead = lead_cards.edit(lead, facts, by=by)
    lead_funnel.convert(lead, by=by)
    if deal:  # reopened after an earlier conversion: its deal is still its deal
        return deal
    return open_deal(
        lead.person,
        by=by,
        lead=lead,
        title=title or title_for(lead),
        amount=lead.budget if amount is None else amount,
        expected_close=expected_close or lead.decision_date,
        owner=lead.owner,
        company=lead.company,
        pipeline=pipeline,
    )


@transaction.atomic
def open_deal(
    person,
    *,
    by=None,
    title,
    amount=None,
    currency=None,
    expected_close=None,
    owner=None,
    company=None,
    pipeline=None,
    lead=None,
    terms="",
):
    """A new deal of a person at the first stage of its pipeline; returns it.

    The owner is the given one, else whoever opens it. Raises ValidationError or GateRefused.
    """
    stage = entry_stage("deal", pipeline)
    if stage is None:
        raise ValidationError(_("There is no deal pipeline with stages yet; an administrator sets one up in Settings."))
    owner = owner or by
    deal = Deal(
        person=person,
        company=company or person.company,
        lead=lead,
        title=title.strip(),
        amount=amount,
        currency=currency or Organisation.get().currency,
        expected_close=expected_close,
        terms=terms,
        pipeline=stage.pipeline,
        stage=stage,
        owner=owner,
        team_id=owner.team_id if owner else lead.team_id if lead else None,
    )
    checked(deal, "title", "amount", "currency", "expected_close")
    if missing := missing_fields(deal, stage):
        raise GateRefused(stage, missing)
    deal.save(force_insert=True)
    funnel.enter(deal, by=by, amount=deal.amount)
    tell(deal, Kind.CONVERTED if lead else Kind.DEAL_OPENED, by=by, **sum_of(deal))
    return deal


@transaction.atomic
def repeat(deal, *, by=None, owner=None):
    """A new deal like a won one for the same person: its lines at today's prices; nothing of its lead or its dates."""
    lines = [_today(line) for line in deal.lines.select_related("product").order_by("id")]
    new = open_deal(
        deal.person,
        by=by,
        title=deal.title,
        amount=sum((line.total for line in lines), Decimal(0)) if lines else deal.amount,
        currency=deal.currency,
        owner=owner or deal.owner,
        company=deal.company,
        pipeline=deal.pipeline if deal.pipeline.is_active else None,
        terms=deal.terms,
    )
    for line in lines:
        line.deal = new
    DealLine.objects.bulk_create(lines)
    return new


def _today(line):
    """The line anew, unsaved, at its product's price of today."""
    price = line.product.price if line.product and line.product.is_active else line.price
    return DealLine(product=line.product, title=line.title, quantity=line.quantity, price=price, discount=line.discount)


@transaction.atomic
def move_stage(deal, to, *, by=None, version=None):
    """Move to another stage; returns the deal as saved.

    Raises TransitionNotAllowed, PermissionDenied, GateRefused (fields lack) or StaleCard; then nothing is changed.
    """
    deal = locked(deal, version=version)
    _must_be_open(deal)
    if deal.stage_id == to.pk:
        return deal
    source = deal.stage
    move = funnel.advance(deal, to, by=by, amount=deal.amount)
    tell(deal, Kind.DEAL_MOVED, by=by, move=move.kind, **{"from": source.name, "to": to.name})
    return deal


@transaction.atomic
def win(deal, *, by=None, amount=None, changes=None, version=None):
    """Close as won; ``amount`` and ``changes`` (as ``edit`` takes them) are filled in first, both or neither.

    Raises as ``move_stage``, and ValidationError. The stages that the deal has not reached are asked as well.
    """
    deal = locked(deal, version=version)
    _must_be_open(deal)
    changes = (changes or {}) | ({} if amount is None else {"amount": amount})
    if changes:
        deal = edit(deal, changes, by=by)
    funnel.check_way_out(deal)
    deal.win()
    _close(deal, DealStageMove.Kind.WON, by=by)
    close_open(deal=deal.pk, by=by, because="won")
    tell(deal, Kind.DEAL_WON, by=by, **sum_of(deal))
    return deal


@transaction.atomic
def lose(deal, reason, *, by=None, note="", version=None):
    """Close as lost with a reason of the dictionary; raises ValidationError without one."""
    if not isinstance(reason, Reason) or reason.kind != "deal":
        raise ValidationError(_("Choose why the deal is lost."))
    deal = locked(deal, version=version)
    _must_be_open(deal)
    deal.lose(reason)
    _close(deal, DealStageMove.Kind.LOST, by=by, reason=reason, note=note)
    close_open(deal=deal.pk, by=by, because="lost")
    tell(deal, Kind.DEAL_LOST, by=by, text=note, reason=reason.name, **sum_of(deal))
    return deal


@transaction.atomic
def reopen(deal, *, by=None):
    """Back to work at the stage where it was closed; the reason stays in the moves and in the timeline."""
    deal = locked(deal)
    if deal.status == Status.OPEN:
        return deal
    since = deal.closed_at
    deal.reopen()
    funnel.resume(deal, by=by, since=since, amount=deal.amount)
    deal.save(update_fields=["status", "lost_reason", "closed_at", "stage_entered_at", "version"])
    tell(deal, Kind.DEAL_REOPENED, by=by)
    return deal


def _must_be_open(deal):
    if deal.status != Status.OPEN:
        raise TransitionNotAllowed(_("A closed deal does not move; reopen it first."))


def _close(deal, kind, *, by, **extra):
    funnel.close(deal, kind, by=by, amount=deal.amount, **extra)
    deal.save(update_fields=CLOSING)
