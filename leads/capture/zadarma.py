"""Zadarma (and Novofon of the same API): notifications of calls, recordings, call-back requests.

Follows https://zadarma.com/en/support/api/ ("Webhooks", "Authorization") and the provider's own PHP client: the check of
the address by ``zd_echo``; header ``Signature`` = base64 of the hexadecimal HMAC-SHA1 of fields joined, which ones
depends on the event. Whoever asks the API signs method + query + MD5 of the query likewise.
"""

import base64
import hashlib
import hmac
from urllib.parse import urlencode

from django.utils.translation import gettext_lazy

from leads import telephony
from leads.capture import base, calling
from leads.capture.base import Reply, Setting
from leads.capture.canary import MARK, Canary
from leads.telephony import ANSWERED, ENDED, IN, INTERNAL, OUT, RECORDED, RINGING, STARTED, CallEvent

LABEL = "Zadarma"
NEEDS_SECRET, GIVEN_SECRET = True, True
SECRET_HELP = gettext_lazy("The secret that Zadarma gives with the API key.")
CHANNEL = "phone"
METHODS = ("GET",)
API = "https://api.zadarma.com"
SETTINGS = {
    "api_key": Setting(gettext_lazy("API key")),
    "base_url": calling.base_setting(API),
    "time_zone": calling.ZONE,
    **calling.COMMON,
}
check_settings = calling.check_zone

INCOMING = ("caller_id", "called_did", "call_start")
OUTGOING = ("internal", "destination", "call_start")
SIGNED = {
    "NOTIFY_START": INCOMING,
    "NOTIFY_IVR": INCOMING,
    "NOTIFY_INTERNAL": INCOMING,
    "NOTIFY_END": INCOMING,
    "NOTIFY_ANSWER": ("caller_id", "destination", "call_start"),
    "NOTIFY_OUT_START": OUTGOING,
    "NOTIFY_OUT_END": OUTGOING,
    "NOTIFY_RECORD": ("pbx_call_id", "call_id_with_rec"),
}
STAGES = {
    "NOTIFY_START": STARTED, "NOTIFY_IVR": STARTED, "NOTIFY_INTERNAL": RINGING, "NOTIFY_ANSWER": ANSWERED,
    "NOTIFY_END": ENDED, "NOTIFY_OUT_START": STARTED, "NOTIFY_OUT_END": ENDED, "NOTIFY_RECORD": RECORDED,
}  # fmt: skip
RESULTS = {"answered": "answered", "busy": "busy", "cancel": "no_answer", "no answer": "no_answer"}


def sign(text, secret):
    """PHP's hash_hmac gives hexadecimal text, and that is what is encoded."""
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha1).hexdigest().encode()).decode()


def handshake(envelope, source):
    """``?zd_echo=…`` asks whether the address is ours: the value is the answer."""
    if envelope.method != "GET" or b"zd_echo=" not in (envelope.raw or b""):
        return None
    echo = base.parse_body(base.FORM, envelope.raw).fields.get("zd_echo", [""])[0]
    return Reply(200, echo[:200]) if echo else None


def _field(body, name):
    """A value as it was sent: the "+" of a number is not encoded by everybody, and reads as a space."""
    value = body.fields.get(name, [""])[0]
    return "+" + value[1:] if value.startswith(" ") else value


def verify(envelope, source, body):
    given, secrets = calling.proof(envelope, source, body, "Signature"), base.secrets_of(source)
    if not given:
        return
    names = SIGNED.get(_field(body, "event"), INCOMING)
    texts = {"".join(_field(body, n) for n in names), "".join(body.fields.get(n, [""])[0] for n in names)}
    if not any(base.same(given, sign(text, secret)) for text in texts for secret in secrets):
        raise base.wrong_proof()


def canary(source, mark, url):
    said = {"event": MARK, "caller_id": mark, "called_did": "", "call_start": ""}
    proof = {"Signature": sign("".join(said[name] for name in INCOMING), source.secret)} if source.secret else {}
    return Canary(base.FORM, urlencode(said).encode(), proof)


def parse(body, source, *, headers, region, path, received_at):
    said = {name: base.clean(_field(body, name)).strip() for name in body.fields}
    event = said.get("event", "").upper()
    stage = STAGES.get(event)
    if not stage or not (said.get("pbx_call_id") or said.get("call_start")):
        return calling.said([], body.warnings)
    direction = _direction(event, said)
    client, ours = _numbers(direction, said)
    start = telephony.moment(said.get("call_start"), calling.zone(source))
    result = RESULTS.get(said.get("disposition", "").lower(), "failed") if stage == ENDED else ""
    length = telephony.seconds(said.get("duration")) if stage == ENDED else None
    return calling.said([CallEvent(
        _call_id(said, client), stage, (start if stage == STARTED else None) or received_at, direction=direction,
        client=telephony.number(client, region), ours=telephony.party(ours)[:64],
        extension=said.get("internal", "")[:64], started_at=start, weight=3 if stage == ENDED else 1, result=result,
        talk=length if result == "answered" else None, heard=stage != STARTED or start is None,
        recording=said.get("call_id_with_rec", "")[:500] if said.get("is_recorded") != "0" else "",
    )], body.warnings)  # fmt: skip


def _direction(event, said):
    if event.startswith("NOTIFY_OUT"):
        return INTERNAL if telephony.is_internal(said.get("destination", ""), 4) else OUT
    if event in {"NOTIFY_RECORD", "NOTIFY_ANSWER"}:
        return {"in": IN, "out": OUT}.get(said.get("pbx_call_id", "").partition("_")[0], "")
    return INTERNAL if telephony.is_internal(said.get("caller_id", ""), 4) else IN


def _numbers(direction, said):
    """(client, ours)."""
    if direction == OUT:
        return said.get("destination", ""), said.get("caller_id", "")
    if direction == INTERNAL:
        return "", ""
    return said.get("caller_id", ""), said.get("called_did", "")


def _call_id(said, client):
    """The provider's id; older notifications have none, but all of a call state its start and its client."""
    return (said.get("pbx_call_id") or f"{said.get('call_start')} {telephony.number(client)}")[:128]


def reply(envelope, source):
    return Reply(200, "")


# --- What is asked of the provider ------------------------------------------------------------------------------------


def _ask(source, method, params):
    api = calling.base_url(source, API)
    query = urlencode(sorted(params.items()))
    digest = hashlib.md5(query.encode(), usedforsecurity=False).hexdigest()
    proof = f"{source.settings.get('api_key')}:{sign(method + query + digest, source.secret)}"
    return calling.Ask("GET", f"{api}{method}?{query}", {"Authorization": proof}, trusted=api)


def can_dial(source):
    return bool(source.secret and source.settings.get("api_key"))


def dial(source, *, own, number, token):
    params = {"from": own.number, "to": number, "format": "json"}
    return _ask(source, "/v1/request/callback/", params)


def dialled(answer):
    found = answer.json()
    if answer.status != 200 or found.get("status") != "success":
        raise calling.Failed(calling.plain(found.get("message")) or f"HTTP {answer.status}")
    return ""


def recording(source, call, ref):
    params = {"call_id": ref, "lifetime": "180", "format": "json"}
    return _ask(source, "/v1/pbx/record/request/", params)


def recording_link(answer):
    found = answer.json()
    links = found.get("links") or [found.get("link")]
    if found.get("status") != "success" or not isinstance(links, list) or not links[0]:
        raise calling.Failed(calling.plain(found.get("message")) or f"HTTP {answer.status}")
    return str(links[0])
