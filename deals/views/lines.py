"""Product lines of a deal: where there are any, they make its amount."""

from django.core.exceptions import ValidationError
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from deals import services
from deals.forms import LineForm
from deals.views.subject import CHANGED, address, worked
from leads.views import answers


def _stored(form, store):
    """Whether the service took the form's data; what it refused stands in the form."""
    try:
        store()
    except ValidationError as error:
        form.refuse(error)
        return False
    return True


@require_http_methods(["GET", "POST"])
def add(request, pk):
    deal = worked(request, pk)
    form = LineForm(request.POST if request.method == "POST" else None)
    if form.is_valid() and _stored(form, lambda: services.add_line(deal, by=request.user, **form.cleaned_data)):
        return answers.done(request, address(deal), _("Added."), **CHANGED)
    return answers.dialog(request, "deals/line.html", {"deal": deal, "form": form}, invalid=form.is_bound)


@require_http_methods(["GET", "POST"])
def change(request, pk, line_pk):
    deal = worked(request, pk)
    line = get_object_or_404(deal.lines, pk=line_pk)
    form = LineForm(request.POST if request.method == "POST" else None, line=line)
    if form.is_valid() and _stored(form, lambda: services.change_line(line, form.cleaned_data, by=request.user)):
        return answers.done(request, address(deal), _("Saved."), **CHANGED)
    return answers.dialog(request, "deals/line.html", {"deal": deal, "form": form, "line": line}, invalid=form.is_bound)


@require_POST
def remove(request, pk, line_pk):
    deal = worked(request, pk)
    line = get_object_or_404(deal.lines, pk=line_pk)
    try:
        services.remove_line(line, by=request.user)
    except ValidationError as error:
        return answers.refused(request, "; ".join(error.messages), status=409)
    return answers.done(request, address(deal), _("Removed."), level="info", **CHANGED)
