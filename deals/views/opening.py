"""How a deal comes to be: from a lead, for a client, again after a won one."""

from django.core.exceptions import PermissionDenied, ValidationError
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST
from django_fsm import TransitionNotAllowed

from crm.core.funnel import GateRefused, check_way_out
from deals import services
from deals.forms import OpenForm
from deals.models import Deal
from deals.services.funnel import title_for
from deals.views.subject import address, seen
from leads.forms.card import FactsForm
from leads.models import Lead, Person
from leads.views import answers


@require_http_methods(["GET", "POST"])
def convert(request, lead_pk):
    """The lead becomes a deal: one dialog, prefilled, with what the lead still lacks."""
    lead = get_object_or_404(Lead.objects.editable_by(request.user).select_related("person", "owner"), pk=lead_pk)
    if lead.status != "open":
        return _converted_already(request, lead)
    data = request.POST if request.method == "POST" else None
    initial = {"title": title_for(lead), "amount": lead.budget, "expected_close": lead.decision_date}
    form, facts = OpenForm(data, initial=initial), FactsForm(data, lead=lead, names=_lacking(lead), required=True)
    if form.is_valid() and (not facts.names or facts.is_valid()):
        try:
            deal = services.convert(
                lead, by=request.user, facts=facts.changes() if facts.names else {}, **form.values()
            )
        except GateRefused as gate:
            form.add_error(None, str(gate))
        except ValidationError as error:
            facts.refuse(error) if facts.names and _about(error, facts) else form.refuse(error)
        except TransitionNotAllowed as error:
            return answers.refused(request, str(error), status=409)
        else:
            return _opened(request, deal)
    context = {"lead": lead, "form": form, "facts": facts}
    return answers.dialog(request, "deals/convert.html", context, invalid=form.is_bound)


def _lacking(lead):
    """What the lead's funnel asks for before it becomes a deal, and is empty."""
    try:
        check_way_out(lead)
    except GateRefused as gate:
        return gate.missing
    return []


def _about(error, form):
    return hasattr(error, "error_dict") and set(error.error_dict) <= set(form.names)


def _converted_already(request, lead):
    """A second click finds the deal that the first one opened."""
    deal = Deal.objects.visible_to(request.user).filter(lead=lead).first()
    if deal and lead.status == "converted":
        return answers.away(request, address(deal), _("This lead is a deal already."), level="info")
    return answers.refused(request, _("This lead is closed; reopen it first."), status=409)


def _opened(request, deal):
    if not Deal.objects.visible_to(request.user).filter(pk=deal.pk).exists():
        return answers.done(request, "/", _("The deal is opened."), **{"lead:changed": True, "leads:changed": True})
    return answers.away(request, address(deal), _("The deal is opened."))


@require_http_methods(["GET", "POST"])
def new(request, person_pk):
    """A deal for a client whom the user knows."""
    person = get_object_or_404(Person.objects.visible_to(request.user), pk=person_pk)
    if not request.user.can_edit_leads:
        raise PermissionDenied(_("You may see deals and not change them."))
    form = OpenForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            deal = services.open_deal(person, by=request.user, **form.values())
        except GateRefused as gate:
            form.add_error(None, str(gate))
        except ValidationError as error:
            form.refuse(error)
        else:
            return answers.away(request, address(deal), _("The deal is opened."))
    return answers.dialog(request, "deals/new.html", {"person": person, "form": form}, invalid=form.is_bound)


@require_POST
def repeat(request, pk):
    """The client buys again: a deal like this one."""
    deal = seen(request, pk)
    if not request.user.can_edit_leads:
        raise PermissionDenied(_("You may see deals and not change them."))
    try:
        again = services.repeat(
            deal, by=request.user, owner=None if deal.owner and deal.owner.is_active else request.user
        )
    except (GateRefused, ValidationError) as error:
        return answers.refused(request, "; ".join(getattr(error, "messages", [str(error)])), status=403)
    return answers.away(request, address(again), _("A new deal, like the one before."))
