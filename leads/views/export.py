"""The lead list as a file: the same filters, the same visibility."""

from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import pgettext
from django.views.decorators.http import require_safe

from crm.core import exports
from crm.core.models import AuditEntry
from leads.filters import LeadFilter
from leads.models import Band, Qualification, Status

CHUNK = 2000  # rows fetched at once from the server-side cursor
PLAIN = (
    "id", "name", "phone", "email", "company_name", "job_title", "city", "product", "need", "budget", "status",
    "stage__name", "rejected_reason__name", "score", "band", "qualification", "tags", "owner__last_name",
    "owner__first_name", "owner__username", "team__name", "source__name", "first_origin__name", "last_origin__name",
    "last_campaign", "created_at", "active_at", "next_step_at", "answered_at", "closed_at",
)  # fmt: skip


def header():
    return [
        _("No."), pgettext("person", "Name"), _("Phone"), _("Email"), _("Company"), _("Job title"), _("City"), _("Product"), _("Need"),
        _("Budget"), _("State"), _("Stage"), _("Rejection reason"), _("Score"), _("Readiness"), _("Qualification"),
        _("Tags"), _("Owner"), _("Team"), _("Came in by"), _("First source"), _("Last source"), _("Campaign"),
        _("Created"), _("Last activity"), _("Next step"), _("First answer"), _("Closed"),
    ]  # fmt: skip


def rows(queryset):
    """The cells of each lead, plain values only; state words are translated now, not while the file is sent."""
    states, bands, levels = ({k: str(v) for k, v in kind.choices} for kind in (Status, Band, Qualification))
    found = queryset.order_by("-created_at", "-id").values_list(*PLAIN)

    def cells():
        for row in found.iterator(chunk_size=CHUNK):
            lead = dict(zip(PLAIN, row, strict=True))
            lead["status"], lead["band"] = states.get(lead["status"]), bands.get(lead["band"])
            lead["qualification"], lead["tags"] = levels.get(lead["qualification"]), ", ".join(lead["tags"])
            first, username = lead.pop("owner__first_name"), lead.pop("owner__username")
            lead["owner__last_name"] = f"{first or ''} {lead['owner__last_name'] or ''}".strip() or username
            yield list(lead.values())

    return cells()


@require_safe
def leads(request, form):
    """CSV or XLSX of the current filter; who exported what is written down before the first byte leaves."""
    if not request.user.can_export:
        raise PermissionDenied(_("Exporting is a permission of its own; ask your administrator for it."))
    if form not in exports.FORMATS:
        raise Http404
    query = request.GET.copy()
    found = LeadFilter(query, user=request.user)
    if not found.is_valid():
        return render(request, "leads/export_refused.html", {"problems": found.problems}, status=400)
    details = {"query": query.urlencode()[:2000], "format": form}
    AuditEntry.objects.create(user=request.user, action="export", subject="leads", details=details)
    return exports.response(request, header(), rows(found.qs), form=form, name="leads")
