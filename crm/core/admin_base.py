"""What the admin pages of every app share."""

from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteSelect
from django.core.paginator import Paginator
from django.utils.functional import cached_property

CAP = 1000  # rows that a list of a big table counts and pages through; beyond it, filter


class CappedPaginator(Paginator):
    """Counts at most CAP + 1 rows: an exact count of a big table is a scan."""

    cap = CAP

    @cached_property
    def is_capped(self):
        return self.count > CAP

    @cached_property
    def count(self):
        return len(self.object_list.order_by().values_list("pk", flat=True)[: CAP + 1])


class BigTableAdmin(admin.ModelAdmin):
    """For tables that grow with every enquiry."""

    show_full_result_count = False
    paginator = CappedPaginator
    list_per_page = 50
    ordering = ["-pk"]


class ReadOnlyAdmin(BigTableAdmin):
    """For event tables: looked at, never changed."""

    def has_add_permission(self, request):
        return False

    def has_change_permission(self, request, obj=None):
        return False

    def has_delete_permission(self, request, obj=None):
        return False


class KeysOnly(AutocompleteSelect):
    """Django looks up whatever was posted when it draws a refused form again, also what is no key."""

    def optgroups(self, name, value, attr=None):
        return super().optgroups(name, [key for key in value if str(key).isdecimal()], attr)


class SearchedAdmin(admin.ModelAdmin):
    """For pages with ``autocomplete_fields``."""

    def formfield_for_foreignkey(self, db_field, request, **kwargs):
        if db_field.name in self.get_autocomplete_fields(request):
            kwargs["widget"] = KeysOnly(db_field, self.admin_site)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)
