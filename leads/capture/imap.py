"""A mailbox that is read (IMAP4rev1, RFC 3501): each letter in it is a receipt of type message/rfc822.

The reading itself is leads/services/mailboxes.py; here stand its settings and what a stored letter says. Google:
developers.google.com/workspace/gmail/imap/xoauth2-protocol; Microsoft: learn.microsoft.com/exchange/client-developer/
legacy-protocols/how-to-authenticate-an-imap-pop-smtp-application-by-using-oauth. A program that has letters at hand (a
pipe of the mail server) may also post them to the source's address with its secret.
"""

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _gettext
from django.utils.translation import gettext_lazy as _

from leads.capture.base import MEGABYTE, Body, Parsed, Refused, Setting, check_secret, unsigned
from leads.capture.canary import MARK, Canary, bearer
from leads.capture.letter import parse as parse_letter
from leads.models.intake import Channel

LABEL = _("Mailbox (IMAP)")
NEEDS_SECRET = False
SECRET_HELP = ""  # a mailbox is read: nobody proves anything
CHANNEL = Channel.EMAIL
TAKES_ALL = True
MAX_BODY = 30 * MEGABYTE
RFC822 = "message/rfc822"
SETTINGS = {
    "host": Setting(_("Server"), _("imap.yandex.ru, imap.mail.ru, imap.gmail.com, outlook.office365.com…")),
    "port": Setting(_("Port"), _("Empty: 993 with TLS, else 143."), kind="number"),
    "tls": Setting(
        _("Encryption"), kind="choice", default="ssl",
        choices=(("ssl", _("TLS from the start")), ("starttls", "STARTTLS"), ("none", _("none (this machine only)"))),
    ),
    "user": Setting(_("User name"), _("As a rule the whole address.")),
    "password": Setting(_("Password"), _("An app password where the provider has them."), secret=True),
    "folders": Setting(_("Folders"), _("Separated by commas; empty: INBOX."), default="INBOX"),
    "first_days": Setting(
        _("Days back"), _("How old emails may be that are taken the first time."), kind="number", default=7
    ),
    "max_letter": Setting(
        _("Largest email, MB"), _("Of a larger one the beginning is kept."), kind="megabytes", default=25 * MEGABYTE
    ),
    "inside": Setting(_("In the company's own network"), _("The server has a private address."), kind="flag"),
    "auth": Setting(
        _("Sign in by"), kind="choice", default="password",
        choices=(
            ("password", _("password")), ("google", _("OAuth of Google")), ("microsoft", _("OAuth of Microsoft")),
            ("xoauth2", _("OAuth of another provider")),
        ),
    ),
    "client_id": Setting(_("Client ID"), _("Of the application that you registered with the provider.")),
    "client_secret": Setting(_("Client secret"), secret=True),
    "refresh_token": Setting(_("Refresh token"), secret=True),
    "token_url": Setting(_("Address for tokens"), _("Empty: that of Google or Microsoft."), kind="url"),
}  # fmt: skip
_NEEDED = {"password": ("password",)}
_OAUTH = ("client_id", "refresh_token")
RANGES = {"port": (1, 65535), "first_days": (0, 3650), "max_letter": (10_000, MAX_BODY)}


def check_settings(settings):
    """Raise ValidationError where the mailbox could not be read; a source without a server only takes posts."""
    for name, (least, most) in RANGES.items():
        value = settings.get(name)
        if value not in (None, "") and not (str(value).isdigit() and least <= int(value) <= most):
            raise ValidationError(
                _gettext("%(name)s must be a whole number from %(least)d to %(most)d.")
                % {"name": name, "least": least, "most": most}
            )
    for name in ("tls", "auth"):
        allowed = [value for value, _label in SETTINGS[name].choices]
        if settings.get(name) and settings[name] not in allowed:
            raise ValidationError(f"{name}: {', '.join(allowed)}")
    if not settings.get("host"):
        return
    auth = settings.get("auth") or "password"
    needed = ("user", *(_NEEDED.get(auth) or _OAUTH), *(["token_url"] if auth == "xoauth2" else []))
    if missing := [str(SETTINGS[name].label) for name in needed if not settings.get(name)]:
        raise ValidationError(_gettext("Needed to read the mailbox: %s") % ", ".join(missing))


def number(settings, name):
    value = settings.get(name)
    return int(value) if str(value or "").isdigit() else SETTINGS[name].default


def folders(settings):
    stated = settings.get("folders") or "INBOX"
    names = stated.split(",") if isinstance(stated, str) else list(stated)
    return list(dict.fromkeys(str(name).strip()[:200] for name in names if str(name).strip()))[:20] or ["INBOX"]


def verify(envelope, source, body):
    """Letters come by reading; whoever posts one must know the source's secret."""
    if not source.secret:
        raise unsigned()
    check_secret(envelope, source)


def canary(source, mark, url):
    said = {"From": f"{MARK}@localhost", "Subject": "test", "Auto-Submitted": "auto-generated",
            "Message-ID": f"<{mark}@{MARK}>"}  # fmt: skip
    head = "".join(f"{name}: {value}\r\n" for name, value in said.items())
    return Canary("message/rfc822", f"{head}\r\ntest\r\n".encode(), bearer(source))


def read(content_type, raw):
    if (content_type or "").partition(";")[0].strip().lower() not in {RFC822, "application/octet-stream", ""}:
        raise Refused(415, "unparseable", _gettext("Emails are taken as message/rfc822."))
    return Body({}, payload=raw)


def parse(body, source, *, headers, region="RU", path="", received_at=None):
    letter = parse_letter(body.payload)
    return Parsed(kind="event", events=[letter], warnings=list(letter.warnings))
