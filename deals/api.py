"""Deals over the API: the same visibility, services and gates as the pages."""

from datetime import date, datetime
from decimal import Decimal

from django.core.exceptions import ValidationError
from django.db import transaction
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from ninja import Field, Query, Router, Schema, Status
from pydantic import ConfigDict

from crm.core.api import PAGE_MAX, forbid_unknown, known, page
from crm.core.models import Reason, Stage, User
from deals.models import Deal
from deals.services import cards, funnel
from deals.services.history import locked
from leads.models import Lead, Person

router = Router(tags=["deals"])


class DealFields(Schema):
    model_config = ConfigDict(extra="forbid")
    title: str | None = Field(None, min_length=1, max_length=200)
    amount: Decimal | None = Field(None, ge=0, max_digits=14, decimal_places=2)
    expected_close: date | None = None


class DealIn(DealFields):
    lead: int | None = Field(None, description="Key of the lead to convert; said twice answers the same deal")
    person: int | None = Field(None, description="Key of the person, for a deal without a lead")


class DealChange(DealFields):
    stage: int | None = None
    owner: int | None = None
    won: bool = Field(False, description="Close as won")
    lost: int | None = Field(None, description="Key of the reason: closes the deal as lost")
    version: int | None = None


class DealOut(Schema):
    id: int
    title: str
    amount: Decimal | None
    currency: str
    expected_close: date | None
    person: str
    person_id: int
    lead_id: int | None
    stage: str
    stage_id: int
    status: str
    owner: str | None
    owner_id: int | None
    version: int
    created_at: datetime
    closed_at: datetime | None


class DealPage(Schema):
    items: list[DealOut]
    next: int | None


class DealFilter(Schema):
    status: str | None = Field(None, pattern="^(open|won|lost)$")
    stage: int | None = None
    owner: int | None = None
    person: int | None = None
    lead: int | None = None
    after: int | None = Field(None, ge=1)
    limit: int = Field(50, ge=1, le=PAGE_MAX)


def show(deal):
    plain = ("title", "amount", "currency", "expected_close", "person_id", "lead_id", "stage_id", "status", "owner_id",
             "version", "created_at", "closed_at")  # fmt: skip
    return {name: getattr(deal, name) for name in plain} | {
        "id": deal.pk,
        "person": str(deal.person),
        "stage": deal.stage.name,
        "owner": str(deal.owner) if deal.owner else None,
    }


def _rows(user):
    return Deal.objects.visible_to(user).select_related("person", "stage", "owner")


@router.get("", response=DealPage)
def list_deals(request, wanted: Query[DealFilter]):
    """Deals that the key's user sees, newest first."""
    forbid_unknown(request, DealFilter.model_fields)
    given = wanted.model_dump(exclude={"after", "limit"}, exclude_none=True)
    return page(_rows(request.user).filter(**given), after=wanted.after, limit=wanted.limit, show=show)


@router.get("/{int:pk}", response=DealOut)
def read_deal(request, pk: int):
    return show(get_object_or_404(_rows(request.user), pk=pk))


@router.post("", response={201: DealOut})
def create_deal(request, given: DealIn):
    """Convert a lead, or open a deal for a person."""
    fields = {"title": given.title, "amount": given.amount, "expected_close": given.expected_close}
    if given.lead is not None:
        lead = get_object_or_404(Lead.objects.editable_by(request.user), pk=given.lead)
        deal = funnel.convert(lead, by=request.user, **fields)
    elif given.person is not None and request.user.can_edit_leads:
        person = get_object_or_404(Person.objects.visible_to(request.user), pk=given.person)
        deal = funnel.open_deal(person, by=request.user, **fields)
    else:
        raise ValidationError({"lead": _("Name the lead or the person that the deal is for.")})
    return Status(201, show(_rows(request.user).filter(pk=deal.pk).first() or deal))


@router.patch("/{int:pk}", response=DealOut)
def update_deal(request, pk: int, change: DealChange):
    """Fields, owner, stage or outcome; all or nothing, by the services that the pages use."""
    deal = get_object_or_404(Deal.objects.editable_by(request.user), pk=pk)
    _apply(deal, change.model_dump(exclude_unset=True), by=request.user)
    return show(_rows(request.user).filter(pk=pk).first() or deal)


@transaction.atomic
def _apply(deal, given, *, by):
    deal = locked(deal, version=given.pop("version", None))
    moves = {name: given.pop(name) for name in ("owner", "stage", "lost", "won") if name in given}
    if given:
        deal = cards.edit(deal, given, by=by) or deal
    if "owner" in moves:
        cards.change_owner(deal, known(User.objects.sellers(), "owner", moves), by=by)
    if "stage" in moves:
        deal = funnel.move_stage(deal, known(Stage.objects.filter(pipeline=deal.pipeline_id), "stage", moves), by=by)
    if moves.get("won"):
        funnel.win(deal, by=by)
    if "lost" in moves:
        funnel.lose(deal, known(Reason.objects.filter(kind="deal", is_active=True), "lost", moves), by=by)
