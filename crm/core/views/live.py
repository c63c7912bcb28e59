"""Notices: the stream of the open page, and the list behind the bell."""

from django.core.handlers.asgi import ASGIRequest
from django.db.models.functions import Now
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from crm.core.live import stream
from crm.core.models import Notice
from crm.core.notices import SILENT, wording


@require_safe
def live(request):
    """Server-sent events; 204 tells the page not to ask again where the server cannot hold a stream."""
    if not isinstance(request, ASGIRequest):
        return HttpResponse(status=204)
    last = request.headers.get("Last-Event-ID", "") or request.GET.get("since", "")  # a stream anew, or a page
    events = stream(request.user.pk, request.LANGUAGE_CODE, int(last) if last.isdecimal() and len(last) < 19 else None)
    response = StreamingHttpResponse(events, content_type="text/event-stream")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    return response


@require_safe
def notices(request):
    rows = list(Notice.objects.filter(user=request.user).exclude(kind__in=SILENT).order_by("-pk")[:50])
    for row in rows:
        row.text = wording(row)
    return render(request, "core/notices.html", {"notices": rows})


@require_POST
def notices_seen(request):
    Notice.objects.filter(user=request.user, seen_at=None).update(seen_at=Now())
    return redirect("core:notices")
