"""Won, lost, reopened."""

from django.core.exceptions import PermissionDenied, ValidationError
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST
from django_fsm import TransitionNotAllowed

from crm.core.funnel import GateRefused, StaleCard, check_way_out
from deals import services
from deals.forms import FieldsForm, LoseForm
from deals.views.subject import CHANGED, address, version, worked
from leads.views import answers

ZONES = ("won", "lost")  # where a card is dropped to leave the board


def zone(request, deal, name):
    """A card was dropped on a zone: it goes back (422), and the dialog of that outcome opens."""
    if name == "won":
        context = {
            "deal": deal,
            "form": FieldsForm(deal=deal, names=_asked(deal)),
            "version": request.POST.get("version"),
        }
        return render(request, "deals/win.html", context, status=422)
    context = {"deal": deal, "form": LoseForm(), "version": request.POST.get("version")}
    return render(request, "deals/lose.html", context, status=422)


def _asked(deal):
    """The sum is always looked at once more, unless lines make it; then what the stages ahead ask for."""
    names = [] if deal.lines.exists() else ["amount"]
    try:
        check_way_out(deal)
    except GateRefused as gate:
        names += [name for name in gate.missing if name not in names]
    return names


@require_http_methods(["GET", "POST"])
def win(request, pk):
    deal = worked(request, pk)
    form = FieldsForm(request.POST if request.method == "POST" else None, deal=deal, names=_asked(deal))
    if form.is_valid() or (request.method == "POST" and not form.names):
        try:
            deal = services.win(deal, by=request.user, changes=form.changes(), version=version(request))
        except GateRefused as gate:
            form.refuse(ValidationError({name: _("The stages ahead ask for this.") for name in gate.missing}))
        except ValidationError as error:
            form.refuse(error)
        except TransitionNotAllowed as error:
            return answers.refused(request, str(error), status=409)
        except StaleCard as error:
            return answers.refused(request, str(error), status=409)
        else:
            return _closed(request, deal, _("Won: %s") % deal, "success")
    context = {"deal": deal, "form": form, "version": deal.version}
    return answers.dialog(request, "deals/win.html", context, invalid=form.is_bound)


@require_http_methods(["GET", "POST"])
def lose(request, pk):
    deal = worked(request, pk)
    form = LoseForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        data = form.cleaned_data
        try:
            deal = services.lose(deal, data["reason"], by=request.user, note=data["note"], version=version(request))
        except (TransitionNotAllowed, StaleCard) as error:
            return answers.refused(request, str(error), status=409)
        return _closed(request, deal, _("Lost: %s") % deal, "info")
    context = {"deal": deal, "form": form, "version": deal.version}
    return answers.dialog(request, "deals/lose.html", context, invalid=form.is_bound)


def _closed(request, deal, text, level):
    columns = {"columns": [deal.stage_id]}
    return answers.done(request, address(deal), text, level=level, **CHANGED, **{"board:refresh": columns})


@require_POST
def reopen(request, pk):
    deal = worked(request, pk)
    try:
        services.reopen(deal, by=request.user)
    except (TransitionNotAllowed, PermissionDenied) as error:
        return answers.refused(request, str(error), status=403)
    return answers.done(request, address(deal), _("The deal is at work again."), **CHANGED)
