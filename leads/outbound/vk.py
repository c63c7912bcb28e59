"""VK: https://dev.vk.com/ru/method/messages.send

``random_id`` is made of the message's own token: VK itself drops a second copy of it, so that what got no answer may be
sent again for as long as VK remembers.
"""

import zlib
from dataclasses import replace

from leads.capture.talk import part, word
from leads.outbound.base import (
    FAILED,
    LATER,
    SENT,
    Place,
    Verdict,
    base_url,
    blocked,
    call,
    pause,
    payload,
    post_file,
    refused,
    sent_file,
)

BASE_URL = "https://api.vk.com"
VERSION = "5.199"
BUSY = {6, 9, 29}
BROKEN = {1, 10}  # faults of theirs: nobody knows how far it went
UNWANTED = {900, 901, 902}


def random_id(token):
    """A positive number of 31 bits, the same for each attempt."""
    return zlib.crc32(token.encode()) & 0x7FFFFFFF or 1


def _method(source, name, **fields):
    token = source.settings.get("token")
    if not token:
        return None, Verdict(FAILED, why="no_token")
    base = base_url(source, BASE_URL).removesuffix("/method")
    data = {"access_token": token, "v": VERSION, **fields}
    return call(source, "POST", f"{base}/method/{name}", data=data, repeatable=True)


def send(message):
    talk = message.conversation
    fields = {"peer_id": talk.chat, "message": message.text, "random_id": random_id(message.token)}
    if file := sent_file(message):
        fields["attachment"], verdict = _uploaded(talk, file)
        if verdict:
            return verdict
    answer, verdict = _method(talk.source, "messages.send", **fields)
    return verdict or judge(answer)


def _uploaded(talk, file):
    """(the document as a message names it, None), or ("", Verdict): asked for where to, sent there, kept.

    https://dev.vk.com/ru/api/upload/document-in-private-message-upload
    """
    source = talk.source
    answer, verdict = _method(source, "docs.getMessagesUploadServer", type="doc", peer_id=talk.chat)
    url = word(payload(answer), "response", "upload_url", limit=2000) if verdict is None else ""
    if not url:
        return "", _nothing_said(verdict) or _not_laid_down(answer)
    answer, verdict = post_file(source, url, {}, "file", file, repeatable=True)
    ticket = payload(answer).get("file") if verdict is None else ""
    if not ticket:
        return "", _nothing_said(verdict) or _not_laid_down(answer)
    answer, verdict = _method(source, "docs.save", file=str(ticket), title=file[0])
    row = part(payload(answer), "response", "doc") if verdict is None else {}
    if not row.get("id"):
        return "", _nothing_said(verdict) or _not_laid_down(answer)
    return f"doc{row.get('owner_id')}_{row['id']}", None


def _nothing_said(verdict):
    return verdict and replace(verdict, doubt=False)


def _not_laid_down(answer):
    """The Verdict on an answer without what was asked for: whatever it says of itself, no message has been sent."""
    verdict = judge(answer)
    return refused("no document") if verdict.state == SENT else replace(verdict, doubt=False)


def judge(answer):
    said = payload(answer)
    if answer.status == 200 and "response" in said:
        return Verdict(SENT, str(said["response"])[:200])
    error = said.get("error") if isinstance(said.get("error"), dict) else {}
    code, words = error.get("error_code"), str(error.get("error_msg") or answer.status)
    if code in BUSY or answer.status in {429, 503}:
        return Verdict(LATER, why=words, after=pause(answer))
    if code in BROKEN or answer.status >= 500 or not said:
        return Verdict(LATER, why=words, doubt=True)
    return blocked(words) if code in UNWANTED else refused(words)


def locate(file):
    """VK says where a file is with the message."""
    trusted = str(file.line.conversation.source.settings.get("base_url") or "")
    return Place(file.url, trusted=trusted) if file.url else Place(problem="no address")


def name_of(source, user_id):
    """The first and last name of a person; empty where VK does not say."""
    answer, verdict = _method(source, "users.get", user_ids=user_id)
    found = payload(answer).get("response") if verdict is None else None
    person = found[0] if isinstance(found, list) and found and isinstance(found[0], dict) else {}
    return f"{person.get('first_name') or ''} {person.get('last_name') or ''}".strip()[:200]
