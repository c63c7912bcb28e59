"""Sequences in the settings; the page where they are edited is theirs alone."""

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from crm.core.admin_base import ReadOnlyAdmin
from leads.conditions import all_in_words
from nurturing.models import Enrolment, Sequence


@admin.register(Sequence)
class SequenceAdmin(ReadOnlyAdmin):
    list_display = ["name", "is_active", "enrols_by_rule", "page"]
    list_filter = ["is_active"]
    search_fields = ["name"]
    fields = ["name", "is_active", "whom", "page"]

    @admin.display(description=_("enrols by itself when"))
    def whom(self, sequence):
        return all_in_words(sequence.condition) if sequence.enrols_by_rule else _("by hand only")

    def address(self, sequence):
        return reverse("nurturing:sequence", args=[sequence.pk])

    @admin.display(description=_("steps and condition"))
    def page(self, sequence):
        return format_html('<a href="{}">{}</a>', self.address(sequence), _("edit"))


@admin.register(Enrolment)
class EnrolmentAdmin(ReadOnlyAdmin):
    list_display = ["lead", "sequence", "state", "stopped_why", "next_at", "created_at"]
    list_filter = ["state", "stopped_why"]
    list_select_related = ["sequence", "lead"]
