"""Template tags of deals."""

from django import template
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from crm.core.templatetags.ui import full_date, kept, short_date

register = template.Library()


@register.simple_tag
def closes(deal):
    """The day on which a deal should be closed, or has not been."""
    return _closes(deal.expected_close, deal.close_passed) if deal.expected_close else ""


@kept
def _closes(day, passed):
    short, tone = short_date(day), "danger-text" if passed else "muted"
    text = pgettext("expected close", "by %(day)s") % {"day": short}
    if passed:
        text = _("close date passed:") + f" {short}"
    title = _("Expected close") + f": {full_date(day)}"
    return format_html('<span class="small nowrap {}" title="{}">{}</span>', tone, title, text)
