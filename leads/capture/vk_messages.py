"""Messages of VK communities: https://dev.vk.com/ru/api/community-events/json-schema (messages).

``message_new`` holds the message under ``message`` (since API 5.103) or is the message itself; ``message_reply`` is what
the company wrote, here or in VK's own program; chats of several people have peer ids from 2,000,000,000 on.
"""

from leads.capture import talk
from leads.capture.talk import Chat, File, Said, Status, dig, moment, part, parts, prose, whole, word
from leads.identity import Known, line

GROUP_CHATS = 2_000_000_000
# Kind of attachment → where its address and name are.
LINKS = {"doc": "url", "audio_message": "link_ogg", "link": "url", "audio": "url", "graffiti": "url"}


def events(event):
    """The events of a delivery; empty for what is no message."""
    kind, thing = word(event, "type"), part(event, "object")
    if kind in {"message_new", "message_reply", "message_edit"}:
        return _message(part(thing, "message") or thing, edited=kind == "message_edit", known=thing)
    if kind in {"message_allow", "message_deny"}:
        chat = _chat(whole(thing, "user_id"))
        return [talk.Allowed(chat, kind == "message_allow")] if chat else []
    if kind == "message_read":
        return _read(thing)
    return _pressed(thing) if kind == "message_event" else []


def _chat(peer, marks=None):
    """A private chat with a person; None for groups and communities."""
    if peer is None or not 0 < peer < GROUP_CHATS:
        return None
    signs = (Known("vk", str(peer)), Known("vk", f"id{peer}"))
    return Chat("vk", str(peer), "", signs, {}, marks or {})


def _message(message, *, edited, known):
    author, peer = whole(message, "from_id"), whole(message, "peer_id")
    if peer is None:
        peer = author or whole(message, "user_id")  # before API 5.80
    ref = {"utm_campaign": word(message, "ref"), "utm_source": word(message, "ref_source")}
    chat = _chat(peer, {name: text for name, text in ref.items() if text})
    number = whole(message, "conversation_message_id") or whole(message, "id")
    if chat is None or number is None or dig(message, "action"):
        return []
    is_ours = whole(message, "out") == 1 or (author or 0) < 0
    files = tuple(f for a in parts(message, "attachments")[:20] if (f := _file(a, number)))
    at = moment(message, "date")
    changed = (moment(message, "update_time") or at) if edited else None
    kind = "text" if prose(message, "text") else word(message, "attachments", 0, "type", limit=30) or "text"
    text = _text(message)
    if not text and not files and not is_ours:
        kind = "unsupported"
    return [Said(chat, str(number), text, kind, at, changed, files, is_ours=is_ours, token=_token(message))]


def _token(message):
    """The number that we gave to a message of ours, so that it is known when VK tells of it."""
    number = whole(message, "random_id")
    return f"random:{number}" if number else ""


def _text(message):
    """What is said, and what else came along in words."""
    said = [prose(message, "text") or prose(message, "body")]
    for attachment in parts(message, "attachments")[:20]:
        thing = part(attachment, word(attachment, "type"))
        if word(attachment, "type") in {"wall", "market", "link", "video", "poll", "wall_reply"}:
            address = word(thing, "url", limit=500) or word(thing, "share_url", limit=500)
            said.append(line(f"{word(thing, 'title') or prose(thing, 'text')[:200]} {address}"))
    for forwarded in parts(message, "fwd_messages")[:20]:
        said.append("> " + prose(forwarded, "text")[:500])
    place = part(message, "geo", "coordinates")
    if place:
        said.append(f"{word(place, 'latitude')}, {word(place, 'longitude')}")
    return "\n".join(filter(None, said))[: talk.MAX_TEXT]


def _file(attachment, number):
    kind = word(attachment, "type", limit=20)
    thing = part(attachment, kind)
    name = word(thing, "title")
    if kind in {"photo", "sticker"}:
        sizes = parts(thing, "sizes") or parts(thing, "images")
        largest = max(sizes, key=lambda s: (whole(s, "width") or 0) * (whole(s, "height") or 0), default={})
        url = word(largest, "url", limit=2000)
    else:
        url = word(thing, LINKS[kind], limit=2000) if kind in LINKS and kind != "link" else ""
    if not url:
        return None
    ref = f"{kind}{word(thing, 'owner_id')}_{word(thing, 'id') or word(thing, 'sticker_id') or number}"
    mime = "image/jpeg" if kind == "photo" else ""
    return File(kind, ref, url, name, mime, whole(thing, "size"))


def _read(thing):
    chat = _chat(whole(thing, "peer_id") or whole(thing, "from_id"))
    number = whole(thing, "conversation_message_id") or whole(thing, "read_message_id")
    return [Status(chat, str(number), "read", up_to=True)] if chat and number else []


def _pressed(thing):
    """A button of ours: what the client chose."""
    chat, number = _chat(whole(thing, "user_id")), word(thing, "event_id", limit=100)
    if chat is None or not number or whole(thing, "peer_id") != whole(thing, "user_id"):
        return []
    payload = part(thing, "payload")
    label = (
        word(payload, "button") or word(payload, "command") or ", ".join(word(payload, n) for n in list(payload)[:5])
    )
    return [Said(chat, f"event:{number}", label, "button")]
