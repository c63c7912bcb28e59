from django.core.exceptions import PermissionDenied
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_GET

from crm.core.fragments import part_of
from leads.models import Lead
from routing import words
from routing.fairness import tables
from routing.forms import SimulatorForm
from routing.services import decide
from routing.staff import staff

SHOWN = 5  # assignments on the card


@require_GET
@part_of("leads:card", keys={"pk": "lead_pk"}, anchor="#routing-panel")
def panel(request, lead_pk):
    """Why this owner? The last assignments of a lead with the rules that were tried."""
    lead = get_object_or_404(Lead.objects.visible_to(request.user).select_related("owner"), pk=lead_pk)
    rows = lead.assignments.select_related("to_owner", "from_owner", "by").order_by("-pk")[:SHOWN]
    history = [(row, [words.step(entry) for entry in row.trace]) for row in rows]
    return render(request, "routing/_panel.html", {"lead": lead, "history": history})


@require_GET
def fairness(request):
    """How evenly the rules deal; open to everybody who may get leads or answers for it."""
    if request.user.is_marketer:
        raise PermissionDenied
    return render(request, "routing/fairness.html", {"tables": tables(), "may_simulate": _may_simulate(request.user)})


def _may_simulate(user):
    return user.is_head or user.is_administrator


@require_GET
def simulator(request):
    """What the rules would do with a lead now; writes nothing."""
    if not _may_simulate(request.user):
        raise PermissionDenied
    form = SimulatorForm(request.GET if "lead" in request.GET else None, user=request.user)
    context = {"form": form}
    if form.is_bound and form.is_valid():
        context |= _tried(form.cleaned_data["lead"])
    elif not form.is_bound:
        context["nothing"] = not Lead.objects.visible_to(request.user).exists()
    return render(request, "routing/simulator.html", context, status=422 if form.errors else 200)


def _tried(lead):
    decision = decide(lead, now=timezone.now(), dry=True)
    seller = staff().named(decision.receiver.user) if decision.receiver else None
    return {
        "lead": lead,
        "receiver": seller.user if seller else None,
        "until": decision.until,
        "steps": [words.step(entry) for entry in decision.trace],
    }
