"""Forms of the client's and the company's cards."""

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext

from leads import identity
from leads.forms.card import colleagues
from leads.models import Company, Identity, Person
from leads.services import people


class PersonForm(forms.ModelForm):
    company_name = forms.CharField(label=gettext_lazy("Company"), max_length=200, required=False)

    class Meta:
        model = Person
        fields = ["name", "company_name", "job_title", "city", "language", "birthday", "sex", "preferences", "owner"]
        widgets = {
            "birthday": forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
            "preferences": forms.Textarea(attrs={"rows": 3}),
        }

    def __init__(self, *args, user, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["owner"].queryset = colleagues(user, self.instance.owner_id)
        self.fields["name"].label = pgettext("person", "Name")
        self.fields["preferences"].label = _("What the client likes")
        self.fields["language"].help_text = _("Two letters, such as ru or en.")
        self.fields["owner"].label = _("Account owner")
        self.fields["owner"].empty_label = _("No owner")
        self.fields["company_name"].initial = self.instance.company.name if self.instance.company else ""

    def clean_name(self):
        return identity.person_name(self.cleaned_data["name"]) or ""

    def clean_city(self):
        return identity.city(self.cleaned_data["city"]) or ""

    def clean_birthday(self):
        day = self.cleaned_data["birthday"]
        if day and not (day.year >= 1900 and day <= timezone.localdate()):
            raise ValidationError(_("A birthday lies in the past, after 1900."))
        return day

    def changes(self):
        data = {name: value for name, value in self.cleaned_data.items() if name != "company_name"}
        return data | {"company": people.company_named(self.cleaned_data["company_name"])}


class CompanyForm(forms.ModelForm):
    class Meta:
        model = Company
        fields = ["name", "inn", "domain", "city", "industry", "size", "owner"]

    def __init__(self, *args, user, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["owner"].queryset = colleagues(user, self.instance.owner_id)
        self.fields["owner"].label = _("Account owner")
        self.fields["owner"].empty_label = _("No owner")

    def clean_name(self):
        name = " ".join(self.cleaned_data["name"].split())
        self.key = identity.company_key(name)[:200]
        if not self.key:
            raise ValidationError(_("Write the company's name."))
        if Company.objects.filter(name_key=self.key).exclude(pk=self.instance.pk).exists():
            raise ValidationError(_("There is a company of this name already."))
        return name

    def clean_inn(self):
        digits = self.cleaned_data["inn"].replace(" ", "")
        if digits and not (digits.isascii() and digits.isdigit() and len(digits) in {10, 12}):
            raise ValidationError(_("A Russian tax number has 10 or 12 digits."))
        return digits

    def save(self, commit=True):
        self.instance.name_key = self.key
        return super().save(commit)


class ContactForm(forms.Form):
    kind = forms.ChoiceField(
        label=gettext_lazy("Kind"),
        choices=[
            (kind.value, kind.label)
            for kind in (Identity.Kind.PHONE, Identity.Kind.EMAIL, Identity.Kind.TELEGRAM, Identity.Kind.WHATSAPP,
                         Identity.Kind.VK)
        ],
    )  # fmt: skip
    value = forms.CharField(label=gettext_lazy("Number or address"), max_length=254)
