"""What a letter is: written by a person, by a machine about our letter, by a list; and how we know.

Pure. Machines are known by what the standards have them write (RFC 3834, 3464, 5965, 2369), else by their words.
"""

import re
from dataclasses import dataclass

from leads.capture import returned

HUMAN, AUTO_REPLY, BOUNCE, COMPLAINT = "human", "auto_reply", "bounce", "complaint"
MAILING_LIST, CALENDAR, ENCRYPTED = "mailing_list", "calendar", "encrypted"


@dataclass(frozen=True)
class Sort:
    """``kind``: of the seven; ``why``: the sign that decided; ``severity``: of a bounce: hard, soft or delivered."""

    kind: str
    why: str
    severity: str = ""
    returned: tuple = ()


def sort(letter):
    """The Sort of a letter."""
    for rule in (_complaint, _bounce, _receipt, _calendar, _automatic, _list, _encrypted):
        if found := rule(letter):
            return found
    return Sort(HUMAN, "no_sign")


# --- Complaints and bounces ---------------------------------------------------------------------------------------------

_ROBOT = re.compile(
    r"^(?:mailer[-_.]?d(?:a)?emon|mailerdaemon|poo?st[-_]?master|mail[-_.]?(?:delivery|system|daemon|administrator|er)?[-_.]?"
    r"(?:subsystem|system|daemon|agent|service|notif\w*)?|mdaemon|mail-?daemon|bounces?|returned-?mail|deliver(?:y|ies)|no-?reply-?bounce|"
    r"microsoftexchange\w+|internet-?mail-?delivery|smtp|mta|daemon|maildelivery\w*)(?:[-+=.].*)?$", re.IGNORECASE,
)  # fmt: skip
_ROBOT_NAME = re.compile(
    r"mail (?:delivery|transfer|administrator)|mailer[- ]?daemon|delivery (?:subsystem|system|agent|notification)|system administrator|"
    r"postmaster|internet mail|mail system|почтов\w+ (?:систем|сервер|робот|демон)|служба доставки", re.IGNORECASE,
)  # fmt: skip
_BOUNCE_SUBJECT = re.compile(
    r"undeliver|non[- ]?deliver|not (?:be )?deliver|delivery (?:status|failure|failed|has failed|report|problem|error|notification|"
    r"reports|delayed|has been)|failed (?:delivery|mail)|failure (?:notice|notification|delivery)|returned (?:mail|to sender|e-?mail)|"
    r"mail (?:delivery|failure|system error|status report|not delivered)|message (?:status|not delivered|undeliver|delayed|not sent)|"
    r"could ?n[o']t send message|"
    r"メールエラー|user unknown|recipient unknown|unknown (?:recipient|user)|returning message|bounce|warning: (?:could not|message)|"
    r"delayed mail|cannot send message|error sending|mail could not|rejected:|delivery report|nondeliverable|message could not|"
    r"недостав|не доставлен|не удалось доставить|невозможно доставить|ошибка доставки|отч[её]т о доставке|возврат письма|"
    r"возвращ[её]н|доставка .{0,30}задерж|сообщение об ошибке|unzustellbar|nicht zugestellt|unzustellbarkeit|zustellung|"
    r"non (?:remis|distribu)|échec de|no se (?:ha podido|pudo) entregar|no entregado|mancato recapito|nije isporu|"
    r"配信不能|エラーメール|配達|送信できません|届けられません", re.IGNORECASE,
)  # fmt: skip
_BOUNCE_TEXT = re.compile(
    r"could not be delivered|couldn't be delivered|was not delivered|unable to deliver|cannot be delivered|undeliverable|"
    r"delivery (?:to the following|failed|has failed|attempts?|of your message|status)|did not reach|(?:has|have) been returned|"
    r"returned (?:mail|message)|permanent(?:ly)? (?:fatal )?(?:error|failure|failed)|following address(?:es)?(?: had| failed|\(es\))|"
    r"not (?:been )?(?:able to )?deliver|failed (?:to deliver|recipient|addresses|permanently)|user unknown|unknown user|"
    r"requested action not taken|invalid user address|transaction failed|transcript of session|following recipient|recipients? (?:listed|could)|message (?:was|has been|is) "
    r"(?:rejected|not delivered|delayed|refused)|bounced|your (?:message|mail|email)[^.]{0,80}(?:reject|fail|return|undeliver)|"
    r"не (?:было|может быть|удалось|был[ао]?) (?:доставлен|доставить)|не доставлен|недоставлен|"
    r"nicht zugestellt|unzustellbar|n'a pas pu être|n'a pas été (?:remis|distribu)|no se pudo entregar|"
    r"配信できません|送信できません|届けることができません|宛先不明|メールを送信|エラー", re.IGNORECASE,
)  # fmt: skip
_TRACE = re.compile(
    r"(?i)\b[45]\d\d[ -][45]\.\d\.\d{1,2}|<<< [45]\d\d |said: [45]\d\d|\bSMTP (?:error|code)|RCPT TO|diagnostic[- ]code"
)


def _complaint(letter):
    kind = returned.feedback_type(letter)
    if _amazon(letter) == "Complaint":
        return Sort(COMPLAINT, "ses")
    if kind in {"abuse", "fraud", "opt-out", "opt-out-list", "not-spam", "miscategorized"}:
        return Sort(AUTO_REPLY if kind == "not-spam" else COMPLAINT, f"feedback-type {kind}")
    if kind:
        return Sort(AUTO_REPLY, f"feedback-type {kind}")
    said = letter.subject.lower()
    if said.startswith("complaint about message from") and any(
        p.content_type == "message/rfc822" for p in letter.parts
    ):
        return Sort(COMPLAINT, "subject")
    return None


def _amazon(letter):
    """What Amazon SES tells of a letter comes as JSON in a letter of SNS."""
    found = re.search(r'\\?"notificationType\\?"\s*:\s*\\?"(Bounce|Complaint|Delivery)', letter.text)
    return found[1] if found and "amazon" in letter.sender.address.lower() else ""


def _bounce(letter):
    why = _standard_report(letter) or _reported_by_words(letter)
    if not why:
        return None
    found = returned.recipients(letter)
    severities = {r.severity for r in found} or {"soft"}
    severity = next(s for s in ("hard", "soft", "delivered") if s in severities)
    return Sort(BOUNCE, why, severity, found)


def _standard_report(letter):
    if _amazon(letter) in {"Bounce", "Delivery"}:
        return "ses"
    kinds = {p.content_type for p in letter.parts if not p.embedded}
    if (
        letter.headers.get("auto-submitted", "").lower().startswith("auto-replied")
        and "message/delivery-status" not in kinds
    ):
        return ""
    if "message/delivery-status" in kinds or "message/global-delivery-status" in kinds:
        return "delivery-status"
    if (
        "report-type=delivery-status"
        in letter.headers.get("content-type", "").replace('"', "").replace(" ", "").lower()
    ):
        return "report-type"
    return ""


def _reported_by_words(letter):
    """Servers that keep to no standard: who they are and what they say must both speak for it."""
    if "x-mlserver" in letter.headers and re.search(
        r"not (?:a )?member|loop alert|rejected", letter.subject, re.IGNORECASE
    ):
        return "list server"
    local = letter.sender.address.partition("@")[0] or letter.sender.name
    path = letter.headers.get("return-path", "").strip()
    from_robot = bool(_ROBOT.match(local) or _ROBOT_NAME.search(letter.sender.name))
    nobody = path in {"<>", "< >"} or re.match(r"<?mailer-daemon", path, re.IGNORECASE) is not None
    failed = "x-failed-recipients" in letter.headers
    if letter.headers.get("auto-submitted", "").lower().startswith("auto-replied") and not failed and not from_robot:
        return ""
    subject = bool(_BOUNCE_SUBJECT.search(letter.subject)) and not re.match(
        r"(?i)\s*(re|fwd?|aw|отв|ha)\s*:", letter.subject
    )
    sender = from_robot or nobody or failed
    if not (sender or subject):  # most letters: their words need not be looked at
        return ""
    text = bool(_BOUNCE_TEXT.search(letter.text[:6000]))
    trace = bool(_TRACE.search(letter.text[:8000]))
    copy = any(p.content_type in {"message/rfc822", "text/rfc822-headers"} for p in letter.parts)
    score = 2 * from_robot + nobody + 3 * failed + 2 * subject + text + trace + copy
    if nobody and text and copy:
        return "words"
    return "words" if (sender and score >= 4) or (subject and text and (trace or copy) and score >= 4) else ""


# --- Machines that answer -----------------------------------------------------------------------------------------------

_AUTO_SUBJECT = re.compile(
    r"^\W*(?:re:\s*|aw:\s*|отв:\s*|antw:\s*|ha:\s*)*\W*(?:auto(?:matic|mated)?[- ]?(?:reply|response|responder|antwort|svar|matisch)|out ?of ?(?:the )?office|ooo\b|"
    r"away from (?:my|the) (?:mail|office|desk)|(?:i am |i'm )?on (?:vacation|holiday|leave|annual leave)|vacation(?: reply| response|:)|holiday reply|"
    r"automatische? antwort|abwesen\w*|abwesenheitsnotiz|out-of-office|ich bin (?:nicht|derzeit)|"
    r"réponse automatique|reponse automatique|absence(?: du bureau)?\b|absent(?:e)? du bureau|message d'absence|"
    r"respuesta automática|respuesta automatica|fuera de (?:la )?oficina|risposta automatica|fuori sede|resposta automática|"
    r"automatisch antwoord|afwezig|autosvar|automatiskt svar|automaattinen|odpowiedź automatyczna|automatická odpověď|otomatik yanıt|"
    r"авто(?:матический)?[- ]?ответ|автоматическое (?:сообщение|уведомление о (?:получении|отсутствии))|автоответчик|"
    r"(?:я )?(?:в|нахожусь в) отпуске|отсутстви[ея]|вне офиса|меня нет (?:на месте|в офисе)|нет на месте|自動返信|自动回复|不在)", re.IGNORECASE,
)  # fmt: skip
_AUTO_TEXT = re.compile(
    r"\b(?:i am|i'm|i will be) (?:currently )?(?:out of (?:the )?office|away|on (?:vacation|leave|holiday))|will respond (?:to you )?(?:up)?on my return|"
    r"this is an auto(?:matic|mated) (?:reply|response|message)|я (?:сейчас )?(?:в|нахожусь в) отпуске|нахожусь в (?:отпуске|командировке)|"
    r"это автоматическ\w+ (?:ответ|сообщение)|вернусь (?:на работу|в офис)|ваше (?:письмо|обращение) (?:получено|принято)|"
    r"я буду отсутствовать|отсутствую (?:на|в)|ich bin (?:derzeit |zur zeit |vom )?.{0,40}(?:nicht im (?:büro|haus)|abwesend|im urlaub)|"
    r"je suis (?:actuellement )?(?:absent|en congé|en vacances)|actuellement absent", re.IGNORECASE,
)  # fmt: skip
_AUTO_HEADERS = ("x-autoreply", "x-autorespond", "x-autoresponse", "x-auto-response", "x-autogenerated", "x-mail-autoreply",
                 "x-ms-exchange-inbox-rules-loop", "x-vacation", "x-autoreply-from", "x-cron-env",
                 "x-yandex-autoreply", "x-mras-autoreply")  # fmt: skip
_NO_REPLY = re.compile(r"^(?:no|do[-_.]?not|donot|не)[-_.]?reply", re.IGNORECASE)


def _receipt(letter):
    """RFC 8098: the letter was shown or deleted; and winmail's "Read:" alike."""
    kinds = {p.content_type for p in letter.parts if not p.embedded}
    declared = letter.headers.get("content-type", "").replace('"', "").replace(" ", "").lower()
    if "message/disposition-notification" in kinds or "report-type=disposition-notification" in declared:
        return Sort(AUTO_REPLY, "disposition-notification")
    return None


def _automatic(letter):
    why = _auto_header(letter.headers)
    if why and not (why == "auto-generated" and (_is_list(letter) or _relayed(letter))):
        return Sort(AUTO_REPLY, why)
    if _AUTO_SUBJECT.match(letter.subject):
        return Sort(AUTO_REPLY, "subject")
    if letter.headers.get("return-path", "").strip() == "<>" and _AUTO_TEXT.search(letter.text[:1500]):
        return Sort(AUTO_REPLY, "text")
    answers = letter.references or re.match(r"(?i)\s*(?:re|aw|отв|ha|sv)\s*:", letter.subject)
    if answers and _AUTO_TEXT.search(letter.text[:400]) and _NO_REPLY.match(letter.sender.address):
        return Sort(AUTO_REPLY, "text")
    return None


def _auto_header(headers):
    submitted = headers.get("auto-submitted", "").strip().lower()
    if submitted and not submitted.startswith("no"):
        return "auto-replied" if submitted.startswith(("auto-replied", "auto-notified")) else "auto-generated"
    if "vacation" in headers.get("x-apple-action", "").lower():
        return "x-apple-action"
    if named := next(
        (name for name in _AUTO_HEADERS if headers.get(name, "").lower() not in {"", "no", "false", "0"}), ""
    ):
        return named
    if headers.get("precedence", "").strip().lower() in {"auto_reply", "auto-reply", "autoreply"}:
        return "precedence"
    if headers.get("x-precedence", "").strip().lower() in {"auto_reply", "auto-reply"}:
        return "precedence"
    return ""


def _relayed(letter):
    """A site's or a service's notice of somebody's enquiry: whoever is to be answered stands in Reply-To."""
    theirs = {a.address.rpartition("@")[2].lower() for a in letter.reply_to}
    return bool(theirs - {letter.sender.address.rpartition("@")[2].lower()})


# --- Lists, invitations, what cannot be read ------------------------------------------------------------------------------


def _is_list(letter):
    headers = letter.headers
    return any(name in headers for name in ("list-id", "list-post", "x-mailing-list", "x-mailman-version", "list-help"))


def _list(letter):
    if _is_list(letter):
        return Sort(MAILING_LIST, "list-id")
    if letter.headers.get("precedence", "").strip().lower() in {"list", "bulk", "junk"}:
        return Sort(MAILING_LIST, "precedence")
    if "list-unsubscribe" in letter.headers:
        return Sort(MAILING_LIST, "list-unsubscribe")
    return None


def _calendar(letter):
    for part in letter.parts:
        if part.content_type in {"text/calendar", "application/ics"} and not part.embedded:
            method = part.params.get("method", "") or _method(part.text)
            if method:
                return Sort(CALENDAR, f"method {method.lower()[:20]}")
    return None


def _method(text):
    found = re.search(r"(?im)^METHOD:\s*(\w+)", text)
    return found[1] if found else ""


def _encrypted(letter):
    declared = letter.headers.get("content-type", "").lower()
    if letter.content_type == "multipart/encrypted":
        return Sort(ENCRYPTED, "multipart/encrypted")
    if letter.content_type in {"application/pkcs7-mime", "application/x-pkcs7-mime"} and "signed-data" not in declared:
        return Sort(ENCRYPTED, "pkcs7-mime")
    if letter.text.lstrip().startswith("-----BEGIN PGP MESSAGE-----"):
        return Sort(ENCRYPTED, "inline pgp")
    return None
