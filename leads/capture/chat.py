"""Our own chat on the company's site: the widget's page posts what a visitor writes, with the visitor's signed token.

Programs of the company may post for a visitor too: with the source's secret and ``visitor``, an id of their own.
"""

import secrets

from django.conf import settings as project
from django.core import signing
from django.utils.translation import gettext_lazy as _

from leads import identity
from leads.capture import talk
from leads.capture.base import JSON, Body, Reply, Setting, body_kind, check_secret, parse_body, unsigned
from leads.capture.names import MARKS
from leads.capture.talk import Chat, Met, Said, dig, prose, word
from leads.identity import Known

LABEL = _("Chat on the site")
NEEDS_SECRET = False
CHANNEL = "chat"
COMMON = ("origins",)  # the sites that may show it
MAX_BODY = 64 * 1024
SETTINGS = {
    "lead_at": Setting(
        _("A visitor becomes a lead"), kind="choice", default="first",
        choices=(("first", _("with the first message")), ("contact", _("when they leave a contact"))),
    ),
    "greeting": Setting(_("Greeting"), _("The first line in the chat; empty: ours.")),
    "title": Setting(_("Heading"), _("At the top of the chat; empty: the company's name.")),
}  # fmt: skip
SALT = "leads.chat"
HOSTED = "/chat/"  # path of the widget's page, which has checked the visitor's token itself
MAX_TEXT = 4000


def issue(source):
    """A token for a new visitor: nobody can make up somebody else's."""
    return signing.dumps([source.key, secrets.token_hex(16)], salt=SALT, compress=False)


def visitor_of(token, source):
    """The visitor of a token of this source's; empty for anything else."""
    try:
        key, visitor = signing.loads(token, salt=SALT)
    except (signing.BadSignature, ValueError, TypeError):
        return ""
    return visitor if key == source.key else ""


def read(content_type, raw):
    if body_kind(content_type, raw) == JSON:
        return talk.read(content_type, raw)
    body = parse_body(content_type, raw)
    return Body(body.fields, warnings=body.warnings, payload={name: values[0] for name, values in body.fields.items()})


def verify(envelope, source, body):
    payload = body.payload if body else {}
    if envelope.path.startswith(HOSTED) or visitor_of(word(payload, "token", limit=300), source):
        return
    if source.secret:
        check_secret(envelope, source, given=word(payload, "secret"))
    elif not project.LOCAL:
        raise unsigned()


def reply(envelope, source):
    return Reply(200, '{"ok": true}', "application/json")


def parse(body, source, *, headers, region="RU", path="", received_at=None):
    said = body.payload
    if set(said) == {"test"}:
        return talk.nothing("test", "test")
    visitor = visitor_of(word(said, "token", limit=300), source) or word(said, "visitor", limit=100)
    if not visitor:
        return talk.nothing()
    chat = _chat(said, visitor, region)
    text = prose(said, "text")[:MAX_TEXT]
    number = word(said, "id", limit=64) or (f"at:{received_at.timestamp()}" if received_at else "")
    if text and number:
        return talk.found([Said(chat, number, text, at=received_at)], body.warnings)
    contact = any(sign.kind in {"phone", "email"} for sign in chat.identities)
    return talk.found([Met(chat, enquiry=True)] if contact else [], body.warnings)


def _chat(said, visitor, region):
    signs = [Known("chat", visitor)]
    contact = word(said, "contact", limit=500)
    given = (word(said, "phone", limit=500) or contact, word(said, "email", limit=500) or contact)
    signs += [Known("phone", n.e164, raw=n.e164, extension=n.extension) for n in identity.phones(given[0], region)]
    signs += [Known("email", address) for address in identity.emails(given[1])]
    marks = {name: text for name in (*sorted(MARKS), "referrer") if (text := word(said, name, limit=500))}
    if page := word(said, "page", limit=500):
        marks["landing"] = page
    name = word(said, "name")
    agreed = dig(said, "consent") in (True, "1", "on", "true")
    return Chat("chat", visitor, name, tuple(signs), {"name": name}, marks, consent=agreed)
