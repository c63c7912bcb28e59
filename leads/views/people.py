"""Clients and companies: their cards for the whole life, and the lists to find them in."""

from django.core.exceptions import BadRequest, PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Q
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from crm.core import keyset
from leads import history, identity, story
from leads.forms import people as forms
from leads.models import Company, Identity, Lead, Person
from leads.services import erasing
from leads.services import people as services
from leads.views import answers

PAGE = 50  # rows
LEADS_AT_MOST = 50


def _person(request, pk):
    rows = Person.objects.visible_to(request.user).select_related("company", "owner")
    return get_object_or_404(rows, pk=pk)


def _worked(request, rows, pk):
    """The row, for who may work on clients; 404 for others."""
    return get_object_or_404(rows if request.user.can_edit_leads else rows.none(), pk=pk)


# --- Clients --------------------------------------------------------------------------------------------------------
@require_GET
def person(request, pk):
    """The client's dossier: contacts, enquiries, deals, consents, history as far as the user may see it."""
    if into := Person.objects.filter(pk=pk).values_list("merged_into", flat=True).first():
        return redirect("leads:person", pk=into)  # which says itself who may see it
    row = _person(request, pk)
    page = _history(request, row)
    leads = (
        Lead.objects.visible_to(request.user)
        .filter(person=row, merged_into=None)
        .select_related("stage", "owner", "first_origin")
    )
    context = {
        "person": row,
        "leads": leads.order_by("-pk")[:LEADS_AT_MOST],
        "identities": row.identities.exclude(kind=Identity.Kind.VISITOR).order_by("kind", "pk"),
        "consents": row.consents.select_related("text").order_by("-given_at"),
        "entries": story.tell(page.rows, page.names),
        "next_url": f"{request.path}?after={page.after}" if page.after else "",
        "can_edit": request.user.can_edit_leads,
        "merges": row.merges.filter(undone_at=None).select_related("other", "by"),
    }
    return render(request, "leads/person.html", context)


def _history(request, row):
    try:
        return history.page(history.of_person(row, request.user), after=request.GET.get("after", ""))
    except (ValueError, OverflowError) as error:
        raise BadRequest(_("This address of the timeline is not valid.")) from error


@require_http_methods(["GET", "POST"])
def person_edit(request, pk):
    row = _worked(request, Person.objects.visible_to(request.user).select_related("company"), pk)
    form = forms.PersonForm(request.POST or None, instance=row, user=request.user)
    url = reverse("leads:person", args=[pk])
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            services.edit_person(row, form.changes(), by=request.user)
        return answers.away(request, url, _("Saved."))
    context = {"form": form, "title": _("Edit the client"), "action": request.path}
    return answers.dialog(request, "leads/person_edit.html", context, invalid=form.is_bound)


@require_http_methods(["GET", "POST"])
def contacts(request, pk):
    """Add a phone, an e-mail or a messenger to the client."""
    row = _worked(request, Person.objects.visible_to(request.user), pk)
    form = forms.ContactForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            services.add_contact(row, form.cleaned_data["kind"], form.cleaned_data["value"], by=request.user)
        except ValidationError as error:
            form.add_error("value", error)
        else:
            return answers.away(request, reverse("leads:person", args=[pk]), _("Saved."))
    context = {"form": form, "title": _("Add a contact: %s") % row, "action": request.path}
    return answers.dialog(request, "leads/person_edit.html", context, invalid=form.is_bound)


@require_POST
def erase(request, pk):
    """Forget who this was, on their own wish; an administrator's act that cannot be undone."""
    if not request.user.is_administrator:
        raise PermissionDenied(_("Only an administrator erases a client's data."))
    row = _worked(request, Person.objects.visible_to(request.user), pk)
    erasing.erase(row, by=request.user)
    return answers.away(request, reverse("leads:person", args=[pk]), _("The client's data are erased."))


@require_POST
def contact(request, pk, contact_pk):
    """Forget a contact of the client."""
    row = _worked(request, Person.objects.visible_to(request.user), pk)
    known = get_object_or_404(row.identities.select_related("person"), pk=contact_pk)
    url = reverse("leads:person", args=[pk])
    try:
        services.remove_contact(known, by=request.user)
    except ValidationError as error:
        return answers.away(request, url, error.messages[0], level="warning")
    return answers.away(request, url, _("Removed."))


@require_GET
def people(request):
    rows = Person.objects.visible_to(request.user).filter(merged_into=None).select_related("company", "owner")
    if query := _query(request):
        found = Lead.objects.visible_to(request.user).filter(_matches(query)).values("person")
        rows = rows.filter(pk__in=found)
    rows, next_url = _keyset(request, rows, query)
    _with_contacts(rows)
    return render(request, "leads/people.html", {"people": rows, "next_url": next_url, "q": query})


def _with_contacts(people):
    """Give each the first of their phones and of their addresses: namesakes are told apart by them."""
    kinds = [Identity.Kind.PHONE, Identity.Kind.EMAIL]
    known = Identity.objects.filter(person__in=people, kind__in=kinds).order_by("-pk")
    first = {(row.person_id, row.kind): row.value for row in known}
    for person in people:
        person.phone, person.email = (first.get((person.pk, kind), "") for kind in kinds)


def _query(request):
    return request.GET.get("q", "").replace("\x00", "").strip()[:100]


def _matches(query):
    """Leads whose search column holds the words; phones by their digits, four of them by the tail."""
    digits = "".join(c for c in query if c.isascii() and c.isdigit())
    words = query.lower().replace("ё", "е")
    found = Q(search__contains=words)
    if len(digits) == 4 and digits == query:
        return found | Q(phone_tail=digits)
    number = identity.phone(query) if len(digits) > 6 else None
    return found | Q(search__contains=number.e164) if number else found


def _keyset(request, rows, query):
    """A page, newest first, and the address of the next one."""
    after = request.GET.get("after", "")
    if after:
        field = rows.model._meta.get_field("created_at")
        try:
            at, pk = keyset.decode(after, field)
        except keyset.BadCursor as error:
            raise BadRequest(_("This address of the list is not valid.")) from error
        rows = rows.filter(keyset.before(field.name, at, pk, field))
    found = list(rows.order_by("-created_at", "-pk")[: PAGE + 1])
    if len(found) <= PAGE:
        return found, ""
    last = found[PAGE - 1]
    more = {"after": keyset.encode(last.created_at, last.pk)} | ({"q": query} if query else {})
    return found[:PAGE], reverse(request.resolver_match.view_name, query=more)


# --- Companies ------------------------------------------------------------------------------------------------------
@require_GET
def companies(request):
    rows = Company.objects.visible_to(request.user).select_related("owner")
    if query := _query(request):
        rows = rows.filter(Q(name_key__contains=identity.company_key(query) or query) | Q(inn=query[:12]))
    rows, next_url = _keyset(request, rows, query)
    return render(request, "leads/companies.html", {"companies": rows, "next_url": next_url, "q": query})


@require_GET
def company(request, pk):
    row = get_object_or_404(Company.objects.visible_to(request.user).select_related("owner"), pk=pk)
    leads = Lead.objects.visible_to(request.user).filter(company=row).select_related("stage", "owner", "person")
    people = Person.objects.visible_to(request.user).filter(company=row).order_by("name")
    context = {"company": row, "leads": leads.order_by("-pk")[:LEADS_AT_MOST], "people": people[:LEADS_AT_MOST]}
    return render(request, "leads/company.html", context | {"can_edit": request.user.can_edit_leads})


@require_http_methods(["GET", "POST"])
def company_edit(request, pk):
    row = _worked(request, Company.objects.visible_to(request.user), pk)
    form = forms.CompanyForm(request.POST or None, instance=row, user=request.user)
    if request.method == "POST" and form.is_valid():
        form.save()
        return answers.away(request, reverse("leads:company", args=[pk]), _("Saved."))
    context = {"form": form, "title": _("Edit the company “%s”") % row, "action": request.path}
    return answers.dialog(request, "leads/person_edit.html", context, invalid=form.is_bound)
