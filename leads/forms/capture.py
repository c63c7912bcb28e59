"""Forms of capture: the hosted page of a source, and the source itself."""

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from leads import identity
from leads.capture import adapter_choices, traps
from leads.capture.fields import MARKS, MAX_FIELD, MAX_TEXT
from leads.models import Source
from leads.services import sources
from leads.services.judging import phone_region

CARRIED = (*sorted(MARKS), "referrer", "landing", "visitor_id")  # hidden: the visits script and the address fill them
EXTRA = {
    "company": _("Company"),
    "job_title": _("Job title"),
    "city": _("City"),
    "product": _("What are you interested in?"),
    "budget": _("Budget"),
}
FIRST = ("name", "phone", "email", "message")


class HostedForm(forms.Form):
    """Name, phone, e-mail, message and what the source's settings add; needs a phone or an e-mail."""

    name = forms.CharField(
        label=_("Your name"), max_length=200, required=False, widget=forms.TextInput({"autocomplete": "name"})
    )
    phone = forms.CharField(
        label=_("Phone"), max_length=MAX_FIELD, required=False,
        widget=forms.TextInput({"type": "tel", "inputmode": "tel", "autocomplete": "tel"}),
    )  # fmt: skip
    email = forms.CharField(
        label=_("E-mail"), max_length=MAX_FIELD, required=False,
        widget=forms.TextInput({"inputmode": "email", "autocomplete": "email"}),
    )  # fmt: skip
    message = forms.CharField(
        label=_("Message"), max_length=MAX_TEXT, required=False, widget=forms.Textarea({"rows": 4})
    )

    def __init__(self, data=None, *, source, token="", marks=None):
        super().__init__(data, label_suffix="")
        self.source = source
        for name in source.settings.get("fields") or []:
            if name in EXTRA:
                self.fields[name] = forms.CharField(label=EXTRA[name], max_length=MAX_FIELD, required=False)
        for name in source.settings.get("hide") or []:
            if name in ("name", "email", "message"):
                del self.fields[name]
        if source.consent_id:
            self.fields["consent"] = forms.BooleanField(label=_("I agree to the processing of my personal data"))
            self.fields["consent"].error_messages["required"] = _("Please agree, so that we may answer you.")
        for name in CARRIED:
            self.fields[name] = forms.CharField(
                widget=forms.HiddenInput, required=False, initial=(marks or {}).get(name, "")
            )
        self.fields[traps.TOKEN] = forms.CharField(widget=forms.HiddenInput, required=False, initial=token)

    def visible(self):
        """Fields that a person fills in, the consent last and apart."""
        return [field for field in self.visible_fields() if field.name != "consent"]

    def clean_phone(self):
        raw = self.cleaned_data["phone"].strip()
        if raw and not identity.phones(raw, phone_region()):
            raise ValidationError(_("This does not look like a phone number."))
        return raw

    def clean_email(self):
        raw = self.cleaned_data["email"].strip()
        if raw and not identity.emails(raw):
            raise ValidationError(_("This does not look like an e-mail address."))
        return raw

    def clean(self):
        data = super().clean()
        lacking = not data.get("phone") and not data.get("email")
        if lacking and not {"phone", "email"} & set(self.errors):
            self.add_error("phone", _("Leave a phone or an e-mail, so that we can answer."))
        return data


class SourceForm(forms.ModelForm):
    """A source as an administrator edits it; its settings as fields, each checked by ``services.sources``."""

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
    fields_shown = forms.MultipleChoiceField(
        label=_("More fields on the hosted page"), required=False, choices=list(EXTRA.items()),
        widget=forms.CheckboxSelectMultiple,
    )  # fmt: skip
    mapping = forms.CharField(
        label=_("Names of fields"), required=False, widget=forms.Textarea({"rows": 4, "class": "mono"}),
        help_text=_("One a line: “their name = our field”, for example: payment[orderid] = external_id"),
    )  # fmt: skip

    class Meta:
        model = Source
        fields = ["name", "key", "adapter", "channel", "origin", "secret", "consent", "is_active"]
        labels = {"origin": _("Counts as")}
        help_texts = {
            "key": _("Part of the address; it cannot be changed later."),
            "secret": _("Whoever knows it may post. Empty: anybody may."),
        }

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["adapter"] = forms.ChoiceField(label=_("Kind"), choices=adapter_choices())
        self.fields["origin"].empty_label = self.fields["consent"].empty_label = _("not set")
        if self.instance.pk:
            del self.fields["key"]
        stored = self.instance.settings or {}
        origins = stored.get("origins") or []
        self.initial |= {
            "origins": origins if isinstance(origins, str) else " ".join(origins),
            "redirect": stored.get("redirect", ""),
            "answer": stored.get("answer", ""),
            "fields_shown": stored.get("fields") or [],
            "mapping": "\n".join(f"{path} = {name}" for path, name in (stored.get("mapping") or {}).items()),
        }

    def clean_key(self):
        sources.check_key(self.cleaned_data["key"])
        return self.cleaned_data["key"]

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
        stated = {
            "origins": data.get("origins", "").replace(",", " ").split(),
            "redirect": data.get("redirect"),
            "answer": data.get("answer"),
            "fields": data.get("fields_shown"),
            "mapping": data.get("mapping"),
        }
        kept = {k: v for k, v in (self.instance.settings or {}).items() if k not in stated}
        self.instance.settings = kept | {name: value for name, value in stated.items() if value}
        try:
            sources.check_settings(self.instance.settings, self.instance.adapter)
        except ValidationError as error:
            self.add_error(None, error)
        return data
