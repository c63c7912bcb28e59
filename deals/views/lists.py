"""The deal list and its export: the same filters, the same visibility."""

from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext, pgettext_lazy
from django.views.decorators.http import require_safe

from crm.core import board, exports, keyset, saved_views
from crm.core.models import AuditEntry
from deals.filters import SORTS, DealFilter
from deals.models import Deal, Status
from leads import search

ROWS = 50  # a page
CAP = 1000  # "1000+": nobody counts further
CHUNK = 2000  # rows of an export fetched at once from the server-side cursor
TABS = [
    (pgettext_lazy("deals", "Open"), ""),
    (gettext_lazy("My open"), "owner=me"),
    (gettext_lazy("No next step"), "attention=no_step"),
    (gettext_lazy("Overdue"), "attention=overdue"),
    (gettext_lazy("Close date passed"), "attention=close"),
    (gettext_lazy("Stuck"), "attention=stuck"),
    (pgettext_lazy("deals", "Won"), "state=won"),
    (pgettext_lazy("deals", "Lost"), "state=lost"),
]
PLAIN = (
    "id", "title", "person__name", "company__name", "amount", "currency", "status", "pipeline__name", "stage__name",
    "stage__probability", "expected_close", "lost_reason__name", "owner__last_name", "owner__first_name",
    "owner__username", "team__name", "lead__first_origin__name", "created_at", "active_at", "next_step_at", "closed_at",
)  # fmt: skip


@require_safe
def index(request):
    """The list as a page, or its part ``#list`` for htmx."""
    found = DealFilter(request.GET, user=request.user)
    context = {"filter": found, "problems": [], "wide": _sees_others(request.user), "sort": request.GET.get("sort")}
    try:
        context |= _page(request, found)
    except keyset.BadCursor:
        context["problems"] = [_("This place in the list does not exist; start from the top.")]
    context |= {"problems": context["problems"] + _problems(request, found), "hint": search.hint(request.GET.get("q"))}
    if not (request.htmx and request.GET.get("after")):  # more rows alone
        tabs = [tab for tab in TABS if context["wide"] or tab[1] != "owner=me"]
        context["views"] = saved_views.tabs(request, "deals:list", tabs)
        if not context["hint"]:  # a search that can find nothing is not kept
            context["save_url"] = saved_views.save_url(request, "deals:list")
    status = (422 if request.htmx else 400) if context["problems"] else 200
    return render(request, "deals/_list_answer.html" if request.htmx else "deals/list.html", context, status=status)


def _sees_others(user):
    return user.sees_all or user.is_head or user.sees_team


def _problems(request, found):
    sort = request.GET.get("sort", "")
    wrong = [] if not sort or sort in SORTS else [_("There is no order “%s”.") % sort[:40]]
    return wrong + ([] if found.is_valid() else found.problems)


def _page(request, found):
    """Rows and what stands around them; nothing where the filter is not valid."""
    sort, after = request.GET.get("sort") or "created", request.GET.get("after", "")
    if not found.is_valid() or sort not in SORTS:
        return {"rows": [], "query": ""}
    page = keyset.page(found.arms(), SORTS[sort][0], after=after, size=ROWS)
    rows = page.in_order(Deal.objects.select_related("stage", "owner", "person", "company", "lost_reason"))
    now = timezone.now()
    for deal in rows:
        board.dress(deal, deal.stage, now)
    total = None
    if not (after and request.htmx):
        total = keyset.capped_count(found.qs, CAP) if after or page.after else len(rows)
    query = saved_views.tidy(request.META["QUERY_STRING"])
    return {"rows": rows, "total": total, "cap": CAP, "next_url": _next(request, page.after), "query": query,
            "sort": sort,
            "other_sort": "created" if sort == "active" else "active"}  # fmt: skip


def _next(request, after):
    if not after:
        return ""
    query = request.GET.copy()
    query["after"] = after
    return f"{request.path}?{query.urlencode()}"


def _header():
    return [
        _("No."), _("Title"), _("Client"), _("Company"), _("Amount"), _("Currency"), _("State"), pgettext("deal", "Pipeline"), _("Stage"),
        _("Probability, %"), _("Expected close"), _("Why lost"), _("Owner"), _("Team"), _("Source"), pgettext("deal", "Opened"),
        _("Last activity"), _("Next step"), _("Closed"),
    ]  # fmt: skip


def _cells(queryset):
    """The cells of each deal, plain values only; state words are translated now, not while the file is sent."""
    states = {key: str(word) for key, word in Status.choices}
    found = queryset.order_by("-created_at", "-id").values_list(*PLAIN)

    def cells():
        for row in found.iterator(chunk_size=CHUNK):
            deal = dict(zip(PLAIN, row, strict=True))
            deal["status"] = states.get(deal["status"])
            first, username = deal.pop("owner__first_name"), deal.pop("owner__username")
            deal["owner__last_name"] = f"{first or ''} {deal['owner__last_name'] or ''}".strip() or username
            yield list(deal.values())

    return cells()


@require_safe
def export(request, form):
    """CSV or XLSX of the current filter; who exported what is written down before the first byte leaves."""
    if not request.user.can_export:
        raise PermissionDenied(_("Exporting is a permission of its own; ask your administrator for it."))
    if form not in exports.FORMATS:
        raise Http404
    found = DealFilter(request.GET, user=request.user)
    if not found.is_valid():
        return render(request, "leads/export_refused.html", {"problems": found.problems}, status=400)
    details = {"query": request.GET.urlencode()[:2000], "format": form}
    AuditEntry.objects.create(user=request.user, action="export", subject="deals", details=details)
    return exports.response(request, _header(), _cells(found.qs), form=form, name="deals")
