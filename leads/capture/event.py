"""Registration for an event: a form of its own, a list of who is coming, and of who came."""

from django.utils.translation import gettext_lazy as _

from leads.capture import web_form
from leads.capture.base import Setting
from leads.capture.opt_in import OPT_IN, check_days, setting
from leads.capture.site import TAGS, Registered, parse_form
from leads.capture.traps import SURGE
from leads.models.intake import Channel

LABEL = _("Event")
NEEDS_SECRET = False
CHANNEL = Channel.EVENT
HOSTED = True
COMMON = ("origins", "redirect", "mapping")
SETTINGS = {
    "event": Setting(_("Name of the event")),
    "starts": Setting(_("When"), help=_("As it should be shown: 31 December, 18:00")),
    "place": Setting(_("Where")),
    **OPT_IN,
    "tags": TAGS,
    **SURGE,
}
verify, check_settings, canary = web_form.verify, check_days, web_form.canary


def name_of(source):
    return str(setting(source, "event", source.name))


def parse(body, source, **facts):
    return parse_form(body, source, Registered(name_of(source)), **facts)
