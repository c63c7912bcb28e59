"""Two people with one settings form open: the second to save is told instead of taking back what the first has saved.

A page carries the fingerprint of what is stored as it was opened (``Version.field``); a save looks, with the row locked,
whether that still holds. Where it does not, the form comes back as it was typed with the fingerprint of now: saved
once more, it counts.
"""

import json
from datetime import UTC, datetime

from django import forms
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.serializers.json import DjangoJSONEncoder
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.formats import date_format
from django.utils.functional import cached_property
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _

from crm.core.models import AuditEntry

NAME = "opened_as"
PAGE = "opened_page"  # of the admin, whose form may have a version of its own
SHOWN = 8  # fields that a refusal lists


def facts(row, names=None):
    """What people set of a row: {field: stored value}; ``names``: of these fields alone."""
    wanted = [f for f in row._meta.concrete_fields if f.editable and (names is None or f.name in names)]
    found = {f.name: f.value_from_object(row) for f in wanted}
    for field in row._meta.many_to_many:
        if names is None or field.name in names:
            found[field.name] = sorted(getattr(row, field.name).values_list("pk", flat=True))
    return found


def fingerprint(values):
    text = json.dumps(values, cls=DjangoJSONEncoder, sort_keys=True, default=str)
    return salted_hmac("crm.core.versions", text).hexdigest()[:32]


class Version:
    """``values``: what is stored now; ``said``: what the page carried, "" for one that has just been opened.

    ``row``: whose history tells who it was; ``audit``: filters of its entries in the audit log, where it has any.
    """

    def __init__(self, values, said="", row=None, audit=None, name=NAME):
        self.now, self.row, self.audit, self.name = fingerprint(values), row, audit, name
        at, _dot, self.then = (said or "").partition(".")
        self.since = datetime.fromtimestamp(int(at), UTC) if at.isascii() and at.isdecimal() and len(at) < 12 else None

    @property
    def is_stale(self):
        return self.since is not None and self.then != self.now

    @property
    def token(self):
        return f"{int(timezone.now().timestamp())}.{self.now}"

    @property
    def field(self):
        return format_html('<input type="hidden" name="{}" value="{}">', self.name, self.token)

    @cached_property
    def by(self):
        """(who, when) of the latest change since the page was opened, as far as it is known."""
        if self.row is None:
            return None
        kind = ContentType.objects.get_for_model(self.row)
        log = LogEntry.objects.filter(content_type=kind, object_id=str(self.row.pk), action_time__gte=self.since)
        found = [(e.action_time, e.user) for e in log.select_related("user").order_by("-pk")[:1]]
        if self.audit:
            log = AuditEntry.objects.filter(**self.audit, at__gte=self.since).select_related("user")
            found += [(e.at, e.user) for e in log.order_by("-pk")[:1]]
        return max(found, key=lambda pair: pair[0])[::-1] if found else None

    def message(self, differences=()):
        """The refusal; ``differences``: (label, stored value) of what was typed otherwise than it is stored."""
        if self.by:
            who = {"name": self.by[0], "at": date_format(timezone.localtime(self.by[1]), "DATETIME_FORMAT")}
            first = _("%(name)s has changed this meanwhile: %(at)s.") % who
        else:
            first = _("This has been changed meanwhile by somebody else.")
        then = _("What you typed is still here. Save again to put it over theirs, or open the page anew to see theirs.")
        stored = format_html_join("; ", "{}: {}", list(differences)[:SHOWN])
        tail = format_html(" {} {}", _("Stored now, where you have it otherwise:"), stored) if stored else ""
        return format_html("{} {}{}", first, then, tail)


# --- In forms -------------------------------------------------------------------------------------------------------


def differences(form):
    """(label, stored value) of the fields that were typed otherwise than they are stored; secrets are not shown."""
    for name in form.changed_data:
        field = form.fields[name]
        if name != NAME and not isinstance(field.widget, forms.PasswordInput | forms.HiddenInput):
            yield field.label or form[name].label, _words(field, form.get_initial_for_field(field, name))


def _words(field, value):
    if isinstance(field, forms.ModelMultipleChoiceField):
        return ", ".join(map(str, value or [])) or "—"
    if isinstance(field, forms.ModelChoiceField):
        return field.queryset.filter(pk=value).first() or "—" if value else "—"
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(field, forms.ChoiceField):
        return dict(field.choices).get(value, value)
    text = json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, dict | list) else str(value or "—")
    return text if len(text) < 200 else f"{text[:200]}…"


class Versioned:
    """For a ModelForm whose view locks the row of a POST (``locked``): the version as a hidden field of the form."""

    also = ()  # fields of the row that the form sets by itself
    audit = staticmethod(lambda row: None)  # filters of the row's entries in the audit log

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.version = None
        if self.instance.pk:
            said = self.data.get(self.add_prefix(NAME), "") if self.is_bound else ""
            self.version = Version(self.stored(), said, self.instance, self.audit(self.instance))
            self.fields[NAME] = forms.CharField(required=False, widget=forms.HiddenInput)
            self.initial[NAME] = self.version.token

    def stored(self):
        return facts(self.instance, {*self._meta.fields, *self.also})

    def clean(self):
        data = super().clean()
        if self.version and self.version.is_stale:
            self.add_error(None, self.version.message(differences(self)))
            self.data = self.data.copy()
            self.data[self.add_prefix(NAME)] = self.version.token
        return data


def refusal(form):
    """The HTTP status of a form that was not saved."""
    return 409 if form.version and form.version.is_stale else 422


def locked(rows, request):
    """The queryset, its rows locked where the request saves: what is compared is what is written over."""
    return rows.select_for_update(of=("self",), no_key=True) if request.method == "POST" else rows
