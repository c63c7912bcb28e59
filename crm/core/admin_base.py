"""What the admin pages of every app share."""

from django import forms
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteSelect
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db import connection, transaction
from django.utils.functional import cached_property
from django.utils.html import format_html_join
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from crm.core.templatetags.ui import num
from crm.core.versions import PAGE, Version, differences, facts

CAP = 1000  # rows that a list of a big table counts and pages through; beyond it, filter
NAMED = 20  # rows in the way of a deletion that are named; the others are counted


def pairs(rows):
    """(name, value) one under another, for a field that holds several facts."""
    return format_html_join("", "<div><b>{}</b>: {}</div>", rows) or "—"


class Told:
    """What a page of the settings says beside its fields."""

    about = ""  # what a list is for, where its name does not tell

    def changelist_view(self, request, extra_context=None):
        return super().changelist_view(request, {"about": self.about, **(extra_context or {})})

    def render_change_form(self, request, context, *args, obj=None, **kwargs):
        context["card_url"] = self.address(obj) if obj else ""
        return super().render_change_form(request, context, *args, obj=obj, **kwargs)

    def address(self, row):
        """Where people work with the row, outside of the settings."""
        return ""

    def formfield_for_dbfield(self, db_field, request, **kwargs):
        """A cross beside a list of teams would delete the team; people take it for "none"."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if hasattr(field, "widget") and hasattr(field.widget, "can_delete_related"):
            field.widget.can_delete_related = False
        return field

    def mark(self):
        """What the mark is called by which a row is switched off instead of deleted; "" where there is none."""
        fields = {field.name: field for field in self.model._meta.fields}
        return capfirst(fields["is_active"].verbose_name) if "is_active" in fields else ""

    def aftermath(self, rows):
        """What a deletion changes for others, sentence by sentence."""
        return []

    def delete_view(self, request, object_id, extra_context=None):
        response = super().delete_view(request, object_id, extra_context)
        return self._asking(response, lambda context: [context["object"]])

    def response_action(self, request, queryset):
        response = super().response_action(request, queryset)
        return self._asking(response, lambda context: context["queryset"])

    def _asking(self, response, rows):
        """The page that asks before something is deleted."""
        if context := getattr(response, "context_data", None):
            context |= {"mark": self.mark(), "aftermath": self.aftermath(rows(context))}
        return response

    def get_deleted_objects(self, objs, request):
        """What stands in the way of a deletion is counted and named: the stock page says of what kind it is."""
        found, counts, lacking, protected = super().get_deleted_objects(objs, request)
        found, counts = _without_links(found, counts)
        sizes = {str(name): size for name, size in counts.items()}
        plurals = {str(m._meta.verbose_name): m._meta.verbose_name_plural for m in self.admin_site._registry}
        named = [str(plurals.get(str(one), one)) for one in lacking]
        lacking = [f"{capfirst(name)}: {num(sizes[name])}" if name in sizes else capfirst(name) for name in named]
        lacking = [] if protected else lacking  # they are named below
        more = len(protected) - NAMED
        return found, counts, lacking, [*protected[:NAMED], *([_("and %s more") % num(more)] if more > 0 else [])]


def _without_links(found, counts):
    """What is deleted, without the rows of tables that only join two others: they have no name that says anything."""
    links = [model._meta for model in apps.get_models(include_auto_created=True) if model._meta.auto_created]
    heads = tuple(f"{capfirst(meta.verbose_name)}: " for meta in links)
    plurals = {str(meta.verbose_name_plural) for meta in links}

    def pruned(rows):
        return [pruned(row) if isinstance(row, list) else row for row in rows if not str(row).startswith(heads)]

    return [row for row in pruned(found) if row != []], {k: n for k, n in counts.items() if str(k) not in plurals}


class DefaultForm(forms.ModelForm):
    """Of rows one of which is the default: marking another one takes the mark from it (``save_model`` of the page)."""

    def _get_validation_exclusions(self):
        return super()._get_validation_exclusions() | {"is_default"}


class CappedPaginator(Paginator):
    """Counts at most CAP + 1 rows: an exact count of a big table is a scan."""

    cap = CAP

    @cached_property
    def is_capped(self):
        return self.count > CAP

    @cached_property
    def count(self):
        return len(self.object_list.order_by().values_list("pk", flat=True)[: CAP + 1])


class Versioned:
    """Beside admin.ModelAdmin: whoever saves a page or a list that a colleague has changed meanwhile is told.

    See ``crm.core.versions``; the template puts the version into the page (templates/admin/change_form.html).
    """

    volatile = ()  # fields that the product itself changes

    def changeform_view(self, request, object_id=None, form_url="", extra_context=None):
        response = super().changeform_view(request, object_id, form_url, extra_context)
        version = getattr(request, "version", None)
        if version and hasattr(response, "context_data"):
            response.context_data["version"] = version
            response.status_code = 409 if version.is_stale else response.status_code
        return response

    def get_object(self, request, object_id, from_field=None):
        """The row with its version; locked for a save, so that what is compared is what is written over."""
        row = super().get_object(request, object_id, from_field)
        if row is None:
            return None
        if request.method == "POST" and connection.in_atomic_block:
            row.refresh_from_db(from_queryset=self.model._base_manager.select_for_update(of=("self",), no_key=True))
        request.version = Version(self._stored(request, row), request.POST.get(PAGE, ""), row, name=PAGE)
        return row

    def _stored(self, request, row):
        """All that the page of a row shows to be changed: its own values and those of the rows below it."""
        passed_by = {*self.volatile, *self.get_readonly_fields(request, row)}
        kept = [{name: value for name, value in facts(row).items() if name not in passed_by}]
        for inline in self.get_inline_instances(request, row):
            key = next(f for f in inline.model._meta.fields if f.remote_field and f.related_model is self.model)
            rows = inline.model._base_manager.filter(**{key.name: row}).order_by("pk")
            kept.append([[below.pk, facts(below)] for below in rows])
        return kept

    def get_form(self, request, obj=None, change=False, **kwargs):
        form, version = super().get_form(request, obj, change=change, **kwargs), getattr(request, "version", None)
        if not (change and version and version.is_stale):
            return form

        class Stale(form):
            def clean(self):
                cleaned = super().clean()
                self.add_error(None, version.message(differences(self)))
                return cleaned

        return Stale

    # --- Lists whose cells are edited ---

    def changelist_view(self, request, extra_context=None):
        if request.method == "POST" and "_save" in request.POST:
            with transaction.atomic():
                return self._list(request, extra_context)
        return self._list(request, extra_context)

    def _list(self, request, extra_context):
        response = super().changelist_view(request, extra_context)
        shown = getattr(response, "context_data", {}).get("cl")
        if shown is not None and shown.formset is not None:
            version = self._list_version(request, [form.instance.pk for form in shown.formset.forms])
            response.context_data["version"] = version
            response.status_code = 409 if version.is_stale else response.status_code
        return response

    def _list_version(self, request, pks):
        rows = self.model._base_manager.filter(pk__in=pks).order_by("pk")
        rows = rows.select_for_update(of=("self",), no_key=True) if request.method == "POST" else rows
        values = [[row.pk, facts(row, self.list_editable)] for row in rows]
        return Version(values, request.POST.get(PAGE, ""), name=PAGE)

    def get_changelist_formset(self, request, **kwargs):
        base, of = super().get_changelist_formset(request, **kwargs), self._list_version

        class Fresh(base):
            def clean(self):
                super().clean()
                version = of(request, [form.instance.pk for form in self.forms])
                if version.is_stale:
                    raise ValidationError(version.message())

        return Fresh


class SettingsAdmin(Told, Versioned, admin.ModelAdmin):
    """For what several administrators change."""


class BigTableAdmin(Told, admin.ModelAdmin):
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


class SearchedAdmin(SettingsAdmin):
    """For pages with ``autocomplete_fields``."""

    def formfield_for_foreignkey(self, db_field, request, **kwargs):
        if db_field.name in self.get_autocomplete_fields(request):
            kwargs["widget"] = KeysOnly(db_field, self.admin_site)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)
