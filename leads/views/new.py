"""A new lead by hand, from anywhere."""

from django.core.exceptions import PermissionDenied
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from leads.forms.new import NewLeadForm
from leads.models import Lead
from leads.services import manual
from leads.views.answers import away, dialog, done


def _allowed(user):
    if not user.can_edit_leads:
        raise PermissionDenied(_("You may see leads and not make them."))


@require_http_methods(["GET", "POST"])
def new(request):
    """The dialog; a colleague's client is passed on to the colleague, which is asked for first."""
    _allowed(request.user)
    form = NewLeadForm(request.POST or None, user=request.user, initial={"phone": request.GET.get("phone", "")[:60]})
    if request.method == "GET":
        return dialog(request, "leads/new.html", {"form": form})
    found = manual.known(form.identities, by=request.user) if form.is_valid() else []
    theirs = [who for who in found if who.lead is None and who.is_open]
    if not form.is_valid() or (theirs and not form.cleaned_data["insist"]):
        return dialog(request, "leads/new.html", {"form": form, "theirs": theirs, "known": found}, invalid=True)
    lead, outcome = manual.take_down(
        form.card(), form.identities, by=request.user, owner=form.owner_of_new(), origin=form.cleaned_data["origin"]
    )
    return _made(request, lead, outcome)


def _made(request, lead, outcome):
    """To the card where it may be seen; else say who has it."""
    if Lead.objects.visible_to(request.user).filter(pk=lead.pk).exists():
        text = (
            _("This client has an open lead: the enquiry was added to it.")
            if outcome == "merged"
            else _("The lead is made.")
        )
        return away(request, reverse("leads:card", args=[lead.pk]), text)
    text = _("The lead is made; the routing rules give it an owner.")
    if lead.owner:
        text = _("Passed on: %(owner)s has this client and has been told of the enquiry.") % {"owner": lead.owner}
    return done(request, reverse("leads:list"), text, **{"leads:changed": {}})


@require_POST
def duplicates(request):
    """Who is known by what has been typed so far. A POST, so that contacts do not land in logs of addresses."""
    _allowed(request.user)
    data = {name: request.POST.get(name, "")[:254].replace("\x00", "") for name in ("phone", "email", "name")}
    signs = NewLeadForm.signs(data["phone"], data["email"])
    found = manual.known(signs, by=request.user, name=data["name"])
    return render(request, "leads/_known.html", {"known": found})
