"""Visits of the company's site: the script notes pages at /v/<key>/, once the visitor has agreed to be remembered.

The same note is taken at /capture/<key>/ as well. A visit is no enquiry; that of a known person goes to their card.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from django.utils.translation import gettext_lazy as _

from leads.capture.base import Parsed, Reply, check_secret
from leads.models.intake import Channel

LABEL = _("Visits of the site")
NEEDS_SECRET = False
CHANNEL = Channel.SITE
TAKES_ALL = True
COMMON = ("origins",)
SETTINGS = {}


@dataclass(frozen=True)
class PageSeen:
    note: dict

    def as_json(self):
        return {"url": str(self.note.get("u", ""))[:500]}


def verify(envelope, source, body):
    if source.secret:
        check_secret(envelope, source)


def reply(envelope, source):
    return Reply(204)


def parse(body, source, *, headers, region="RU", path="", received_at=None):
    note = body.payload
    if not isinstance(note, Mapping) or not {"v", "u"} <= set(note):
        return Parsed(kind="not_enquiry", reason="not_enquiry")
    return Parsed(kind="event", events=[PageSeen({name: note.get(name) for name in ("v", "u", "t", "r")})])
