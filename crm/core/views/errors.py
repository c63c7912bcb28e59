"""Error pages: in the user's language, never a traceback."""

from django.shortcuts import render


def bad_request(request, exception):
    return render(request, "400.html", status=400)


def permission_denied(request, exception):
    return render(request, "403.html", {"why": str(exception)}, status=403)


def page_not_found(request, exception):
    return render(request, "404.html", status=404)


def server_error(request):
    return render(None, "500.html", status=500)


def csrf_failure(request, reason=""):
    return render(request, "403.html", {"csrf": True}, status=403)
