"""Doors for enquiries: made and checked the same by command, page and admin."""

import json
import re
from datetime import timedelta

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from crm.core import outbound
from crm.core.models import AuditEntry
from leads.capture import ADAPTERS, PSEUDO
from leads.capture.base import megabytes
from leads.capture.names import TARGETS
from leads.capture.senders import host_of
from leads.models import Origin, Source
from leads.models.intake import new_secret

RESERVED = {"new", *PSEUDO}  # an address of ours, and sources that are made by themselves
_HOST = re.compile(r"(?:https?://)?(?:\*\.)?[a-z0-9_.-]+(?::\d{1,5})?/?", re.IGNORECASE)
PORTS = 65_535  # up to here a number may be the name of a port, of which nobody parts the thousands
ROTATION = timedelta(days=7)  # how long the former secret counts
HIDDEN = {
    "file_name",
    "file_size",
    "old_secret",
    "old_secret_until",
    "form",
    "mapping",
    "formats",
    "constants",
    "file",
}  # shown elsewhere, or not
LABELS = {  # of what every source may have
    "origins": gettext_lazy("Sites that may post"),
    "redirect": gettext_lazy("After sending, go to"),
    "answer": gettext_lazy("Answer to forms"),
    "per_minute": gettext_lazy("Enquiries a minute, at most"),
    "visits_per_minute": gettext_lazy("Page views a minute, at most"),
    "form_per_minute": gettext_lazy("Forms a minute"),
    "max_body": gettext_lazy("Size of an enquiry, bytes at most"),
    "max_field": gettext_lazy("Length of a field, characters at most"),
}
NUMBERS = {  # setting → (least, most)
    "per_minute": (1, 10_000_000),
    "visits_per_minute": (1, 10_000_000),
    "form_per_minute": (1, 10_000_000),
    "sms_per_day": (1, 1_000_000),
    "max_body": (1024, 5 * 1024 * 1024),
    "max_field": (100, 100_000),
}


def check_key(key):
    if key in RESERVED:
        raise ValidationError(_("The key “%s” is taken by the product itself.") % key)


def hosts(settings):
    stated = settings.get("origins") or []
    return stated.replace(",", " ").split() if isinstance(stated, str) else list(stated)


def check_settings(settings, adapter=""):
    """Raise ValidationError where a known setting has no sense; names that we do not know are the adapter's own."""
    if not isinstance(settings, dict):
        raise ValidationError(_("Settings are a list of names and values."))
    for name, (least, most) in NUMBERS.items():
        value = settings.get(name)
        if value is not None and not (
            isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
        ):
            raise ValidationError(
                _("%(name)s must be a whole number from %(least)d to %(most)d.")
                % {"name": name, "least": least, "most": most}
            )
    for host in hosts(settings):
        if not isinstance(host, str) or not _HOST.fullmatch(host):
            raise ValidationError(_("This is no host name: %s") % host)
    _check_mapping(settings.get("mapping") or {})
    _check_redirect(settings)
    for name, setting in getattr(ADAPTERS.get(adapter), "SETTINGS", {}).items():
        if setting.kind == "url" and settings.get(name):  # stated by an administrator: it may be in their own network
            outbound.check_url(settings[name], trusted=str(settings[name]))
    if check := getattr(ADAPTERS.get(adapter), "check_settings", None):
        check(settings)


def _check_mapping(mapping):
    if not isinstance(mapping, dict):
        raise ValidationError(_("The mapping is a list of names: theirs and ours."))
    for path, name in mapping.items():
        if not isinstance(name, str) or not (name in TARGETS or name == "-" or re.fullmatch(r"custom\..{1,60}", name)):
            raise ValidationError(
                _("“%(path)s”: we have no field “%(name)s”. There are: %(names)s, custom.<name>, - (ignore)")
                % {"path": path, "name": name, "names": ", ".join(TARGETS)}
            )


def _check_redirect(settings):
    if not (target := settings.get("redirect")):
        return
    host = host_of(str(target))
    allowed = {host_of(h) if "//" in h else h.partition(":")[0] for h in hosts(settings)}
    if not host:
        raise ValidationError(_("This is no address of a page: %s") % target)
    if not any(h and (host == h or (h.startswith("*.") and host.endswith(h[1:]))) for h in allowed):
        raise ValidationError(_("The page after sending must be on one of the sites that may post."))


def _origin(name):
    """The dictionary's row for enquiries that do not say where they come from."""
    return Origin.objects.get_or_create(name=name[:120])[0]


@transaction.atomic
def add(*, key, adapter, name="", secret="", settings=None, **more):
    """Make a source; raises ValidationError (also for a key that is taken)."""
    if adapter not in ADAPTERS:
        raise ValidationError(
            _("There is no adapter “%(name)s”; there are: %(names)s") % {"name": adapter, "names": ", ".join(ADAPTERS)}
        )
    check_key(key)
    check_settings(settings or {}, adapter)
    if channel := getattr(ADAPTERS[adapter], "CHANNEL", None):
        more.setdefault("channel", channel)
    source = Source(key=key, name=name or key, adapter=adapter, secret=secret, settings=settings or {}, **more)
    source.full_clean(exclude=["origin", "consent"])
    return saved(source)


@transaction.atomic
def rotate(source, *, by):
    """A new secret; the former one is accepted for a week more, so that nothing is lost while it is exchanged."""
    row = Source.objects.select_for_update(no_key=True).get(pk=source.pk)
    former = {"old_secret": row.secret, "old_secret_until": (timezone.now() + ROTATION).isoformat(timespec="minutes")}
    row.settings = row.settings | (former if row.secret else {})
    row.secret = new_secret()
    row.save(update_fields=["secret", "settings"])
    AuditEntry.objects.create(user=by, action="source_secret_changed", subject=row.key)
    return row


def facts_of(source):
    """[(label, value)] of a source's settings as a page may show them: secrets only as stored or not."""
    declared, shown = getattr(ADAPTERS.get(source.adapter), "SETTINGS", {}), []
    for name, value in source.settings.items():
        setting = declared.get(name)
        if name in HIDDEN or value in (None, "", [], {}):
            continue
        if setting and (setting.secret or setting.agreed):
            value = _("stored")
        elif setting and setting.kind == "megabytes":
            value = megabytes(value)
        elif setting and setting.kind == "choice":
            value = dict(setting.choices).get(value, value)
        elif isinstance(value, bool):
            value = _("yes") if value else _("no")
        elif isinstance(value, int) and value > PORTS:
            value = number_format(value, force_grouping=True)
        elif isinstance(value, list) and all(isinstance(one, str) for one in value):
            value = ", ".join(value)
        elif isinstance(value, dict | list):
            value = json.dumps(value, ensure_ascii=False, indent=1)
        shown.append((setting.label if setting else LABELS.get(name, name), value))
    return shown


def told_by(source):
    """Filters of the audit log's entries about a source."""
    return {"action__startswith": "source_", "subject": source.key}


def saved(source):
    """Save a source; one without an origin of its own gets that of its name, so that no enquiry is without one."""
    if source.origin_id is None:
        source.origin = _origin(source.name)
    source.save()
    return source
