"""What the deal's card shows, read in few queries; every part can be read anew by itself."""

from decimal import Decimal

from django.db.models import Count, Sum

from crm.core import board
from crm.core.funnel import available
from crm.core.models import Stage
from deals.models import Deal, Status
from leads.models import Identity, Lead, Task

OTHERS_AT_MOST = 20


def of_deal(deal, user):
    """The whole page's context but for the timeline."""
    context = {"deal": deal, "can_edit": user.can_edit_leads}
    for part in PARTS.values():
        context |= part(deal, user)
    return context


def head(deal, user):
    """Path over the stages with the moves allowed now, time at the stage, what is late."""
    stages = list(Stage.objects.filter(pipeline_id=deal.pipeline_id).order_by("position", "id"))
    works = deal.is_open and user.can_edit_leads
    allowed = set(available(deal, user).values_list("pk", flat=True)) if works else set()
    here = next((place for place, stage in enumerate(stages) if stage.pk == deal.stage_id), 0)
    path = [
        {
            "stage": stage,
            "state": "current" if place == here else "done" if place < here else "todo",
            "allowed": stage.pk in allowed,
        }
        for place, stage in enumerate(stages)
    ]
    board.dress(deal, deal.stage)
    return {"path": path, "stuck": deal.is_open and bool(deal.tone)}


def steps(deal, user):
    tasks = Task.objects.filter(deal_ref=deal.pk, done_at=None).select_related("assignee").order_by("due_at", "pk")
    return {"tasks": list(tasks[:50])}


def lines(deal, user):
    rows = list(deal.lines.select_related("product").order_by("id"))
    total = sum((row.total for row in rows), Decimal(0))
    full = sum((row.quantity * row.price for row in rows), Decimal(0))
    return {"lines": rows, "lines_total": total, "saved": full - total}


def people(deal, user):
    """Who it is sold to; the lead it came from, where the user may see it."""
    kinds = (Identity.Kind.PHONE, Identity.Kind.EMAIL)
    contacts = list(Identity.objects.filter(person_id=deal.person_id, kind__in=kinds).order_by("-kind", "id")[:20])
    lead = Lead.objects.visible_to(user).filter(pk=deal.lead_id).select_related("first_origin").first()
    return {"contacts": contacts, "lead": lead, "writes_from": lead if user.can_edit_leads else None}


def others(deal, user):
    """The client's other deals that the user may see, and what the client has bought."""
    seen = Deal.objects.visible_to(user).filter(person_id=deal.person_id)
    rows = seen.exclude(pk=deal.pk).select_related("stage", "owner").order_by("-pk")
    return {"others": list(rows[:OTHERS_AT_MOST]), "bought": bought(seen)}


def bought(deals):
    """What was paid for among the deals: [{currency, total, count}]."""
    won = deals.filter(status=Status.WON).order_by("currency").values("currency")
    return list(won.annotate(total=Sum("amount"), count=Count("pk")))


PARTS = {"head": head, "steps": steps, "lines": lines, "people": people, "others": others}
