"""Sources, consent texts, the dictionary of lead sources, receipts."""

from django import forms
from django.contrib import admin
from django.db.models import Max
from django.urls import reverse
from django.utils.html import format_html
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from crm.core.admin_base import ReadOnlyAdmin, SearchedAdmin, SettingsAdmin, pairs
from crm.core.naming import COLUMNS, numbered
from leads.capture import PSEUDO, adapter_choices, label_of
from leads.forms.sources import PlainSourceForm
from leads.models import ConsentText, Origin, Source, Submission
from leads.services import sources
from leads.story import understood


class SourceKind(admin.SimpleListFilter):
    title, parameter_name = _("kind"), "adapter"

    def lookups(self, request, model_admin):
        return adapter_choices()

    def queryset(self, request, queryset):
        return queryset.filter(adapter=self.value()) if self.value() else queryset


@admin.register(Source)
class SourceAdmin(SettingsAdmin):
    form = PlainSourceForm  # settings are on the source's own page
    list_display = ["name", "key", "kind", "channel", "is_active", "page"]
    list_filter = [SourceKind, "channel", "is_active"]
    search_fields = ["name", "key"]
    list_select_related = ["origin"]
    shown = ["name", "kind", "channel", "origin", "is_active"]
    about = _("Doors through which enquiries come in: forms, mailboxes, telephony, messengers, pages of advertising.")

    def get_fields(self, request, obj=None):
        """The form drops the key of a source that is there: its address is in use; one of our own has no door."""
        if obj and obj.adapter in PSEUDO:
            return self.shown
        return [name for name in super().get_fields(request, obj) if name != "key" or obj is None]

    def get_readonly_fields(self, request, obj=None):
        return self.shown if obj and obj.adapter in PSEUDO else super().get_readonly_fields(request, obj)

    def has_change_permission(self, request, obj=None):
        return super().has_change_permission(request, obj) and (obj is None or obj.adapter not in PSEUDO)

    def save_model(self, request, obj, form, change):
        sources.saved(obj)

    @admin.display(description=_("kind"), ordering="adapter")
    def kind(self, source):
        """As its page calls it."""
        return label_of(source.adapter)

    def address(self, source):
        return reverse("leads:source", args=[source.key])

    @admin.display(description=_("address and snippet"))
    def page(self, source):
        return format_html('<a href="{}">{}</a>', self.address(source), _("open"))


@admin.register(ConsentText)
class ConsentTextAdmin(SettingsAdmin):
    """A version that people have agreed to is never rewritten: a new wording is a new version."""

    list_display = ["__str__", "version", "created_at"]
    fields = ["purpose", "version", "text"]

    def get_fields(self, request, obj=None):
        """What it is for, by its words where it is only looked at."""
        return ["meant_for", "version", "text"] if obj else self.fields

    def get_readonly_fields(self, request, obj=None):
        return ["meant_for"] if obj else []

    def get_changeform_initial_data(self, request):
        """The version after the last one."""
        last = ConsentText.objects.aggregate(last=Max("version"))["last"] or 0
        return {"version": last + 1} | super().get_changeform_initial_data(request)

    @admin.display(description=_("purpose"))
    def meant_for(self, text):
        return ConsentText.TITLES.get(text.purpose, text.purpose)

    def formfield_for_dbfield(self, db_field, request, **kwargs):
        if db_field.name == "purpose":
            return forms.ChoiceField(label=capfirst(db_field.verbose_name), choices=ConsentText.TITLES.items())
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def has_change_permission(self, request, obj=None):
        return obj is None and super().has_change_permission(request, obj)

    def has_delete_permission(self, request, obj=None):
        return False


@admin.register(Origin)
class OriginAdmin(SearchedAdmin):
    list_display = ["name", "channel", "same_as"]
    list_filter = ["channel"]
    search_fields = ["name"]
    autocomplete_fields = ["same_as"]
    list_select_related = ["same_as"]
    about = _(
        "The dictionary of reports: what sites, campaigns and utm_source are called in them. Different spellings of one "
        "thing are counted as one."
    )


@admin.register(Submission)
class SubmissionAdmin(ReadOnlyAdmin):
    list_display = ["number", "source", "state", "reason", "received_at", "page"]
    list_filter = ["state", "reason", "source"]
    list_select_related = ["source"]
    fields = [
        "number",
        "receipt",
        "source",
        "state",
        "reason",
        "detail",
        "received_at",
        "judged_at",
        "content_type",
        "path",
        "read",
    ]

    @admin.display(description=_("number"), ordering="pk")
    def number(self, receipt):
        return numbered(receipt.pk)

    @admin.display(description=COLUMNS["parsed"])
    def read(self, receipt):
        return pairs(understood(receipt))

    def address(self, receipt):
        return reverse("leads:receipt", args=[receipt.pk])

    @admin.display(description=_("body and replay"))
    def page(self, receipt):
        return format_html('<a href="{}">{}</a>', self.address(receipt), _("open"))
