"""What a file is, by its bytes and not by its name: kind, encoding, delimiter."""

import codecs
import csv
import re

from charset_normalizer import from_bytes
from django.utils.translation import gettext as _

from leads.importing.errors import Unreadable

BLOCK = 1024 * 1024
SAMPLE = 64 * 1024
DELIMITERS = ",;\t|"
BOMS = [
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
]
CYRILLIC = ("cp1251", "koi8_r", "cp866", "iso8859_5", "mac_cyrillic")
# How often letters stand in Russian text, per thousand: what tells its five encodings apart.
FREQUENT = dict(zip("оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфёъ", (
    110, 85, 80, 73, 67, 63, 55, 47, 45, 44, 35, 32, 30, 28, 26, 20, 19, 17, 17, 16, 16, 14, 12, 10, 9, 7, 6, 5, 4, 3,
    3, 1, 1), strict=True))  # fmt: skip


def kind_of(stream):
    """``xlsx``, ``vcard`` or ``text``; raises Unreadable for what is no list that we read."""
    stream.seek(0)
    head = stream.read(4096)
    stream.seek(0)
    if not head.strip():
        raise Unreadable("empty", _("The file is empty."))
    if head.startswith(b"PK\x03\x04"):
        return "xlsx"
    _refuse(head, stream)
    text = head.decode("utf-16", "ignore") if head[:2] in (b"\xff\xfe", b"\xfe\xff") else head.decode("latin-1")
    card = re.match(r"\s*(?:[\w.-]+\.)?BEGIN\s*:\s*VCARD", text.lstrip("\ufeffï»¿"), re.IGNORECASE)
    return "vcard" if card else "text"


def _refuse(head, stream):
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        whole = stream.read(BLOCK)
        stream.seek(0)
        if "EncryptedPackage".encode("utf-16-le") in whole:
            raise Unreadable("encrypted", _("The workbook is protected by a password; save it without one."))
        raise Unreadable("xls", _("This is a workbook of the old .xls kind; save it as .xlsx or CSV."))
    if head.startswith(b"%PDF"):
        raise Unreadable("pdf", _("This is a PDF, not a list; export the list as .xlsx or CSV."))
    magics = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"Rar!", b"7z\xbc\xaf", b"\x1f\x8b", b"\x7fELF", b"MZ", b"{\\rtf")
    if head.startswith(magics):
        raise Unreadable("binary", _("This is no list. CSV, XLSX and vCard files can be imported."))
    if re.match(rb"\s*(?:\xef\xbb\xbf)?<(?:\?xml|!doctype|html|table)", head, re.IGNORECASE):
        raise Unreadable("markup", _("This is a web page or XML, not a list; save it as .xlsx or CSV."))
    if re.match(
        rb"\s*(?:\xef\xbb\xbf)?BEGIN:V(?:CALENDAR|EVENT|TODO|JOURNAL|FREEBUSY|TIMEZONE)\b", head, re.IGNORECASE
    ):
        raise Unreadable("calendar", _("This is a calendar (.ics), not a list of people."))


# --- Encoding --------------------------------------------------------------------------------------------------------


def encoding_of(stream):
    """The encoding of the text, by its mark or by reading all of it: a letter may first appear in line 1,000,000."""
    stream.seek(0)
    head = stream.read(4096)
    stream.seek(0)
    for mark, name in BOMS:
        if head.startswith(mark):
            return name
    if b"\x00" in head:
        return _wide(head)
    sample = _not_utf8(stream)
    stream.seek(0)
    return "utf-8" if sample is None else _single_byte(sample)


def _wide(head):
    """UTF-16 without its mark: the byte order under which it reads as text."""
    scored = {name: _plausible(head.decode(name, "replace")) for name in ("utf-16-le", "utf-16-be")}
    best = max(scored, key=scored.get)
    if scored[best] < 0.95:
        raise Unreadable("binary", _("This is no list. CSV, XLSX and vCard files can be imported."))
    return best


def _plausible(text):
    """The share of characters that stand in Latin, Greek or Cyrillic texts."""
    good = sum(c in "\t\r\n" or " " <= c < "\u0530" or "\u2010" <= c < "\u2123" for c in text)
    return good / max(len(text), 1)


def _not_utf8(stream):
    """None where all of it is UTF-8, else bytes around the first that is not."""
    decoder, before = codecs.getincrementaldecoder("utf-8")(), b""
    while block := stream.read(BLOCK):
        try:
            decoder.decode(block)
        except UnicodeDecodeError as error:
            whole = before + block
            place = max(0, min(error.start + len(before), len(whole)) - 4096)
            return whole[place : place + SAMPLE]
        before = block[-4096:]
    return None


def _russian(text):
    """How well the foreign letters read as Russian: their mean frequency; capitals within words count against it."""
    letters = [c for c in text if ord(c) > 127]
    if not letters:
        return 0
    good = sum(FREQUENT.get(c, FREQUENT.get(c.lower(), -60) * 0.4) for c in letters)
    good -= 80 * len(re.findall(r"[а-яё][А-ЯЁ]", text))
    return good / len(letters)


def _single_byte(sample):
    scored = {name: _russian(sample.decode(name, "replace")) for name in CYRILLIC}
    best = max(scored, key=scored.get)
    if scored[best] > 12:
        return best
    guess = from_bytes(sample, cp_isolation=["cp1252", "cp1250", "cp1254", "cp1257", "cp1253", "latin_1"]).best()
    return guess.encoding if guess else "cp1252"


# --- Delimiter -------------------------------------------------------------------------------------------------------


def delimiter_of(text):
    """The delimiter under which most lines have equally many cells; a comma where there is but one column."""
    if stated := re.match(r"sep=(.)\r?\n", text):
        return stated[1]
    lines = text.splitlines(keepends=True)[:60]
    scored = {mark: _evenness(lines, mark) for mark in DELIMITERS}
    best = max(DELIMITERS, key=lambda mark: scored[mark])
    return best if scored[best] > 0 else ","


def _evenness(lines, mark):
    try:
        widths = [len(row) for row in csv.reader(lines, delimiter=mark) if any(row)]
    except csv.Error:
        return 0
    if not widths or widths[0] < 2:
        return 0
    usual = max(set(widths), key=widths.count)
    return widths.count(usual) / len(widths) * min(widths[0], 40)
