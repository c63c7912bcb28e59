"""Forms of any site and the hosted form page: urlencoded, multipart or JSON, named as the site's builder likes.

With a secret on the source, a sender proves itself by ``X-Signature``, by ``Authorization: Bearer`` or by the field
``secret`` (site builders can often add a field but no header). Without one, anybody may post: that is what a form is.
"""

from django.utils.translation import gettext_lazy as _

from leads.capture.base import check_secret
from leads.capture.canary import form as form_canary
from leads.capture.fields import extract
from leads.capture.opt_in import OPT_IN, check_days
from leads.capture.traps import SURGE, spring

LABEL = _("Website form")
NEEDS_SECRET = False  # in production
HOSTED = True
COMMON = ("origins", "redirect", "answer", "mapping")
SETTINGS = OPT_IN | SURGE
check_settings = check_days


def verify(envelope, source, body):
    if source.secret:
        field = body.fields.get("secret", [""])[0] if body else ""
        check_secret(envelope, source, given=field)


canary = form_canary


def parse(body, source, *, headers, region="RU", path="", received_at=None):
    if body.fields == {"test": ["test"]}:  # how Tilda tries an address when it is entered
        parsed = extract(body, source, headers, region)
        parsed.kind, parsed.reason = "test", "test"
        return parsed
    return spring(extract(body, source, headers, region), body, source, path=path, received_at=received_at)
