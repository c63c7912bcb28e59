"""Twilio Programmable Voice: incoming calls, statuses of calls and of their legs, recordings; calls from the card.

Follows https://www.twilio.com/docs/usage/security (X-Twilio-Signature: base64 of HMAC-SHA1 over the address and the sorted
parameters), https://www.twilio.com/docs/voice/twiml (request parameters, ``<Dial>``) and .../voice/api/call-resource and
recording (status callbacks). The source's secret is the Auth Token. Behind a proxy the address that counts is the public
one. ``Duration`` of a status is in minutes, ``CallDuration`` in seconds.
"""

import base64
import hashlib
import hmac
import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from urllib.parse import quote, urlencode, urlsplit
from xml.sax.saxutils import escape, quoteattr

from django.conf import settings as project
from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads import telephony
from leads.capture import base, calling
from leads.capture.base import Reply, Setting
from leads.capture.canary import MARK, Canary
from leads.telephony import ANSWERED, ENDED, IN, OUT, PICKED_UP, RECORDED, RINGING, STARTED, CallEvent

LABEL = "Twilio"
NEEDS_SECRET, GIVEN_SECRET = True, True
SECRET_HELP = gettext_lazy("The Auth Token of the Twilio console.")
CHANNEL = "phone"
METHODS = ("GET",)
API = "https://api.twilio.com"
SETTINGS = {
    "account_sid": Setting("Account SID"),
    "from_number": Setting(gettext_lazy("Our number at Twilio")),
    "forward": Setting(
        gettext_lazy("Who is called when a client calls"),
        help=gettext_lazy("Phones or SIP addresses, by commas. Empty: Twilio's own set-up decides."),
    ),
    "base_url": calling.base_setting(API),
    **calling.COMMON,
}
XML = "text/xml; charset=utf-8"
STAGES = {
    "queued": STARTED, "initiated": STARTED, "ringing": RINGING, "in-progress": ANSWERED, "answered": ANSWERED,
    "completed": ENDED, "busy": ENDED, "no-answer": ENDED, "failed": ENDED, "canceled": ENDED,
}  # fmt: skip
RESULTS = {"busy": "busy", "no-answer": "no_answer", "canceled": "no_answer", "failed": "failed"}


def check_settings(settings):
    for who in _forward(settings):
        if not re.fullmatch(r"\+\d{7,15}|sip:[\w.+-]+@[\w.:-]+", who):
            raise ValidationError(_("This is no phone and no SIP address: %s") % who)


def _forward(settings):
    return [who for who in re.split(r"[,;\s]+", str(settings.get("forward") or "")) if who]


# --- Who sends --------------------------------------------------------------------------------------------------------


def signature(url, pairs, token):
    """``pairs``: (name, value) of a posted form."""
    text = url + "".join(name + value for name, value in sorted(set(pairs)))
    return base64.b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()).decode()


def _addresses(envelope):
    """As the sender may have called us: what the request says, the public address, each with and without its port."""
    parts = urlsplit(envelope.url)
    tail = (parts.path or envelope.path) + (f"?{parts.query}" if parts.query else "")
    roots = {f"{parts.scheme}://{parts.netloc}", project.PUBLIC_URL}
    for root in list(roots):
        scheme, _sep, host = root.partition("://")
        port = {"https": ":443", "http": ":80"}.get(scheme, "")
        roots.add(f"{scheme}://{host.removesuffix(port)}" if host.endswith(port) else f"{root}{port}")
    return {root + tail for root in roots}


def verify(envelope, source, body):
    given, tokens = calling.proof(envelope, source, body, "X-Twilio-Signature"), base.secrets_of(source)
    if not given:
        return
    # A GET's parameters are part of its address.
    pairs = [(n, v) for n, values in body.fields.items() for v in values] if envelope.method == "POST" else []
    if not any(base.same(given, signature(url, pairs, token)) for url in _addresses(envelope) for token in tokens):
        raise base.wrong_proof()


def canary(source, mark, url):
    said = {MARK: mark}
    proof = {"X-Twilio-Signature": signature(url, said.items(), source.secret)} if source.secret else {}
    return Canary(base.FORM, urlencode(said).encode(), proof)


# --- What it says -----------------------------------------------------------------------------------------------------


def parse(body, source, *, headers, region, path, received_at):
    said = {name: values[0].strip() for name, values in body.fields.items()}
    call = said.get("ParentCallSid") or said.get("CallSid", "")
    if not re.fullmatch(r"[A-Za-z0-9]{2,64}", call):
        return calling.said([], body.warnings)
    at = _at(said.get("Timestamp"))
    shared = {"at": at or received_at, "heard": at is None}
    if said.get("RecordingUrl") or said.get("RecordingSid"):
        return calling.said(_recorded(call, said, shared), body.warnings)
    stage = STAGES.get(said.get("CallStatus", ""))
    if not stage:
        return calling.said([], body.warnings)
    asked = re.search(r"/dial/(\d{7,15})/([^/]{1,64})/?$", path)
    if asked:
        event = _asked(call, stage, said, shared, *asked.groups())
    elif said.get("ParentCallSid"):
        event = _leg(call, stage, said, shared)
    else:
        event = _parent(call, stage, said, shared, region)
    return calling.said([event], body.warnings)


def _at(text):
    """``Sun, 25 Mar 2018 09:53:19 +0000``."""
    try:
        return parsedate_to_datetime(text).astimezone(UTC) if text else None
    except (ValueError, TypeError, OverflowError):
        return None


def _over(stage, said):
    """What an end says: how, and how long."""
    if stage != ENDED:
        return {}
    lasted = telephony.seconds(said.get("CallDuration") or said.get("DialCallDuration"))
    return {"result": RESULTS.get(said["CallStatus"], ""), "duration": lasted, "weight": 3}


def _parent(call, stage, said, shared, region):
    """The call itself. An incoming one that is "in progress" has been picked up by our menu; a human answers a leg."""
    sender, called = said.get("From", ""), said.get("To", "")
    outgoing = said.get("Direction", "").startswith("outbound") or re.match(r"(?:sip|client):", sender)
    if outgoing:
        client, ours, own = called, sender, telephony.party(sender) if ":" in sender else ""
    else:
        client, ours, own = sender, called, ""
    if not outgoing:
        stage = {ANSWERED: PICKED_UP, RINGING: STARTED}.get(stage, stage)
    over = _over(stage, said)
    if stage == ENDED and not over["result"] and outgoing and said.get("Direction", "").startswith("outbound"):
        over |= {"result": "answered" if over["duration"] else "no_answer", "talk": over["duration"]}
    return CallEvent(
        call, stage, direction=OUT if outgoing else IN, extension=own, leg=said.get("CallSid", "")[:64],
        client=telephony.number(telephony.party(client) if ":" in client else client, region),
        ours=telephony.party(ours)[:64], **shared, **over,
    )  # fmt: skip


def _leg(call, stage, said, shared):
    """A leg towards a colleague: how it ends is no end of the call."""
    lasted = telephony.seconds(said.get("CallDuration")) if said.get("CallStatus") == "completed" else None
    if stage == ENDED:
        stage = ANSWERED if lasted else RINGING
    return CallEvent(call, stage, extension=telephony.party(said.get("To", "")), talk=lasted, weight=0, **shared)


def _asked(call, stage, said, shared, number, extension):
    """A call that was placed from a card: the colleague's phone first, then, as a leg, the client's."""
    if said.get("ParentCallSid"):
        over = _over(stage, said)
        lasted = over.get("duration")
        stage = ANSWERED if stage == ENDED and lasted else RINGING if stage == ENDED else stage
        return CallEvent(
            call, stage, direction=OUT, client=f"+{number}", extension=extension, talk=lasted, weight=3, **shared
        )  # fmt: skip
    stage = {ANSWERED: STARTED, RINGING: STARTED, PICKED_UP: STARTED}.get(stage, stage)
    return CallEvent(
        call, stage, direction=OUT, client=f"+{number}", extension=extension, weight=4,
        duration=telephony.seconds(said.get("CallDuration")), result=RESULTS.get(said["CallStatus"], ""), **shared,
    )  # fmt: skip


def _recorded(call, said, shared):
    if said.get("RecordingStatus", "completed") != "completed":
        return []
    account = said.get("AccountSid", "")
    made = f"/2010-04-01/Accounts/{account}/Recordings/{said.get('RecordingSid', '')}"
    return [CallEvent(call, RECORDED, recording=(said.get("RecordingUrl") or made)[:500], **shared)]


# --- What is answered -------------------------------------------------------------------------------------------------


def reply(envelope, source):
    """TwiML: nothing to do, or, for an incoming call, whom to call."""
    body = base.parse_body(envelope.content_type, envelope.raw or b"").fields
    status, direction, parent = (body.get(name, [""])[0] for name in ("CallStatus", "Direction", "ParentCallSid"))
    ringing = status in {"ringing", "queued"} and direction == "inbound" and not parent
    people = _forward(source.settings) if ringing else []
    return Reply(200, _dial(people, source) if people else "<Response/>", XML)


def _dial(people, source, number=""):
    address = project.PUBLIC_URL + reverse("leads:capture", args=[source.key])
    back = quoteattr(address + (f"dial/{number}/" if number else "status/"))
    events = f'statusCallback={back} statusCallbackEvent="initiated ringing answered completed"'
    legs = "".join(
        f"<Sip {events}>{escape(who)}</Sip>" if who.startswith("sip:") else f"<Number {events}>{escape(who)}</Number>"
        for who in people
    )
    record = f'record="record-from-answer-dual" recordingStatusCallback={quoteattr(address + "recording/")}'
    caller = (
        f" callerId={quoteattr(source.settings['from_number'])}"
        if number and source.settings.get("from_number")
        else ""
    )
    return f'<Response><Dial answerOnBridge="true" {record}{caller}>{legs}</Dial></Response>'


# --- What is asked of the provider ------------------------------------------------------------------------------------


def _account(source):
    return calling.basic(source.settings.get("account_sid", ""), source.secret)


def can_dial(source):
    return bool(source.secret and source.settings.get("account_sid") and source.settings.get("from_number"))


def dial(source, *, own, number, token):
    """The colleague's phone is called first; who picks it up is put through to the client."""
    api, tail = calling.base_url(source, API), f"{number.lstrip('+')}/{quote(own.number, safe='')}"
    back = project.PUBLIC_URL + reverse("leads:capture", args=[source.key]) + f"dial/{tail}/"
    form = [
        ("To", own.number), ("From", source.settings.get("from_number", "")), ("Twiml", _dial([number], source, tail)),
        ("StatusCallback", back), *(("StatusCallbackEvent", e) for e in ("initiated", "ringing", "answered", "completed")),
    ]  # fmt: skip
    address = f"{api}/2010-04-01/Accounts/{source.settings.get('account_sid')}/Calls.json"
    return calling.Ask("POST", address, _account(source), data=form, trusted=api)


def dialled(answer):
    found = answer.json()
    if answer.status not in {200, 201} or not found.get("sid"):
        raise calling.Failed(calling.plain(found.get("message")) or f"HTTP {answer.status}")
    return calling.plain(found["sid"])


def recording(source, call, ref):
    """The account's key goes to the API's own address and nowhere else, whatever host the notification named."""
    api, path = calling.base_url(source, API), re.sub(r"^\w+://[^/?#]*|[?#].*", "", ref, flags=re.DOTALL).lstrip("/")
    return calling.Ask(
        "GET", f"{api}/{re.sub(r'(?:[.](?:wav|mp3|json))?$', '.mp3', path, count=1)}", _account(source), trusted=api
    )
