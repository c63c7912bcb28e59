"""The deal's timeline, and what a colleague adds to it: notes, calls, next steps."""

from django.core.exceptions import BadRequest, ValidationError
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from deals import services
from deals.views.card import older
from deals.views.subject import CHANGED, address, seen, worked
from leads import history, story
from leads.forms.card import CallForm, NoteForm, TaskForm
from leads.forms.letters import LetterForm
from leads.models import Identity, Lead, Message, Task
from leads.services import letters, optouts
from leads.views import answers


@require_GET
def timeline(request, pk):
    """A page of the deal's (or, with ``scope=person``, the client's) history; ``group`` and ``q`` narrow it."""
    deal, query = seen(request, pk), request.GET
    filters = {"scope": query.get("scope", ""), "group": query.get("group", ""), "q": query.get("q", "").strip()}
    whole = filters["scope"] == "person"
    rows = history.of_person(deal.person, request.user) if whole else history.of_deal(deal.pk)
    rows = history.narrow(rows, group=filters["group"], search=filters["q"])
    try:
        page = history.page(rows, after=query.get("after", ""))
    except (ValueError, OverflowError) as error:
        raise BadRequest(_("This address of the timeline is not valid.")) from error
    context = {
        "deal": deal,
        "entries": story.tell(page.rows, page.names, deal=None if whole else deal.pk),
        "next_url": older(deal, page.after, **filters),
        "groups": history.GROUPS,
        "filters": filters,
        "whole": whole,
        "can_edit": request.user.can_edit_leads,
    }
    return render(request, "deals/_timeline.html" if request.htmx else "deals/timeline.html", context)


def _touched(request, deal, text, step):
    """After a touch: the next step is asked for when an open deal has none."""
    planned = step or deal.status != "open" or Task.objects.filter(deal_ref=deal.pk, done_at=None).exists()
    if planned or not request.htmx:
        return answers.done(request, address(deal), text, **CHANGED)
    form = TaskForm(user=request.user, owner=deal.owner)
    response = render(request, "deals/task.html", {"deal": deal, "form": form, "asks": True})
    return answers.told(response, text, **CHANGED)


@require_http_methods(["GET", "POST"])
def note(request, pk):
    deal = worked(request, pk)
    form = NoteForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        step = form.step()
        try:
            services.note(deal, by=request.user, text=form.cleaned_data["text"], next_step=step)
        except ValidationError as error:
            form.add_error(None, error)
        else:
            return _touched(request, deal, _("Note saved."), step)
    return answers.dialog(request, "deals/note.html", {"deal": deal, "form": form}, invalid=form.is_bound)


@require_http_methods(["GET", "POST"])
def call(request, pk):
    """Record a call: result, note and next step in one dialog."""
    deal = worked(request, pk)
    planned = Task.objects.filter(deal_ref=deal.pk, done_at=None, kind=Task.Kind.CALL).order_by("due_at")
    form = CallForm(request.POST if request.method == "POST" else None, planned=planned)
    if form.is_valid():
        data, step = form.cleaned_data, form.step()
        facts = {"result": data["result"], "text": data["text"], "closes": data.get("closes")}
        try:
            services.log_call(deal, by=request.user, next_step=step, **facts)
        except ValidationError as error:
            form.add_error(None, error)
        else:
            return _touched(request, deal, _("Call logged."), step)
    phones = deal.person.identities.filter(kind=Identity.Kind.PHONE).order_by("pk")
    context = {"deal": deal, "form": form, "phone": phones.values_list("value", flat=True).first()}
    return answers.dialog(request, "deals/call.html", context, invalid=form.is_bound)


@require_http_methods(["GET", "POST"])
def letter(request, pk):
    """Write to the client about the deal, at the address of the lead that it came from."""
    deal = worked(request, pk)
    lead = Lead.objects.editable_by(request.user).filter(pk=deal.lead_id).first()
    if lead is None:
        return answers.dialog(request, "deals/no_letter.html", {"deal": deal})
    form = LetterForm(request.POST or None, lead=lead)
    if request.method == "POST" and form.is_valid():
        kind, facts = Message.Kind.LETTER, form.cleaned_data
        letters.write(lead, kind=kind, by=request.user, deal=deal.pk, **facts)
        return answers.done(request, address(deal), _("The email is on its way."), **CHANGED)
    context = {
        "form": form,
        "lead": lead,
        "deal": deal,
        "client": deal.person,
        "action": reverse("deals:letter_new", args=[deal.pk]),
    }
    context["opted_out"] = bool(lead.email) and optouts.is_opted_out(lead.email)
    return answers.dialog(request, "leads/letter_new.html", context, invalid=request.method == "POST")


@require_http_methods(["GET", "POST"])
def task(request, pk):
    """Plan the next step of the deal."""
    deal = worked(request, pk)
    form = TaskForm(request.POST if request.method == "POST" else None, user=request.user, owner=deal.owner)
    if form.is_valid():
        try:
            services.plan(deal, form.step(), by=request.user)
        except ValidationError as error:
            form.add_error(None, error)
        else:
            return answers.done(request, address(deal), _("Planned."), **CHANGED, **{"tasks:changed": True})
    return answers.dialog(request, "deals/task.html", {"deal": deal, "form": form}, invalid=form.is_bound)
