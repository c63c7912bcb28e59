"""Form controls that browsers do not have."""

from django import forms
from django.forms.models import ModelChoiceIterator


class WholeChoices(ModelChoiceIterator):
    """All rows by one question: Django would open a cursor on the server, four trips for a dozen rows."""

    def __iter__(self):
        if self.field.empty_label is not None:
            yield "", self.field.empty_label
        yield from map(self.choice, self.queryset)


def offer(field, queryset):
    """Let a field choose among the rows of ``queryset``: a list that a person can read through, not a big table."""
    field.iterator = WholeChoices
    field.queryset = queryset


class Picker(forms.CheckboxSelectMultiple):
    """Several of many in the room of one select: a button that says how many, and a popover with boxes."""

    template_name = "core/widgets/picker.html"
    use_fieldset = False

    def __init__(self, *args, any_label="", **kwargs):
        super().__init__(*args, **kwargs)
        self.any_label = any_label

    def id_for_label(self, id_, index=None):
        return id_  # the button

    def get_context(self, name, value, attrs):
        """Django's own makes a widget of every option; a box in a popover is its value, its name and whether it is on."""
        context = forms.Widget.get_context(self, name, value, attrs)
        values = set(context["widget"]["value"])
        rows = [(str(choice), label) for choice, label in self.choices]
        options = [{"value": choice, "label": label, "selected": choice in values} for choice, label in rows]
        chosen = [option["label"] for option in options if option["selected"]]
        return context | {"options": options, "chosen": chosen, "any_label": self.any_label}
