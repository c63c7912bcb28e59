"""Enquiries sent by a program: any JSON or form body, mapped by ``settings["mapping"]`` where names are its own.

A sender proves itself by ``X-Signature`` (hex HMAC-SHA256 of the raw body) or ``Authorization: Bearer``. In production
a source of this kind takes nothing without a secret.
"""

from functools import partial

from django.utils.translation import gettext_lazy as _

from leads.capture.base import check_secret, parse_body
from leads.capture.fields import extract, is_test
from leads.capture.several import EACH, alone

LABEL = _("JSON")
NEEDS_SECRET = True
SECRET_HELP = _("Stands in the header “Authorization: Bearer” of what is sent.")
COMMON = ("origins", "answer", "mapping")
SEVERAL = True
SETTINGS = {"each": EACH}


def read(content_type, raw, part=""):
    return parse_body(content_type, raw, partial(alone, path=part) if part else None)


def verify(envelope, source, body):
    if source.secret:
        check_secret(envelope, source)


def parse(body, source, *, headers, region="RU", path="", received_at=None):
    parsed = extract(body, source, headers, region)
    if is_test(body, parsed):
        parsed.kind, parsed.reason = "test", "test"
    return parsed
