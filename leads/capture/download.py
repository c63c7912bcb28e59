"""A material behind a form: whoever leaves a contact gets a link to the file, signed and good for a month."""

from django.utils.translation import gettext_lazy as _

from leads.capture import web_form
from leads.capture.base import Setting
from leads.capture.opt_in import OPT_IN, check_days, setting
from leads.capture.site import TAGS, Wanted, parse_form
from leads.capture.traps import SURGE
from leads.models.intake import Channel

LABEL = _("Material behind a form")
NEEDS_SECRET = False
CHANNEL = Channel.SITE
HOSTED = True
COMMON = ("origins", "redirect", "mapping")
TAG = "download"
SETTINGS = {
    "title": Setting(_("Name of the material")),
    "file": Setting(_("File"), kind="file", help=_("Up to 50 MB; whoever fills in the form gets a link to it.")),
    "by_letter": Setting(
        _("Send the link by email only"), kind="flag", help=_("Otherwise the thank-you page shows it too.")
    ),
    **OPT_IN,
    "tags": TAGS,
    **SURGE,
}
verify, check_settings, canary = web_form.verify, check_days, web_form.canary


def title_of(source):
    return str(setting(source, "title", source.name))


def parse(body, source, **facts):
    return parse_form(body, source, Wanted(title_of(source)), (TAG,), **facts)
