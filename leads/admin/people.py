"""Leads, clients, companies and tasks for looking something up; they are worked on their cards."""

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from crm.core.admin_base import ReadOnlyAdmin
from crm.core.templatetags.ui import money, shown_phone
from leads.models import Company, Lead, Person, Task


class CardAdmin(ReadOnlyAdmin):
    """What is worked on at a page of its own, by the name of its address."""

    card_name = ""

    def address(self, row):
        return reverse(self.card_name, args=[row.pk])

    @admin.display(description=_("card"))
    def card(self, row):
        return format_html('<a href="{}">{}</a>', self.address(row), _("open"))


@admin.register(Lead)
class LeadAdmin(CardAdmin):
    card_name = "leads:card"
    list_display = ["__str__", "card", "number", "stage", "status", "owner", "score", "created_at"]
    list_filter = ["status", "band"]
    list_select_related = ["stage", "owner"]
    search_fields = ["search__contains"]
    ordering = ["-id"]

    def get_fields(self, request, obj=None):
        """The phone and the budget as people write them."""
        said = {"phone": "number", "budget": "sum"}
        names = [
            name for name in super().get_fields(request, obj) if name != "company_name"
        ]  # beside the company itself
        return [said.get(name, name) for name in names]

    @admin.display(description=Lead._meta.get_field("phone").verbose_name, ordering="phone")
    def number(self, lead):
        return shown_phone(lead.phone) or "—"

    @admin.display(description=Lead._meta.get_field("budget").verbose_name, ordering="budget")
    def sum(self, lead):
        return money(lead.budget)

    def get_search_results(self, request, queryset, search_term):
        """The search column is kept in lower case, ё as е."""
        return super().get_search_results(request, queryset, search_term.lower().replace("ё", "е"))


@admin.register(Person)
class PersonAdmin(CardAdmin):
    card_name = "leads:person"
    list_display = ["__str__", "company", "city", "owner", "created_at", "card"]
    list_select_related = ["company", "owner"]
    search_fields = ["identities__value__exact"]
    ordering = ["-id"]


@admin.register(Company)
class CompanyAdmin(CardAdmin):
    card_name = "leads:company"
    list_display = ["name", "inn", "city", "industry", "owner", "card"]
    list_select_related = ["owner"]
    search_fields = ["name_key", "inn"]
    ordering = ["-id"]


@admin.register(Task)
class TaskAdmin(ReadOnlyAdmin):
    list_display = ["title", "person", "kind", "due_at", "assignee", "done_at"]
    list_filter = ["kind"]
    list_select_related = ["assignee", "person"]
    exclude = ["dedup"]
    search_fields = ["title"]
    ordering = ["-id"]
