"""The leads board: the open leads of a funnel in columns by stage, the highest score first."""

from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from crm.core.fragments import part_of
from crm.core.views.boards import BoardPages
from leads.filters import LeadFilter
from leads.forms.card import RejectForm
from leads.models import Lead

ZONES = ("convert", "reject")  # where a card is dropped to leave the board
PAGES = BoardPages(
    kind="lead",
    folder="leads",
    order="score",
    url="leads:board_column",
    card_url="leads:card",
    make_filter=LeadFilter,
    rows=lambda: Lead.objects.select_related("owner").defer("need", "custom", "search"),
    # Columns are the stages, cards are open, search stands on every page; the rest belongs to the list.
    hidden=frozenset({"state", "stage", "q", "qualification", "source", "tag"}),
)


@require_safe
def board(request):
    return PAGES.page(request)


@require_safe
@part_of("leads:board")
def column(request, stage):
    return PAGES.column(request, stage)


def moved(request, lead, changed):
    """The answer to a lead's card that was dropped on another column (``changed``: keys of both stages)."""
    return PAGES.moved(request, lead, changed)


def zone(request, lead, name):
    """A card was dropped on a zone: it goes back (422), and the dialog of that outcome opens."""
    if name == "reject":
        return render(request, "leads/card_reject.html", {"lead": lead, "form": RejectForm()}, status=422)
    return render(request, "core/_dialog_load.html", {"url": reverse("deals:convert", args=[lead.pk])}, status=422)
