"""A source as an administrator edits it: what every source has, and the settings that its adapter declares."""

from django import forms
from django.core.exceptions import ValidationError
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from crm.core.versions import Versioned
from leads.capture import ADAPTERS, adapter_choices
from leads.capture.base import MEGABYTE, megabytes
from leads.models import Source
from leads.models.intake import new_secret
from leads.services import materials, sources

PREFIX = "set_"  # before the names of an adapter's own settings
MAX_VALUE = 5000
MOST_MEGABYTES = 30


class PlainSourceForm(forms.ModelForm):
    """What every source has, whatever its adapter."""

    class Meta:
        model = Source
        fields = ["name", "key", "adapter", "channel", "origin", "secret", "consent", "is_active"]
        labels = {"origin": _("Counts as")}
        help_texts = {
            "key": _(
                "Part of the address, in Latin letters, digits and -, for example: shop. It cannot be changed later."
            ),
            "secret": _("What the sender proves itself by; the guide says how. Empty: anybody may send."),
        }

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if not self.fields:  # a source of the product's own, which the settings only show
            return
        self.fields["adapter"] = forms.ChoiceField(label=_("Kind"), choices=adapter_choices())
        self.fields["secret"].widget = forms.PasswordInput({"autocomplete": "new-password"}, render_value=True)
        if self.instance.pk:
            self.fields.pop("key", None)  # the settings ask for fewer fields

    def clean_key(self):
        sources.check_key(self.cleaned_data["key"])
        return self.cleaned_data["key"]


class SourceForm(Versioned, PlainSourceForm):
    """With the settings, each checked by ``services.sources``; secrets are never shown again."""

    also = ("settings",)
    audit = staticmethod(sources.told_by)

    origins = forms.CharField(
        label=_("Sites that may post"), required=False,
        help_text=_("Hosts separated by spaces: shop.example *.example.org. Empty: any."),
    )  # fmt: skip
    redirect = forms.URLField(
        label=_("After sending, go to"), required=False, assume_scheme="https",
        help_text=_("On one of the sites above. Empty: our thank-you page."),
    )  # fmt: skip
    answer = forms.ChoiceField(
        label=_("Answer to forms"), required=False,
        choices=[("", _("the thank-you page")), ("json", _("JSON, for site builders that expect no redirect"))],
    )  # fmt: skip
    mapping = forms.CharField(
        label=_("Names of fields"), required=False, widget=forms.Textarea({"rows": 4, "class": "mono"}),
        help_text=_(
            "One per line: “their name = our field”, for example: payment[orderid] = external_id. "
            "What our fields are called stands below."
        ),
    )  # fmt: skip

    def __init__(self, *args, adapter="", **kwargs):
        super().__init__(*args, **kwargs)
        name = self.instance.adapter or self.data.get("adapter") or adapter
        self.module = ADAPTERS.get(name)
        self.declared = getattr(self.module, "SETTINGS", {})
        self.common = [
            n for n in ("origins", "redirect", "answer", "mapping") if n in getattr(self.module, "COMMON", ())
        ]
        for unused in {"origins", "redirect", "answer", "mapping"} - set(self.common):
            del self.fields[unused]
        self._plain_fields(name)
        stored = self.instance.settings or {}
        for key, setting in self.declared.items():
            self.fields[PREFIX + key] = field_of(setting, stored.get(key), stored.get(f"{key}_name", ""))
            if setting.agreed and not self.instance.pk:
                self.fields[PREFIX + key].initial = new_secret()
        self.initial |= {name: value for name, value in _initial(stored).items() if name in self.fields}

    def stored(self):
        """A mailbox's token is renewed by the product itself: nobody has changed anything."""
        found = super().stored()
        renewed = {name: value for name, value in found["settings"].items() if name != "refresh_token"}
        return found | {"settings": renewed}

    def _plain_fields(self, adapter):
        self._secret(getattr(self.module, "SECRET_HELP", None))
        if self.instance.pk:
            del self.fields["adapter"]  # its settings would lose their sense
        elif self.module:
            self.fields["adapter"].initial = adapter
            self.fields["adapter"].widget = forms.HiddenInput()
            self.fields["channel"].initial = getattr(self.module, "CHANNEL", None)
            if self.module.NEEDS_SECRET and not getattr(self.module, "GIVEN_SECRET", False):
                self.fields["secret"].initial = new_secret()
                said, made = (
                    self.fields["secret"].help_text,
                    _("This one was made up for you; the page of the source shows it."),
                )
                self.fields["secret"].help_text = format_lazy("{} {}", said, made)

    def _secret(self, said):
        """What the secret is to this provider; no field where there is none."""
        if said == "":
            del self.fields["secret"]
        elif said:
            self.fields["secret"].help_text = said
        elif self.module and not self.module.NEEDS_SECRET:
            self.fields["secret"].help_text = _("Only where programs post here. Empty: anybody may send, as by a form.")

    def clean_mapping(self):
        pairs = {}
        for number, text in enumerate(self.cleaned_data["mapping"].splitlines(), 1):
            path, equals, name = text.rpartition("=")
            if text.strip() and not (equals and path.strip() and name.strip()):
                raise ValidationError(_("Line %(number)d: write “their name = our field”."), params={"number": number})
            if text.strip():
                pairs[path.strip()] = name.strip()
        return pairs

    def clean(self):
        data = super().clean()
        before = dict(self.instance.settings or {})
        stated = {name: data.get(name) for name in self.common}
        if "origins" in stated:
            stated["origins"] = (data.get("origins") or "").replace(",", " ").split()
        after = {k: v for k, v in before.items() if k not in stated and k not in self.declared}
        after |= {name: value for name, value in stated.items() if value}
        for key, setting in self.declared.items():
            if (value := self._value(key, setting, before)) not in (None, ""):
                after[key] = value
        self.instance.settings = after
        try:
            sources.check_settings(after, self.instance.adapter or data.get("adapter", ""))
        except ValidationError as error:
            self.add_error(None, error)
        return data

    def _value(self, key, setting, before):
        """What is to be stored of a setting; None for what is as if it were not stated."""
        value = self.cleaned_data.get(PREFIX + key)
        if setting.kind == "file":
            return before.get(key)  # a new file is kept by ``save``, when all else is right
        if setting.secret:
            return "" if value == "-" else value or before.get(key)
        if setting.kind == "megabytes":
            value = before.get(key) if value == megabytes(before.get(key)) else value and value * MEGABYTE
        if setting.kind == "lines":
            value = (value or "").strip()
        return None if value == setting.default or not (value or setting.default) else value

    def save(self, commit=True):
        for key, setting in self.declared.items():
            if setting.kind == "file" and (file := self.cleaned_data.get(PREFIX + key)):
                self.instance.settings |= materials.kept(file, key, former=self.instance.settings.get(key))
        return super().save(commit)


def _initial(stored):
    origins = stored.get("origins") or []
    return {
        "origins": origins if isinstance(origins, str) else " ".join(origins),
        "redirect": stored.get("redirect", ""),
        "answer": stored.get("answer", ""),
        "mapping": "\n".join(f"{path} = {name}" for path, name in (stored.get("mapping") or {}).items()),
    }


def field_of(setting, stored, name=""):
    """The form field of an adapter's Setting; ``name``: of the file that is stored."""
    given = {"label": setting.label, "help_text": setting.help, "required": False}
    initial = setting.default if stored in (None, "") else stored
    if setting.secret:
        hint = _("Stored. Leave it empty to keep it, write “-” to forget it.") if stored else setting.help
        widget = forms.PasswordInput({"autocomplete": "new-password"})
        return forms.CharField(**given | {"help_text": hint}, max_length=MAX_VALUE, widget=widget)
    if setting.kind == "flag":
        return forms.BooleanField(**given, initial=initial in {True, "true", "on", "1"})
    if setting.kind == "choice":
        return forms.ChoiceField(**given, choices=list(setting.choices), initial=initial)
    if setting.kind == "number":
        return forms.IntegerField(**given, initial=initial)
    if setting.kind == "megabytes":
        return forms.IntegerField(**given, initial=megabytes(initial), min_value=1, max_value=MOST_MEGABYTES)
    if setting.kind == "url":
        return forms.URLField(**given, initial=initial, assume_scheme="https", max_length=2000)
    if setting.kind == "file":
        hint = _("Stored: %(name)s. A new file takes its place.") % {"name": name or stored} if stored else setting.help
        return forms.FileField(**given | {"help_text": hint}, validators=[materials.check])
    area = forms.Textarea({"rows": 4}) if setting.kind == "lines" else forms.TextInput()
    text = "\n".join(map(str, initial)) if isinstance(initial, list) else initial
    return forms.CharField(**given, initial=text, max_length=MAX_VALUE, widget=area)
