"""Sections that the lead's and the client's card show: their deals, and what the client has bought."""

from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from crm.core.fragments import part_of
from deals.dossier import bought
from deals.models import Deal
from leads.models import Company, Lead, Person

SHOWN = 20


def _deals(user, **whose):
    """Deals that the user may see, open ones first; and what was bought, by currency."""
    seen = Deal.objects.visible_to(user).filter(**whose)
    rows = list(seen.select_related("stage", "owner", "person").order_by("-id")[:SHOWN])
    rows.sort(key=lambda deal: not deal.is_open)
    return {"deals": rows, "bought": bought(seen)}


@require_safe
@part_of("leads:card", keys={"pk": "lead_pk"})
def of_lead(request, lead_pk):
    lead = get_object_or_404(Lead.objects.visible_to(request.user), pk=lead_pk)
    context = {"lead": lead, "person_pk": lead.person_id, "can_edit": request.user.can_edit_leads}
    return render(request, "deals/_panel.html", context | _deals(request.user, person=lead.person_id))


@require_safe
@part_of("leads:person", keys={"pk": "person_pk"})
def of_person(request, person_pk):
    person = get_object_or_404(Person.objects.visible_to(request.user), pk=person_pk)
    context = {"person_pk": person.pk, "can_edit": request.user.can_edit_leads}
    return render(request, "deals/_panel.html", context | _deals(request.user, person=person.pk))


@require_safe
@part_of("leads:company", keys={"pk": "company_pk"})
def of_company(request, company_pk):
    company = get_object_or_404(Company.objects.visible_to(request.user), pk=company_pk)
    context = {"can_edit": False, "names": True}
    return render(request, "deals/_panel.html", context | _deals(request.user, company=company.pk))
