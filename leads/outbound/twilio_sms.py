"""Twilio: https://www.twilio.com/docs/messaging/api/message-resource#create-a-message-resource"""

import base64

from django.conf import settings
from django.urls import reverse

from leads.capture.twilio_sms import BASE_URL, STATUS_PATH
from leads.outbound.base import (
    FAILED,
    LATER,
    SENT,
    Place,
    Verdict,
    base_url,
    blocked,
    broken,
    call,
    pause,
    payload,
    refused,
)

UNWANTED = {21610}  # the client has answered STOP
BUSY = {20429, 21611}  # too many at once


def _basic(source):
    pair = f"{source.settings.get('account_sid', '')}:{source.secret}"
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def send(message):
    source = message.conversation.source
    account, sender = source.settings.get("account_sid"), str(source.settings.get("sender") or "")
    if not (source.secret and account and sender):
        return Verdict(FAILED, why="no_token")
    data = {"To": f"+{message.to}", "Body": message.text}
    data["MessagingServiceSid" if sender.startswith("MG") else "From"] = sender
    if not settings.LOCAL:  # Twilio refuses an address that it cannot reach
        path = reverse("leads:capture", args=[source.key])
        data["StatusCallback"] = f"{settings.PUBLIC_URL}{path}{STATUS_PATH}/{message.token}/"
    url = f"{base_url(source, BASE_URL)}/2010-04-01/Accounts/{account}/Messages.json"
    answer, verdict = call(source, "POST", url, data=data, headers=_basic(source))
    return verdict or judge(answer)


def judge(answer):
    said = payload(answer)
    if answer.status in {200, 201} and said.get("sid"):
        return Verdict(SENT, str(said["sid"])[:200])
    code, words = said.get("code"), f"{said.get('code') or answer.status} {said.get('message') or ''}".strip()
    if verdict := broken(answer):
        return verdict
    if code in BUSY:
        return Verdict(LATER, why=words, after=pause(answer))
    return blocked(words) if code in UNWANTED else refused(words)


def locate(file):
    """The address came with the message; accounts may ask for the password there. It is told to Twilio alone."""
    source = file.line.conversation.source
    trusted = str(source.settings.get("base_url") or "")
    if not file.url:
        return Place(problem="no address")
    ours = file.url.startswith(f"{base_url(source, BASE_URL)}/")
    return Place(file.url, _basic(source) if ours else {}, trusted)
