"""The lead list, its arrivals, the search box, actions on many leads."""

from django.core.exceptions import PermissionDenied
from django.db.models import F, Q
from django.db.models.functions import Coalesce
from django.http import HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import trigger_client_event

from crm.core import keyset, saved_views
from crm.core.addresses import addresses
from crm.core.fragments import part_of
from crm.core.templatetags import ui
from leads import search as words
from leads.filters import SORTS, LeadFilter
from leads.forms.bulk import BulkForm, chosen
from leads.models import Band, BulkRun, Identity, Lead, Status
from leads.services import bulk as bulk_service
from leads.services import twins, waiting
from leads.views.answers import done

ROWS = 50  # a page
CAP = 1000  # "1000+": nobody counts further
FOUND = 20  # in the search box
REFUSED_SHOWN = 20  # leads that a bulk action was refused for
COLUMNS = (
    "name", "phone", "email", "company_name", "score", "band", "status", "stage_entered_at", "owner__first_name",
    "owner__last_name", "owner__username", "created_at", "active_at", "next_step_at",
)  # fmt: skip
CLOCK = ("waiting_since", "owner__calendar", "owner__time_zone")
# Names of what many rows share come as words beside the row: as models they would be made anew for each.
BESIDE = {
    "stage_name": F("stage__name"),
    "norm_days": F("stage__norm_days"),
    "origin_name": Coalesce("first_origin__name", "source__name"),
}
TABS = [
    (gettext_lazy("Open"), ""),
    (gettext_lazy("My open"), "owner=me"),
    (gettext_lazy("Hot"), "band=hot"),
    (gettext_lazy("Waiting for an answer"), "attention=waiting"),
    (gettext_lazy("Overdue"), "attention=overdue"),
    (gettext_lazy("No next step"), "attention=no_step"),
    (gettext_lazy("No owner"), "attention=unassigned"),
]


@require_safe
def index(request):
    """The list as a page, or its part ``#list`` for htmx."""
    found = LeadFilter(request.GET, user=request.user)
    context = {"filter": found, "problems": [], "wide": _sees_others(request.user), "sort": request.GET.get("sort")}
    try:
        context |= _page(request, found)
    except keyset.BadCursor:
        context["problems"] = [_("This place in the list does not exist; start from the top.")]
    context |= {"problems": context["problems"] + _problems(request, found), "hint": words.hint(request.GET.get("q"))}
    if not (request.htmx and request.GET.get("after")):  # more rows alone
        tabs = [tab for tab in TABS if context["wide"] or tab[1] not in {"owner=me", "attention=unassigned"}]
        context["views"] = saved_views.tabs(request, "leads:list", tabs)
        if not context["hint"]:  # a search that can find nothing is not kept
            context["save_url"] = saved_views.save_url(request, "leads:list")
    status = (422 if request.htmx else 400) if context["problems"] else 200
    return render(request, "leads/_list_answer.html" if request.htmx else "leads/list.html", context, status=status)


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
    leads = Lead.objects.select_related("owner").only(*COLUMNS, *CLOCK).annotate(**BESIDE)
    rows = page.in_order(leads)
    now = timezone.now()
    rows = _told(rows, now)
    total = None
    if not (after and request.htmx):
        total = keyset.capped_count(found.qs, CAP) if after or page.after else len(rows)
    query = saved_views.tidy(request.META["QUERY_STRING"])
    return {
        "rows": rows, "total": total, "cap": CAP, "next_url": _next(request, page.after), "since": keyset.encode(now, 0),
        "query": query, "sort": sort,
    }  # fmt: skip


def _told(leads, now):
    """What the rows say, in words: of fifty rows, a template reads plain words in half the time of models."""
    seconds, norm = waiting.clocks(leads, now), waiting.norm() if leads else 0
    address, names = addresses("leads:card"), {str(k): str(v) for k, v in Band.choices + Status.choices}
    rows = []
    for lead in leads:
        waited = seconds.get(lead.pk)
        late = waited is not None and waited > norm
        row = _contact(lead) | _stage(lead, names, now) | _times(lead, now)
        row |= {"key": str(lead.pk), "address": address(lead.pk), "band_name": names[lead.band], "late": late}
        row["waits"] = "" if waited is None else ui.duration(waited) if waited >= 60 else _("waits")
        row["tone"] = "danger" if late else "warning" if row["step_late"] or row["stuck"] else ""
        rows.append(row)
    return rows


def _contact(lead):
    return {
        "name": str(lead), "company": lead.company_name, "phone": lead.phone, "phone_text": ui.phone(lead.phone),
        "email": lead.email or ui.NOTHING, "score": str(lead.score), "band": lead.band,
        "owner": str(lead.owner) if lead.owner else "", "origin": lead.origin_name or ui.NOTHING,
    }  # fmt: skip


def _stage(lead, names, now):
    """The stage or the outcome; of an open lead, the days at the stage and whether they are too many."""
    days, norm, opened = (now - lead.stage_entered_at).days, lead.norm_days, lead.status == Status.OPEN
    return {
        "open": opened, "status": lead.status, "stage": lead.stage_name if opened else names[lead.status],
        "days": ui.days(days) if opened and days else "", "norm": ui.norm(norm) if norm else "",
        "stuck": opened and 0 < norm <= days,
    }  # fmt: skip


def _times(lead, now):
    step = lead.next_step_at
    return {
        "created": ui.moment(lead.created_at), "active": ui.moment(lead.active_at),
        "step": ui.due_words(step, now) if step else "", "step_late": bool(lead.status == Status.OPEN and step and step < now),
    }  # fmt: skip


def _next(request, after):
    if not after:
        return ""
    query = request.GET.copy()
    query["after"] = after
    return f"{request.path}?{query.urlencode()}"


@require_safe
@part_of("leads:list")
def arrivals(request):
    """ "3 new leads — show", asked for when something has come: the list itself does not move under the reader."""
    query = request.GET.copy()
    since = query.pop("since", [""])[-1]
    found = LeadFilter(query, user=request.user)
    try:
        since = keyset.decode(since, Lead._meta.get_field("created_at"))[0]
    except keyset.BadCursor:
        return HttpResponse(status=204)
    if not found.is_valid():
        return HttpResponse(status=204)
    fresh = Q(created_at__gt=since)
    if not request.user.sees_all:  # what was handed over is new to its owner as well
        fresh |= Q(assigned_at__gt=since)
    count = keyset.capped_count(found.qs.filter(fresh), CAP)
    return render(request, "leads/_arrivals.html", {"count": count, "query": query.urlencode()})


@require_safe
def search(request):
    """Options of the search box; as a page of its own, the list with that filter."""
    text = words.tidy(request.GET.get("q"))
    if not request.htmx:
        return redirect(f"{reverse('leads:list')}?{urlencode({'q': text, 'state': 'all'})}")
    if not text:
        return HttpResponse("")
    context = {"text": text, "now": timezone.now()}
    try:
        context["rows"] = find(request.user, text)
    except words.TooShort:
        context["hint"] = words.TOO_SHORT
    return render(request, "leads/_search.html", context)


def find(user, text):
    """At most FOUND leads for a search text, latest activity first; then those known by another of their contacts."""
    seen = Lead.objects.visible_to(user).select_related("stage", "owner").only(*COLUMNS, "stage__name")
    said = twins.surviving(words.condition(text))
    rows = list(seen.filter(said).order_by("-active_at", "-id")[:FOUND])
    if len(rows) < FOUND and (signs := words.identities(text)):
        people = list(Identity.objects.filter(signs).values_list("person", flat=True)[:FOUND])
        rows += (
            seen.filter(person__in=people, merged_into=None).exclude(pk__in=[r.pk for r in rows])[: FOUND - len(rows)]
            if people
            else []
        )
    return rows


@require_POST
def bulk(request):
    """Ask what to do with the chosen leads, then do it: the first POST draws the dialog, the one with ``go`` acts."""
    if not request.user.can_edit_leads:
        raise PermissionDenied(_("You may see leads and not change them."))
    ids, problem = chosen(request.POST, _matching(request))
    form = BulkForm(
        request.POST if "go" in request.POST else None, user=request.user, action=request.POST.get("action")
    )
    if problem or "go" not in request.POST or not form.is_valid():
        context = {"form": form, "ids": ids, "problem": problem or (not ids and _("Choose some leads first."))}
        return render(request, "leads/bulk_form.html", context, status=422 if "go" in request.POST else 200)
    return _report(request, bulk_service.start(form.action, ids, by=request.user, **form.params()))


def _matching(request):
    """A function that gives the keys of all leads of the filter that the list showed."""

    def keys():
        found = LeadFilter(QueryDict(request.POST.get("query", "")[:2000]), user=request.user)
        if not found.is_valid():
            return []
        return list(found.qs.order_by("-created_at", "-id").values_list("pk", flat=True)[: bulk_service.AT_MOST])

    return keys


def _report(request, run):
    if run.state == BulkRun.State.DONE and not run.refused and request.htmx:
        text = ngettext("%(count)s lead done", "%(count)s leads done", run.done) % {"count": run.done}
        return done(request, reverse("leads:list"), text, **{"leads:changed": {}})
    return _progress(request, run, "leads/bulk_run.html")


def _progress(request, run, template):
    rows = Lead.objects.visible_to(request.user).filter(pk__in=run.left)
    left = list(rows.order_by("pk")[:REFUSED_SHOWN]) if run.left else []
    context = {"run": run, "left": left, "more_left": len(run.left) - len(left) if left else 0}
    response = render(request, template, context)
    finished = run.state == BulkRun.State.DONE and request.htmx
    return trigger_client_event(response, "leads:changed") if finished else response


@require_safe
def bulk_run(request, pk):
    """How far an action on many leads has got, and what was refused and why."""
    run = get_object_or_404(BulkRun.objects.visible_to(request.user), pk=pk)
    polled = request.htmx and request.htmx.target == "bulk-progress"
    return _progress(request, run, "leads/_bulk_progress.html" if polled else "leads/bulk_run.html")
