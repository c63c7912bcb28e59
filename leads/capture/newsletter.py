"""Subscription to the company's letters: by default the address counts only once it is confirmed from the letter."""

from dataclasses import replace

from django.utils.translation import gettext_lazy as _

from leads.capture import web_form
from leads.capture.base import Setting
from leads.capture.opt_in import OPT_IN, check_days, setting
from leads.capture.site import TAGS, Subscribed, parse_form
from leads.capture.traps import SURGE
from leads.models.intake import Channel

LABEL = _("Newsletter subscription")
NEEDS_SECRET = False
CHANNEL = Channel.SITE
HOSTED = True
COMMON = ("origins", "redirect", "mapping")
CONFIRMS = True  # unless the source says otherwise
SUBSCRIBER = "subscriber"  # tag
SETTINGS = {"topic": Setting(_("What is subscribed to"), help=_("Shown in the email and on the card.")), **OPT_IN,
            "double_opt_in": replace(OPT_IN["double_opt_in"], default=True), "tags": TAGS, **SURGE}  # fmt: skip
verify, check_settings, canary = web_form.verify, check_days, web_form.canary


def parse(body, source, **facts):
    parsed = parse_form(body, source, Subscribed(str(setting(source, "topic", source.name))), (SUBSCRIBER,), **facts)
    if not any(known.kind == "email" for known in parsed.identities):
        parsed.identities = []  # a letter needs an address
    return parsed
