"""Form controls that browsers do not have."""

from django import forms


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
        context = super().get_context(name, value, attrs)
        options = [option for _group, rows, _index in context["widget"]["optgroups"] for option in rows]
        chosen = [option["label"] for option in options if option["selected"]]
        return context | {"options": options, "chosen": chosen, "any_label": self.any_label}
