"""Uploaded lists: from the file to the result, a page that shows where the import stands."""

from functools import wraps

from django.core.exceptions import PermissionDenied
from django.http import FileResponse, Http404
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django_htmx.http import HttpResponseClientRefresh

from crm.core.fragments import part_of
from leads.forms.imports import MappingForm, ReadingForm, StartForm, UploadForm
from leads.importing.errors import KEPT, REASONS, Unreadable
from leads.models import Import, ImportRow, Lead
from leads.services import uploads
from leads.services.import_diff import label
from leads.services.intake import pseudo_source
from leads.story import said
from leads.views.answers import away

LAST = 50
SHOWN = 50  # failed rows on the page
State = Import.State
WOULD_BE = {
    "created": gettext_lazy("New cards"), "updated": gettext_lazy("Known cards that are completed"),
    "skipped": pgettext_lazy("import", "Skipped"), "failed": gettext_lazy("Refused"),
}  # fmt: skip


def importers(view):
    """Lists are brought in by heads, marketers and administrators."""

    @wraps(view)
    def checked(request, *args, **kwargs):
        if not request.user.may_import:
            raise PermissionDenied(_("Lists are imported by heads of sales, marketers and administrators."))
        return view(request, *args, **kwargs)

    return checked


def _job(request, pk):
    return get_object_or_404(Import.objects.visible_to(request.user).select_related("source", "by"), pk=pk)


@require_http_methods(["GET", "HEAD", "POST"])
@importers
def index(request):
    """The lists so far, and a new one."""
    form = UploadForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        source = form.cleaned_data["source"] or pseudo_source("list")
        try:
            job = uploads.take_in(form.cleaned_data["file"], source, by=request.user)
            return redirect("leads:import", job.pk)
        except Unreadable as error:
            form.add_error("file", str(error))
    jobs = Import.objects.visible_to(request.user).select_related("source", "by")[:LAST]
    status = 422 if request.method == "POST" else 200
    return render(request, "leads/imports/index.html", {"form": form, "jobs": jobs}, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@importers
def job(request, pk):
    """Where one list stands; posting the meaning of its columns tries the import without a trace."""
    found = _job(request, pk)
    mapping = MappingForm(request.POST or None, job=found)
    if request.method == "POST" and mapping.is_valid():
        return _step(request, found, lambda: uploads.try_out(found, mapping.document))
    context = _shown(request, found) | {"mapping": mapping, "remap": "remap" in request.GET or request.method == "POST"}
    return render(request, "leads/imports/job.html", context, status=422 if request.method == "POST" else 200)


def _shown(request, found):
    options = found.options
    delimiter = "tab" if options.get("delimiter") == "\t" else options.get("delimiter", "")
    reading = ReadingForm(
        initial={"encoding": options.get("encoding", ""), "delimiter": delimiter, "header": options.get("header", True)}
    )
    failed = ImportRow.objects.filter(of=found, state="failed").order_by("line")[:SHOWN] if found.failed else []
    rows = [(row.line, REASONS.get(row.reason, row.reason), _in_short(row.data.get("cells"))) for row in failed]
    going = found.state in {State.CHECKING, State.RUNNING, State.UNDOING}
    return {
        "job": found, "reading": reading, "failed_rows": rows, "going": going, "starting": StartForm(),
        "diff": _diff(request.user, found), "kept_rows": _kept(request.user, found),
    }  # fmt: skip


def _in_short(cells):
    return " · ".join(filter(None, cells or []))[:200]


def _diff(user, found):
    """(state, its name, number, first rows) of the dry run; what stands on a card is for those who may open it."""
    if found.state != State.CHECKED:
        return []
    seen = _visible(user, [row["lead"] for rows in found.diff.values() for row in rows])
    sections = []
    for state in ImportRow.State:
        rows = [_told(row, seen) for row in found.diff.get(state, ())]
        sections.append((str(state), WOULD_BE[state], found.forecast.get(str(state), 0), rows))
    return [section for section in sections if section[3]]


def _told(row, seen):
    mine = row["lead"] in seen
    changes = [(label(field), said(field, old) if mine else "", said(field, new)) for field, old, new in row["changes"]]
    lead = row["lead"] if mine else None
    return row | {"lead": lead, "changes": changes, "reason": REASONS.get(row["reason"], row["reason"])}


def _kept(user, found):
    """(line, key of the card or None, its name, reason, fields) of what undoing has left as it is."""
    if not found.undo.get("kept"):
        return []
    rows = list(ImportRow.objects.filter(of=found, undone="kept").order_by("line")[:SHOWN])
    seen = _visible(user, [row.lead_id for row in rows])
    return [
        (row.line, seen.get(row.lead_id), KEPT.get(row.reason, row.reason), ", ".join(map(label, row.data["kept"])))
        for row in rows
    ]


def _visible(user, keys):
    return Lead.objects.visible_to(user).in_bulk([key for key in keys if key])


def _step(request, found, verb):
    try:
        verb()
    except (uploads.WrongStep, Unreadable) as error:
        return away(request, reverse("leads:import", args=[found.pk]), str(error), level="error")
    except FileNotFoundError:
        why = _("The uploaded file is no longer in the store; upload it again.")
        return away(request, reverse("leads:import", args=[found.pk]), why, level="error")
    return away(request, reverse("leads:import", args=[found.pk]))


@require_POST
@importers
def reading(request, pk):
    """Read the file anew with another encoding or delimiter."""
    found, form = _job(request, pk), ReadingForm(request.POST)
    if not form.is_valid():
        raise Http404
    return _step(request, found, lambda: uploads.reread(found, **form.said()))


@require_POST
@importers
def start(request, pk):
    found = _job(request, pk)
    form = StartForm(request.POST)
    asked = form.is_valid() and form.cleaned_data["sets_going"]
    return _step(request, found, lambda: uploads.start(found, by=request.user, sets_going=asked))


@require_POST
@importers
def undo(request, pk):
    """Take back what the list brought in; what people did since stays."""
    found = _job(request, pk)
    return _step(request, found, lambda: uploads.undo(found, by=request.user))


@require_POST
@importers
def discard(request, pk):
    found = _job(request, pk)
    try:
        uploads.discard(found)
    except uploads.WrongStep as error:
        return away(request, reverse("leads:import", args=[pk]), str(error), level="error")
    return away(request, reverse("leads:imports"), _("The list is discarded."))


@require_safe
@importers
@part_of("leads:import", keys={"pk": "pk"})
def progress(request, pk):
    """The part of the page that asks again every two seconds while something is going on."""
    context = _shown(request, _job(request, pk))
    if request.htmx and not context["going"]:
        return HttpResponseClientRefresh()
    return render(request, "leads/imports/_progress.html", context)


@require_safe
@importers
def errors(request, pk):
    """The file of what failed, never shown in the page: it is what somebody uploaded."""
    found = _job(request, pk)
    return _file(found, found.error_file, _("errors"))


@require_safe
@importers
def diff(request, pk):
    """All that the dry run would do, row by row; it tells of cards of the whole company."""
    found = _job(request, pk)
    if not request.user.sees_all:
        raise Http404
    return _file(found, found.diff_file, _("what would be done"))


def _file(found, stored, word):
    if not stored:
        raise Http404
    name = f"{found.file_name.rpartition('.')[0] or found.file_name} - {word}.csv"
    return FileResponse(stored.open("rb"), as_attachment=True, filename=name, content_type="text/csv")
