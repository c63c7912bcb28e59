"""Templates, outgoing mail, opt-outs."""

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html
from django.utils.text import Truncator
from django.utils.translation import get_language_info, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from crm.core.admin_base import ReadOnlyAdmin, SettingsAdmin
from crm.core.naming import COLUMNS
from leads.forms.letters import TemplateForm
from leads.models import Message, Suppression, Template


@admin.register(Template)
class TemplateAdmin(SettingsAdmin):
    form = TemplateForm
    list_display = ["name", "kind", "speaks", "is_welcome", "is_active", "preview"]
    list_filter = ["kind", "is_active"]
    search_fields = ["name", "subject"]

    @admin.display(description=_("language"), ordering="language")
    def speaks(self, template):
        return get_language_info(template.language)["name_local"]

    def address(self, template):
        return reverse("leads:template", args=[template.pk])

    @admin.display(description=_("preview"))
    def preview(self, template):
        """The page where it is shown filled in for a real lead."""
        return format_html('<a href="{}">{}</a>', self.address(template), _("with a real lead"))


@admin.register(Message)
class MessageAdmin(ReadOnlyAdmin):
    list_display = ["says", "page", "recipient", "sort", "state", "why", "created_at"]
    list_filter = ["state", "kind"]
    search_fields = ["to", "subject"]
    fields = ["subject", "sender", "recipient", "sort", "state", "why", "text", "created_at", "claimed_at", "sent_at"]

    @admin.display(description=COLUMNS["why"])
    def why(self, message):
        return message.reason_text or "—"

    @admin.display(description=COLUMNS["subject"], ordering="subject")
    def says(self, message):
        """A message without a subject by its first words."""
        return message.subject or Truncator(message.text).chars(60) or "—"

    @admin.display(description=COLUMNS["kind"], ordering="kind")
    def sort(self, message):
        return message.kind_text

    @admin.display(description=COLUMNS["to"], ordering="to")
    def recipient(self, message):
        return format_html('<span class="long-word">{}</span>', message.recipient)

    def address(self, message):
        return reverse("leads:message", args=[message.pk])

    @admin.display(description=pgettext_lazy("letter", "email"))
    def page(self, message):
        return format_html('<a href="{}">{}</a>', self.address(message), _("open"))


@admin.register(Suppression)
class SuppressionAdmin(ReadOnlyAdmin):
    """Only the client's own act takes an address off this list; a bounced one may be removed once it is mended."""

    list_display = ["value", "reason", "at", "by"]
    fields = ["value", "reason", "at", "message", "by"]
    list_filter = ["reason"]
    search_fields = ["value"]

    def has_delete_permission(self, request, obj=None):
        return obj is not None and obj.reason == Suppression.Reason.BOUNCED
