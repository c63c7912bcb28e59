"""Sequences and their steps as forms."""

from django import forms
from django.core.exceptions import ValidationError
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from leads import conditions
from leads.models import Template
from nurturing.models import Sequence, Step

MANY = {"in", "not_in"}


class TestForm(forms.Form):
    """One test of a condition: field, comparison, value."""

    __test__ = False  # not a test of ours

    field = forms.ChoiceField(required=False, label=_("Field"))
    op = forms.ChoiceField(required=False, label=_("Comparison"))
    value = forms.CharField(required=False, max_length=500, label=_("Value"))

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["field"].choices = [("", "—"), *((k, capfirst(v)) for k, v in conditions.FIELDS.items())]
        self.fields["op"].choices = list(conditions.OPS.items())

    def as_test(self):
        """The test as conditions keep it; None for an empty row."""
        data = self.cleaned_data
        if not data.get("field"):
            return None
        value = data.get("value", "").strip()
        if data["op"] in MANY:
            value = [word.strip() for word in value.split(",") if word.strip()]
        return {"field": data["field"], "op": data["op"], "value": value}


TestFormSet = forms.formset_factory(TestForm, extra=2, max_num=20, absolute_max=20)


def tests_of(condition):
    """Initial values of the rows for a stored condition."""
    for test in condition or []:
        value = test.get("value")
        yield {**test, "value": ", ".join(map(str, value)) if isinstance(value, list) else value}


class SequenceForm(forms.ModelForm):
    class Meta:
        model = Sequence
        fields = ["name", "enrols_by_rule"]
        widgets = {"enrols_by_rule": forms.CheckboxInput(attrs={"class": "switch"})}

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        condition = self.instance.condition if self.instance.pk else []
        data = self.data if self.is_bound else None
        self.tests = TestFormSet(data, prefix="test", initial=list(tests_of(condition)))

    def clean(self):
        data = super().clean()
        if not self.tests.is_valid():
            raise ValidationError(_("Check the condition."))
        condition = [test for row in self.tests if row.is_valid() and (test := row.as_test())]
        conditions.validate(condition)
        self.instance.condition = condition
        return data


class StepForm(forms.ModelForm):
    class Meta:
        model = Step
        fields = ["kind", "hours", "template", "title"]
        widgets = {"hours": forms.NumberInput(attrs={"min": 0, "max": 8760})}

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["hours"].required = False
        self.fields["template"].queryset = Template.objects.filter(is_active=True, kind=Template.Kind.LETTER)
        self.fields["template"].empty_label = _("not set")
        self.fields["hours"].help_text = _("For a wait: 24 is a day, 168 a week.")
        self.fields["template"].help_text = _("For a letter.")
        self.fields["title"].help_text = _("For a task: what the owner is to do.")

    def clean_hours(self):
        hours = self.cleaned_data.get("hours") or 0
        if hours > 8760:
            raise ValidationError(_("At most a year: 8760 hours."))
        return hours

    def clean(self):
        data = super().clean()
        kind = data.get("kind")
        if kind == Step.Kind.WAIT and not data.get("hours") and "hours" not in self.errors:
            self.add_error("hours", _("How long to wait?"))
        if kind == Step.Kind.EMAIL and not data.get("template") and "template" not in self.errors:
            self.add_error("template", _("Which letter?"))
        if kind == Step.Kind.TASK and not data.get("title", "").strip():
            self.add_error("title", _("What is the owner to do?"))
        return data


class EnrolForm(forms.Form):
    """A lead into a sequence by a colleague's choice."""

    sequence = forms.ModelChoiceField(Sequence.objects.none(), label=_("Sequence"))

    def __init__(self, *args, lead, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["sequence"].queryset = Sequence.objects.filter(is_active=True).exclude(
            enrolments__in=lead.enrolments.exclude(state="stopped")
        )
