"""The form on the hosted page of a source."""

from django import forms
from django.utils.translation import gettext_lazy as _

from leads import identity
from leads.capture import traps
from leads.capture.fields import MAX_FIELD, MAX_TEXT
from leads.capture.form_items import items_of
from leads.capture.names import MARKS
from leads.services.judging import phone_region

CHECKS = {"phone", "email"}
CARRIED = (
    *sorted(MARKS),
    "referrer",
    "landing",
    "visitor_id",
    "ref",
)  # hidden: the visits script and the address fill them


class HostedForm(forms.Form):
    """The questions of a source's form; it needs a phone or an e-mail, or the messenger that it asks for."""

    def __init__(self, data=None, *, source, token="", marks=None):
        super().__init__(data, label_suffix="")
        self.source, self.items = source, items_of(source)
        for number, item in enumerate(self.items, 1):
            self.fields[item.name] = field_of(item, number)
            if item.name in CARRIED and marks and marks.get(item.name):
                self.fields[item.name].initial = marks[item.name]
        if source.consent_id:
            self.fields["consent"] = forms.BooleanField(label=_("I agree to the processing of my personal data"))
            self.fields["consent"].error_messages["required"] = _("Please agree, so that we may answer you.")
        for name in CARRIED:
            if name not in self.fields:
                self.fields[name] = forms.CharField(
                    widget=forms.HiddenInput, required=False, initial=(marks or {}).get(name, "")
                )
        self.fields[traps.TOKEN] = forms.CharField(widget=forms.HiddenInput, required=False, initial=token)

    def ways(self):
        """The questions whose answers let us answer."""
        return [item for item in self.items if item.type in CHECKS or item.name == "telegram"]

    def either(self):
        """What to call the questions of which one must be answered, where none of them must be by itself."""
        ways = self.ways()
        return [] if any(item.required for item in ways) else [item.label for item in ways]

    def visible(self):
        """Fields that a person fills in, the consent last and apart."""
        return [field for field in self.visible_fields() if field.name != "consent"]

    def clean(self):
        data = super().clean()
        for item in self.items:
            if item.type in CHECKS and data.get(item.name) and item.name not in self.errors:
                self._check(item, data[item.name].strip())
        ways = [item.name for item in self.ways()]
        if ways and not any(data.get(name) for name in ways) and not set(ways) & set(self.errors):
            self.add_error(ways[0], _("Leave a phone or an email, so that we can answer."))
            for name in ways[1:]:
                self.fields[name].widget.attrs["aria-invalid"] = "true"
        return data

    def _check(self, item, raw):
        if item.type == "phone" and not identity.phones(raw, phone_region()):
            self.add_error(item.name, _("This does not look like a phone number."))
        if item.type == "email" and not identity.emails(raw):
            self.add_error(item.name, _("This does not look like an email address."))


def field_of(item, number):
    """The form field of one question; its id is of our own making, whatever the question is."""
    attrs = {"id": f"id_{item.name}" if item.name.isascii() and item.name.isidentifier() else f"question_{number}"}
    given = {"label": item.label, "required": item.required}
    choices = [(option, option) for option in item.options]
    if item.type == "choice":
        return forms.ChoiceField(**given, choices=[("", ""), *choices], widget=forms.Select(attrs))
    if item.type == "choices":
        return forms.MultipleChoiceField(**given, choices=choices, widget=forms.CheckboxSelectMultiple(attrs))
    if item.type == "checkbox":
        return forms.BooleanField(**given, widget=forms.CheckboxInput(attrs))
    if item.type == "textarea":
        return forms.CharField(**given, max_length=MAX_TEXT, widget=forms.Textarea(attrs | {"rows": 4}))
    more = {"inputmode": "email"} if item.type == "email" else {"type": item.input_type}
    more |= {"inputmode": "tel"} if item.type == "phone" else {}
    more |= {"autocomplete": item.autocomplete} if item.autocomplete else {}
    return forms.CharField(**given, max_length=MAX_FIELD, widget=forms.TextInput(attrs | more))
