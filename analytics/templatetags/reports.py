"""Template tags of reports."""

from django import template
from django.utils.html import conditional_escape, format_html
from django.utils.translation import gettext as _

from crm.core.templatetags import ui

register = template.Library()


def days(value):
    """A stretch of days to the tenth, with its unit."""
    return _("%(days)s d") % {"days": ui.num(round(value, 1))}


def days_exact(value):
    return _("%(days)s d") % {"days": ui.tenths(value)}


WORDS = {
    "day": ui.day, "month": ui.month, "percent": ui.percent, "duration": ui.duration, "number": ui.num, "days": days,
}  # fmt: skip
EXACT = {"percent": ui.percent_exact, "days": days_exact}


def words(cell, currency=""):
    """A cell of a report as people read it."""
    if cell.value is None:
        return ui.NOTHING
    if cell.kind == "estimate":
        return ui.money(round(cell.value), currency)
    if cell.kind == "money":
        return (ui.money_exact if cell.exact else ui.money)(cell.value, currency)
    return ((EXACT.get(cell.kind) if cell.exact else None) or WORDS.get(cell.kind, str))(cell.value)


@register.simple_tag
def figure(cell, currency):
    """A cell of a report in words; it opens its rows. A report has a hundred of them."""
    text = words(cell, currency)
    return format_html('<a href="{}">{}</a>', cell.url, text) if cell.url else conditional_escape(text)
