"""Traps for robots, on the hosted form page alone: a field that people do not see, and a signed time of showing."""

import secrets
from datetime import UTC, datetime

from django.core import signing
from django.utils.translation import gettext_lazy as _

from leads.capture.base import Setting

HONEYPOT = "website_url"
TOKEN = "form_token"
SALT = "leads.form"
FASTEST, SLOWEST = 2, 24 * 3600  # seconds between showing and sending

HOSTED = "/f/"  # path of the hosted form pages
PER_MINUTE = 300  # posts to one form from everywhere: more at once are robots with many addresses, or a triumph
SURGE = {
    "form_per_minute": Setting(
        _("Forms a minute"), kind="number", default=PER_MINUTE,
        help=_("When more come in a minute, from any addresses, the rest waits as spam until somebody looks; nothing is lost."),
    ),
}  # fmt: skip


def issue(source, now):
    """A token that says when the form of a source was shown; unique, so that a double click is told."""
    return signing.dumps([source.key, round(now.timestamp(), 2), secrets.token_hex(6)], salt=SALT, compress=False)


def shown_at(token, source):
    """When the form was shown, or None for a token that is not ours."""
    try:
        key, stamp, _nonce = signing.loads(token, salt=SALT)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    return datetime.fromtimestamp(stamp, UTC) if key == source.key else None


def spring(parsed, body, source, *, path, received_at):
    """Mark as spam what fell into a trap; posts to other addresses than the hosted page are not looked at."""
    if not path.startswith(HOSTED) or source.settings.get("traps") == "off":
        return parsed
    if "".join(body.fields.get(HONEYPOT, [])).strip():
        parsed.kind, parsed.reason = "spam", "honeypot"
        return parsed
    shown = shown_at("".join(body.fields.get(TOKEN, [])), source)
    age = (received_at - shown).total_seconds() if shown and received_at else -1
    if not FASTEST <= age <= SLOWEST:
        parsed.kind, parsed.reason = "spam", "bot_suspect"
    return parsed
