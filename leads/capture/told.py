"""A letter in which a site tells of an enquiry: what a visitor filled in, a line each, sent by a robot. Pure.

    Имя: Анна
    Телефон: +7 903 000-11-22

Everybody's enquiry comes from the robot's one address; who wrote stands in the lines, or in Reply-To.
"""

import re
from email.utils import parseaddr

from leads import identity
from leads.capture.answers import READ
from leads.capture.base import Body
from leads.capture.fields import REACHED, extract
from leads.capture.names import meaning
from leads.capture.quotation import split

MOST = 200  # lines that are looked at
# Programs that send for a site. What stands in the second group people use as well: there more has to be told.
_ROBOT = re.compile(
    r"^(?:no|do[-_.]?not|donot)[-_.]?reply|^(?:robot|mailer|notif(?:y|ications?)|alerts?|forms?|wordpress|wp|www-data|"
    r"apache|nginx|root|nobody|bot|callback|quiz)@",
    re.IGNORECASE,
)
_PERHAPS = re.compile(
    r"^(?:site|web|website|webmaster|system|leads?|zayavk[ai]|zakaz|orders?|info|admin)@", re.IGNORECASE
)
_LINE = re.compile(r"^[\s*•·–—>|-]{0,6}([^:=\t|]{1,80}?)[\s*]*[:=\t|]\s*(?!//)(.*?)[\s*|]*$")
_FROM = {"from", "от", "от кого", "отправитель"}


def is_robot(address):
    return bool(_ROBOT.match(address))


def lines(text, region="RU", *, loose=False):
    """question → [answers] of the lines that have both; an answer may stand in the line below its question.

    ``loose``: also of lines without a sign between the two, as cells of a table come (``Телефон 8 903 000-11-22``).
    """
    found, asked = {}, ""
    for line in [line.strip() for line in text.splitlines() if line.strip()][:MOST]:
        question, answer = _parts(line) or (loose and _side_by_side(line, region)) or ("", "")
        if question and answer:
            found.setdefault(question, []).append(answer)
            asked = ""
        elif question or meaning(line.strip(" *?")[:80]) in REACHED | {"name"}:
            asked = question or line.strip(" *?")
        elif asked:
            found.setdefault(asked, []).append(line.strip(" *"))
            asked = ""
    return _signed(found)


def _parts(line):
    part = _LINE.match(line)
    return (part[1].strip(" *").replace(".", " ").strip(), part[2]) if part else None


def _side_by_side(line, region):
    """The longest beginning of a line that asks for a name or a contact, and what follows it."""
    words = line.split()
    for count in range(min(4, len(words) - 1), 0, -1):
        question, answer = " ".join(words[:count]), " ".join(words[count:])
        kind = meaning(question)
        if kind == "name" or (kind in READ and READ[kind](answer, region)):
            return question, answer
    return None


def _signed(found):
    """``From: Ivan Petrov <ivan@petrov.ru>`` as a name and an address."""
    for question in [name for name in found if name.casefold() in _FROM]:
        name, address = parseaddr(found[question][0])
        if identity.email(address):
            del found[question]
            found.setdefault("email", []).append(address)
            found.setdefault("name", []).extend([name] if name else [])
    return {name: answers for name, answers in found.items() if answers}


def enquiry(letter, source, region="RU"):
    """Parsed of a notice, or None where the letter is its sender's own.

    A robot tells a contact; whoever else sends one, also a name or an e-mail that is not the sender's: people write
    their own phones below their letters.
    """
    sender = letter.sender.address.lower()
    robot = is_robot(sender)
    if not robot and (letter.references or not (_PERHAPS.match(sender) or _same_house(sender, source))):
        return None
    said = lines(letter.text, region, loose=True) if robot else lines(split(letter.text).reply, region)
    named = {meaning(name) for name in said}
    if not REACHED & named:
        return None
    parsed = extract(Body(said), source, {}, region, {})
    parsed.identities = [known for known in parsed.identities if known.kind in REACHED and known.value != sender]
    others = any(known.kind == "email" for known in parsed.identities)
    if not parsed.identities or not (robot or "name" in parsed.fields or others):
        return None
    return parsed


def _same_house(sender, source):
    """The site writes from the mailbox's own domain, or from the mailbox itself."""
    own = str(source.settings.get("user") or "").lower().rpartition("@")[2]
    return bool(own) and sender.rpartition("@")[2] == own
