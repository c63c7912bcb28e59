"""The deals board: the open deals of a pipeline in columns by stage, with their money; what moved last stands first."""

from django.views.decorators.http import require_safe

from crm.core.fragments import part_of
from crm.core.views.boards import BoardPages
from deals.filters import DealFilter
from deals.models import Deal

PAGES = BoardPages(
    kind="deal",
    folder="deals",
    order="active_at",
    url="deals:board_column",
    card_url="deals:card",
    make_filter=DealFilter,
    rows=lambda: Deal.objects.select_related("owner", "person", "company").defer("terms", "search"),
    hidden=frozenset({"state", "stage", "q"}),
    money=("amount", "currency"),
    cap=10_000,  # sums are exact up to so many cards a column
)


@require_safe
def board(request):
    return PAGES.page(request)


@require_safe
@part_of("deals:board")
def column(request, stage):
    return PAGES.column(request, stage)
