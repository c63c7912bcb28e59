"""What a view answers after a change: the same for htmx and for a plain form."""

from django.contrib import messages
from django.http import FileResponse, Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django_htmx.http import HttpResponseClientRedirect, trigger_client_event

LEVELS = {"success": messages.SUCCESS, "info": messages.INFO, "warning": messages.WARNING, "error": messages.ERROR}


def download(opened, name):
    """A stranger's file: only ever downloaded, whatever it says it is."""
    response = FileResponse(opened, as_attachment=True, filename=name, content_type="application/octet-stream")
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    response["Cache-Control"] = "private, no-store"
    return response


def downloaded(row, name=""):
    """The file of a row, under its own name or this one; 404 where it has gone."""
    try:
        return download(row.file.open("rb"), name or row.name)
    except FileNotFoundError:
        raise Http404 from None


def done(request, url, text="", *, level="success", **events):
    """204 with events for the page (the dialog closes), or back to ``url`` without JavaScript."""
    if not request.htmx:
        return away(request, url, text, level=level)
    return told(HttpResponse(status=204), text, level=level, **{"dialog:close": True, **events})


def told(response, text="", *, level="success", **events):
    """The response with a toast and events; an event that is None is left out."""
    if text:
        events["toast"] = {"text": str(text), "level": level}
    for name, value in events.items():
        if value is not None:
            trigger_client_event(response, name, value if isinstance(value, dict) else {})
    return response


def away(request, url, text="", *, level="success"):
    """To another page, with a message that it shows."""
    if text:
        messages.add_message(request, LEVELS[level], text)
    return HttpResponseClientRedirect(url) if request.htmx else redirect(url)


def dialog(request, template, context, *, invalid=False):
    """A form in the dialog (or as a page): 422 when it was not accepted."""
    return render(request, template, context, status=422 if invalid else 200)


def into_dialog(response):
    """The response goes into the dialog, wherever the request wanted it."""
    response["HX-Retarget"], response["HX-Reswap"] = "#dialog", "innerHTML"
    return response


def refused(request, text, *, status):
    """A change that was refused, in words: a toast over the page, or a page."""
    if request.htmx:
        response = HttpResponse(text, status=status, content_type="text/plain; charset=utf-8")
        response["HX-Reswap"] = "none"  # the words go into the toast, the page stays (and reads its parts anew)
        return told(response, text, level="error", **{"lead:changed": True})
    return render(request, "leads/card_refused.html", {"why": text, "back": back(request, "/")}, status=status)


def back(request, default):
    """The page that the form stood on, when it is ours."""
    url = request.POST.get("back") or request.headers.get("Referer", "")
    ours = url_has_allowed_host_and_scheme(url, {request.get_host()}, require_https=request.is_secure())
    return url if ours and url.startswith(("/", "http")) else default  # any other word would be a view's name
