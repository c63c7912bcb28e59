"""Who signed in, who failed to, and who is locked out: the tables of axes in the words of the product."""

from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.conf import settings
from django.contrib import admin, messages
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from crm.core.admin_base import ReadOnlyAdmin


def told(row):
    """Who and when, in place of axes' own English line with its microseconds."""
    return f"{row.username}, {date_format(timezone.localtime(row.attempt_time), 'SHORT_DATETIME_FORMAT')}"


for table in (AccessAttempt, AccessFailureLog, AccessLog):
    table.__str__ = told


@admin.register(AccessAttempt)
class AttemptAdmin(ReadOnlyAdmin):
    """Counters of failures; whoever is let in again starts from none."""

    list_display = ["username", "ip_address", "failures_since_start", "is_locked", "attempt_time"]
    search_fields = ["username", "ip_address"]
    fields = ["username", "ip_address", "failures_since_start", "is_locked", "attempt_time", "path_info", "user_agent"]
    actions = ["let_in"]

    @admin.display(description=_("locked out"), boolean=True)
    def is_locked(self, attempt):
        return attempt.failures_since_start >= settings.AXES_FAILURE_LIMIT

    @admin.action(description=_("Let in again"), permissions=["view"])
    def let_in(self, request, queryset):
        count, _rows = queryset.delete()
        text = ngettext("%(count)d counter was set to nought.", "%(count)d counters were set to nought.", count)
        self.message_user(request, text % {"count": count}, messages.SUCCESS)


@admin.register(AccessLog)
class SignInAdmin(ReadOnlyAdmin):
    list_display = ["attempt_time", "username", "ip_address", "logout_time"]
    search_fields = ["username", "ip_address"]
    fields = ["username", "ip_address", "attempt_time", "logout_time", "path_info", "user_agent"]


@admin.register(AccessFailureLog)
class FailureAdmin(ReadOnlyAdmin):
    list_display = ["attempt_time", "username", "ip_address", "locked_out"]
    list_filter = ["locked_out"]
    search_fields = ["username", "ip_address"]
    fields = ["username", "ip_address", "attempt_time", "locked_out", "path_info", "user_agent"]
