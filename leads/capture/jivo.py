"""Jivo: https://www.jivo.ru/docs/webhooks/

Jivo signs nothing: the secret is part of the address (``?secret=…``, or the last piece of the path). What was said comes
whole when the chat ends; who it is comes as soon as an operator takes the chat. Every event is answered {"result": "ok"}.
"""

from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

from django.utils.translation import gettext_lazy as _

from leads import identity
from leads.capture import talk
from leads.capture.base import Reply, check_secret
from leads.capture.talk import Chat, Met, Said, Transcript, moment, part, parts, prose, whole, word
from leads.identity import Known
from leads.telephony import ANSWERED, ENDED, IN, OUT, PICKED_UP, RECORDED, STARTED, CallEvent

LABEL = "Jivo"
NEEDS_SECRET = True
SECRET_HELP = _("Part of the address that is entered at Jivo.")
CHANNEL = "chat"
MAX_BODY = talk.MAX_BODY
UTM = ("source", "medium", "campaign", "content", "term")


def read(content_type, raw):
    return talk.read(content_type, raw)


def verify(envelope, source, body):
    if not source.secret:
        return
    query = parse_qs(urlsplit(envelope.url).query)
    given = next((query[name][0] for name in ("secret", "token", "key") if name in query), "")
    last = envelope.path.rstrip("/").rpartition("/")[2]
    check_secret(envelope, source, given=given or (last if last != source.key else ""))


def reply(envelope, source):
    return Reply(200, '{"result": "ok"}', "application/json")


def parse(body, source, *, headers, region="RU", path="", received_at=None):
    if talk.asked_as_test(body):
        return talk.nothing("test", "test")
    event = body.payload or {}
    takes = KINDS.get(word(event, "event_name"))
    return talk.found(takes(event, _chat(event, region)), body.warnings) if takes else talk.nothing()


# --- Who --------------------------------------------------------------------------------------------------------------


def _chat(event, region):
    """The visitor by phone, e-mail and the number that Jivo gives them; contacts may be null or of a form of their own."""
    visitor = part(event, "visitor")
    widget = word(event, "widget_id", limit=30)
    number = word(visitor, "number", limit=40) or word(event, "client_id", limit=40)
    signs = [
        Known("phone", n.e164, raw=word(visitor, "phone")) for n in identity.phones(word(visitor, "phone"), region)
    ]
    signs += [Known("email", address) for address in identity.emails(word(visitor, "email"))]
    if number:
        signs.append(Known("external", number, f"jivo:{widget}"))
    chat = word(event, "chat_id", limit=60)
    name = word(visitor, "name")
    fields = {"name": name, "company_name": word(event, "organization", "name")}
    about = prose(visitor, "description")
    if about and about != "Description text":
        fields["need"] = about
    return Chat(
        "jivo", f"{widget}:{chat or 'client-' + number}", name, tuple(signs), fields, _marks(event),
        {"agent": word(event, "agent", "name") or word(event, "agents", 0, "name")},
    )  # fmt: skip


def _marks(event):
    marks = {f"utm_{name}": word(event, "session", "utm_json", name) for name in UTM}
    if not any(marks.values()):
        pairs = [pair.partition("=") for pair in word(event, "session", "utm", limit=1000).split("|")]
        marks = {f"utm_{name.strip()}": value.strip() for name, _eq, value in pairs if name.strip() in UTM}
    marks["landing"] = word(event, "page", "url", limit=500)
    return {name: text for name, text in marks.items() if text and text != "..."}


# --- What -------------------------------------------------------------------------------------------------------------


def _taken(event, chat):
    """An operator has taken the chat: somebody wants something."""
    return [Met(chat, enquiry=True)]


def _updated(event, chat):
    return [Met(chat)]


def _client(event, chat):
    """A change of the client's card in Jivo: an enquiry only where a stranger has left a contact."""
    known = any(sign.kind in {"phone", "email"} for sign in chat.identities)
    return [Met(replace(chat, id=""), weak=not known)]


def _finished(event, chat):
    agents = {word(agent, "id"): word(agent, "name") for agent in parts(event, "agents")}
    said = (
        _line(chat, message, place, agents) for place, message in enumerate(parts(event, "chat", "messages")[:1000])
    )
    return [Transcript(chat, tuple(filter(None, said)))]


def _line(chat, message, place, agents):
    text, kind = prose(message, "message"), word(message, "type")
    if not text or kind not in {"visitor", "agent", "bot"}:
        return None
    is_ours, stamp = kind != "visitor", whole(message, "timestamp") or 0
    author = agents.get(word(message, "agent_id"), "") if is_ours else ""
    at = moment(message, "timestamp")
    return Said(chat, f"{stamp}:{place}", text, "text", at, is_ours=is_ours, author=author)


def _offline(event, chat):
    number = word(event, "offline_message_id", limit=60) or f"offline:{chat.id}"
    stamp = whole(event, "offline_message_id")
    at = moment({"at": stamp // 1000}, "at") if stamp else None
    return [Said(chat, number, prose(event, "message"), "text", at)]


def _call(event, chat):
    """A call that Jivo made (a callback) or took, told at each change of its state."""
    call = part(event, "call")
    numbers = identity.phones(word(call, "phone"))
    client = numbers[0].e164 if numbers else word(call, "phone")
    known = {
        "call": f"jivo:{word(event, 'widget_id', limit=30)}:{word(event, 'chat_id', limit=60)}",
        "direction": IN if word(call, "type") == "incoming" else OUT,
        "client": client, "name": chat.title, "extension": word(event, "agent", "id", limit=20),
    }  # fmt: skip
    stage, result = CALL_STAGES.get(word(call, "status"), (None, ""))
    if stage is None or not word(event, "chat_id"):
        return []
    record = word(call, "record_url", limit=1000)
    told = [CallEvent(stage=stage, result=result, **known)]
    return told + ([CallEvent(stage=RECORDED, recording=record, **known)] if record else [])


CALL_STAGES = {
    "start": (STARTED, ""),
    "agent_connected": (PICKED_UP, ""),
    "client_connected": (ANSWERED, ""),
    "end": (ENDED, ""),
    "error": (ENDED, "no_answer"),
}
KINDS = {
    "chat_accepted": _taken,
    "chat_assigned": _updated,
    "chat_updated": _updated,
    "client_updated": _client,
    "chat_finished": _finished,
    "offline_message": _offline,
    "call_event": _call,
}
