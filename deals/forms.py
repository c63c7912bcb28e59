"""Forms of deals: opening, conversion, fields, outcome, product lines."""

from decimal import Decimal

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Count, Exists, OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from crm.core.models import Absence, Pipeline, Reason, User
from deals.models import Deal, Product
from deals.services.cards import EDITABLE
from leads.forms.card import ColleagueField, SumField

CURRENCIES = [(code, code) for code in ("RUB", "USD", "EUR", "KZT", "BYN", "CNY", "AED", "TRY", "GBP")]


def day_field(label, **extra):
    return forms.DateField(label=label, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"), **extra)


def control(name):
    """The form field of a deal's field."""
    field = Deal._meta.get_field(name)
    label = capfirst(field.verbose_name)
    if name == "amount":
        return SumField(label=label, required=False, min_value=0)
    if name == "expected_close":
        return day_field(label, required=False)
    if name == "currency":
        return forms.ChoiceField(label=label, choices=CURRENCIES)
    if name == "terms":
        widget = forms.Textarea(attrs={"rows": 4})
        return forms.CharField(label=label, required=False, max_length=10_000, widget=widget)
    return field.formfield(label=label)


class ServiceForm(forms.Form):
    """A form whose service says what is wrong, field by field."""

    def refuse(self, error):
        for name, errors in error.error_dict.items() if hasattr(error, "error_dict") else [(None, error.error_list)]:
            self.add_error(name if name in self.fields else None, errors)


class FieldsForm(ServiceForm):
    """Some fields of a deal: one that is edited in its place, or those that a stage asks for."""

    def __init__(self, data=None, *, deal, names, required=False):
        self.deal, self.names = deal, [name for name in names if name in EDITABLE]
        super().__init__(data, initial={name: getattr(deal, name) for name in self.names})
        for name in self.names:
            self.fields[name] = control(name)
            self.fields[name].required = required or self.fields[name].required
        if self.names and not self.is_bound:
            self.fields[self.names[0]].widget.attrs["autofocus"] = True
        if deal.currency not in dict(CURRENCIES) and "currency" in self.fields:
            self.fields["currency"].choices = [(deal.currency, deal.currency), *CURRENCIES]

    def changes(self):
        return {name: self.cleaned_data[name] for name in self.names}


class PipelineField(forms.ModelChoiceField):
    """Asked for only where there is a choice."""

    def __init__(self):
        super().__init__(
            Pipeline.objects.filter(kind="deal", is_active=True),
            label=pgettext_lazy("deal", "Pipeline"),
            required=False,
            empty_label=None,
        )


class OpenForm(ServiceForm):
    """A new deal: from a lead (conversion) or of a person."""

    title = forms.CharField(label=_("Title"), max_length=200)
    amount = SumField(label=_("Amount"), required=False, min_value=0)
    expected_close = day_field(_("Expected close"), required=False)
    pipeline = PipelineField()

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        pipelines = list(self.fields["pipeline"].queryset)
        if len(pipelines) < 2:
            del self.fields["pipeline"]
        elif not self.is_bound:
            self.initial.setdefault("pipeline", next((p.pk for p in pipelines if p.is_default), pipelines[0].pk))

    def values(self):
        return {name: value for name, value in self.cleaned_data.items() if value not in (None, "")}


class LoseForm(forms.Form):
    reason = forms.ModelChoiceField(
        Reason.objects.filter(kind="deal", is_active=True),
        label=_("Why?"),
        widget=forms.RadioSelect,
        empty_label=None,
        error_messages={"required": _("Choose why the deal is lost.")},
    )
    note = forms.CharField(
        label=_("In your own words"), required=False, max_length=500, widget=forms.Textarea(attrs={"rows": 2})
    )


class OwnerForm(forms.Form):
    owner = ColleagueField(User.objects.none(), label=_("New owner"), widget=forms.RadioSelect, empty_label=None)

    def __init__(self, *args, user, deal, **kwargs):
        super().__init__(*args, **kwargs)
        people = User.objects.owners_for(user).exclude(pk=deal.owner_id).select_related("team")
        opened = Deal.objects.open().filter(owner=OuterRef("pk")).order_by().values("owner")
        away = Absence.objects.filter(user=OuterRef("pk"), starts_at__lte=timezone.now(), ends_at__gt=timezone.now())
        self.fields["owner"].queryset = people.annotate(
            open_leads=Coalesce(Subquery(opened.annotate(n=Count("pk")).values("n")), 0), is_away=Exists(away)
        )
        self.fields["owner"].label_from_instance = _colleague


def _colleague(user):
    parts = [str(user), user.team.name if user.team else "", _("open deals: %s") % user.open_leads]
    return " · ".join(str(part) for part in [*parts, _("away now") if user.is_away else ""] if part)


class LineForm(ServiceForm):
    """A product line; a product of the dictionary brings its name and price, free text wants both."""

    product = forms.ModelChoiceField(
        Product.objects.filter(is_active=True),
        label=pgettext_lazy("deal line", "Product"),
        required=False,
        empty_label=_("— not from the catalogue —"),
    )
    title = forms.CharField(label=_("Name"), max_length=200, required=False)
    quantity = forms.DecimalField(
        label=_("Quantity"), max_digits=12, decimal_places=3, min_value=0, initial=1, localize=True,
        widget=forms.TextInput(attrs={"inputmode": "decimal"}),
    )  # fmt: skip
    price = SumField(label=_("Price"), required=False, min_value=0)
    discount = forms.DecimalField(
        label=_("Discount, %"), max_digits=5, decimal_places=2, min_value=0, max_value=100, required=False, initial=0,
        localize=True, widget=forms.TextInput(attrs={"inputmode": "decimal"}),
    )  # fmt: skip

    def __init__(self, *args, line=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.line = line
        if line:
            del self.fields["product"]
            bare = {name: Decimal(f"{getattr(line, name).normalize():f}") for name in ("quantity", "discount")}
            self.initial = {"title": line.title, "price": line.price} | bare | self.initial
            self.fields["title"].required = self.fields["price"].required = True

    def clean(self):
        data = super().clean()
        if not self.line and not data.get("product"):
            for name in ("title", "price"):
                if data.get(name) in (None, "") and name not in self.errors:
                    self.add_error(name, ValidationError(_("Choose a product, or fill this in.")))
        if data.get("discount") is None and "discount" not in self.errors:
            data["discount"] = 0
        return data
