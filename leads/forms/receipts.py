"""Filter of the receipts page."""

from django import forms
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from leads.models import Source, Submission


class ReceiptFilter(forms.Form):
    q = forms.CharField(label=_("Fragment of the body"), required=False, max_length=100,
                        widget=forms.TextInput({"type": "search"}))  # fmt: skip
    source = forms.ModelChoiceField(
        Source.objects.none(), label=_("Source"), required=False, to_field_name="key", empty_label=_("any source")
    )
    state = forms.ChoiceField(
        label=pgettext_lazy("receipt", "State"),
        required=False,
        choices=[("", _("any state")), *Submission.State.choices],
    )
    reason = forms.ChoiceField(
        label=_("Reason"), required=False, choices=[("", _("any reason")), *Submission.Reason.choices]
    )
    since = forms.DateField(label=_("From day"), required=False, widget=forms.DateInput({"type": "date"}, "%Y-%m-%d"))
    until = forms.DateField(label=_("To day"), required=False, widget=forms.DateInput({"type": "date"}, "%Y-%m-%d"))

    def clean_until(self):
        day = self.cleaned_data["until"]
        return day if day is None or day.year < 9999 else None  # the last day of time has no next one

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["source"].queryset = Source.objects.order_by("name")
