"""Error pages: in the user's language, never a traceback."""

import sys

from django.http import HttpResponse
from django.shortcuts import render

from crm.core.storage import is_full

RETRY_AFTER = "5"  # seconds


def bad_request(request, exception):
    return render(request, "400.html", status=400)


def permission_denied(request, exception):
    return render(request, "403.html", {"why": str(exception)}, status=403)


def page_not_found(request, exception):
    return render(request, "404.html", status=404)


def unavailable(request):
    """No database or no room: the same request may well be taken in a moment."""
    if "text/html" in request.headers.get("Accept", ""):
        response = render(None, "503.html", status=503)
    else:
        response = HttpResponse(b'{"error": "unavailable"}', status=503, content_type="application/json")
    response["Retry-After"] = RETRY_AFTER
    return response


def server_error(request):
    if is_full(sys.exc_info()[1]):  # an upload that a middleware reads: no view has been asked yet
        return unavailable(request)
    return render(None, "500.html", status=500)


def csrf_failure(request, reason=""):
    return render(request, "403.html", {"csrf": True}, status=403)
