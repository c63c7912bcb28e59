"""The editor of conditions: rows of field, comparison and value, without a script."""

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads.conditions import CUSTOM, EVENT_FIELDS, FIELDS, OPS, meant, said, validate

SPARE = 3  # empty rows below those in use; saving gives new ones
LEAST = 5
SEVERAL = {"in", "not_in", "contains"}  # comparisons whose value is a list, commas between


class ConditionWidget(forms.Widget):
    """Shows ``[{"field", "op", "value"}]`` as rows; several values are parted by commas."""

    template_name = "leads/widgets/condition.html"

    def __init__(self, *, event=False, without=frozenset(), least=LEAST, spare=SPARE, attrs=None):
        super().__init__(attrs)
        self.least, self.spare = least, spare
        fields = FIELDS | (EVENT_FIELDS if event else {})
        self.fields = [(name, label) for name, label in fields.items() if name not in without]

    def get_context(self, name, value, attrs):
        context = super().get_context(name, value, attrs)
        rows = value if isinstance(value, list) else []
        count = max(self.least, len(rows) + self.spare)
        context["widget"]["rows"] = [
            self._row(name, n, rows[n] if n < len(rows) and isinstance(rows[n], dict) else {}) for n in range(count)
        ]
        return context

    def _row(self, name, number, test):
        field, value = test.get("field", ""), test.get("value", "")
        fields = list(self.fields)
        if field and field not in dict(fields):  # a field of the lead's own, or one from elsewhere: kept as it is
            fields.append((field, str(field).removeprefix(CUSTOM)))
        return {
            "number": number + 1,
            "name": f"{name}-{number}",
            "fields": [(key, label, key == field) for key, label in fields],
            "ops": [(key, label, key == test.get("op")) for key, label in OPS.items()],
            "value": ", ".join(said(field, one) for one in _several(value)),
        }

    def value_from_datadict(self, data, files, name):
        tests, number = [], 0
        while f"{name}-{number}-field" in data and number < 50:
            field, op = data.get(f"{name}-{number}-field"), data.get(f"{name}-{number}-op")
            if field:
                tests.append(self._test(field, op, data.get(f"{name}-{number}-value", "").strip()))
            elif data.get(f"{name}-{number}-value", "").strip():
                tests.append({"field": "", "op": op, "value": data[f"{name}-{number}-value"]})
            number += 1
        return tests

    @staticmethod
    def _test(field, op, value):
        if op in {"filled", "empty"}:
            return {"field": field, "op": op}
        if op in SEVERAL:
            parts = [part.strip() for part in value.split(",") if part.strip()]
            return {"field": field, "op": op, "value": [meant(field, part) for part in parts]}
        return {"field": field, "op": op, "value": meant(field, value)}

    def value_omitted_from_data(self, data, files, name):
        return f"{name}-0-field" not in data

    def id_for_label(self, id_):
        return f"{id_}-0-field" if id_ else id_

    def use_required_attribute(self, initial):
        return False


def _several(value):
    return value if isinstance(value, list) else [] if value is None else [value]


class ConditionField(forms.Field):
    """A condition; invalid ones are refused in words. The empty one holds for every lead."""

    def __init__(self, *, event=False, without=frozenset(), **kwargs):
        self.event, self.without = event, without
        kwargs = {
            "required": False,
            "label": gettext_lazy("Condition"),
            "help_text": gettext_lazy(
                "All rows must hold; no row: every lead. Several values are separated by commas. "
                "Upper and lower case, ё and е are the same."
            ),
            "widget": ConditionWidget(event=event, without=without),
        } | kwargs
        super().__init__(**kwargs)

    def clean(self, value):
        value = value or []
        if any(test["field"] == "" for test in value):
            raise ValidationError(_("A value has no field: choose the field or empty the value."))
        validate(value, event=self.event, without=self.without)
        return value

    def has_changed(self, initial, data):
        return (initial or []) != (data or [])
