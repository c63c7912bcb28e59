"""A letter read into its parts: charsets declared, declared wrongly and not at all; names of files; what breaks parsers."""

import base64
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leads.capture import charsets
from leads.capture.base import Refused
from leads.capture.letter import MAX_ATTACHMENTS, file_name, parse
from leads.capture.letter_html import plain, safe
from leads.capture.quotation import split
from leads.capture.sorting import sort

TEXT = "Здравствуйте, подскажите цену на кофемашину. Пётр Иванов, ООО «Ромашка»"


def raw(body, head="", kind="text/plain"):
    return f"From: petr@romashka.ru\r\nSubject: x\r\n{head}Content-Type: {kind}\r\n\r\n".encode() + body


@pytest.mark.parametrize("codec", ["cp1251", "koi8-r", "utf-8", "cp866", "iso8859-5"])
@pytest.mark.parametrize("declared", ["", "us-ascii", "iso-8859-1", "x-unknown", "own"])
def test_russian_whatever_the_declaration_says(codec, declared):
    words = TEXT.replace("«", '"').replace("»", '"')
    kind = f"text/plain; charset={codec if declared == 'own' else declared}" if declared else "text/plain"
    assert parse(raw(words.encode(codec), kind=kind)).text == words


def test_other_languages_are_not_taken_for_russian():
    for text in ("Müller über café à Genève", "Grüße aus Köln", "Ça va bien, déjà vu"):
        assert parse(raw(text.encode("cp1252"))).text == text


# Python's codec, what mail programs call it, words in it.
ABROAD = [
    ("iso-2022-jp", "ISO-2022-JP", "こんにちは、見積もりをお願いします"), ("cp932", "shift_jis", "こんにちは"),
    ("euc-jp", "x-euc-jp", "見積もり"), ("cp949", "ks_c_5601-1987", "안녕하세요 견적"), ("big5", "Big5", "您好請報價"),
    ("gb18030", "gb2312", "您好请报价"), ("cp1255", "windows-1255", "שלום"), ("iso8859-8", "iso-8859-8-i", "שלום"),
    ("cp1256", "windows-1256", "مرحبا"), ("cp1254", "windows-1254", "Teşekkür"), ("cp874", "windows-874", "สวัสดี"),
    ("tis-620", "TIS-620", "สวัสดี"), ("cp1257", "windows-1257", "Ačiū"), ("iso8859-2", "iso-8859-2", "Příliš"),
    ("utf-7", "utf-7", "Добрый день"), ("utf-16", "UTF-16", "Добрый день"), ("utf-32", "utf-32", "Добрый день"),
    ("mac-cyrillic", "x-mac-cyrillic", "Добрый день"), ("koi8-u", "koi8-u", "Добрий день, їжак"), ("cp855", "ibm855", "Добрый день"),
    ("utf-8", "UTF8", "Добрый день"), ("cp1251", "'windows-1251'", "Добрый день"), ("koi8-r", '"KOI8-R"', "Добрый день"),
]  # fmt: skip


@pytest.mark.parametrize(("codec", "declared", "words"), ABROAD, ids=[declared for _codec, declared, _words in ABROAD])
def test_charsets_of_the_world_in_texts_headers_and_names_of_files(codec, declared, words):
    coded, bare = base64.b64encode(words.encode(codec)).decode(), declared.strip("'\"")
    head = f"Subject: =?{bare}?B?{coded}?=\r\nFrom: =?{bare}?b?{coded}?= <a@b.test>\r\nMIME-Version: 1.0\r\n"
    mixed = 'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
    text = (
        f"--b\r\nContent-Type: text/plain; charset={declared}\r\nContent-Transfer-Encoding: base64\r\n\r\n{coded}\r\n"
    )
    file = f'--b\r\nContent-Type: application/pdf; name="=?{bare}?B?{coded}?="\r\n\r\nx\r\n--b--\r\n'
    found = parse((head + mixed + text + file).encode())
    assert (found.subject, found.sender.name, found.text) == (words, words, words)
    assert [a.name for a in found.attachments] == [words] and found.warnings == ()


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("filename*=UTF-8''%D1%81%D0%BC%D0%B5%D1%82%D0%B0.pdf", "смета.pdf"),
        ("filename==?utf-8?B?0YHQvNC10YLQsC5wZGY=?=", "смета.pdf"),
        ('filename="=?koi8-r?Q?=D3=CD=C5=D4=C1=2Epdf?="', "смета.pdf"),
        ('filename*0="=?utf-8?B?0YHQvNC1"; filename*1="0YLQsC5wZGY=?="', "смета.pdf"),
        ("filename*0*=windows-1251''%F1%EC; filename*1*=%E5%F2%E0.pdf", "смета.pdf"),
        ("filename=смета.pdf", "смета.pdf"),
        ("filename*=utf-8'ru'%ZZ.pdf", "_ZZ.pdf"),
        ("filename*5*=UTF-8''a", "a"),
        ("filename=a b c.pdf", "a b c.pdf"),
        ('filename="a\\"b.pdf"', "a_b.pdf"),
    ],
)
def test_names_of_files_however_they_are_coded(said, name):
    found = parse(
        f"From: a@b.ru\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; {said}\r\n\r\nx".encode()
    )
    assert [a.name for a in found.attachments] == [name]


def test_encoded_words():
    koi, win = base64.b64encode("Иван".encode("koi8-r")).decode(), base64.b64encode("Петров".encode("cp1251")).decode()
    cases = {
        f"=?koi8-r?B?{koi}?= =?windows-1251?B?{win}?=": "ИванПетров",  # the standard: no space between two of them
        f"Re: =?KOI8-R?b?{koi}?= и =?cp-1251?B?{win}?= [1]": "Re: Иван и Петров [1]",
        "=?utf-8?Q?=D0=98=D0?= =?utf-8?Q?=B2=D0=B0=D0=BD?=": "Иван",  # a letter split between two
        f'"=?koi8-r?B?{koi}?="': '"Иван"',
        f"=?koi8-r?B?{koi.rstrip('=')}?=": "Иван",
        "=?utf-8?Q?a_b?=": "a b",
        "=?bad?Z?x?=": "=?bad?Z?x?=",
    }
    assert {text: charsets.header_text(text) for text in cases} == cases
    eight = parse("Subject: Заявка\r\nFrom: Пётр <petr@romashka.ru>\r\n\r\nx".encode("cp1251"))
    assert (eight.subject, eight.sender.name) == ("Заявка", "Пётр")


def test_senders_in_every_disorder():
    cases = {
        "petr@romashka.ru": ("", "petr@romashka.ru"),
        '"Иванов, Пётр" <petr@romashka.ru>': ("Иванов, Пётр", "petr@romashka.ru"),
        "petr@romashka.ru (Петр)": ("Петр", "petr@romashka.ru"),
        "Петр [petr@romashka.ru]": ("Петр", "petr@romashka.ru"),
        "'petr@romashka.ru'": ("", "petr@romashka.ru"),
        "<petr@romashka.ru> Петр": ("Петр", "petr@romashka.ru"),
        "MAILER-DAEMON <>": ("MAILER-DAEMON", ""),
    }
    found = {text: parse(f"From: {text}\r\nSubject: x\r\n\r\nx".encode()).sender for text in cases}
    assert {text: a.address for text, a in found.items()} == {text: address for text, (_name, address) in cases.items()}
    assert found['"Иванов, Пётр" <petr@romashka.ru>'].name == "Иванов, Пётр"


def test_names_of_files():
    cases = {
        "../../etc/passwd": "passwd", "C:\\x\\y.doc": "y.doc", "a\r\nb.txt": "ab.txt", "x\x00.pdf": "x.pdf", "\u202efdp.exe": "fdp.exe",
        "CON": "_CON", "": "", "..": "", 'a"; filename="b.html': "a_ filename=_b.html", "n" * 300 + ".xlsx": "n" * 115 + ".xlsx",
    }  # fmt: skip
    assert {name: file_name(name) for name in cases} == cases
    rfc2231 = "From: a@b.ru\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment;\r\n filename*0*=UTF-8''%D1%81%D0%BC;\r\n filename*1*=%D0%B5%D1%82%D0%B0.pdf\r\n\r\nx"
    assert parse(rfc2231.encode()).attachments[0].name == "смета.pdf"


def test_a_bomb_is_cut_to_size():
    parts = "".join(f"--b\r\nContent-Type: image/png; name={n}.png\r\n\r\nx\r\n" for n in range(600))
    letter = parse(f'From: a@b.ru\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n{parts}--b--'.encode())
    assert len(letter.attachments) == 2 * MAX_ATTACHMENTS
    assert sum(not a.skipped for a in letter.attachments) == MAX_ATTACHMENTS
    deep = "".join(f'Content-Type: multipart/mixed; boundary="b{n}"\r\n\r\n--b{n}\r\n' for n in range(3000))
    try:
        parse(f"From: a@b.ru\r\n{deep}".encode())
    except Refused as refused:
        assert refused.reason == "unparseable"


def test_html_becomes_text_with_its_quotations():
    html = "<style>p{}</style><p>Да<br>нет</p><blockquote>было<blockquote>раньше</blockquote></blockquote>"
    assert plain(html) == "Да\nнет\n\n> было\n> > раньше"
    assert split(plain("<div>Ок</div><blockquote>Здравствуйте</blockquote>")).reply == "Ок"


@pytest.mark.parametrize("piece", ["<div>", "<blockquote>", "<a ", "<!--", "<", "&", "<td>", '<p style="a:b;'])
def test_html_that_never_closes_costs_no_minutes(piece):
    begun = time.process_time()
    plain(piece * 200_000)
    safe(piece * 200_000)
    assert time.process_time() - begun < 20


BYTES = st.binary(max_size=400) | st.lists(
    st.sampled_from([b"From: ", b"a@b.ru", b"\r\n", b"\n", b"Content-Type: ", b"multipart/mixed; boundary=b", b"--b", b"--b--", b" ",
                     b"=?utf-8?B?", b"?=", b"Subject: ", b"text/html; charset=", b"koi8-r", b"base64", b"Content-Transfer-Encoding: ",
                     b"<div>", b"</blockquote>", b"message/rfc822", b"message/delivery-status", b"\xff\xd0", b"On 1.1.2026 wrote:",
                     b"> ", b"filename*0*=", b"Content-Disposition: attachment; "]), max_size=40,
).map(b"".join)  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(BYTES)
def test_no_bytes_break_the_reader(data):
    try:
        letter = parse(b"Subject: x\r\n" + data)
    except Refused:
        return
    found = sort(letter)
    assert found.kind in {"human", "auto_reply", "bounce", "complaint", "mailing_list", "calendar", "encrypted"}
    assert "\x00" not in letter.text + letter.html + letter.subject
    split(letter.text)
    safe(letter.html)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=600), st.text("On wrote:>-_\n\r 0123456789.,<@>пишет От:Кому", max_size=300))
def test_no_text_breaks_the_splitter_and_no_word_is_lost(one, two):
    text = f"{one}\n{two}"
    found = split(text)
    kept = "".join(f"{found.reply}{found.signature}{found.rest}".split())
    assert sorted(kept) == sorted("".join(text.replace("\u200b", "").split()))
