from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from crm.core.fragments import part_of
from leads.models import Lead
from scoring import statement
from scoring.services import thresholds


@require_GET
@part_of("leads:card", keys={"pk": "lead_pk"}, anchor="#scoring-panel")
def panel(request, lead_pk):
    """What the score is made of, on the lead's card."""
    lead = get_object_or_404(Lead.objects.visible_to(request.user), pk=lead_pk)
    context = {"lead": lead, "statement": statement.of_lead(lead), "thresholds": thresholds()}
    return render(request, "scoring/_panel.html", context)
