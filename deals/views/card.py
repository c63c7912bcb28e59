"""The deal's card: its page, its fields, its stage and owner."""

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import Http404
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django_fsm import TransitionNotAllowed

from crm.core.fragments import part_of
from crm.core.funnel import GateRefused, StaleCard
from crm.core.models import Stage
from deals import dossier, services
from deals.forms import FieldsForm, OwnerForm
from deals.models import Deal
from deals.services.cards import EDITABLE
from deals.views import board, outcomes
from deals.views.subject import CHANGED, address, number, seen, version, worked
from leads import history, story
from leads.views import answers


@require_GET
def card(request, pk):
    deal = seen(request, pk)
    page = history.page(history.of_deal(deal.pk))
    context = dossier.of_deal(deal, request.user) | {
        "entries": story.tell(page.rows, page.names, deal=deal.pk),
        "next_url": older(deal, page.after),
        "groups": history.GROUPS,
    }
    return render(request, "deals/card.html", context)


def older(deal, after, **filters):
    """The address of the timeline's next page; empty on the last."""
    query = {name: value for name, value in filters.items() if value} | {"after": after}
    return reverse("deals:timeline", args=[deal.pk], query=query) if after else ""


@require_GET
@part_of("deals:card", keys={"pk": "pk"})
def parts(request, pk, part):
    """A part of the card, read anew after a change."""
    if part not in dossier.PARTS:
        raise Http404
    deal = seen(request, pk)
    context = dossier.PARTS[part](deal, request.user)
    context |= {"deal": deal, "can_edit": request.user.can_edit_leads}
    return render(request, f"deals/_card_{part}.html", context)


@require_http_methods(["GET", "POST"])
def field(request, pk, name):
    """One field of the deal in a dialog, and the saving of it; the sum comes with its currency."""
    deal = worked(request, pk)
    if name not in EDITABLE:
        raise Http404
    names = ["amount", "currency"] if name == "amount" else [name]
    form = FieldsForm(request.POST if request.method == "POST" else None, deal=deal, names=names)
    if form.is_valid() and _saved(request, form):
        return answers.done(request, address(deal), _("Saved."), **CHANGED)
    return answers.dialog(
        request, "deals/field.html", {"deal": deal, "form": form, "name": name}, invalid=form.is_bound
    )


def _saved(request, form):
    try:
        return services.edit(form.deal, form.changes(), by=request.user)
    except ValidationError as error:
        form.refuse(error)
        return None


@require_POST
def stage(request, pk):
    """Move the deal; from the card, the board and a plain form alike.

    200 with the card's new HTML, 422 with a form for what the stage asks for, 403 for a move that is not allowed, 409
    when somebody moved the card meanwhile. A drop on "won" or "lost" opens the dialog of that outcome.
    """
    deal = worked(request, pk)
    if (name := request.POST.get("stage")) in outcomes.ZONES:
        return outcomes.zone(request, deal, name)
    to = get_object_or_404(Stage, pk=number(request, "stage"), pipeline_id=deal.pipeline_id)
    asked = [name for name in request.POST.getlist("fill") if name in to.required_fields]
    form = FieldsForm(request.POST, deal=deal, names=asked, required=True)
    if not form.is_valid():
        return _gate(request, deal, to, form)
    try:
        moved = _fill_and_move(request, form, to)
    except GateRefused as gate:
        return _gate(request, deal, to, FieldsForm(deal=deal, names=gate.missing, required=True), gate.missing)
    except ValidationError as error:
        form.refuse(error)
        return _gate(request, deal, to, form)
    except (TransitionNotAllowed, PermissionDenied) as error:
        return answers.refused(request, str(error), status=403)
    except StaleCard as error:
        return answers.refused(request, str(error), status=409)
    return _moved(request, moved, deal.stage_id)


@transaction.atomic
def _fill_and_move(request, form, to):
    """Fill what the stage asks for and move, both or neither."""
    if form.names:
        services.edit(form.deal, form.changes(), by=request.user)
    return services.move_stage(form.deal, to, by=request.user, version=version(request))


def _gate(request, deal, to, form, missing=()):
    elsewhere = [Deal._meta.get_field(name).verbose_name for name in missing if name not in form.names]
    context = {"deal": deal, "to": to, "form": form, "version": request.POST.get("version", ""), "elsewhere": elsewhere}
    return answers.dialog(request, "deals/stage.html", context, invalid=True)


def _moved(request, deal, former):
    text = _("Moved to “%s”.") % deal.stage
    target = request.htmx.target or ""
    if not request.htmx:
        return answers.away(request, answers.back(request, address(deal)), text)
    if target.startswith("card-"):
        return board.PAGES.moved(request, deal, [former, deal.stage_id])
    return answers.done(
        request, address(deal), text, **CHANGED, **{"board:refresh": {"columns": [former, deal.stage_id]}}
    )


@require_http_methods(["GET", "POST"])
def owner(request, pk):
    """Hand the deal over."""
    deal = worked(request, pk)
    if request.user.is_manager and deal.owner_id != request.user.pk:
        return answers.refused(request, _("You may hand over your own deals only."), status=403)
    form = OwnerForm(request.POST if request.method == "POST" else None, user=request.user, deal=deal)
    if form.is_valid():
        to = form.cleaned_data["owner"]
        services.change_owner(deal, to, by=request.user)
        text = _("%(deal)s is with %(owner)s now.") % {"deal": deal, "owner": to}
        if not Deal.objects.visible_to(request.user).filter(pk=pk).exists():
            return answers.away(request, reverse("deals:list"), text)
        return answers.done(request, address(deal), text, **CHANGED)
    return answers.dialog(request, "deals/owner.html", {"deal": deal, "form": form}, invalid=form.is_bound)
