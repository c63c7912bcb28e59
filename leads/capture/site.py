"""What a form of the company's site says besides the enquiry: a subscription, a registration, a wish for a file, a
word of recommendation. Pure; leads/services/site.py does what follows, once the card is there.
"""

from dataclasses import asdict, dataclass

from django.utils.translation import gettext_lazy as _

from leads import identity
from leads.capture import web_form
from leads.capture.base import Setting
from leads.capture.opt_in import setting

TAGS = Setting(_("Tags"), help=_("Separated by commas; every card made here gets them."))


@dataclass(frozen=True)
class _Said:
    def as_json(self):
        return {"what": type(self).__name__.lower(), **asdict(self)}


@dataclass(frozen=True)
class Subscribed(_Said):
    topic: str = ""


@dataclass(frozen=True)
class Registered(_Said):
    event: str = ""


@dataclass(frozen=True)
class Wanted(_Said):
    """A material behind a form."""

    title: str = ""


@dataclass(frozen=True)
class Recommended(_Said):
    code: str = ""


def parse_form(body, source, event, tags=(), **facts):
    """Parsed of a form on the site, with the source's tags and what the form says besides."""
    parsed = web_form.parse(body, source, **facts)
    stated = setting(source, "tags")
    words = [*tags, *(stated if isinstance(stated, list) else str(stated).split(","))]
    words = [identity.line(word, 40) for word in words]
    if any(words):
        parsed.fields["tags"] = list(dict.fromkeys([*parsed.fields.get("tags", []), *(w for w in words if w)]))[:20]
    if event:
        parsed.events.append(event)
    return parsed
