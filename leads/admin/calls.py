"""Whose phone rings: colleagues and their extensions."""

from django.contrib import admin

from crm.core.admin_base import SearchedAdmin
from leads.capture import ADAPTERS
from leads.models import Extension, Source


@admin.register(Extension)
class ExtensionAdmin(SearchedAdmin):
    list_display = ["user", "source", "number", "account"]
    list_filter = [("source", admin.RelatedOnlyFieldListFilter)]
    search_fields = ["number", "account", "user__last_name", "user__username"]
    autocomplete_fields = ["user"]

    def formfield_for_foreignkey(self, db_field, request, **kwargs):
        if db_field.name == "source":
            phones = [name for name, adapter in ADAPTERS.items() if hasattr(adapter, "dial")]
            kwargs["queryset"] = Source.objects.filter(adapter__in=phones)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)
