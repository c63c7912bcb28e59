"""The lead's card: its page, its fields, its stage, owner and outcome."""

from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django_fsm import TransitionNotAllowed

from crm.core.columns import NAMES, but
from crm.core.fragments import part_of
from crm.core.funnel import GateRefused, StaleCard
from crm.core.models import Stage, User
from leads import history, story
from leads.forms import card as forms
from leads.models import Company, Lead, Source
from leads.services import cards, dossier
from leads.services import funnel as moves
from leads.views import answers, board

RELATED = (
    "person__company", "company", "source", "first_origin", "last_origin", "pipeline", "stage", "owner__team", "team",
    "rejected_reason",
)  # fmt: skip
# What its page shows of them; with all of the above the planner takes longer than everything else together.
SHOWN = ("company", "source", "first_origin", "stage", "owner", "rejected_reason")
UNSEEN = [
    "search", "phone_tail", *but(User, "owner", *NAMES, "calendar", "time_zone"), *but(Company, "company", "name"),
    *but(Source, "source", "name"),
]  # fmt: skip
# After a change the parts of the open card that show it read themselves anew.
CHANGED = {"lead:changed": True}


def seen(request, pk):
    """The lead, for who may see it; 404 otherwise."""
    return get_object_or_404(Lead.objects.visible_to(request.user).select_related(*SHOWN).defer(*UNSEEN), pk=pk)


def worked(request, pk):
    """The lead, for who may work on it; 404 otherwise."""
    return get_object_or_404(Lead.objects.editable_by(request.user).select_related(*RELATED), pk=pk)


def address(lead):
    return reverse("leads:card", args=[lead.pk])


@require_GET
def card(request, pk):
    lead = seen(request, pk)
    if lead.merged_into_id:
        return redirect("leads:card", pk=lead.merged_into_id)
    page = history.page(history.of_lead(lead))
    context = dossier.of_lead(lead, request.user) | {
        "entries": story.tell(page.rows, page.names),
        "next_url": older(lead, page),
        "groups": history.GROUPS,
        "note_form": forms.NoteForm(auto_id="quick_%s"),
        "can_edit": request.user.can_edit_leads,
    }
    return render(request, "leads/card.html", context)


def older(lead, page, **filters):
    """The address of the timeline's next page; empty on the last."""
    if not page.after:
        return ""
    query = {name: value for name, value in filters.items() if value} | {"after": page.after}
    return reverse("leads:timeline", args=[lead.pk], query=query)


@require_GET
@part_of("leads:card", keys={"pk": "pk"})
def parts(request, pk, part):
    """A part of the card, read anew after a change: its head, next steps or facts."""
    if part not in dossier.PARTS:
        raise Http404
    return _part(request, seen(request, pk), part)


def _part(request, lead, part):
    context = dossier.PARTS[part](lead, request.user) | {"lead": lead, "can_edit": request.user.can_edit_leads}
    return render(request, f"leads/_card_{part}.html", context)


@require_http_methods(["GET", "POST"])
@part_of("leads:card", keys={"pk": "pk"}, only="view")
def field(request, pk, name):
    """One field: its value, the form in its place, and the saving of it."""
    lead = worked(request, pk) if request.method == "POST" or "view" not in request.GET else seen(request, pk)
    if name not in cards.FIELDS:
        raise Http404
    form = forms.FactsForm(request.POST if request.method == "POST" else None, lead=lead, names=[name])
    if request.method == "POST" and form.is_valid() and (saved := _save(request, form)):
        return _field_saved(request, saved, name)
    if "view" in request.GET:
        return render(
            request, "leads/_card_field.html", {"lead": lead, "fact": dossier.fact(lead, name), "can_edit": True}
        )
    template = "leads/_card_field_form.html" if request.htmx else "leads/card_field.html"
    context = {"lead": lead, "form": form, "name": name, "fact": dossier.fact(lead, name)}
    return answers.dialog(request, template, context, invalid=form.is_bound)


def _save(request, form):
    """The saved lead, or None with the errors in the form."""
    try:
        return cards.edit(form.lead, form.changes(), by=request.user)
    except ValidationError as error:
        form.refuse(error)
        return None


def _field_saved(request, lead, name):
    if not request.htmx:
        return answers.away(request, address(lead), _("Saved."))
    context = {"lead": lead, "fact": dossier.fact(lead, name), "can_edit": True} | dossier.qualification(lead)
    return answers.told(render(request, "leads/_card_field_saved.html", context), **CHANGED)


@require_POST
def tags(request, pk):
    lead, form = worked(request, pk), forms.TagsForm(request.POST)
    problem = "" if form.is_valid() else _("This tag is too long.")
    if not problem:
        try:
            add, remove = form.words()
            lead = cards.tag(lead, add=add, remove=remove, by=request.user)
        except ValidationError as error:
            problem = error.messages[0]
    if not request.htmx:
        return answers.away(request, address(lead), problem or _("Saved."), level="error" if problem else "success")
    context = {"lead": lead, "problem": problem, "can_edit": True}
    response = render(request, "leads/_card_tags.html", context, status=422 if problem else 200)
    return response if problem else answers.told(response, **{"timeline:changed": True})


@require_POST
def stage(request, pk):
    """Move the lead; asked from the card, the board and by a plain form alike.

    200 with the new fragment, 422 with a form for what the stage asks for, 403 for a move that is not allowed, 409
    when somebody moved the card meanwhile.
    """
    lead = worked(request, pk)
    if (name := request.POST.get("stage")) in board.ZONES:
        return board.zone(request, lead, name)
    to = get_object_or_404(Stage, pk=_key(request, "stage"), pipeline_id=lead.pipeline_id)
    form = _gate_form(request, lead, to)
    if form and not form.is_valid():
        return _gate(request, lead, to, form)
    try:
        changes = form.changes() if form else {}
        moved = cards.fill_and_move(lead, to, changes, by=request.user, version=_version(request))
    except GateRefused as gate:
        return _gate(request, lead, to, forms.FactsForm(lead=lead, names=gate.missing, required=True), gate)
    except ValidationError as error:
        form.refuse(error)
        return _gate(request, lead, to, form)
    except (TransitionNotAllowed, PermissionDenied) as error:
        return answers.refused(request, str(error), status=403)
    except StaleCard as error:
        return answers.refused(request, str(error), status=409)
    return _moved(request, moved, lead.stage_id)


def _key(request, name):
    text = request.POST.get(name, "")
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise Http404
    return int(text)


def _version(request):
    """The version that the page showed; None when it does not say."""
    return _key(request, "version") if request.POST.get("version") else None


def _gate_form(request, lead, to):
    """The form of what the stage asks for, when it has been sent."""
    asked = [name for name in request.POST.getlist("fill") if name in to.required_fields and name in cards.FIELDS]
    return forms.FactsForm(request.POST, lead=lead, names=asked, required=True) if asked else None


def _gate(request, lead, to, form, gate=None):
    asked = gate.missing if gate else form.names
    context = {
        "lead": lead, "to": to, "form": form, "version": request.POST.get("version", ""),
        "elsewhere": dossier.labels(name for name in asked if name not in cards.FIELDS),
    }  # fmt: skip
    response = answers.dialog(request, "leads/card_stage.html", context, invalid=True)
    return answers.into_dialog(response) if request.htmx.target == "lead-head" else response


def _moved(request, lead, former):
    text = _("Moved to “%s”.") % lead.stage
    target = request.htmx.target or ""
    if not request.htmx:
        return answers.away(request, answers.back(request, address(lead)), text)
    if target.startswith("card-"):  # the board's card is put anew in its new column
        return board.moved(request, lead, [former, lead.stage_id])
    if target == "lead-head":
        return answers.told(_part(request, seen(request, lead.pk), "head"), text, **{"timeline:changed": True})
    columns = {"columns": [former, lead.stage_id]}
    return answers.done(request, address(lead), text, **CHANGED, **{"board:refresh": columns})


@require_http_methods(["GET", "POST"])
def owner(request, pk):
    """Hand the lead over."""
    lead = worked(request, pk)
    form = forms.OwnerForm(request.POST or None, user=request.user, lead=lead)
    if request.method == "POST" and form.is_valid():
        to = form.cleaned_data["owner"]
        try:
            cards.change_owner(lead, to, by=request.user)
        except PermissionDenied as error:
            return answers.refused(request, str(error), status=403)
        text = _("%(lead)s is with %(owner)s now.") % {"lead": lead, "owner": to}
        if not Lead.objects.visible_to(request.user).filter(pk=pk).exists():
            return answers.away(request, reverse("leads:list"), text)
        return answers.done(request, address(lead), text, **CHANGED)
    return answers.dialog(request, "leads/card_owner.html", {"lead": lead, "form": form}, invalid=form.is_bound)


@require_http_methods(["GET", "POST"])
def reject(request, pk):
    """Close the lead with a reason of the dictionary."""
    lead = worked(request, pk)
    form = forms.RejectForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            moves.reject(lead, form.cleaned_data["reason"], by=request.user, note=form.cleaned_data["note"])
        except TransitionNotAllowed:
            return answers.refused(request, _("This lead is closed already."), status=409)
        return answers.done(request, address(lead), _("Rejected."), level="info", **CHANGED)
    return answers.dialog(request, "leads/card_reject.html", {"lead": lead, "form": form}, invalid=form.is_bound)


@require_POST
def reopen(request, pk):
    lead = worked(request, pk)
    try:
        moves.reopen(lead, by=request.user)
    except TransitionNotAllowed:
        return answers.refused(request, _("This lead is at work already."), status=409)
    return answers.done(request, address(lead), _("Back at work."), **CHANGED)
