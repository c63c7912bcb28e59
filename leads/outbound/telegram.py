"""Telegram: https://core.telegram.org/bots/api#sendmessage, #senddocument, #getfile, #setwebhook"""

from leads.capture.telegram import BASE_URL
from leads.outbound.base import (
    FAILED,
    SENT,
    Place,
    Verdict,
    base_url,
    blocked,
    broken,
    call,
    payload,
    post_file,
    refused,
    sent_file,
)


def _method(source, name, body, file=None):
    token = source.settings.get("token")
    if not token:
        return None, Verdict(FAILED, why="no_token")
    url = f"{base_url(source, BASE_URL)}/bot{token}/{name}"
    if file:
        return post_file(source, url, body, "document", file)
    return call(source, "POST", url, json=body)


def send(message):
    talk = message.conversation
    file = sent_file(message)
    body = {"chat_id": int(talk.chat) if talk.chat.lstrip("-").isdecimal() else talk.chat}
    body["caption" if file else "text"] = message.text
    if connection := talk.details.get("business_connection_id"):
        body["business_connection_id"] = connection
    answer, verdict = _method(talk.source, "sendDocument" if file else "sendMessage", body, file)
    return verdict or judge(answer)


def judge(answer):
    said = payload(answer)
    if answer.status == 200 and said.get("ok") is True:
        result = said.get("result")
        return Verdict(SENT, str(result.get("message_id", "")) if isinstance(result, dict) else "")
    words, limits = str(said.get("description") or answer.status), said.get("parameters")
    stated = limits.get("retry_after") if isinstance(limits, dict) else None
    if verdict := broken(answer, words, stated):
        return verdict
    return blocked(words) if answer.status == 403 else refused(words)


def locate(file):
    source = file.line.conversation.source
    answer, verdict = _method(source, "getFile", {"file_id": file.ref})
    if verdict:
        return Place(problem=verdict.why)
    result = payload(answer).get("result")
    path = result.get("file_path") if isinstance(result, dict) else ""
    if not path:
        return Place(problem=str(payload(answer).get("description") or answer.status))
    base = base_url(source, BASE_URL)
    url = f"{base}/file/bot{source.settings['token']}/{path}"
    return Place(url, trusted=str(source.settings.get("base_url") or ""))


def set_webhook(source, url):
    """Tell Telegram the address of the source; returns what it said against it, empty when it is set."""
    body = {"url": url, "secret_token": source.secret, "allowed_updates": UPDATES}
    answer, verdict = _method(source, "setWebhook", body)
    if verdict:
        return verdict.why
    said = payload(answer)
    return "" if said.get("ok") is True else str(said.get("description") or answer.status)


UPDATES = ["message", "edited_message", "callback_query", "my_chat_member", "business_connection", "business_message",
           "edited_business_message", "deleted_business_messages"]  # fmt: skip
