"""Telegram bots: https://core.telegram.org/bots/api#update

Telegram repeats the secret of setWebhook in X-Telegram-Bot-Api-Secret-Token; anything but a 2xx is sent again. A chat
with one person is a conversation; what happens in groups and channels is nobody's enquiry.
"""

import base64
import binascii
import re
from dataclasses import replace
from urllib.parse import parse_qsl

from django.utils.translation import gettext_lazy as _

from leads.capture import talk
from leads.capture.base import Reply, Setting, check_secret
from leads.capture.canary import plain
from leads.capture.names import MARKS
from leads.capture.talk import Chat, File, Said, dig, moment, part, parts, prose, whole, word
from leads.identity import Known, line, phone

LABEL = "Telegram"
NEEDS_SECRET = True
SECRET_HELP = _("Any word of letters, digits, - and _; Telegram repeats it with every message.")
CHANNEL = "messenger"
MAX_BODY = talk.MAX_BODY
BASE_URL = "https://api.telegram.org"
SETTINGS = {
    "token": Setting(_("Bot token"), _("BotFather gives it; needed to answer and to fetch files."), secret=True),
    "base_url": Setting(_("Address of the Bot API"), _("Empty: Telegram's own."), kind="url"),
}
HEADER = "X-Telegram-Bot-Api-Secret-Token"
MESSAGES = ("message", "business_message")
EDITS = ("edited_message", "edited_business_message")
# Kinds of content that a person sends, and what of it is a file; all else in a message is a service note.
FILES = ("document", "video", "audio", "voice", "video_note", "sticker")
CONTENT = ("contact", "venue", "location", "poll", "dice", "game", "web_app_data", "successful_payment", "story",
           "checklist", "invoice")  # fmt: skip


def read(content_type, raw):
    return talk.read(content_type, raw)


def verify(envelope, source, body):
    if source.secret:
        check_secret(envelope, source, given=envelope.headers.get(HEADER, ""))


def canary(source, mark, url):
    return replace(plain(source, mark, url), headers={HEADER: source.secret} if source.secret else {})


def reply(envelope, source):
    return Reply(200, "{}", "application/json")


def parse(body, source, *, headers, region="RU", path="", received_at=None):
    if talk.asked_as_test(body):
        return talk.nothing("test", "test")
    update = body.payload
    for name in (*MESSAGES, *EDITS):
        if message := part(update, name):
            return talk.found(_message(message, region, edited=name in EDITS), body.warnings)
    if pressed := part(update, "callback_query"):
        return talk.found(_pressed(pressed), body.warnings)
    if gone := part(update, "deleted_business_messages"):
        return talk.found(_deleted(gone), body.warnings)
    if member := part(update, "my_chat_member"):
        return talk.found(_member(member), body.warnings)
    return talk.nothing()


# --- Who --------------------------------------------------------------------------------------------------------------


def _chat(message, user, *, marks=None, more=()):
    """The Chat of a private message, or None elsewhere. ``user``: who it is with."""
    chat = part(message, "chat")
    number = whole(chat, "id")
    if word(chat, "type") != "private" or number is None:
        return None
    name = line(f"{word(user, 'first_name')} {word(user, 'last_name')}", 200)
    handle = word(user, "username", limit=64).lower()
    signs = [Known("telegram", str(number), raw=f"@{handle}" if handle else "")]
    if re.fullmatch(r"[a-z0-9_]{2,64}", handle):
        signs.append(Known("telegram", handle, raw=f"@{handle}"))
    language = word(user, "language_code")[:2].lower()
    fields = {"name": name, "language": language if re.fullmatch(r"[a-z]{2}", language) else ""}
    connection = word(message, "business_connection_id")
    return Chat(
        "telegram", str(number), name or (f"@{handle}" if handle else ""), (*signs, *more), fields, marks or {},
        {"business_connection_id": connection} if connection else {},
    )  # fmt: skip


def _is_ours(message):
    """In a private chat the client's messages come from the chat's own id: all others are the company's."""
    author = whole(message, "from", "id")
    return bool(dig(message, "sender_business_bot")) or (author is not None and author != whole(message, "chat", "id"))


# --- What -------------------------------------------------------------------------------------------------------------


def _message(message, region, *, edited):
    kind, text, files, signs = _content(message, region)
    number = whole(message, "message_id")
    is_ours = _is_ours(message)
    chat = _chat(message, part(message, "chat" if is_ours else "from"), marks=_start(text), more=signs)
    if chat is None or number is None or not kind or dig(message, "from", "is_bot") is True:
        return []
    at = moment(message, "date")
    changed = (moment(message, "edit_date") or at) if edited else None
    author = line(f"{word(message, 'from', 'first_name')} {word(message, 'from', 'last_name')}", 200) if is_ours else ""
    return [Said(chat, str(number), text, kind, at, changed, files, is_ours=is_ours, author=author)]


def _content(message, region):
    """(kind, text, files, signs); kind is empty for service notes."""
    text = prose(message, "text") or prose(message, "caption")
    if photo := parts(message, "photo"):
        largest = max(photo, key=lambda size: whole(size, "file_size") or 0)
        return "photo", text, _files("photo", largest), ()
    if clip := part(message, "animation"):  # comes with a copy under "document"
        return "animation", text, _files("animation", clip), ()
    for kind in FILES:
        if thing := part(message, kind):
            return kind, text or word(thing, "emoji"), _files(kind, thing), ()
    for kind in CONTENT:
        if isinstance(dig(message, kind), dict):
            thing = part(message, kind)
            return kind, text or _words(kind, thing), (), _shared(thing, message, region) if kind == "contact" else ()
    return ("text", text, (), ()) if prose(message, "text") else ("", "", (), ())


def _files(kind, thing):
    ref = word(thing, "file_id", limit=300)
    found = File(
        kind, ref, "", word(thing, "file_name"), word(thing, "mime_type", limit=100), whole(thing, "file_size")
    )
    return (found,) if ref else ()


def _words(kind, thing):
    """What a message without text says."""
    if kind == "contact":
        name = f"{word(thing, 'first_name')} {word(thing, 'last_name')}".strip()
        return line(f"{name}: {word(thing, 'phone_number')}")
    if kind == "venue":
        return line(f"{word(thing, 'title')}, {word(thing, 'address')}")
    if kind == "location":
        return f"{word(thing, 'latitude')}, {word(thing, 'longitude')}"
    if kind == "web_app_data":
        return prose(thing, "data")
    if kind == "successful_payment":
        return line(f"{(whole(thing, 'total_amount') or 0) / 100:.2f} {word(thing, 'currency')}")
    return word(thing, "question") or word(thing, "title") or word(thing, "emoji")


def _shared(contact, message, region):
    """A phone is the sender's own only where Telegram says whose it is, and it is theirs."""
    owner, author = whole(contact, "user_id"), whole(message, "from", "id")
    number = phone("+" + word(contact, "phone_number").lstrip("+"), region) if owner and owner == author else None
    return (Known("phone", number.e164, raw=word(contact, "phone_number")),) if number else ()


def _start(text):
    """Marks of a deep link (t.me/bot?start=…): ref_<code>, utm_* in base64url, or a campaign's name."""
    given = re.match(r"/start[ =]([\w-]{1,64})\s*$", text)
    if not given:
        return {}
    payload = given[1]
    if code := re.match(r"(?:ref|r)[_-](.+)$", payload):
        return {"ref": code[1]}
    try:
        query = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        query = ""
    marks = {n: line(v, 200) for n, v in parse_qsl(query) if n in MARKS or n == "ref"}
    return marks or {"utm_campaign": payload}


# --- What else happens ------------------------------------------------------------------------------------------------


def _pressed(query):
    """A button under a message of ours: what the client chose."""
    message, user = part(query, "message"), part(query, "from")
    chat = _chat(message, user)
    number = word(query, "id", limit=64)
    if chat is None or not number or whole(user, "id") != whole(message, "chat", "id"):
        return []
    data = word(query, "data", limit=500)
    rows = dig(message, "reply_markup", "inline_keyboard")
    buttons = [b for row in rows if isinstance(row, list) for b in row] if isinstance(rows, list) else []
    label = next((word(b, "text") for b in buttons if word(b, "callback_data", limit=500) == data), "")
    return [Said(chat, f"callback:{number}", label or data, "button")]


def _deleted(gone):
    chat = _chat(gone, part(gone, "chat"))
    numbers = dig(gone, "message_ids")
    ids = tuple(str(n) for n in numbers if isinstance(n, int)) if isinstance(numbers, list) else ()
    return [talk.Deleted(chat, ids[:1000])] if chat and ids else []


def _member(member):
    """The client blocks the bot, or lets it write again."""
    chat = _chat(member, part(member, "chat"))
    status = word(member, "new_chat_member", "status")
    if chat is None or status not in {"kicked", "member"}:
        return []
    return [talk.Allowed(chat, status == "member", moment(member, "date"))]
