"""A lead written down by hand: a phone alone is enough."""

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from crm.core.models import Organisation, User
from leads import identity
from leads.models import Origin

TEXT = ("name", "company_name", "need")


class NewLeadForm(forms.Form):
    phone = forms.CharField(
        label=gettext_lazy("Phone"),
        required=False,
        max_length=60,
        widget=forms.TextInput({"type": "tel", "autofocus": True, "autocomplete": "off", "inputmode": "tel"}),
    )
    name = forms.CharField(
        label=pgettext_lazy("person", "Name"),
        required=False,
        max_length=200,
        widget=forms.TextInput({"autocomplete": "off"}),
    )
    email = forms.CharField(
        label=gettext_lazy("Email"),
        required=False,
        max_length=254,
        widget=forms.TextInput({"type": "email", "autocomplete": "off"}),
    )
    company_name = forms.CharField(
        label=gettext_lazy("Company"), required=False, max_length=200, widget=forms.TextInput({"autocomplete": "off"})
    )
    need = forms.CharField(
        label=gettext_lazy("What they need"), required=False, max_length=5000, widget=forms.Textarea({"rows": 2})
    )
    origin = forms.ModelChoiceField(
        Origin.objects.filter(same_as=None),
        label=gettext_lazy("How they found us"),
        required=False,
        empty_label=gettext_lazy("not known"),
    )
    owner = forms.ModelChoiceField(
        User.objects.none(),
        label=gettext_lazy("Owner"),
        required=False,
        empty_label=gettext_lazy("by the routing rules"),
    )
    insist = forms.BooleanField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args, user, **kwargs):
        super().__init__(*args, **kwargs)
        self.user, self.identities = user, []
        self.fields["owner"].queryset = User.objects.owners_for(user)
        if user.is_manager:
            del self.fields["owner"]

    def clean_phone(self):
        raw = self.cleaned_data["phone"]
        if raw and not identity.phone(raw, Organisation.get().region):
            raise ValidationError(_("This is no phone number: too few or too many digits."))
        return raw

    def clean_email(self):
        raw = self.cleaned_data["email"]
        if raw and not identity.email(raw):
            raise ValidationError(_("This is not an email address."))
        return raw

    def clean(self):
        data = super().clean()
        self.identities = self.signs(data.get("phone"), data.get("email"))
        if not self.identities and not self.errors:
            self.add_error("phone", _("Give a phone or an email: there must be a way to answer."))
            self.fields["email"].widget.attrs["aria-invalid"] = "true"
        return data

    @staticmethod
    def signs(phone, email):
        """The contacts as identities; what is not complete yet is left out."""
        return identity.known(phone_raw=phone or "", email_raw=email or "", region=Organisation.get().region)

    def card(self):
        """Fields of the lead, by the names of its columns."""
        return {name: self.cleaned_data[name].strip() for name in TEXT if self.cleaned_data.get(name)}

    def owner_of_new(self):
        """Managers keep what they write down; heads and administrators choose, or leave it to routing."""
        return self.user if self.user.is_manager else self.cleaned_data.get("owner")
