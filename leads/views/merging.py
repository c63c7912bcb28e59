"""One client with two cards: suggestions, the two side by side, the merge and its undo."""

from django.core.exceptions import PermissionDenied, ValidationError
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from crm.core.fragments import part_of
from leads import search
from leads.models import Identity, Merge, Person
from leads.services import merging, people, twins, unmerging
from leads.views import answers

FOUND = 10


def _card(request, pk):
    """A client's card, for who may work with it; 404 for others."""
    rows = Person.objects.visible_to(request.user).select_related("company", "owner")
    return get_object_or_404(rows if request.user.can_edit_leads else rows.none(), pk=pk)


@require_GET
@part_of("leads:person", keys={"pk": "pk"})
def suggestions(request, pk):
    """A part of the client's and the lead's page: who may be the same."""
    person = get_object_or_404(Person.objects.visible_to(request.user), pk=pk)
    found = twins.of(person, request.user) if request.user.can_edit_leads else []
    return render(request, "leads/_twins.html", {"person": person, "twins": found})


@require_POST
def not_same(request, pk, other):
    person, second = _card(request, pk), _card(request, other)
    twins.part(person, second, by=request.user)
    if not request.htmx:
        return answers.away(request, reverse("leads:person", args=[pk]), _("These stay two cards."))
    response = render(request, "leads/_twins.html", {"person": person, "twins": twins.of(person, request.user)})
    return answers.told(response, _("These stay two cards."))


@require_GET
def find(request, pk):
    """Choose the other card by name, phone or e-mail."""
    person, text = _card(request, pk), request.GET.get("q", "")
    found = people.matching(request.user, text).exclude(pk=pk)[:FOUND] if text.strip() else []
    return render(request, "leads/merge_find.html", {"person": person, "found": found, "q": search.tidy(text)})


@require_http_methods(["GET", "POST"])
def merge(request, pk, other):
    """The two cards side by side; each field's value is chosen, then they are one."""
    person, second = _card(request, pk), _card(request, other)
    problem = ""
    try:
        if request.method == "POST":
            picks = {name: value for name, value in request.POST.items() if value in {"own", "other"}}
            merging.merge(person, second, picks, by=request.user)
            return answers.away(request, reverse("leads:person", args=[pk]), _("The cards are one now."))
        merging.check(person, second, request.user)
    except (ValidationError, PermissionDenied) as error:
        problem = error.messages[0] if isinstance(error, ValidationError) else str(error)
    found = merging.choices(person, second)
    context = {
        "person": person, "other": second, "problem": problem, "differing": [c for c in found if c.differs],
        "same": [c for c in found if not c.differs and c.own not in (None, "")],
        "own_signs": _signs(person), "other_signs": _signs(second),
    }  # fmt: skip
    return render(request, "leads/merge.html", context, status=409 if problem else 200)


def _signs(person):
    return list(person.identities.exclude(kind=Identity.Kind.VISITOR).order_by("kind", "pk")[:20])


@require_POST
def undo(request, pk, merge_pk):
    """Two cards again, and what has come since shared out."""
    person = _card(request, pk)
    row = get_object_or_404(Merge.objects.select_related("other"), pk=merge_pk, person=person)
    try:
        unmerging.undo(row, by=request.user)
    except ValidationError as error:
        return answers.away(request, reverse("leads:person", args=[pk]), error.messages[0], level="warning")
    return answers.away(request, reverse("leads:person", args=[pk]), _("These are two cards again."))
