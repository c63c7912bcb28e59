"""Draws forms by templates, but the plainest controls by themselves: a filter has a dozen of them on every page.

Django draws an input by two templates and a select by two more for each option; the HTML here is the same.
"""

from django.forms.renderers import TemplatesSetting
from django.utils.html import conditional_escape
from django.utils.translation import gettext_lazy

DASHES = "---------"  # what Django says where nothing is chosen
NOTHING = gettext_lazy("not chosen")


class Renderer(TemplatesSetting):
    def render(self, template_name, context, request=None):
        draw = DRAWN.get(template_name)
        return draw(context["widget"]) if draw else super().render(template_name, context, request)


def _attrs(attrs):
    return "".join(
        f" {conditional_escape(name)}" if value is True else f' {conditional_escape(name)}="{_text(value)}"'
        for name, value in attrs.items()
        if value is not False
    )


def _text(value):
    return conditional_escape(value if isinstance(value, str) else str(value))


def _label(label):
    return _text(NOTHING if label == DASHES else label)


def _input(widget):
    value = "" if widget["value"] is None else f' value="{_text(widget["value"])}"'
    return f'<input type="{widget["type"]}" name="{_text(widget["name"])}"{value}{_attrs(widget["attrs"])}>'


def _select(widget):
    groups = "".join(_group(name, options) for name, options, _index in widget["optgroups"])
    return f'<select name="{_text(widget["name"])}"{_attrs(widget["attrs"])}>{groups}\n</select>'


def _group(name, options):
    drawn = "".join(
        f'\n  <option value="{_text(option["value"])}"{_attrs(option["attrs"])}>{_label(option["label"])}</option>'
        for option in options
    )
    return f'\n  <optgroup label="{_text(name)}">{drawn}\n  </optgroup>' if name else drawn


DRAWN = {f"django/forms/widgets/{name}.html": _input for name in ("text", "date", "number", "email", "hidden", "url")}
DRAWN["django/forms/widgets/select.html"] = _select
