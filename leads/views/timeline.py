"""The timeline of a card, and what a colleague adds to it: notes, calls, the client's answers."""

from django.core.exceptions import BadRequest, ValidationError
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from leads import history, story
from leads.forms import card as forms
from leads.models import Kind, Task
from leads.services import call_ends, cards
from leads.views import answers
from leads.views.card import CHANGED, address, older, seen, worked


@require_GET
def timeline(request, pk):
    """A page of the lead's (or, with ``scope=person``, the client's) history; ``group`` and ``q`` narrow it."""
    lead, query = seen(request, pk), request.GET
    filters = {"scope": query.get("scope", ""), "group": query.get("group", ""), "q": query.get("q", "").strip()}
    whole = filters["scope"] == "person"
    rows = history.of_person(lead.person, request.user) if whole else history.of_lead(lead)
    rows = history.narrow(rows, group=filters["group"], search=filters["q"])
    try:
        page = history.page(rows, after=query.get("after", ""))
    except (ValueError, OverflowError) as error:
        raise BadRequest(_("This address of the timeline is not valid.")) from error
    context = {
        "lead": lead,
        "entries": story.tell(page.rows, page.names),
        "next_url": older(lead, page, **filters),
        "groups": history.GROUPS,
        "filters": filters,
        "whole": whole,
        "can_edit": request.user.can_edit_leads,
    }
    return render(request, "leads/_timeline.html" if request.htmx else "leads/card_timeline.html", context)


def touched(request, lead, text, step):
    """After a touch: the next step is asked for when an open lead has none."""
    if step or lead.status != "open" or lead.tasks.open().exists():
        return answers.done(request, address(lead), text, **CHANGED)
    if not request.htmx:
        return answers.away(request, reverse("leads:task_new", args=[lead.pk]) + "?asks=1", text)
    form = forms.TaskForm(user=request.user, owner=lead.owner)
    response = render(request, "leads/card_task.html", {"lead": lead, "form": form, "asks": True})
    return answers.told(response, text, **CHANGED)


@require_http_methods(["GET", "POST"])
def note(request, pk):
    lead = worked(request, pk)
    form = forms.NoteForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        step = form.step()
        try:
            cards.note(lead, by=request.user, text=form.cleaned_data["text"], next_step=step)
        except ValidationError as error:
            form.add_error(None, error)
        else:
            return touched(request, lead, _("Note saved."), step)
    return answers.dialog(request, "leads/card_note.html", {"lead": lead, "form": form}, invalid=form.is_bound)


@require_http_methods(["GET", "POST"])
def call(request, pk):
    """Record a call: result, note and next step in one dialog."""
    lead = worked(request, pk)
    planned = lead.tasks.open().filter(kind=Task.Kind.CALL).order_by("due_at")
    form = forms.CallForm(request.POST if request.method == "POST" else None, planned=planned)
    if form.is_valid():
        data, step = form.cleaned_data, form.step()
        try:
            call_ends.log(
                lead,
                by=request.user,
                result=data["result"],
                text=data["text"],
                next_step=step,
                closes=data.get("closes"),
            )
        except ValidationError as error:
            form.add_error(None, error)
        else:
            return touched(request, lead, _("Call logged."), step)
    return answers.dialog(request, "leads/card_call.html", {"lead": lead, "form": form}, invalid=form.is_bound)


@require_http_methods(["GET", "POST"])
def reply(request, pk):
    """The client has answered: what runs on its own stops."""
    lead = worked(request, pk)
    form = forms.ReplyForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        cards.replied(lead, by=request.user, text=form.cleaned_data["text"])
        return touched(request, lead, Kind.REPLIED.label, None)
    return answers.dialog(request, "leads/card_reply.html", {"lead": lead, "form": form}, invalid=form.is_bound)
