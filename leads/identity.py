"""Names, phones, e-mails, companies and cities in one form, the same at every door. Pure; nothing here raises."""

# ruff: noqa: SIM905 - lists of words read best as words

import functools
import re
import unicodedata
from decimal import Decimal
from typing import NamedTuple

import phonenumbers

MAX_RAW = 2000  # characters looked at in one value
MAX_SEVERAL = 10  # contacts taken from one value


class Phone(NamedTuple):
    e164: str
    extension: str = ""


class Known(NamedTuple):
    """One sign by which a person is known, normalised; ``kind`` is of Identity.Kind."""

    kind: str
    value: str
    scope: str = ""
    raw: str = ""
    extension: str = ""


# --- Text -----------------------------------------------------------------------------------------------------------

_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def line(raw, limit=MAX_RAW):
    """One line of text: control characters and runs of space become a space, invisible characters go."""
    text = unicodedata.normalize("NFC", str("" if raw is None else raw)[: limit * 2])
    if not text.isprintable():  # what is printable holds nothing of what goes; most of a million values are
        text = _CONTROL.sub(" ", _INVISIBLE.sub("", text)).encode("utf-8", "replace").decode()
    return " ".join(text.split())[:limit].strip()


# --- Phones ---------------------------------------------------------------------------------------------------------

_EXTENSION = re.compile(
    r"[\s,;(]*(?:доб(?:авочный)?|доп|вн(?:утр(?:енний)?)?|ext(?:ension)?|x|#|\*)[.:\s№#]*(\d{1,7})\)?\s*$",
    re.IGNORECASE,
)
_SCIENTIFIC = re.compile(r"(\d)(?:[.,](\d+))?E\+?(\d{1,2})", re.IGNORECASE)
_SEVERAL = re.compile(r"[;,|/\n\r\t]+|\s(?:и|или|либо|and|or)\s|(?<=\d)\s+(?=\+)|\s{2,}", re.IGNORECASE)
_RUSSIAN = re.compile(r"(?<!\d)(?:\+?7|8)[\s\-().]*\d(?:[\s\-().]*\d){9}(?!\d)")
_BARE = re.compile(r"\+?\d[\d\s()-]*")
_SPREADSHEET = "'’`\"“”«»"


def _ascii_digits(raw):
    """Full-width, Arabic and other digits as ASCII; exotic spaces, dashes and pluses as plain ones."""
    text = str("" if raw is None else raw)[:MAX_RAW]
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
        text = "".join(str(unicodedata.digit(c)) if c.isdigit() else c for c in _INVISIBLE.sub("", text))
        text = re.sub(r"[‐-―−]", "-", text)
    return text.strip().strip(_SPREADSHEET).strip()


def _unspreadsheet(text):
    """A number that a spreadsheet wrote as 7.9991234567E+10 or 79991234567.0; what lost digits stays as it is."""
    if match := _SCIENTIFIC.fullmatch(text):
        whole, fraction, power = match[1], match[2] or "", int(match[3])
        lossless = 10 <= power <= 14 and len(fraction) >= power - 1
        return str(int(Decimal(f"{whole}.{fraction or 0}E{power}"))) if lossless else ""
    return re.sub(r"(?<=\d{7})[.,]0+$", "", text)


def _russian(digits, plus):
    """Ten digits of a Russian or Kazakh number written by habit, else None."""
    if len(digits) == 11 and digits[0] in "78":
        digits = digits[1:]
    elif len(digits) == 12 and digits.startswith("78") and digits[2] == "9":
        digits = digits[2:]  # +7 8 9…: the trunk prefix written after the country code
    elif len(digits) != 10 or plus:
        return None
    return digits if digits[0] in "345679" or digits.startswith("8") else None


def _international(number):
    try:
        parsed = phonenumbers.parse(number, None)
    except phonenumbers.NumberParseException:
        return None
    if phonenumbers.is_possible_number_with_reason(parsed) != phonenumbers.ValidationResult.IS_POSSIBLE:
        return None
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def _national(digits, region):
    try:
        parsed = phonenumbers.parse(digits, region)
    except phonenumbers.NumberParseException:
        return None
    valid = phonenumbers.is_valid_number(parsed)
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164) if valid else None


def _stripped(text):
    """(number from its first digit on, extension)."""
    extension = ""
    if (match := _EXTENSION.search(text)) and len(re.sub(r"\D", "", text[: match.start()])) >= 7:
        extension, text = match[1], text[: match.start()]
    return re.sub(r"^[^\d+]*", "", text), extension


def phone(raw, region="RU"):
    """``Phone(e164, extension)`` or None where there is no telling which number is meant.

    Russian habits are understood (8…, 7…, ten digits, +8…, «доб. 123»); ``region`` is for what has no country code.
    """
    text, extension = _ascii_digits(raw), ""
    if not _BARE.fullmatch(text):  # most numbers have nothing to be taken off
        text, extension = _stripped(_unspreadsheet(text))
    digits = re.sub(r"\D", "", text)
    if not 7 <= len(digits) <= 17 or len(re.findall(r"[^\W\d_]", text)) > 6:
        return None
    plus = text.startswith("+")
    e164 = _e164(digits, plus, region)
    return Phone(e164, extension) if e164 else None


def _e164(digits, plus, region):
    if region in {"RU", "KZ"} or (plus and digits[0] == "7"):
        if digits.startswith("810") and len(digits) > 12:
            return _international("+" + digits[3:])
        abroad = _strict("+" + digits) if plus and digits[0] == "8" else None  # +81 is Japan, but +8 903 is a habit
        if not abroad and (not plus or digits[0] in "78") and (ten := _russian(digits, plus)):
            return "+7" + ten
    if plus:
        return _international("+" + digits)
    if digits.startswith("00"):
        return _international("+" + digits[2:])
    found = _national(digits, region)
    if not found and len(digits) >= 11:
        found = _strict("+" + digits)
    return found


def _strict(number):
    """An international number that lacks its plus: only where the numbering plan knows it."""
    try:
        parsed = phonenumbers.parse(number, None)
    except phonenumbers.NumberParseException:
        return None
    valid = phonenumbers.is_valid_number(parsed)
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164) if valid else None


def takes_sms(e164, home=""):
    """Whether a phone in E.164 may be a mobile one; North American numbers do not tell, so they may.

    ``home``: a region; numbers of other countries' plans then count as none.
    """
    if not e164:
        return False
    try:
        number = phonenumbers.parse(e164, None)
    except phonenumbers.NumberParseException:
        return False
    if home and number.country_code != phonenumbers.country_code_for_region(home):
        return False
    mobile = {phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE}
    return phonenumbers.number_type(number) in mobile


def phones(raw, region="RU"):
    """Every number of a field that may hold several, in order, each once, at most ten."""
    if one := phone(raw, region):
        return [one]
    text = _ascii_digits(raw)
    found = [number for part in _SEVERAL.split(text) if part and (number := phone(part, region))]
    if not found:
        found = [number for part in _RUSSIAN.findall(text) if (number := phone(part, region))]
    once = {}
    for number in found:
        once.setdefault(number.e164, number)
    return list(once.values())[:MAX_SEVERAL]


# --- E-mail ---------------------------------------------------------------------------------------------------------

_LOCAL = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_MISTYPED_DOT = re.compile(r"(@[a-z0-9-]+)[,/](ru|com|net|org|by|kz|ua|рф|su|info)$")
_TRIM = " \t<>()[]\"'’“”«».,;:"


@functools.lru_cache(10_000)  # a list has thousands of people of one provider
def _domain(text):
    """The domain in its ASCII form, or None."""
    text = text.rstrip(".")
    try:
        text = text if text.isascii() else text.encode("idna").decode()
    except UnicodeError:
        return None
    labels = text.lower().split(".")
    try:
        [label.encode().decode("idna") for label in labels if label.startswith("xn--")]
    except UnicodeError:
        return None
    good = len(labels) > 1 and all(_LABEL.fullmatch(label) for label in labels)
    return ".".join(labels) if good and not labels[-1].isdigit() and len(labels[-1]) > 1 else None


def email(raw):
    """A lower-case address with its domain in ASCII, or None. Line breaks and a second @ are refused, not mended."""
    text = str("" if raw is None else raw)[:MAX_RAW]
    if not (text.isascii() and text.isprintable()):
        text = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text)).strip()
    if _CONTROL.search(text):
        return None
    if match := re.search(r"<([^<>]*)>\s*$", text):
        text = match[1]
    text = re.sub(r"^mailto:", "", text.strip(_TRIM), flags=re.IGNORECASE).split("?subject=")[0]
    local, at, host = _MISTYPED_DOT.sub(r"\1.\2", text.lower().strip(_TRIM)).rpartition("@")
    domain = _domain(host) if at and host else None
    if not domain or len(local) > 64 or not _LOCAL.fullmatch(local):
        return None
    return f"{local}@{domain}" if len(local) + len(domain) < 254 else None


def emails(raw):
    """Every address of a field that may hold several, in order, each once, at most ten."""
    if one := email(raw):
        return [one]
    text = str("" if raw is None else raw)[:MAX_RAW]
    if re.search(r"[\r\n]\s*[\w-]+\s*:", text):
        return []  # a header smuggled in
    parts = [email(part) for part in re.split(r"[;,\s|]+", text) if "@" in part]
    return list(dict.fromkeys(part for part in parts if part))[:MAX_SEVERAL]


# --- Names ----------------------------------------------------------------------------------------------------------

_PARTICLES = frozenset(
    "фон ван де дер ден да ди дю ла ле эль аль бен бин ибн оглы оглу кызы кизи заде зода и von van de der den da di "
    "du la le el al ben bin ibn dos das del della y zu zur of".split()
)
_ROMAN = re.compile(r"[IVX]{2,4}")
_PLAIN_NAME = re.compile(r"[^\W\d_]+(?:[ .'’‘`-]+[^\W\d_]+)*[.]?(?: ?\([^\W\d_ .-]+\))?")


def _cased(part):
    """One run of letters: first large, the rest small, unless its writer chose a case of their own."""
    return part[:1].title() + part[1:].lower() if part.islower() or part.isupper() else part


@functools.lru_cache(10_000)
def _word(word, first):
    if not first and word in _PARTICLES:
        return word
    if not first and word.isupper() and len(word) > 1 and word.lower() in _PARTICLES:
        return word.lower()
    if _ROMAN.fullmatch(word) and not first:
        return word
    pieces = re.split(r"([-.'’‘`(])", word)
    return "".join(
        piece if index and pieces[index - 1] in "'’‘`" and len(pieces[index - 2]) > 1 else _cased(piece)
        for index, piece in enumerate(pieces)
    )


def person_name(raw):
    """Trimmed, on one line; ALL CAPS and all small get their capitals, a writer's own capitals stay. ≤ 200 characters.

    What is no plain name (brackets, digits, code) is kept letter by letter: nobody's input is edited.
    """
    text = line(raw, 200)
    if not _PLAIN_NAME.fullmatch(text):
        return text
    return " ".join(_word(word, not index) for index, word in enumerate(text.split(" ")))[:200]


_FORMS = (
    "общество с ограниченной ответственностью|индивидуальный предприниматель|публичное акционерное общество|"
    "открытое акционерное общество|закрытое акционерное общество|акционерное общество|"
    "ооо|оао|зао|пао|нао|ао|ип|чп|тоо|одо|чуп|уп|нко|ано|фгуп|гуп|муп|гк|"
    "limited partnership|p c|pc|p a|l l c|lp|sas|llc|llp|ltd|limited|"
    "inc|incorporated|corp|corporation|co|company|gmbh|ag|sa|srl|sarl|bv|nv|oy|ab|plc|pte|pty|kg|ooo|oao"
)
_FORM_FIRST = re.compile(rf"^(?:(?:{_FORMS})\s+)+")
_FORM_LAST = re.compile(rf"(?:\s+(?:{_FORMS}))+$")


def company_key(raw):
    """What two spellings of one company share: legal form, quotes, punctuation, case and ё do not count."""
    text = line(raw, 400).casefold().replace("ё", "е")
    text = " ".join(re.sub(r"[^\w&+]+", " ", text.replace("'", "").replace("’", "")).replace("_", " ").split())
    bare = _FORM_LAST.sub("", _FORM_FIRST.sub("", text)).strip()
    return (bare or text)[:200].strip()


_CITY_PREFIX = re.compile(r"^(?:(?:г|гор)\s*\.\s*|(?:г|гор|город|city of|city)\s+)", re.IGNORECASE)
_CITY_SUFFIX = re.compile(r"\s+(?:г\.?|город|city)$", re.IGNORECASE)
_CITY_ALIASES = {
    "мск": "Москва", "moscow": "Москва", "moskva": "Москва",
    "спб": "Санкт-Петербург", "с-пб": "Санкт-Петербург", "с.-петербург": "Санкт-Петербург",
    "с-петербург": "Санкт-Петербург", "питер": "Санкт-Петербург", "петербург": "Санкт-Петербург",
    "санкт петербург": "Санкт-Петербург", "saint petersburg": "Санкт-Петербург",
    "st. petersburg": "Санкт-Петербург", "st petersburg": "Санкт-Петербург",
    "екб": "Екатеринбург", "нск": "Новосибирск", "н. новгород": "Нижний Новгород", "н.новгород": "Нижний Новгород",
    "ростов на дону": "Ростов-на-Дону",
}  # fmt: skip
_SMALL_IN_CITY = frozenset("на под над при у и де ла on upon by the de la le sur am an der".split())


def city(raw):
    """The bare name: «г. МОСКВА, ул. Ленина» → «Москва». ≤ 120 characters."""
    return _city("" if raw is None else str(raw))


@functools.lru_cache(10_000)
def _city(raw):
    text = re.split(r"[,;(]", line(raw, 300))[0].strip()
    while (bare := _CITY_SUFFIX.sub("", _CITY_PREFIX.sub("", text)).strip(" .\"'«»")) != text:
        text = bare
    if alias := _CITY_ALIASES.get(text.casefold().replace("ё", "е")):
        return alias
    if not (text.islower() or text.isupper()):
        return text[:120].strip()
    words = re.split(r"([ -])", text.lower())
    return "".join(w if i and w in _SMALL_IN_CITY else w[:1].title() + w[1:] for i, w in enumerate(words))[:120].strip()


def known(*, phone_raw="", email_raw="", external_id="", scope="", region="RU"):
    """The signs in plain contact fields, the first of each kind first; for hand-made and API leads."""
    found = [
        Known("phone", p.e164, raw=line(phone_raw, 254), extension=p.extension[:10]) for p in phones(phone_raw, region)
    ]
    found += [Known("email", address, raw=line(email_raw, 254)) for address in emails(email_raw)]
    if external_id := line(external_id, 254):
        found.append(Known("external", external_id, scope[:40]))
    return found
