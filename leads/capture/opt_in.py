"""Double opt-in: whether a source's enquiries count only once the address is confirmed. Pure."""

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from leads.capture.base import Setting

DAYS = (1, 90)  # how long an address may stay unconfirmed
OPT_IN = {
    "double_opt_in": Setting(
        _("Confirm the address by email"), kind="flag",
        help=_("An enquiry counts only after the link in the email has been clicked."),
    ),
    "confirm_days": Setting(_("Days to confirm"), kind="number", default=3),
}  # fmt: skip


def setting(source, name, default=""):
    value = source.settings.get(name)
    return default if value in (None, "") else value


def wants_confirmation(source, default=False):
    return setting(source, "double_opt_in", default) in {True, "true", "on", "1"}


def check_days(settings):
    days = settings.get("confirm_days")
    if days not in (None, "") and not (isinstance(days, int) and DAYS[0] <= days <= DAYS[1]):
        raise ValidationError(
            _now("Days to confirm: from %(least)d to %(most)d.") % {"least": DAYS[0], "most": DAYS[1]}
        )
