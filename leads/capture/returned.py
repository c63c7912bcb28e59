"""What a letter about our own letter says: it did not arrive (for now, for good), or its reader complained.

Pure. RFC 3464 where the server keeps it, words in many languages where it does not; RFC 5965 for complaints.
"""

import json
import re
from dataclasses import dataclass

# Actions of a delivery report; a letter that was "relayed" or "expanded" is on its way.
_ARRIVED = {"delivered", "relayed", "expanded"}
_EMAIL = r"[^\s<>()\[\],;:\"'@]+@[^\s<>()\[\],;:\"'@]+\.[A-Za-z0-9-]{2,}"
_STATUS = re.compile(r"(?<![\d.])#?([245]\.\d{1,3}\.\d{1,3})(?![\d.])")
_REPLY = re.compile(r"(?<![\d.])([45]\d\d)(?=[\s-]|$)")

HARD_WORDS = re.compile(
    r"user unknown|unknown user|no such (?:user|mailbox|recipient|account|address|domain|person|local)|does not exist|doesn't exist|"
    r"not exist|invalid (?:recipient|mailbox|address|user)|unknown (?:address|recipient|local|account|mailbox)|"
    r"recipient (?:unknown|not found|address rejected)|mailbox (?:not found|unavailable|unknown|does not|is inactive)|no mailbox|"
    r"user (?:not found|doesn't|is not known|not known)|not our customer|account (?:disabled|has been|is disabled|inactive|closed)|"
    r"is not a (?:known|valid|member|registered)|not listed|host (?:unknown|not found)|domain (?:not found|does not|name not)|"
    r"no mx|unrouteable|address rejected|bad destination|mailbox disabled|user has moved|couldn't find any host|"
    r"нет такого|не существует|не найден|недействительн|неизвестн\w+ (?:адрес|пользовател|получател)|заблокирован|"
    r"unbekannt|existiert nicht|inconnu|n'existe pas|no existe|宛先不明|アドレスが見つ|見つかりません", re.IGNORECASE,
)  # fmt: skip
SOFT_WORDS = re.compile(
    r"(?:mailbox|mail box|inbox|folder|account|quota|user|disk|space)[^.\n]{0,40}\b(?:full|exceed|over|quota|limit)|over ?quota|quota exceed|"
    r"insufficient (?:system )?(?:storage|resources|disk)|temporar|try (?:again|later)|deferred|greylist|timed? ?out|connection "
    r"(?:refused|reset|timed)|delayed|still being retried|will (?:be|keep) (?:retr|try)|too (?:large|big|many)|size limit|exceeds? "
    r"(?:the )?(?:max|size|fixed)|rate limit|spam|blocked|blacklist|policy|denied|not accept|expired|переполнен|"
    r"временно|повторн|превышен|спам|отклонен|überfüllt|überschritten|voll|pleine|llen[oa]|容量", re.IGNORECASE,
)  # fmt: skip
# Codes of RFC 3463 that say that the address itself is wrong; others say that this letter was not wanted, or not now.
HARD_STATUS = {
    "5.1.0", "5.1.1", "5.1.2", "5.1.3", "5.1.4", "5.1.6", "5.1.10", "5.2.1", "5.4.4",
}  # fmt: skip


@dataclass(frozen=True)
class Returned:
    """One recipient of our letter. ``severity``: hard (no such address), soft (not now, not this one) or delivered."""

    recipient: str
    severity: str
    status: str = ""
    diagnostic: str = ""

    def as_json(self):
        return {"recipient": self.recipient, "severity": self.severity, "status": self.status, "said": self.diagnostic}


def recipients(letter):
    """The Returned of a delivery report, one for each recipient."""
    reports = [p.text for p in letter.parts if p.content_type.endswith("delivery-status")]
    found = [r for text in reports for r in _from_report(text)]
    return tuple(_named(found, letter) or _amazon(letter) or _from_words(letter))


def original_ids(letter):
    """Message-IDs of the letter that it is about, from the copy that is attached or quoted, then of the thread."""
    own = [m for text in _copies(letter) for m in re.findall(r"(?im)^[>\s]*message-id:\s*<([^<>\s]+)>", text)]
    loose = re.findall(r"(?im)^[>\s]*message-id:\s*<([^<>\s]+)>", letter.text)
    return tuple(i for i in dict.fromkeys([*own, *loose, *reversed(letter.references)]) if i != letter.message_id)


def _copies(letter):
    return [p.text for p in letter.parts if p.content_type in {
        "message/rfc822", "message/global", "text/rfc822-headers", "message/global-headers", "message/partial",
    }]  # fmt: skip


def original_recipient(letter):
    """Whom the letter that is attached was written to."""
    for text in _copies(letter):
        if found := re.search(rf"(?im)^to:.*?({_EMAIL})", text):
            return found[1].lower()
    return ""


# --- RFC 3464 ---------------------------------------------------------------------------------------------------------


def _from_report(text):
    for block in re.split(r"\n\s*\n|\n(?=Final-Recipient:)|\n(?=Reporting-MTA:)", text):
        fields = {}
        for line in re.sub(r"\n[ \t]+", " ", block).split("\n"):
            name, colon, value = line.partition(":")
            if colon:
                fields.setdefault(name.strip().lower(), value.strip())
        address = _address(fields.get("final-recipient", "")) or _address(fields.get("original-recipient", ""))
        if "action" in fields or address:
            said = fields.get("diagnostic-code", "").partition(";")[2].strip() or fields.get("diagnostic-code", "")
            status = _STATUS.search(fields.get("status", ""))
            yield Returned(address, *_weighed(fields.get("action", ""), status[1] if status else "", said))


def _address(text):
    found = re.search(_EMAIL, text.partition(";")[2] or text)
    return found[0].lower().strip(".") if found else ""


def _weighed(action, status, said):
    """(severity, status, what the server said)."""
    word = re.match(r"[a-z]*", action.strip().lower())[0]
    inner = _STATUS.search(said)
    best = inner[1] if inner and (not status or status.endswith(".0.0")) else status
    if word in _ARRIVED or (not word and best.startswith("2")):
        return "delivered", best, said[:500]
    return _severity(word, best, said), best, said[:500]


def _severity(action, status, said):
    if action == "delayed" or status.startswith("4"):
        return "soft"
    if status in HARD_STATUS and not (status in {"5.1.0", "5.2.1"} and SOFT_WORDS.search(said)):
        return "hard"
    if SOFT_WORDS.search(said):
        return "soft"
    if HARD_WORDS.search(said):
        return "hard"
    return "soft"  # refused for what it said or where it came from: the address may well be right


def _named(found, letter):
    """Reports that name nobody are about whom the copy was written to."""
    named = [r for r in found if r.recipient]
    if named or not found:
        return list(dict.fromkeys(named))
    to = original_recipient(letter)
    return [Returned(to, found[0].severity, found[0].status, found[0].diagnostic)]


# --- Others -----------------------------------------------------------------------------------------------------------


def _amazon(letter):
    """SES tells by JSON in the text of a letter."""
    start = letter.text.find('{"')
    if start < 0 or "notificationType" not in letter.text + letter.text.replace('\\"', '"'):
        return []
    try:
        said, _end = json.JSONDecoder().raw_decode(letter.text[start:])
        said = json.loads(said["Message"]) if "Message" in said else said
        if said["notificationType"] == "Delivery":
            return [Returned(_address(to), "delivered") for to in said["delivery"]["recipients"]]
        rows = said["bounce"]["bouncedRecipients"]
        permanent = said["bounce"].get("bounceType") == "Permanent"
        return [
            Returned(_address(r["emailAddress"]), "hard" if permanent else "soft", r.get("status", ""),
                     str(r.get("diagnosticCode", ""))[:500]) for r in rows
        ]  # fmt: skip
    except (ValueError, KeyError, TypeError, AttributeError):
        return []


def _from_words(letter):
    own = {a.address.lower() for a in (letter.sender, *letter.to)}
    failed = [a.lower() for a in re.findall(_EMAIL, letter.headers.get("x-failed-recipients", ""))]
    above = re.split(r"(?im)^-{2,}.{0,30}(?:copy|original message|forwarded|headers?|unsent|returned)", letter.text)[0][
        :5000
    ]
    named = failed or [a.lower().strip(".") for a in re.findall(_EMAIL, above) if a.lower() not in own]
    named = named or [a.lower() for a in re.findall(rf"(?m)^<({_EMAIL})>:", above)]
    named = named or ([original_recipient(letter)] if original_recipient(letter) else [])
    said = above[:4000]
    status = _STATUS.search(said)
    code = _REPLY.search(said)
    best = status[1] if status else ""
    if not best and code:
        best = f"{code[1][0]}.0.0"
    severity = _severity("delayed" if _later(letter, said) else "", best, said)
    line = next((line.strip() for line in said.splitlines() if code and code[1] in line), "")
    return [Returned(a, severity, best, line[:500]) for a in dict.fromkeys(named[:20])]


def _later(letter, said):
    return bool(
        re.search(r"delayed|warning|still being retried|задерж", letter.subject, re.IGNORECASE)
        or re.search(
            r"this is a warning message only|do not need to resend|not yet been delivered", said, re.IGNORECASE
        )
    )


# --- Complaints -------------------------------------------------------------------------------------------------------


def complaint_about(letter):
    """The address of who complained (RFC 5965), as far as the report tells; empty where it is blacked out."""
    for part in letter.parts:
        if part.content_type == "message/feedback-report":
            for name in ("original-rcpt-to", "removal-recipient"):
                if found := re.search(rf"(?im)^{name}:.*?({_EMAIL})", part.text):
                    return found[1].lower()
    if found := re.search(rf"(?im)^x-hmxmroriginalrecipient:.*?({_EMAIL})", "\n".join(_copies(letter))):
        return found[1].lower()
    return original_recipient(letter)


def feedback_type(letter):
    for part in letter.parts:
        if part.content_type == "message/feedback-report":
            found = re.search(r"(?im)^feedback-type:\s*([\w-]+)", part.text)
            return found[1].lower() if found else "abuse"
    return ""
