"""How every view comes to its deal: for who may see it, for who may work on it; 404 for anybody else."""

from django.http import Http404
from django.shortcuts import get_object_or_404
from django.urls import reverse

from deals.models import Deal

RELATED = ("person", "company", "stage", "pipeline", "owner__team", "team", "lost_reason", "lead")
# After a change the parts of the open card and the lists that show the deal read themselves anew.
CHANGED = {"deal:changed": True, "deals:changed": True}


def seen(request, pk):
    return get_object_or_404(Deal.objects.visible_to(request.user).select_related(*RELATED), pk=pk)


def worked(request, pk):
    return get_object_or_404(Deal.objects.editable_by(request.user).select_related(*RELATED), pk=pk)


def address(deal):
    return reverse("deals:card", args=[deal.pk])


def number(request, name):
    """A key in the form; 404 for anything else."""
    text = request.POST.get(name, "")
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise Http404
    return int(text)


def version(request):
    """The version of the card that the page showed; None when it does not say."""
    return number(request, "version") if request.POST.get("version") else None


def subject(deal):
    """Whose timeline the deal is written in."""
    return deal.lead or deal.person
