"""What the adapters of telephony share: settings, requests to a provider's API, and the shape of what they parse."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings as project
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads.capture.base import Parsed, Setting, check_secret, clean, secrets_of


class Failed(Exception):
    """The provider has refused; its words."""


@dataclass(frozen=True)
class Ask:
    """A request to a provider's API, for ``crm.core.outbound``. ``trusted``: the origin that the source states."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    params: Mapping[str, Any] | None = None
    json: Any = None
    data: Any = None
    trusted: str = ""


HIDDEN = Setting(
    gettext_lazy("Callers who hide their number"),
    kind="choice",
    default="lead",
    choices=(("lead", gettext_lazy("become leads “Unknown caller”")), ("reject", gettext_lazy("are left out"))),
)
STRANGERS = Setting(
    gettext_lazy("Calls of colleagues to unknown numbers"),
    kind="choice",
    default="reject",
    choices=(("reject", gettext_lazy("are left out")), ("lead", gettext_lazy("become leads"))),
)
ZONE = Setting(
    gettext_lazy("Time zone of the exchange"),
    help=gettext_lazy("An IANA name, such as Europe/Moscow. Empty: the company's."),
)
COMMON = {"hidden": HIDDEN, "strangers": STRANGERS}


def base_setting(default):
    return Setting(gettext_lazy("Address of the API"), kind="url", default=default)


def base_url(source, default):
    return (source.settings.get("base_url") or default).rstrip("/")


def zone(source):
    """In which the exchange writes times without a zone."""
    try:
        return ZoneInfo(source.settings.get("time_zone") or project.TIME_ZONE)
    except (ValueError, OSError, KeyError):
        return ZoneInfo(project.TIME_ZONE)


def check_zone(settings):
    """Raise ValidationError for a time zone that does not exist."""
    if name := settings.get("time_zone"):
        try:
            ZoneInfo(str(name))
        except (ValueError, OSError, KeyError):
            raise ValidationError(_("There is no time zone “%s”.") % name) from None


def proof(envelope, source, body, header):
    """The signature to be checked; "" where there is none to check: the secret itself was shown, or nothing is asked.

    Raises Refused(401) where neither was given. A body cut in half proves nothing: it is refused as what it is.
    """
    if not secrets_of(source) or body is None:
        return ""
    given = envelope.headers.get(header, "")
    if not given:
        check_secret(envelope, source)
    return given


def basic(user, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def said(events, warnings=()):
    """Parsed of what was reported of calls; of nothing, a service event."""
    if not events:
        return Parsed(kind="not_enquiry", reason="not_enquiry", warnings=list(warnings))
    return Parsed(kind="event", events=list(events), warnings=list(warnings))


def plain(value):
    """A leaf of a provider's JSON as text; lists and objects are none."""
    return "" if value is None or isinstance(value, Mapping | list | bool) else clean(str(value))


def inner(value, name):
    """A nested object, empty where there is none."""
    found = value.get(name) if isinstance(value, Mapping) else None
    return found if isinstance(found, Mapping) else {}
