"""Calls of the exchange: their recordings, what came of them, and calls started from a card."""

import secrets

from django.core.exceptions import ValidationError
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from leads.forms.card import CallForm
from leads.models import Call, Dialling, Task
from leads.services import call_ends, dialling, recordings
from leads.views import answers
from leads.views.card import CHANGED, worked
from leads.views.timeline import touched


def _seen(request, pk):
    calls = Call.objects.visible_to(request.user).select_related("source", "lead", "person")
    return get_object_or_404(calls, pk=pk)


@require_safe
def recording(request, pk):
    """The sound, passed through from the exchange; a player may ask for any part of it."""
    call = get_object_or_404(
        Call.objects.visible_to(request.user).exclude(recording="").select_related("source"), pk=pk
    )
    try:
        piece = recordings.opened(call, request.headers.get("Range", ""))
    except recordings.Unavailable as why:
        return HttpResponse(str(why), status=424, content_type="text/plain; charset=utf-8")
    if request.method == "HEAD" or piece.status == 416:
        piece.close()
        return HttpResponse(status=piece.status, headers=piece.headers)
    body = aiter(piece) if hasattr(request, "scope") else iter(piece)
    response = StreamingHttpResponse(body, status=piece.status, headers=piece.headers)
    response._resource_closers.append(piece.close)  # a listener who goes away lets go of the exchange as well
    response["Cache-Control"] = "private, no-store"
    response["Content-Disposition"] = f'inline; filename="call-{call.pk}"'
    return response


@require_http_methods(["GET", "POST"])
def outcome(request, pk):
    """What came of a call: result, note and next step, on the call's own row."""
    call = _seen(request, pk)
    lead = worked(request, call.lead_id or 0)
    planned = lead.tasks.open().filter(kind=Task.Kind.CALL).order_by("due_at")
    form = CallForm(request.POST if request.method == "POST" else None, planned=planned, initial={"text": call.note})
    if form.is_valid():
        data, step = form.cleaned_data, form.step()
        said = {"result": data["result"], "text": data["text"], "next_step": step, "closes": data.get("closes")}
        try:
            call_ends.note(call, by=request.user, **said)
        except ValidationError as error:
            form.add_error(None, error)
        else:
            return touched(request, lead, _("Call logged."), step)
    context = {"lead": lead, "form": form, "call": call}
    return answers.dialog(request, "leads/call_outcome.html", context, invalid=form.is_bound)


@require_POST
def dial(request, pk):
    """Ask the exchange to call the lead's phone; the dialog says how it goes."""
    lead = worked(request, pk)
    token = request.POST.get("token", "")
    if not (token.isascii() and token.isalnum() and 8 <= len(token) <= 32):
        token = secrets.token_hex(16)
    try:
        row = dialling.ask(lead, by=request.user, token=token)
    except ValidationError as error:
        return answers.refused(request, error.messages[0], status=409)
    if not request.htmx:
        return answers.away(request, reverse("leads:dialling", args=[row.pk]))
    return render(request, "leads/call_dialling.html", {"row": row, "lead": lead})


@require_safe
def dialling_state(request, pk):
    """How a call that the colleague has started goes."""
    row = get_object_or_404(Dialling.objects.select_related("lead"), pk=pk, user=request.user)
    over = row.state not in {Dialling.State.QUEUED, Dialling.State.PLACING}
    template = "leads/_call_dialling.html" if request.htmx else "leads/call_dialling.html"
    response = render(request, template, {"row": row, "lead": row.lead, "over": over})
    return answers.told(response, **CHANGED) if over and request.htmx else response
