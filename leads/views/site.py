"""What visitors of the company's site are led to: a recommendation's link, a confirmation, a material."""

from django.contrib.auth.decorators import login_not_required
from django.core.files.storage import default_storage
from django.http import FileResponse, Http404, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from leads.capture import ADAPTERS
from leads.services import confirmations, receipt, site
from leads.views.capture import company, ways_to_us


@login_not_required
@require_safe
def refer(request, key, code):
    """The link that a client or a partner gives to others: on to the landing page, with their word."""
    source = receipt.find_source(key)
    if source is None or source.adapter != "referral":
        raise Http404
    where = source.settings.get("landing") or reverse("leads:form", args=[key])
    marks = f"ref={code}&utm_source=referral&utm_medium=referral&utm_campaign={code}"
    return HttpResponseRedirect(f"{where}{'&' if '?' in where else '?'}{marks}")


@csrf_exempt  # no session takes part: whoever has the letter may confirm
@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
def confirm(request, token):
    """The button behind the letter's link: mail programs that open links by themselves confirm nothing."""
    row = confirmations.find(token)
    if row is None:
        return _answer(request, "unknown", status=404)
    source, late = row.submission.source, not row.confirmed_at and row.expires_at <= timezone.now()
    if request.method != "POST" and not row.confirmed_at and not late:
        return _answer(request, "ask", row=row, source=source)
    in_time = confirmations.confirm(row)
    return _answer(request, "done" if in_time else "late", status=200 if in_time else 410, row=row, source=source)


def _answer(request, state, *, status=200, source=None, **told):
    """What is said to the visitor, in whose name, and the form to fill in once more."""
    hosted = source is not None and source.is_active and getattr(ADAPTERS[source.adapter], "HOSTED", False)
    ways = {} if state in {"ask", "done"} else ways_to_us(source)
    context = {"state": state, "source": source, "company": company(), "hosted": hosted, "ways": ways} | told
    return render(request, "leads/capture/confirm.html", context, status=status)


@login_not_required
@require_safe
def material(request, token):
    """The file that a form was filled in for."""
    found = site.material(token)
    name = site.file_of(found.source) if found else ""
    if not name:
        return _answer(request, "no_file", status=404, source=found.source if found else None)
    if request.method == "GET":
        site.taken(found)
    title = found.source.settings.get("file_name") or "file"
    return FileResponse(default_storage.open(name), as_attachment=True, filename=title)
