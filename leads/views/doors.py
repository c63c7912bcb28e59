"""A source's own pages beside its overview: questions, meaning of fields, people of an event, codes."""

from functools import wraps

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import Http404
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from crm.core import versions
from crm.core.models import AuditEntry
from crm.core.versions import Version, facts
from leads import search
from leads.capture import ADAPTERS
from leads.forms.doors import (
    FOUND,
    OURS,
    AttendanceForm,
    CodeForm,
    MappingForm,
    QuestionForms,
    SampleForm,
    TextsForm,
    questions_in,
)
from leads.importing.errors import Unreadable
from leads.models import ReferralCode, Source
from leads.services import attendance, mapped, referrals, sources
from leads.services.people import matching
from leads.views.answers import away
from leads.views.receipts import readers

METHODS = ["GET", "HEAD", "POST"]


def _source(key, adapters, request=None):
    """``request``: of a page that changes the settings; they are locked while it saves."""
    rows = Source.objects.select_related("origin")
    found = get_object_or_404(versions.locked(rows, request) if request else rows, key=key)
    if found.adapter not in adapters:
        raise Http404
    return found


def administrators(view):
    @wraps(view)
    def checked(request, *args, **kwargs):
        if not request.user.is_administrator:
            raise PermissionDenied(_("Only an administrator changes sources."))
        return view(request, *args, **kwargs)

    return checked


def _page(request, template, source, context, *, invalid=False):
    shown = {"source": source, "has_address": True, "is_form": getattr(ADAPTERS[source.adapter], "HOSTED", False)}
    stale = getattr(context.get("version"), "is_stale", False)
    return render(request, template, shown | context, status=409 if stale else 422 if invalid else 200)


def _sent(request):
    return request.POST if request.method == "POST" else None


def _version(request, source):
    """Of the settings that a page edits a part of."""
    values = facts(source, {"settings"})
    return Version(values, request.POST.get(versions.NAME, ""), source, sources.told_by(source))


def _changed(request, source, settings):
    sources.check_settings(settings, source.adapter)
    source.settings = settings
    source.save(update_fields=["settings"])
    AuditEntry.objects.create(user=request.user, action="source_changed", subject=source.key)


# --- Questions of a form ------------------------------------------------------------------------------------------------


@require_http_methods(METHODS)
@administrators
@transaction.atomic
def questions(request, key):
    hosted = [name for name, adapter in ADAPTERS.items() if getattr(adapter, "HOSTED", False)]
    source = _source(key, hosted, request)
    version = _version(request, source)
    texts = TextsForm(_sent(request), initial=source.settings)
    rows = QuestionForms(_sent(request), initial=mapped.question_rows(source), prefix="q")
    if request.method != "POST" or not (texts.is_valid() and rows.is_valid()) or version.is_stale:
        context = {"texts": texts, "rows": rows, "version": version}
        return _page(request, "leads/source_questions.html", source, context, invalid=request.method == "POST")
    stated = {"form": questions_in(rows), **texts.cleaned_data}
    kept = {name: value for name, value in source.settings.items() if name not in stated}
    _changed(request, source, kept | {name: value for name, value in stated.items() if value})
    return away(request, reverse("leads:source_form", args=[key]), _("The form is saved."))


# --- What the fields mean -----------------------------------------------------------------------------------------------


@require_http_methods(METHODS)
@administrators
@transaction.atomic
def mapping(request, key):
    source = _source(key, ["mapping"], request)
    given = request.POST if request.method == "POST" else request.GET
    example = mapped.example(source, given.get("receipt", ""), given.get("sample", ""))
    form = MappingForm(_sent(request), fields=example.fields, settings=source.settings, lists=example.lists)
    samples, version = SampleForm(initial={"sample": example.sample}), _version(request, source)
    context = {"form": form, "example": example, "samples": samples, "version": version}
    if request.method == "POST" and form.is_valid():
        settings = form.stated(source.settings)
        if "save" in request.POST and not version.is_stale:
            return _mapped(request, source, settings)
        context["preview"] = mapped.preview(source, settings, example, OURS)
    return _page(request, "leads/source_mapping.html", source, context, invalid=bool(form.errors))


def _mapped(request, source, settings):
    try:
        _changed(request, source, settings)
    except ValidationError as error:
        return away(request, reverse("leads:source_mapping", args=[source.key]), error.messages[0], level="error")
    return away(request, reverse("leads:source_mapping", args=[source.key]), _("The mapping is saved."))


# --- People of an event -------------------------------------------------------------------------------------------------


@require_http_methods(METHODS)
@readers
def people(request, key):
    source = _source(key, ["event"])
    if request.method == "POST" and request.POST.get("registration"):
        return _marked(request, source)
    form = AttendanceForm(_sent(request), request.FILES or None)
    if request.method == "POST" and form.is_valid() and (answer := _marked_list(request, source, form)):
        return answer
    rows = attendance.listed(source)
    context = {"form": form, "rows": rows[:500], "total": rows.count(), "came": rows.exclude(attended_at=None).count()}
    return _page(request, "leads/source_people.html", source, context, invalid=bool(form.errors))


def _marked(request, source):
    pk = request.POST["registration"]
    row = get_object_or_404(
        attendance.listed(source), pk=int(pk) if pk.isascii() and pk.isdigit() and len(pk) < 19 else 0
    )
    attendance.mark(row, by=request.user, came=request.POST.get("came") == "1")
    return away(request, reverse("leads:source_people", args=[source.key]))


def _marked_list(request, source, form):
    try:
        lines = attendance.lines_of(form.cleaned_data["people"], form.cleaned_data["file"])
    except Unreadable as error:
        form.add_error("file", str(error))
        return None
    marked, made, unread = attendance.mark_list(source, lines, by=request.user)
    text = ngettext("%d person marked as having come.", "%d people marked as having come.", marked) % marked
    more = ngettext("%d card was made.", "%d cards were made.", made) % made if made else ""
    lost = ngettext("%d line has no contact.", "%d lines have no contact.", unread) % unread if unread else ""
    return away(request, reverse("leads:source_people", args=[source.key]), " ".join(filter(None, (text, more, lost))))


# --- Codes ----------------------------------------------------------------------------------------------------------------


@require_http_methods(METHODS)
@readers
def codes(request, key):
    source, here = _source(key, ["referral"]), reverse("leads:source_codes", args=[key])
    if request.method == "POST" and request.POST.get("given"):
        return _rewarded(request, source)
    if request.htmx and "client_q" in request.GET:
        return _clients(request)
    form = CodeForm(_sent(request), user=request.user, url=here)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        made = referrals.make(
            by=request.user, code=data["code"], partner=data["partner"], person=data["client"], reward=data["reward"]
        )
        return away(request, here, _("The code %s is ready.") % made.code)
    rows = [(code, referrals.link(source, code)) for code in referrals.report(request.user)[:500]]
    return _page(request, "leads/source_codes.html", source, {"form": form, "rows": rows}, invalid=bool(form.errors))


def _clients(request):
    """Whom the search of the form finds."""
    text = search.tidy(request.GET["client_q"])
    context = {"found": matching(request.user, text)[:FOUND] if text else [], "text": text, "name": "client"}
    return render(request, "leads/_client_options.html", context)


def _rewarded(request, source):
    code = get_object_or_404(ReferralCode, code=request.POST["given"])
    count = referrals.reward(code, by=request.user)
    text = ngettext("Rewarded for %d client.", "Rewarded for %d clients.", count) % count
    return away(request, reverse("leads:source_codes", args=[source.key]), text)
