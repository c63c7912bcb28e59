"""Sequences and their steps as forms."""

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from crm.core.versions import Versioned
from leads.forms.conditions import ConditionField, ConditionWidget
from leads.models import Template
from nurturing.models import Sequence, Step


class SequenceForm(Versioned, forms.ModelForm):
    audit = staticmethod(lambda row: {"action": "sequence_changed", "details__pk": row.pk})
    condition = ConditionField(
        widget=ConditionWidget(least=2, spare=2),
        label=_("Which leads: all of these hold"),
        help_text=_("Several values are separated by commas. Without conditions every new lead is enrolled."),
    )

    class Meta:
        model = Sequence
        fields = ["name", "enrols_by_rule", "condition"]
        widgets = {"enrols_by_rule": forms.CheckboxInput(attrs={"class": "switch"})}


class StepForm(Versioned, forms.ModelForm):
    audit = staticmethod(lambda row: {"action": "sequence_changed", "details__pk": row.sequence_id})

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
        self.fields["template"].help_text = _("For an email.")
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
            self.add_error("template", _("Which email?"))
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
