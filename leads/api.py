"""Leads over the API: the same visibility, services and gates as the pages."""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from ninja import Field, Query, Router, Schema, Status
from ninja.errors import HttpError
from pydantic import ConfigDict

from crm.core.api import PAGE_MAX, forbid_unknown, known, page
from crm.core.models import Reason, Stage, User
from leads import identity
from leads.models import Lead, Qualification
from leads.services import cards, funnel, posting

router = Router(tags=["leads"])


class LeadIn(Schema):
    model_config = ConfigDict(extra="forbid")
    name: str | None = Field(None, max_length=200)
    phone: str | None = Field(None, max_length=60)
    email: str | None = Field(None, max_length=254)
    company_name: str | None = Field(None, max_length=200)
    job_title: str | None = Field(None, max_length=200)
    city: str | None = Field(None, max_length=120)
    region: str | None = Field(None, max_length=120)
    country: str | None = Field(None, max_length=60)
    language: str | None = Field(None, max_length=5)
    industry: str | None = Field(None, max_length=120)
    company_size: int | None = Field(None, ge=0, le=10_000_000)
    product: str | None = Field(None, max_length=200)
    need: str | None = Field(None, max_length=5000)
    budget: Decimal | None = Field(None, ge=0, max_digits=14, decimal_places=2)
    authority: str | None = Field(None, max_length=200)
    decision_date: date | None = None


class LeadChange(LeadIn):
    stage: int | None = Field(None, description="Key of the stage to move to")
    owner: int | None = Field(None, description="Key of the new owner")
    reject: int | None = Field(None, description="Key of the reason: closes the lead as rejected")
    tags: list[str] | None = Field(None, max_length=30, description="The tags as they shall be")
    version: int | None = Field(None, description="The version that was read: an older one is refused with 409")


class LeadOut(Schema):
    id: int
    name: str
    email: str
    phone: str
    company_name: str
    source: str | None
    origin: str | None
    stage: str
    stage_id: int
    status: str
    owner: str | None
    owner_id: int | None
    score: int
    band: str
    qualification: str
    tags: list[str]
    version: int
    created_at: datetime
    fields: dict


class ReceiptOut(Schema):
    receipt: UUID
    state: str


class LeadPage(Schema):
    items: list[LeadOut]
    next: int | None


class LeadFilter(Schema):
    email: str | None = Field(None, max_length=254)
    phone: str | None = Field(None, max_length=60)
    q: str | None = Field(None, max_length=200, description="Part of name, phone, email or company")
    status: str | None = Field(None, pattern="^(open|converted|rejected)$")
    band: str | None = Field(None, pattern="^(cold|warm|hot)$")
    stage: int | None = None
    owner: int | None = None
    source: str | None = Field(None, max_length=64)
    created_from: date | None = None
    created_to: date | None = None
    after: int | None = Field(None, ge=1, description="The `next` of the page before")
    limit: int = Field(50, ge=1, le=PAGE_MAX)


class InteractionIn(Schema):
    model_config = ConfigDict(extra="forbid")
    kind: str = Field(..., pattern="^(note|call|replied)$")
    text: str = Field("", max_length=10_000)
    result: str = Field("reached", pattern="^(reached|no_answer|busy|callback|wrong_number)$")


class InteractionOut(Schema):
    id: int
    kind: str
    at: datetime
    by: str | None
    text: str
    details: dict


PLAIN = [name for name in LeadIn.model_fields if name not in {"name", "phone", "email", "company_name"}]


def show(lead):
    """A lead as the API tells it."""
    return {
        "id": lead.pk,
        "name": lead.name,
        "email": lead.email,
        "phone": lead.phone,
        "company_name": lead.company_name,
        "source": lead.source.key if lead.source else None,
        "origin": lead.first_origin.name if lead.first_origin else None,
        "stage": lead.stage.name,
        "stage_id": lead.stage_id,
        "status": lead.status,
        "owner": str(lead.owner) if lead.owner else None,
        "owner_id": lead.owner_id,
        "score": lead.score,
        "band": lead.band,
        "qualification": Qualification(lead.qualification).name.lower(),
        "tags": lead.tags,
        "version": lead.version,
        "created_at": lead.created_at,
        "fields": {name: getattr(lead, name) for name in PLAIN},
    }


def _all():
    return Lead.objects.select_related("source", "first_origin", "stage", "owner")


def _seen_by(user):
    return _all().visible_to(user)


def _editable(request, pk):
    return get_object_or_404(Lead.objects.editable_by(request.user), pk=pk)


def _by_phone(queryset, raw):
    found = identity.phone(raw)
    return queryset.filter(phone=found.e164) if found else queryset.none()


def _narrow(queryset, wanted):
    exact = {"status": "status", "band": "band", "stage": "stage_id", "owner": "owner_id", "source": "source__key",
             "created_from": "created_at__date__gte", "created_to": "created_at__date__lte"}  # fmt: skip
    given = {path: value for name, path in exact.items() if (value := getattr(wanted, name)) is not None}
    queryset = queryset.filter(**given)
    if wanted.email is not None:
        queryset = queryset.filter(email=identity.email(wanted.email) or wanted.email.lower())
    if wanted.phone is not None:
        queryset = _by_phone(queryset, wanted.phone)
    if wanted.q:
        queryset = queryset.filter(search__contains=wanted.q.lower().replace("ё", "е"))
    return queryset


@transaction.atomic
def _apply(lead, given, *, by):
    """One change of several kinds, in the order in which gates may need it: fields, tags, owner, stage, rejection."""
    lead = funnel.locked(lead, version=given.pop("version", None))
    moves = {name: given.pop(name) for name in ("tags", "owner", "stage", "reject") if name in given}
    if empty := [name for name, value in moves.items() if value is None]:
        raise ValidationError({name: _("This cannot be emptied.") for name in empty})
    if given:
        cards.edit(lead, given, by=by)
    if "tags" in moves:
        cards.tag(lead, add=set(moves["tags"]) - set(lead.tags), remove=set(lead.tags) - set(moves["tags"]), by=by)
    if "owner" in moves:
        cards.change_owner(lead, known(User.objects.sellers(), "owner", moves), by=by)
    if "stage" in moves:
        lead = funnel.move_stage(lead, known(Stage.objects.filter(pipeline=lead.pipeline_id), "stage", moves), by=by)
    if "reject" in moves:
        funnel.reject(lead, known(Reason.objects.filter(kind="lead", is_active=True), "reject", moves), by=by)


@router.get("", response=LeadPage)
def list_leads(request, wanted: Query[LeadFilter]):
    """Leads that the key's user sees, newest first."""
    forbid_unknown(request, LeadFilter.model_fields)
    return page(_narrow(_seen_by(request.user), wanted), after=wanted.after, limit=wanted.limit, show=show)


@router.post("", response={200: LeadOut, 201: LeadOut, 202: ReceiptOut})
def create_lead(request, given: LeadIn, response: HttpResponse):
    """An enquiry: a new lead (201), or added to the open lead of a known person (200).

    202 without the lead where that card belongs to a colleague whose leads the key's user does not see. An
    ``Idempotency-Key`` of up to 100 characters is honoured for 24 hours.
    """
    if not request.user.can_edit_leads:
        raise PermissionDenied(_("Your role may not make leads."))
    key = request.headers.get("Idempotency-Key")
    if key is not None and not (0 < len(key) <= 100 and key.isascii() and key.isprintable()):
        raise HttpError(400, _("An Idempotency-Key is 1–%d printable ASCII characters.") % 100)
    try:
        row, replayed = posting.post(given.model_dump(), raw=request.body, by=request.user, key=key)
    except posting.KeyReused:
        raise HttpError(422, _("This Idempotency-Key was used with another body.")) from None
    if replayed:
        response["Idempotent-Replayed"] = "true"
    return _taken(row, request.user)


def _taken(row, user):
    made = row.state == "lead"
    lead = _seen_by(user).filter(pk=row.lead_id).first() if not made else _all().get(pk=row.lead_id)
    if lead is None:
        return Status(202, {"receipt": row.receipt, "state": row.state})
    return Status(201 if made else 200, show(lead))


@router.get("/{int:pk}", response=LeadOut)
def read_lead(request, pk: int):
    return show(get_object_or_404(_seen_by(request.user), pk=pk))


@router.patch("/{int:pk}", response=LeadOut)
def update_lead(request, pk: int, change: LeadChange):
    """Fields, tags, owner, stage or rejection; all or nothing, by the services that the pages use."""
    lead = _editable(request, pk)
    _apply(lead, change.model_dump(exclude_unset=True), by=request.user)
    return show(_seen_by(request.user).filter(pk=pk).first() or lead)


@router.get("/{int:pk}/interactions", response=list[InteractionOut])
def list_interactions(request, pk: int, before: int | None = None):
    """The timeline, newest first, 50 at a time; ``before`` is the last key seen."""
    lead = get_object_or_404(Lead.objects.visible_to(request.user), pk=pk)
    rows = lead.interactions.select_related("by").order_by("-pk")
    rows = rows.filter(pk__lt=before) if before else rows
    return [_told(row) for row in rows[:50]]


@router.post("/{int:pk}/interactions", response={201: InteractionOut})
def add_interaction(request, pk: int, given: InteractionIn):
    lead, by = _editable(request, pk), request.user
    if given.kind == "call":
        row = cards.log_call(lead, by=by, result=given.result, text=given.text)
    elif given.kind == "note":
        row = cards.note(lead, by=by, text=given.text)
    else:
        row = cards.replied(lead, by=by, text=given.text)
    return Status(201, _told(row))


def _told(row):
    return {
        "id": row.pk, "kind": row.kind, "at": row.at, "by": str(row.by) if row.by_id else None,
        "text": row.text, "details": row.details,
    }  # fmt: skip
