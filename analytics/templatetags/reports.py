"""Template tags of reports."""

from django import template
from django.utils.html import conditional_escape, format_html
from django.utils.translation import gettext as _

from crm.core.templatetags import ui

register = template.Library()


def days(value):
    """A stretch of days to the tenth, with its unit."""
    return _("%(days)s d") % {"days": ui.num(round(value, 1))}


WORDS = {"percent": ui.percent, "duration": ui.duration, "number": ui.num, "days": days}


@register.simple_tag
def figure(cell, currency):
    """A cell of a report in words; it opens its rows. A report has a hundred of them."""
    if cell.value is None:
        text = ui.NOTHING
    elif cell.kind == "money":
        text = ui.money(cell.value, currency)
    else:
        text = WORDS.get(cell.kind, str)(cell.value)
    return format_html('<a href="{}">{}</a>', cell.url, text) if cell.url else conditional_escape(text)
