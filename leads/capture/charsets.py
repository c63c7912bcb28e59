"""Words out of bytes whose charset is declared, declared wrongly or not at all; and headers in encoded words.

Pure. Nothing here raises: what cannot be read becomes replacement characters.
"""

import base64
import binascii
import codecs
import quopri
import re

# What mail programs write, where Python's name is another; Latin-1 is read as its superset (as browsers do).
_ALIASES = {
    "iso-8859-1": "cp1252", "latin1": "cp1252", "latin-1": "cp1252", "iso8859-1": "cp1252", "ansi": "cp1252",
    "cp-1251": "cp1251", "win-1251": "cp1251", "win1251": "cp1251", "windows1251": "cp1251", "x-cp1251": "cp1251",
    "cp-1252": "cp1252", "ks_c_5601-1987": "cp949", "euc-kr": "cp949", "gb2312": "gb18030", "gbk": "gb18030",
    "koi8": "koi8-r", "koi": "koi8-r", "x-koi8-r": "koi8-r", "iso-8859-8-i": "iso8859-8", "x-sjis": "cp932",
    "shift_jis": "cp932", "unicode-1-1-utf-7": "utf-7", "x-mac-cyrillic": "mac-cyrillic", "utf8mb4": "utf-8",
    "windows-874": "cp874", "dos-874": "cp874", "iso-8859-8-e": "iso8859-8", "x-euc-jp": "euc-jp", "x-x-big5": "big5", "x-gbk": "gb18030",
    "unicode": "utf-16",
    "unknown-8bit": "", "x-unknown": "", "default": "", "us-ascii": "", "ascii": "",
}  # fmt: skip
_CYRILLIC = ("cp1251", "koi8-r", "iso8859-5", "cp866", "mac-cyrillic")
# Letters of Russian by how often they stand: a wrong guess turns the frequent ones into the rare ones.
_WEIGHT = {letter: 33 - place for place, letter in enumerate("оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфъё")}
_ODD_PLACES = re.compile("[а-яё][А-ЯЁ]|[A-Za-z][А-яЁё]|[А-яЁё][A-Za-z]")  # inside a word
_WORD = re.compile(r"=\?([\w.:+-]+)(?:\*[\w-]+)?\?([bBqQ])\?(.*?)\?=", re.DOTALL)


def codec_of(name):
    """Python's codec for a declared charset; empty for none, unknown and those that are no charsets of mail."""
    name = (name or "").strip().strip("\"'").lower()
    name = _ALIASES.get(name, name)
    if not name:
        return ""
    try:
        codec = codecs.lookup(name)
        b"".decode(codec.name)  # base64, rot13 and their like are codecs too
    except (LookupError, ValueError, TypeError):
        return ""
    return "" if codec.name in {"idna", "punycode"} or "escape" in codec.name else codec.name


def decoded(raw, declared=""):
    """(text, warning): the declared charset where it fits, else UTF-8, else the likeliest of the old ones."""
    codec = codec_of(declared)
    if codec:
        try:
            text = raw.decode(codec)
            if not _looks_wrong(text, codec):
                return text, ""
        except UnicodeError:
            pass
    try:
        return raw.decode("utf-8"), (f"charset:{declared[:40]}" if codec else "")
    except UnicodeError:
        guess = guessed(raw)
        return raw.decode(guess, "replace"), f"decoded_as:{guess}"


def _looks_wrong(text, codec):
    """Russian declared as Latin-1: words of accented letters alone."""
    if codec not in {"cp1252", "iso8859-1", "iso8859-15"}:
        return False
    high = sum(1 for c in text if "\xc0" <= c <= "\xff")
    plain = sum(1 for c in text if c.isascii() and c.isalpha())
    return high > 3 and high > plain and bool(re.search("[\xc0-\xff]{4}", text))


def guessed(raw):
    """The likeliest 8-bit charset of these bytes."""
    cut = raw[:20_000]
    scores = {name: _russian(cut.decode(name, "replace")) for name in _CYRILLIC}
    best = max(scores, key=scores.get)
    high = sum(byte >= 0x80 for byte in cut)
    return best if high and scores[best] >= 8 * high else "cp1252"


def _russian(text):
    """How much like Russian: common letters count; strange signs and letters in strange places count against."""
    score = sum(_WEIGHT[c] if c in _WEIGHT else 0.9 * _WEIGHT.get(c.lower(), 0) for c in text)
    odd = sum(1 for c in text if c > "\x7f" and not c.isalpha() and c not in "«»—–№…“”„’•\xa0")
    return score - 25 * odd - 25 * len(_ODD_PLACES.findall(text))


# --- Headers --------------------------------------------------------------------------------------------------------


def header_text(value):
    """A header's value as words: raw 8-bit bytes and encoded words (RFC 2047), also wrongly split or joined ones."""
    text = eight_bit(str(value or ""))
    pieces, at, pending = [], 0, None
    for found in _WORD.finditer(text):
        between = text[at : found.start()]
        charset, raw = found[1].lower(), _word_bytes(found[2], found[3])
        at = found.end()
        if pending and not between.strip() and pending[0] == charset:
            pending = (charset, pending[1] + raw)  # a letter may be split between two words
            continue
        if pending:
            pieces.append(decoded(pending[1], pending[0])[0])
        if between.strip() or not pending:
            pieces.append(between)
        pending = (charset, raw)
    if pending:
        pieces.append(decoded(pending[1], pending[0])[0])
    text = "".join([*pieces, text[at:]])
    return " ".join(re.sub(r"[\x00-\x1f\x7f]+", " ", text).split())


def eight_bit(text):
    """Bytes that the parser could not read come as half surrogates: read them by guess."""
    if text.isascii():
        return text
    raw = text.encode("utf-8", "surrogateescape")
    return decoded(raw)[0]


def _word_bytes(encoding, payload):
    body = payload.encode("utf-8", "replace")
    if encoding in "qQ":
        return quopri.decodestring(body.replace(b"_", b"=20").replace(b"\n", b""))
    body = re.sub(rb"[^A-Za-z0-9+/]", b"", body)
    try:
        return base64.b64decode(body[: len(body) - (len(body) % 4 == 1)] + b"=" * (-len(body) % 4))
    except (binascii.Error, ValueError):
        return b""
