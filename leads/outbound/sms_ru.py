"""SMS.ru: https://sms.ru/api/send (POST, ``json=1``); codes: https://sms.ru/api/send#error"""

from leads.capture.sms_ru import BASE_URL
from leads.capture.talk import part, whole, word
from leads.outbound.base import (
    FAILED,
    LATER,
    SENT,
    UNSURE,
    Verdict,
    base_url,
    blocked,
    broken,
    call,
    pause,
    payload,
    refused,
)

OK = 100
BUSY = {220, 500, 501, 503}  # faults that pass
BROKE = {201, 206}  # no money, or the day's limit is reached: it may be mended meanwhile
BROKE_PAUSE = 900  # seconds
UNWANTED = {209, 215}  # the number stands on a list of those who want none


def send(message):
    source = message.conversation.source
    if not source.secret:
        return Verdict(FAILED, why="no_token")
    data = {"api_id": source.secret, "to": message.to, "msg": message.text, "json": "1"}
    if sender := source.settings.get("sender"):
        data["from"] = sender
    answer, verdict = call(source, "POST", f"{base_url(source, BASE_URL)}/sms/send", data=data)
    return verdict or judge(answer, message.to)


def judge(answer, to):
    said = payload(answer)
    if verdict := broken(answer):
        return verdict
    code, words = _code(said)
    if code == OK:
        one = part(said, "sms", to)
        code, words = _code(one)
        if code == OK and one.get("sms_id"):
            return Verdict(SENT, str(one["sms_id"])[:200])
        if code == OK:
            return Verdict(UNSURE, why="no_answer")
    return _not_taken(code, f"{code or answer.status} {words}".strip(), answer)


def _not_taken(code, words, answer):
    if code in BUSY:
        return Verdict(LATER, why=words, after=pause(answer))
    if code in BROKE:
        return Verdict(LATER, why=words, after=BROKE_PAUSE)
    return blocked(words) if code in UNWANTED else refused(words)


def _code(said):
    """(the code as a number, what it means in the provider's words)."""
    return whole(said, "status_code") or 0, word(said, "status_text", limit=250)
