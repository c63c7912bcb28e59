"""Products, and deals to look at: they are changed on their cards, where gates and history hold."""

from django.contrib import admin
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from crm.core.admin_base import ReadOnlyAdmin, SettingsAdmin
from crm.core.models import Organisation
from crm.core.naming import COLUMNS
from crm.core.templatetags.ui import duration, money
from deals.models import Deal, DealStageMove, Product


@admin.register(Product)
class ProductAdmin(SettingsAdmin):
    list_display = ["name", "costs", "unit", "is_active"]
    list_editable = ["is_active"]
    list_filter = ["is_active"]
    search_fields = ["name"]

    @admin.display(description=Product._meta.get_field("price").verbose_name, ordering="price")
    def costs(self, product):
        return money(product.price, Organisation.get().currency)

    def formfield_for_dbfield(self, db_field, request, **kwargs):
        least = {"min_value": 0} if db_field.name == "price" else {}  # as in a deal's line, which takes it over
        return super().formfield_for_dbfield(db_field, request, **kwargs, **least)


@admin.register(Deal)
class DealAdmin(ReadOnlyAdmin):
    list_display = ["title", "person", "sum", "stage", "owner", "created_at"]
    list_filter = ["status", "pipeline"]
    list_select_related = ["person", "stage", "owner"]
    search_fields = ["search"]

    def get_fields(self, request, obj=None):
        """The sum with its currency in one."""
        names = ["sum" if name == "amount" else name for name in super().get_fields(request, obj)]
        return [name for name in names if name != "currency"]

    @admin.display(description=COLUMNS["amount"], ordering="amount")
    def sum(self, deal):
        return money(deal.amount, deal.currency)

    def address(self, deal):
        return reverse("deals:card", args=[deal.pk])


@admin.register(DealStageMove)
class DealStageMoveAdmin(ReadOnlyAdmin):
    list_display = ["deal", "kind", "from_stage", "to_stage", "sum", "by", "at"]
    list_filter = ["kind"]
    list_select_related = ["deal", "from_stage", "to_stage", "by"]

    def get_fields(self, request, obj=None):
        """The sum and the time as people write them."""
        said = {"amount": "sum", "seconds": "stayed"}
        return [said.get(name, name) for name in super().get_fields(request, obj)]

    @admin.display(description=_("time in the stage"))
    def stayed(self, move):
        return duration(move.seconds)

    @admin.display(description=COLUMNS["amount"], ordering="amount")
    def sum(self, move):
        return money(move.amount, move.deal.currency)
