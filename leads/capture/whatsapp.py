"""WhatsApp Cloud API: https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/

The address is checked with hub.challenge; every delivery is signed with the app's secret over its raw bytes and may
hold many changes. A person is known by number (wa_id), or, where they hide it, by an id of our business alone.
"""

from dataclasses import replace
from urllib.parse import parse_qs

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from leads.capture import talk
from leads.capture.base import Reply, Setting, check_hmac, check_secret, hmac_of, same, secrets_of
from leads.capture.canary import plain
from leads.capture.talk import Chat, File, Said, Status, dig, moment, part, parts, prose, whole, word
from leads.identity import Known, line, phone

LABEL = "WhatsApp"
NEEDS_SECRET, GIVEN_SECRET = True, True
SECRET_HELP = _("The App Secret of the app: App settings → Basic.")
CHANNEL = "messenger"
METHODS = ("GET",)
MAX_BODY = talk.MAX_BODY
BASE_URL = "https://graph.facebook.com/v23.0"
SETTINGS = {
    "verify_token": Setting(_("Verify token"), _("Any words; paste the same into the webhook's form."), agreed=True),
    "token": Setting(_("Access token"), _("Of a system user with whatsapp_business_messaging."), secret=True),
    "phone_number_id": Setting(_("Phone number ID"), _("The number that answers; not the phone itself.")),
    "templates": Setting(
        _("Approved templates"),
        _("One per line: name, language, text. After 24 hours of silence nothing else may be sent."), kind="lines",
    ),
    "base_url": Setting(_("Address of the Graph API"), _("Empty: Meta's own, with its version."), kind="url"),
}  # fmt: skip
HEADER = "X-Hub-Signature-256"
FILES = ("image", "video", "document", "audio", "sticker")
WEAK = {"reaction", "system", "request_welcome", "ephemeral"}  # no enquiry of a stranger
STATUSES = {"sent": "sent", "delivered": "delivered", "read": "read", "played": "read", "failed": "failed"}
EXPLAINED = {"unsupported"}  # kinds that say nothing but that there was something


def check_settings(settings):
    templates(settings)


def read(content_type, raw):
    return talk.read(content_type, raw)


def handshake(envelope, source):
    """Meta's check of the address."""
    if envelope.method != "GET":
        return None
    query = parse_qs((envelope.raw or b"").decode("utf-8", "replace"), keep_blank_values=True)
    said = {name: values[0] for name, values in query.items()}
    token = source.settings.get("verify_token")
    expected = [str(token)] if token else secrets_of(source)
    matched = any(same(said.get("hub.verify_token", ""), token) for token in expected)
    if said.get("hub.mode") != "subscribe" or not matched:
        return Reply(403, "")
    return Reply(200, said.get("hub.challenge", "")[:200])


def verify(envelope, source, body):
    if not source.secret:
        return
    given = envelope.headers.get(HEADER, "")
    if given:
        check_hmac(given, source, envelope.raw, prefix="sha256=")
    else:
        check_secret(envelope, source)


def reply(envelope, source):
    return Reply(200, "EVENT_RECEIVED")


def canary(source, mark, url):
    sent = plain(source, mark, url)
    return replace(sent, headers={HEADER: f"sha256={hmac_of(source, sent.raw).hex()}"} if source.secret else {})


def parse(body, source, *, headers, region="RU", path="", received_at=None):
    if talk.asked_as_test(body):
        return talk.nothing("test", "test")
    events = []
    for entry in parts(body.payload, "entry"):
        for change in parts(entry, "changes"):
            events += _change(part(change, "value"), region)
    return talk.found(events, body.warnings)


def _change(value, region):
    number = word(value, "metadata", "phone_number_id", limit=40)
    details = {"phone_number_id": number} if number else {}
    people = parts(value, "contacts")
    events = []
    messages = parts(value, "messages")
    alone = people[0] if len(messages) == len(people) == 1 else {}  # a number may be spelt otherwise as an id
    for message in messages:
        events += _message(message, _chat(message, people, alone, details, region), is_ours=False)
    for message in parts(value, "message_echoes"):
        events += _message(message, _other(message, details, region), is_ours=True)
    for status in parts(value, "statuses"):
        events += _status(status, people, details)
    return events


# --- Who --------------------------------------------------------------------------------------------------------------


def _made(number, hidden, title, details, marks=None, region="RU"):
    """The Chat with a number (digits) or, where it is hidden, the id that WhatsApp gives to our business."""
    if not number and not hidden:
        return None
    found = phone(f"+{number}", region) if number else None
    signs = []
    if number:
        signs.append(Known("whatsapp", found.e164 if found else number))
    if hidden:
        signs.append(Known("whatsapp", hidden))
    if found:
        signs.append(Known("phone", found.e164))
    return Chat("whatsapp", number or hidden, title, tuple(signs), {"name": title}, marks or {}, details)


def _chat(message, people, alone, details, region):
    """The chat of a client's message; None for a group's."""
    number, hidden = word(message, "from", limit=40), word(message, "from_user_id", limit=100)
    person = next((p for p in people if number and word(p, "wa_id") == number), alone)
    hidden = hidden or word(person, "user_id", limit=100)
    if word(message, "group_id"):
        return None
    title = word(person, "profile", "name") or word(person, "profile", "username")
    given = part(message, "referral")
    marks = {"ctwa_clid": word(given, "ctwa_clid", limit=500), "referrer": word(given, "source_url", limit=500),
             "utm_content": word(given, "source_id"), "utm_campaign": word(given, "headline")}  # fmt: skip
    marks = {name: text for name, text in marks.items() if text}
    if marks.get("ctwa_clid"):
        marks |= {"utm_source": "whatsapp_ads", "utm_medium": "cpc"}
    return _made(number, hidden, title, details, marks, region)


def _other(message, details, region):
    return _made(word(message, "to", limit=40), word(message, "to_user_id", limit=100), "", details, region=region)


# --- What -------------------------------------------------------------------------------------------------------------


def _message(message, chat, *, is_ours):
    number, kind = word(message, "id"), word(message, "type", limit=30)
    if chat is None or not number or not kind:
        return []
    at = moment(message, "timestamp")
    if kind == "revoke":
        gone = word(message, "revoke", "original_message_id")
        return [talk.Deleted(chat, (gone,), at)] if gone else []
    edited = None
    if kind == "edit":
        number, message, edited = word(message, "edit", "original_message_id"), part(message, "edit", "message"), at
        kind = word(message, "type", limit=30) or "text"
        if not number:
            return []
    weak = kind in WEAK
    return [Said(chat, number, _text(kind, message), kind, at, edited, _files(kind, message), is_ours, weak=weak)]


def _text(kind, message):
    """What the message says, in the client's words where there are any."""
    thing = part(message, kind)
    if kind == "text":
        return prose(thing, "body")
    if kind in FILES:
        return prose(thing, "caption")
    if kind == "button":
        return prose(thing, "text") or word(thing, "payload")
    if kind == "interactive":
        return _chosen(thing)
    if kind == "reaction":
        return word(thing, "emoji")
    if kind == "location":
        place = ", ".join(filter(None, (word(thing, "name"), word(thing, "address"))))
        return place or f"{word(thing, 'latitude')}, {word(thing, 'longitude')}"
    if kind == "contacts":
        return "\n".join(_card(card) for card in parts(message, "contacts")[:20])
    if kind == "order":
        return _order(thing)
    if kind == "system":
        return prose(thing, "body")
    return word(message, "errors", 0, "title") if kind in EXPLAINED else ""


def _chosen(thing):
    answer = part(thing, word(thing, "type"))
    return line(f"{word(answer, 'title')} {word(answer, 'description')}") or prose(answer, "response_json")


def _card(card):
    numbers = ", ".join(word(p, "phone") for p in parts(card, "phones")[:5])
    return line(f"{word(card, 'name', 'formatted_name')}: {numbers}")


def _order(order):
    lines = [prose(order, "text")]
    for item in parts(order, "product_items")[:50]:
        price = f"{word(item, 'item_price')} {word(item, 'currency')}"
        lines.append(f"{word(item, 'product_retailer_id')} × {word(item, 'quantity')}: {price}")
    return "\n".join(filter(None, lines))


def _files(kind, message):
    thing = part(message, kind) if kind in FILES else {}
    ref = word(thing, "id", limit=300)
    if not ref:
        return ()
    mime = word(thing, "mime_type", limit=100)
    return (File(kind, ref, word(thing, "url", limit=2000), word(thing, "filename"), mime, whole(thing, "file_size")),)


def _status(status, people, details):
    number, said = word(status, "id"), STATUSES.get(word(status, "status"))
    if not number or not said or word(status, "recipient_type") == "group":
        return []
    to = word(status, "recipient_id", limit=40)
    hidden = word(status, "recipient_user_id", limit=100) or word(people, 0, "user_id", limit=100)
    chat = Chat("whatsapp", to or hidden, details=details)
    problem = part(status, "errors", 0) if dig(status, "errors", 0) else {}
    why = word(problem, "error_data", "details", limit=300) or word(problem, "title", limit=300)
    code = word(problem, "code")
    token = word(status, "biz_opaque_callback_data", limit=64)
    return [Status(chat, number, said, moment(status, "timestamp"), f"{code} {why}".strip(), token)]


# --- Templates --------------------------------------------------------------------------------------------------------


def templates(settings):
    """[{"name", "language", "text"}] as the administrator stated them; raises ValidationError."""
    stated = settings.get("templates") or []
    rows = stated.splitlines() if isinstance(stated, str) else stated
    found = []
    for number, row in enumerate(filter(None, (r.strip() if isinstance(r, str) else r for r in rows)), 1):
        if isinstance(row, str):
            name, _comma, rest = row.partition(",")
            language, _comma, text = rest.partition(",")
            row = {"name": name.strip(), "language": language.strip(), "text": text.strip()}
        if not isinstance(row, dict) or not (row.get("name") and row.get("language")):
            raise ValidationError(_now("Line %(number)d: name, language, text.") % {"number": number})
        found.append({key: str(row.get(key) or "") for key in ("name", "language", "text")})
    return found
