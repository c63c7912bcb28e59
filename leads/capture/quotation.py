"""What the client wrote, apart from the letter that they answer and from what their program adds at the end.

Pure. Each line is given a sort, then the sorts are read as one word: ``t`` text, ``e`` empty, ``q`` quoted, ``d`` a rule,
``b`` the beginning of a quoted letter ("On … wrote:"), ``h`` a header of a quoted letter, ``s`` a signature, ``w`` who
wrote (Name <address>), ``f`` code between fences.
"""

import re
from dataclasses import dataclass

MAX_LINES = 20_000
MAX_LINE = 2_000  # a line that is longer is text, whatever it looks like


@dataclass(frozen=True)
class Split:
    """``reply``: what is new; ``signature``: what stands below it; ``rest``: the quotation."""

    reply: str
    signature: str = ""
    rest: str = ""


# --- How programs begin the letter that is answered --------------------------------------------------------------------

_DAY = r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}"
_TIME = r"\d{1,2}[:.h]\d{2}"
_MONTHS = (
    r"(?:янв|фев|мар|апр|ма[йя]|июн|июл|авг|сен|окт|ноя|дек|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|märz|mai|okt|"
    r"dez|févr?|mars|avr|juin|juil|août|déc|ene|abr|ago|dic|gen|mag|giu|lug|set|ott)\w*"
)
# "On Mon, 2 Apr 2012, X wrote:" in the languages of mail programs: how it begins, and the verb of its end.
_WROTE = [
    (r"on|at|in|am", r"(?:wrote|writes|said|posted|sent)"),
    (r"am|on", r"(?:schrieb|hat)\b.{0,200}?(?:geschrieben)?"),
    (r"le|on", r"(?:a )?(?:écrit|ecrit)"),
    (r"el|en", r"(?:escribió|escribio|ha escrito)"),
    (r"il|in data", r"(?:ha scritto)"),
    (r"op", r"(?:schreef|heeft)\b.{0,200}?(?:geschreven)?"),
    (r"em|a", r"(?:escreveu)"),
    (r"dnia|w dniu", r"(?:napisał|napisal|pisze)\w*(?:\(a\))?"),
    (r"den|på", r"(?:skrev)"),
    (r"dne", r"(?:napsal)\w*(?:\(a\))?"),
    (r"[а-яё]{1,11}[,.]?|on", r"(?:писал|написал|пишет|пишете|пишут|писали|написали)\w*(?:\(а\)|\(a\))?"),
]  # fmt: skip
_ON_WROTE = [
    re.compile(rf"^[-–—*>\s]{{0,8}}(?:{begin})\b(?=.{{0,300}}\d).{{0,400}}?\b{verb}\s*(?:[:：]|-{{2,}}|\*)\s*$", re.I | re.S)
    for begin, verb in _WROTE
]  # fmt: skip
_ADDRESSED = r"[<(\[][^<>]{0,80}@[^<>]{1,120}[>)\]]"
# Who wrote: an address, or up to five words with capitals.
_WRITER = (
    rf"(?:.{{0,120}}{_ADDRESSED}|(?:от\s+|от:\s*)?[\"«']?(?-i:[A-ZА-ЯЁÄÖÜÉ])[\w.’'-]*(?:\s+[\"«(]?(?-i:[A-ZА-ЯЁÄÖÜÉ])[\w.’'»)-]*){{0,4}}[\"»']?)"
    r"\s*,?\s*(?:(?:на)?писал\w*(?:\([аa]\))?|пишет|wrote|schrieb|a écrit)?"
)
_DAYNAME = r"(?:\w{1,14}[,.]{0,2}\s+)?"
_BEGINS = [
    # "2016-10-24 15:36 GMT+02:00 Name", "2013/7/20 sam <a@b>"
    re.compile(rf"^{_DAY},?\s+{_TIME}\S*\s+(?:GMT|UTC|[+-]\d\d:?\d\d).{{3,200}}$", re.I | re.S),
    re.compile(rf"^{_DAY}(?:,?\s+{_TIME}\S*)?,?\s+[^.!?]{{0,80}}{_ADDRESSED}\s*:?$", re.I | re.S),
    # "20.11.2026, 12:34, Иван <a@b>:", "пт, 20 нояб. 2026 г. в 12:30, Иван <a@b>:", "20.11.2026 12:30, Иван Петров пишет:"
    re.compile(rf"^{_DAYNAME}(?:{_DAY}|\d{{1,2}}\.?\s+{_MONTHS}\.?,?\s+\d{{4}})\s*(?:г\.|года)?,?\s*(?:в|at|um|à)?\s*"
               rf"{_TIME}(?::\d\d)?(?:\s*[ap]m)?[^@:]{{0,20}}?[,\s]\s*{_WRITER}\s*[:：]$", re.I | re.S),
    re.compile(rf"^{_TIME},?\s+\d{{1,2}}\s+{_MONTHS}\s+\d{{4}}\s*(?:г\.)?,\s*{_WRITER}\s*[:：]$", re.I | re.S),
    # Mail.ru: "Пятница, 20 ноября 2026, 12:34 +03:00 от Иван Петров <ivan@mail.ru>:"
    re.compile(rf"^[\w ]{{0,14}},?\s*\d{{1,2}}\s+{_MONTHS}.{{0,60}}\bот\b.{{0,200}}[:：]?$", re.I | re.S),
    # The Bat!, Roundcube: "Вы писали 20 ноября 2026 г., 12:30:33:", "Иван Петров писал 2026-11-20 12:30:"
    re.compile(rf"^.{{2,80}}\b(?:на)?писал\w*(?:\([аa]\))?,?\s+(?:{_DAY}|\d{{1,2}}\.?\s+{_MONTHS}).{{0,40}}[:：]$", re.I | re.S),
    re.compile(rf"^(?:{_DAY}|\d{{1,2}}\.?\s+{_MONTHS}).{{0,60}}\bвы (?:на)?писали\s*[:：]$", re.I | re.S),
    # "Some One <info@a.org> wrote:", "Иван Петров <ivan@mail.ru> писал(а):"
    re.compile(
        rf"^(?![>|]).{{0,160}}(?:{_ADDRESSED}|\s[^\s<>]+@[^\s<>]+).{{0,30}}\b(?:wrote|schrieb|a écrit|escribió|ha scritto|schreef|"
        r"escreveu|(?:на)?писал\w*|пишет)(?:\([аa]\))?\s*[:：]$", re.I | re.S),
    re.compile(r"^[-–—*_\s>]{2,}\s*(?:original message|forwarded message|reply message|reply above this line|"
               r"original-nachricht|antwort nachricht|oprindelig meddelelse|ursprungligt meddelande|ursprüngliche nachricht|ursprüngliche mail|weitergeleitete nachricht|"
               r"message (?:d'origine|original|transféré|initial)|mensaje original|messaggio originale|"
               r"mensagem original|oorspronkelijk bericht|wiadomość oryginalna|původní (?:zpráva|e-mail)|"
               r"исходное сообщение|исходное письмо|оригинальное сообщение|переадресованное сообщение|"
               r"пересылаемое сообщение|пересланное сообщение|первоначальное сообщение|"
               r"начало (?:пересланного|переадресованного) сообщения|конец переадресованного сообщения)\s*:?\s*[-–—*_]*\s*$", re.I),
    re.compile(r"^(?:begin forwarded message|начало переадресованного сообщения|начало пересланного сообщения|"
               r"anfang der weitergeleiteten nachricht|début du message (?:réexpédié|transféré))\s*:\s*$", re.I),
    # "---- On Tue, 22 Dec 2015 14:17:36 +0530 Sam wrote ----" (Zoho)
    re.compile(r"^-{2,}\s*(?:on|в|вкл).{5,200}\b(?:wrote|писал|написал)\w*(?:\(а\))?\s*-{2,}$", re.I | re.S),
    re.compile(r"^(?:quoting|citando|zitat von|цитирую)\s.{2,200}:$", re.I),
    re.compile(r"^#{2,}\s*(?:reply|please type your reply|ответ|напишите).{0,60}#{2,}$", re.I),
    re.compile(rf"^\[?{_DAY}[ ,]+{_TIME}\]?\s+.{{2,80}}:\s*$", re.I),
]  # fmt: skip

_HEADER_NAMES = {
    "from": r"from|von|de|da|van|od|fra|från|от|от кого|отправитель|expéditeur|remitente|mittente",
    "date": r"sent|sendt|skickat|date|gesendet|datum|envoyé|enviado|enviado el|fecha|inviato|data|verzonden|отправлено|дата|wysłano|skickat|odesláno",
    "to": r"to|til|an|à|a|para|aan|do|till|кому|получатель|destinataire",
    "subject": r"subject|emne|betreff|objet|asunto|oggetto|onderwerp|assunto|temat|ämne|předmět|тема",
    "other": r"cc|bcc|reply-to|importance|antwort an|kopie|копия|скрытая копия|répondre à|risposta|attachments|вложения|"
             r"priority|важность|list-unsubscribe|message-id",
}  # fmt: skip
_HEADER = {
    name: re.compile(rf"^[\s*_>]{{0,6}}(?:{words})\s?[:：][*_]?(?:\s|$)", re.IGNORECASE)
    for name, words in _HEADER_NAMES.items()
}

_RULE = re.compile(r"^\s*(?:[-–—_=*#~+]\s*){2,}\s*$|^\s*[—–]\s*$|^ᐧ$")
_SIGNED = re.compile(r"^\s*(?:--|—|–)\s?$|^-- $")
_FENCE = re.compile(r"^\s*`{3}")
_QUOTED = re.compile(r"^\s{0,3}(?:>|\|(?=\s|$)|[A-Za-z]{1,12}>\s?)")
_DEVICE = [
    re.compile(r"^\W{0,3}\s*(?:sent|gesendet|von mein\w+ .{2,40} gesendet|envoyé|enviado|inviato|verzonden|verstuurd|"
               r"отправлено|послано|написано|wysłano|skickat|odesláno)\b\s*(?:from|with|via|using|by|von|mit|depuis|à partir|de mon|avec|"
               r"desde|de|dal?|met|vanaf|vanuit|из|с|со|через|по средством|посредством|z|från|z mého)\b.{0,120}$", re.I),
    re.compile(r"^\W{0,3}(?:sent)\s+(?:from|with|via|by)\s.{1,120}$", re.I),
    re.compile(r"^(?:von mein\w+ .{2,40} gesendet|diese nachricht wurde von .{2,80} gesendet\.?)$", re.I),
    re.compile(r"^(?:from my |someone from mobile|get outlook for|get \[outlook|скачать outlook|(?:outlook|почта) для (?:ios|android|windows)|"
               r"obtenir outlook|outlook für|download outlook|"
               r"отправлено (?:с|со|из)|sent via|sent from|via mobile\.?$|從我的 .{1,30}傳送)\b.{0,140}", re.I),
    re.compile(r"^從我的.{1,30}傳送$|^发自我的.{1,30}$|^iPhoneから送信$"),
    re.compile(r"^(?:эл\.? ?почта|письмо|сообщение)?\s*(?:отправлен[оа])\s+(?:с|со|из|через)\s.{2,80}$", re.I),
    re.compile(r"^--\s*(?:отправлено|sent)\s.{2,80}$", re.I),
]  # fmt: skip
_WHO = re.compile(r"^[^<>\n]{0,80}[<\[(]\s*(?:mailto:)?[^\s<>@]+@[^\s<>]+[>\])]\s*[:;]?\s*$")


def split(text):
    """The Split of a letter's text."""
    lines = _prepared(text)
    sorts = _sorts(lines)
    end, skip = _cut(lines, sorts)
    if end == 0 and not skip:  # nothing but a quotation: better that than nothing
        return Split(_joined(lines))
    kept = [n for n in range(end) if n not in skip]
    body, signature = _signed(lines, sorts, kept)
    rest = "\n".join(lines[n] for n in range(len(lines)) if n >= end or n in skip)
    return Split(_text(lines, body), _text(lines, signature), rest.strip("\n"))


def reply(text):
    """What is new in a letter's text."""
    return split(text).reply


def _text(lines, numbers):
    return _joined([lines[n] for n in numbers])


def _joined(lines):
    return "\n".join(lines).strip("\n").rstrip()


# --- Lines ------------------------------------------------------------------------------------------------------------


def _prepared(text):
    """Lines, with beginnings of quotations that were broken over several lines put together again."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\xa0", " ").replace("\u200b", "")
    lines = [piece for line in text.split("\n")[:MAX_LINES] for piece in _shared_line(line.rstrip())]
    done, n = [], 0
    while n < len(lines):
        width = _broken_beginning(lines, n)
        joined = " ".join(part.strip() for part in lines[n : n + width] if part.strip())
        done.append(joined if width > 1 else lines[n])
        n += width
    return done


_SHARED = re.compile(r"^(\S.{0,400}?)(?:\s+|\s*-{2,}\s*)(On\s+(?:\w{3,9},\s+)?\w{3,9}\s+\d{1,2},.{5,120}\bwrote:)$")


def _shared_line(line):
    """A word of answer and the beginning of the quotation on one line."""
    found = _SHARED.match(line) if line.endswith("wrote:") and not line.startswith((">", "On ", " ")) else None
    return [found[1].rstrip("- "), found[2]] if found else [line]


_OPENS = re.compile(
    rf"^[-–—*\s]{{0,6}}(?:(?:on|am|le|el|il|op|em|at|dnia|w dniu|den|dne|в|вы|во)\b.{{0,120}}\d|{_DAY}|\d{{1,2}}\.?\s+{_MONTHS}|"
    rf"\w{{2,12}}[,.]\s+\d{{1,2}}\.?\s+{_MONTHS})",
    re.IGNORECASE,
)


def _broken_beginning(lines, n):
    """How many lines the beginning of a quotation takes from here; 1 where there is none, or it is not broken."""
    first = lines[n]
    if not first or len(first) > 300 or not _OPENS.match(first) or first.startswith(">") or begins(first):
        return 1
    joined = first
    for more in range(1, 7):
        if n + more >= len(lines) or _is_quoted(lines[n + more]) or len(joined) > 500:
            return 1
        joined = f"{joined} {lines[n + more].strip()}".strip()
        if _ends_beginning(lines[n + more]) and begins(joined):
            return more + 1
        if more > 1 and not lines[n + more].strip() and not _address_follows(lines, n + more):
            return 1
    return 1


def _is_quoted(line):
    return line.startswith(">") and not re.match(r">\s*\w*\s*[:：]\s*$", line)  # the end of "<a@b> wrote:"


def _ends_beginning(line):
    return bool(re.search(r"(?:[:：>]|\bwrote|-{2,})\s*[-–—*]*\s*$", line.strip()))


def _address_follows(lines, n):
    return any("<" in line or "@" in line for line in lines[n + 1 : n + 3])


def begins(line):
    """Whether the line begins a letter that is answered or passed on."""
    bare = line.strip().strip("*").strip()
    if not bare or len(bare) > 700:
        return False
    return any(p.match(bare) for p in _ON_WROTE if len(bare) > 8) or any(p.match(bare) for p in _BEGINS)


def _sorts(lines):
    sorts, fenced = [], False
    for line in lines:
        if _FENCE.match(line):
            fenced = not fenced
            sorts.append("f")
        else:
            sorts.append("f" if fenced else _sort(line))
    if fenced:  # never closed: no code after all
        sorts = ["t" if _FENCE.match(line) else _sort(line) for line in lines]
    return "".join(sorts)


def _sort(line):
    bare = line.strip()
    if not bare:
        return "e"
    if len(line) > MAX_LINE:
        return "t"
    if _QUOTED.match(line):
        return "q"
    if begins(line):
        return "b"
    if _RULE.match(line) or _SIGNED.match(line):
        return "d"
    if any(p.match(line.strip()) for p in _DEVICE) and len(bare) < 160:
        return "s"
    if any(p.match(line) for p in _HEADER.values()):
        return "h"
    return "t"


# --- Where the quotation begins ------------------------------------------------------------------------------------------


def _cut(lines, sorts):
    """(first line of the quotation, numbers of quoted lines before it)."""
    end = len(lines)
    for n, sort in enumerate(sorts):
        if sort == "b":
            answered = _below(lines, sorts, n)
            if answered is None:
                end = n
                break
            return _interleaved(sorts, n, answered)
        if sort == "h" and _header_block(lines, sorts, n):
            end = n
            break
    else:
        end = _trailing_quotes(sorts)
    while end and (sorts[end - 1] in "ed"):  # the rule above it
        end -= 1
    return end, frozenset()


def _below(lines, sorts, n):
    """Where an answer below the quotation begins that starts at ``n``; None where there is none.

    Written below: "On … wrote:", quoted lines, then text that is no signature. Above it nothing of one's own.
    """
    after = re.match(r"be*q[qe]*", sorts[n:])
    if not after:
        return None
    rest = sorts[n + after.end() :]
    if not re.search(r"[tf]", rest):
        return None
    plain = re.match(r"\s*>", lines[n + re.match(r"be*", sorts[n:]).end()])
    if re.search(r"[tf]", sorts[:n]) and not plain:
        return None  # what follows is the quoted letter's own end
    return n + after.end()


def _interleaved(sorts, n, answered):
    """Answers stand between quoted lines: the beginning goes; quoted lines stay where text stands above them."""
    above = bool(re.search(r"[tf]", sorts[:n]))
    between = re.match(r"bq", sorts[n:]) or re.search(r"q[qe]*[tf]", sorts[answered:])
    end = len(sorts)
    quoted = re.search(r"[dbq]?[e]*[q][qe]*(?:[de]+[tse]*)?$|(?:b.*)$", sorts[answered:])
    if quoted and re.search(r"[tf]", sorts[answered : answered + quoted.start()]):
        end = answered + quoted.start()
    skip = {n} if above and between else set(range(n, answered))
    return end, frozenset(skip)


def _header_block(lines, sorts, n):
    """Outlook: "From: … Sent: … To: … Subject: …", in any language, one below the other."""
    found, gaps = set(), 0
    for line, sort in zip(lines[n : n + 14], sorts[n : n + 14], strict=True):
        names = {name for name, pattern in _HEADER.items() if pattern.match(line)}
        if names:
            found |= names
            gaps = 0
        elif sort == "e":
            gaps += 1
        elif not found or gaps or line[:1] not in " \t" and len(found) < 2:
            gaps += 2
        if gaps > 1:
            break
    first = _HEADER["from"].match(lines[n]) or _HEADER["date"].match(lines[n]) or _HEADER["subject"].match(lines[n])
    return bool(first) and len(found - {"other"}) >= 3


def _trailing_quotes(sorts):
    """Quoted lines at the end without a beginning that we know."""
    found = re.search(r"(?:[ed]*)q[qe]*(?:[dse]*)$", sorts)
    if found and re.search(r"[tf]", sorts[: found.start()]):
        return found.start()
    return len(sorts)


# --- The signature -----------------------------------------------------------------------------------------------------


def _signed(lines, sorts, kept):
    """(numbers of the body, numbers of the signature)."""
    word = "".join(sorts[n] for n in kept)
    found = re.search(r"[de]*d[dse]*$", word) or None
    start = len(kept)
    if found and re.search(r"[tfqh]", word[: found.start()]):
        start = found.start()
    for place, n in enumerate(kept):
        if place and _SIGNED.match(lines[n]) and len(kept) - place <= 25 and re.search(r"[tfh]", word[:place]):
            start = min(start, place)
            break
    device = re.search(r"s[stde]*$", word)
    if device and re.search(r"[tfqh]", word[: device.start()]) and _only_devices(word, device.start()):
        start = min(start, device.start())
    return kept[:start], kept[start:]


def _only_devices(word, start):
    tail = word[start:]
    return tail.count("s") >= max(1, tail.count("t")) and len(tail) <= 60
