from django import forms
from django.core.exceptions import ValidationError
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from crm.core.models import User
from crm.core.models.access import Grade
from leads.forms.conditions import ConditionField
from leads.models import Lead
from routing.models import Rule


def grade_field(name, any_grade, *, first):
    """Grades are chosen by what they are called; ``any_grade`` is the number that shuts nobody out."""
    label, free = Rule._meta.get_field(name).verbose_name, [(any_grade, pgettext_lazy("grade", "any"))]
    choices = [*free, *Grade.choices] if first else [*Grade.choices, *free]
    return forms.TypedChoiceField(label=capfirst(label), choices=choices, coerce=int, initial=any_grade)


class RuleForm(forms.ModelForm):
    """A routing rule whose mistakes are named in words."""

    condition = ConditionField()
    min_grade = grade_field("min_grade", 0, first=True)
    max_grade = grade_field("max_grade", 9, first=False)

    class Meta:
        model = Rule
        fields = [
            "name", "position", "condition", "strategy", "team", "person", "skills", "min_grade", "max_grade",
            "is_active",
        ]  # fmt: skip
        help_texts = {
            "team": gettext_lazy("Empty: all teams."),
            "person": gettext_lazy("For the strategy “to a named person”; heads get leads only so."),
            "skills": gettext_lazy(
                "All are needed. If none is chosen, the strategy “by skill” looks for the skill that is called as the product."
            ),
        }

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if "person" in self.fields:  # the list's own form edits position and state alone
            self.fields["person"].queryset = User.objects.sellers() | User.objects.filter(pk=self.instance.person_id)

    def clean_person(self):
        person = self.cleaned_data.get("person")
        if person and not person.is_active:
            raise ValidationError(_("%(name)s cannot sign in any more: name somebody else.") % {"name": person})
        if person and not person.takes_leads:
            raise ValidationError(_("%(name)s takes no leads: switch that on for them first.") % {"name": person})
        return person

    def clean(self):
        cleaned = super().clean()
        strategy, person = cleaned.get("strategy"), cleaned.get("person")
        if strategy == Rule.Strategy.PERSON and not person and "person" not in self.errors:
            self.add_error("person", _("This strategy needs a person."))
        elif strategy and strategy != Rule.Strategy.PERSON and person:
            self.add_error("person", _("Only the strategy “to a named person” asks for a person."))
        low, high = cleaned.get("min_grade"), cleaned.get("max_grade")
        if None not in (low, high) and low > high:
            self.add_error("max_grade", _("The highest grade is below the lowest."))
        return cleaned


class SimulatorForm(forms.Form):
    """Which lead to try the rules on."""

    lead = forms.ModelChoiceField(
        Lead.objects.none(),
        label=gettext_lazy("Lead number"),
        widget=forms.NumberInput(attrs={"min": 1, "inputmode": "numeric"}),
        error_messages={"invalid_choice": gettext_lazy("There is no such lead, or you do not see it.")},
    )

    def __init__(self, *args, user, **kwargs):
        super().__init__(*args, **kwargs)
        leads = Lead.objects.visible_to(user).select_related("source", "first_origin", "stage", "owner", "person")
        self.fields["lead"].queryset = leads
