from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads.conditions import EVENT_FIELDS, OF_SCORE
from leads.forms.conditions import ConditionField
from scoring.models import Rule, Thresholds


class RuleForm(forms.ModelForm):
    """A scoring rule whose mistakes are named in words."""

    on = forms.MultipleChoiceField(
        label=gettext_lazy("What gives the points"),
        required=False,
        choices=[(kind.value, kind.label) for kind in Rule.LISTENS],
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy("Engagement only: each of these gives the points, if the condition holds."),
    )
    condition = ConditionField(event=True, without=OF_SCORE)

    class Meta:
        model = Rule
        fields = ["name", "kind", "points", "on", "condition", "cap", "half_life", "position", "is_active"]

    def clean_points(self):
        points = self.cleaned_data["points"]
        if points == 0:
            raise ValidationError(_("A rule of 0 points changes nothing."))
        if abs(points) > 1000:
            raise ValidationError(_("At most 1000 points either way."))
        return points

    def clean_half_life(self):
        days = self.cleaned_data["half_life"]
        if days and days > 3650:
            raise ValidationError(_("At most 3650 days (ten years)."))
        return days

    def clean(self):
        cleaned = super().clean()
        if cleaned.get("kind") == Rule.Kind.FIT:
            self._clean_fit(cleaned)
        elif cleaned.get("kind") == Rule.Kind.ENGAGEMENT and "on" not in self.errors and not cleaned.get("on"):
            self.add_error("on", _("Choose at least one event that gives the points."))
        return cleaned

    def _clean_fit(self, cleaned):
        """Fit is what the lead is: it comes once, stays while it holds, and looks at no event."""
        cleaned["on"] = []
        for name in ("cap", "half_life"):
            if cleaned.get(name):
                self.add_error(name, _("Only for engagement: fit counts once and for as long as it holds."))
        condition = cleaned.get("condition") or []
        if any(test["field"] in EVENT_FIELDS for test in condition):
            self.add_error("condition", _("A fit rule cannot ask for page address, call result or text."))
        elif "condition" not in self.errors and not condition:
            self.add_error("condition", _("Without a condition every lead would get the points."))


class ThresholdsForm(forms.ModelForm):
    class Meta:
        model = Thresholds
        fields = ["warm", "hot", "mql", "sql"]

    def clean(self):
        cleaned = super().clean()
        for low, high in (("warm", "hot"), ("mql", "sql")):
            if None not in (cleaned.get(low), cleaned.get(high)) and cleaned[high] <= cleaned[low]:
                self.add_error(high, _("Must be more than the limit before it."))
        return cleaned
