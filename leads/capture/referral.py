"""Recommendations: a form whose address or field carries the word that a client or a partner has given."""

import re
from types import SimpleNamespace

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from leads.capture import web_form
from leads.capture.base import Setting
from leads.capture.names import fold
from leads.capture.senders import origin_allowed
from leads.capture.site import TAGS, Recommended, parse_form
from leads.capture.traps import SURGE
from leads.models.intake import Channel

LABEL = _("Referral links and codes")
NEEDS_SECRET = False
CHANNEL = Channel.REFERRAL
HOSTED = True
COMMON = ("origins", "redirect", "mapping")
SETTINGS = {
    "landing": Setting(
        _("Where links lead"),
        kind="url",
        help=_("A page on one of the sites that may post. Empty: the form's own page."),
    ),
    "tags": TAGS,
    **SURGE,
}
NAMES = {
    "ref", "referral", "referral_code", "ref_code", "promo", "promocode", "promo_code", "code", "промокод",
    "код_рекомендации",
}  # fmt: skip
verify, canary = web_form.verify, web_form.canary


def check_settings(settings):
    """Raise ValidationError for a landing page elsewhere than on the sites that may post: no open redirect."""
    landing = settings.get("landing")
    if landing and not origin_allowed(SimpleNamespace(settings=settings), str(landing)):
        raise ValidationError(_now("The landing page must be on one of the sites that may post."))


def code_in(fields):
    """The first word of recommendation among the fields; "" without one."""
    found = (values[0].strip().lower() for path, values in fields.items() if fold(path.rpartition(".")[2]) in NAMES)
    return next((word for word in found if re.fullmatch(r"[a-z0-9_-]{2,40}", word)), "")


def parse(body, source, **facts):
    code = code_in(body.fields)
    parsed = parse_form(body, source, Recommended(code) if code else None, **facts)
    if custom := parsed.fields.get("custom"):
        parsed.fields["custom"] = {name: value for name, value in custom.items() if fold(name) not in NAMES}
    return parsed
