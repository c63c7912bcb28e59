"""WhatsApp Cloud API: https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/

Every message carries its own token (biz_opaque_callback_data), which comes back with its statuses: so a message whose
answer got lost is known again.
"""

from leads.capture.whatsapp import BASE_URL
from leads.outbound.base import (
    FAILED,
    LATER,
    SENT,
    UNSURE,
    Place,
    Verdict,
    base_url,
    blocked,
    broken,
    call,
    pause,
    payload,
    post_file,
    refused,
    sent_file,
)

BUSY = {2, 4, 80007, 130429, 131000, 131016, 131048, 131056, 133016}  # limits and faults that pass
CLOSED = {131047}  # more than 24 hours since the client's last message
UNWANTED = {131050, 131051, 130472}


def _call(source, method, path, **options):
    token = source.settings.get("token")
    if not token:
        return None, Verdict(FAILED, why="no_token")
    headers = {"Authorization": f"Bearer {token}"}
    return call(source, method, f"{base_url(source, BASE_URL)}/{path}", headers=headers, **options)


def send(message):
    talk = message.conversation
    number = talk.details.get("phone_number_id") or talk.source.settings.get("phone_number_id")
    if not number:
        return Verdict(FAILED, why="no_token phone_number_id")
    known, verdict = _uploaded(talk.source, number, message)
    if verdict:
        return verdict
    answer, verdict = _call(talk.source, "POST", f"{number}/messages", json=body(message, known))
    return verdict or judge(answer)


def _uploaded(source, number, message):
    """(what names the file in the message, None), or (None, Verdict); without a file (None, None).

    An upload that got lost is no harm: nothing has been said to the client yet.
    """
    file = sent_file(message)
    if file is None:
        return None, None
    if not source.settings.get("token"):
        return None, Verdict(FAILED, why="no_token")
    name, kind, _raw = file
    fields = {"messaging_product": "whatsapp", "type": kind}
    headers = {"Authorization": f"Bearer {source.settings['token']}"}
    url = f"{base_url(source, BASE_URL)}/{number}/media"
    answer, verdict = post_file(source, url, fields, "file", file, headers=headers, repeatable=True)
    if verdict:
        return None, verdict
    found = payload(answer).get("id")
    if answer.status >= 300 or not found:
        return None, _not_laid_down(answer)
    caption = {"caption": message.text} if message.text else {}
    return {"id": str(found), "filename": name, **caption}, None


def _not_laid_down(answer):
    """The Verdict on an upload that failed: whatever it says, the client has been told nothing."""
    verdict = judge(answer)
    if verdict.state == UNSURE and answer.status >= 500:
        return Verdict(LATER, why=str(answer.status))
    return refused("no document") if verdict.state in {SENT, UNSURE} else verdict


def body(message, file=None):
    chat = message.conversation.chat
    to = {"to": chat} if chat.lstrip("+").isdecimal() else {"recipient": chat}
    common = {"messaging_product": "whatsapp", "recipient_type": "individual", **to,
              "biz_opaque_callback_data": message.token}  # fmt: skip
    if file:
        return common | {"type": "document", "document": file}
    if not message.form.get("template"):
        return common | {"type": "text", "text": {"preview_url": False, "body": message.text}}
    values = [{"type": "text", "text": str(value)} for value in message.form.get("values") or []]
    template = {"name": message.form["template"], "language": {"code": message.form.get("language", "")}}
    if values:
        template["components"] = [{"type": "body", "parameters": values}]
    return common | {"type": "template", "template": template}


def judge(answer):
    said = payload(answer)
    messages = said.get("messages")
    if answer.status < 300 and isinstance(messages, list) and messages and isinstance(messages[0], dict):
        return Verdict(SENT, str(messages[0].get("id", "")))
    error = said.get("error") if isinstance(said.get("error"), dict) else {}
    data = error.get("error_data") if isinstance(error.get("error_data"), dict) else {}
    code, words = error.get("code"), str(data.get("details") or error.get("message") or answer.status)
    if code in CLOSED:
        return Verdict(FAILED, why="window")
    if code in BUSY:  # Meta's own word that it has not been sent
        return Verdict(LATER, why=words, after=pause(answer))
    if verdict := broken(answer, words):
        return verdict
    return blocked(words) if code in UNWANTED else refused(words)


def locate(file):
    source = file.line.conversation.source
    answer, verdict = _call(source, "GET", file.ref)
    if verdict:
        return Place(problem=verdict.why)
    said = payload(answer)
    if answer.status >= 300 or not said.get("url"):
        return Place(problem=str(answer.status))
    size = said.get("file_size")
    headers = {"Authorization": f"Bearer {source.settings['token']}"}
    trusted = str(source.settings.get("base_url") or "")
    return Place(str(said["url"]), headers, trusted, size=size if isinstance(size, int) else None)
