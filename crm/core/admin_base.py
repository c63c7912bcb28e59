"""What the admin pages of every app share."""

from django.contrib import admin
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
