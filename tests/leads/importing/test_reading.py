"""Files of any make read as one kind of table; nothing here needs a database."""

import io
import quopri
import time
import zipfile
from base64 import b64encode
from zoneinfo import ZoneInfo

import pytest

from crm.core.exports import xlsx_bytes
from leads.importing.errors import MappingError, Unreadable
from leads.importing.mapping import read, suggest
from leads.importing.table import open_table

UTC = ZoneInfo("UTC")
RUSSIAN = "Имя;Город\nЁлкин Пётр;Йошкар-Ола\nЩукина Анна;Нижний Новгород\n"


def table(content, **said):
    return open_table(io.BytesIO(content), **said)


def cells(content, **said):
    return [row.cells for row in table(content, **said).rows]


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "cp1251", "koi8-r", "cp866", "utf-16", "utf-16-le", "utf-16-be"]
)
def test_letters_are_right_in_every_encoding(encoding):
    found = table(RUSSIAN.encode(encoding))
    assert found.columns == ["Имя", "Город"]
    assert [row.cells for row in found.rows] == [["Ёлкин Пётр", "Йошкар-Ола"], ["Щукина Анна", "Нижний Новгород"]]


def test_a_letter_that_first_appears_far_down_decides_the_encoding():
    plain = "name,city\n" + "John,London\n" * 200_000
    found = list(table((plain + "Пётр Иванов,Казань\n").encode("cp1251")).rows)
    assert (len(found), found[-1].cells) == (200_001, ["Пётр Иванов", "Казань"])


def test_western_letters_are_not_read_as_russian():
    assert cells("name,city\nJosé Müller,Köln\n".encode("cp1252")) == [["José Müller", "Köln"]]


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_delimiters_are_found(mark):
    text = f"name{mark}note{mark}city\nA{mark}x. y: z{mark}Omsk\nB{mark}{mark}Tver\n"
    found = table(text.encode())
    assert (found.delimiter, len(list(found.rows))) == (mark, 2)


def test_the_line_of_excel_that_names_the_delimiter_is_no_row():
    assert cells(b"sep=;\r\na;b\r\n1,5;2\r\n") == [["1,5", "2"]]


def test_a_file_without_names_of_columns_keeps_its_first_row():
    found = table("anna@example.ru,Анна\nboris@example.ru,Борис\n".encode())
    assert (found.columns, len(list(found.rows))) == (["#1", "#2"], 2)


def test_names_of_columns_are_each_one_and_never_empty():
    assert table(b"phone,phone,,name\n1,2,3,4\n").columns == ["phone", "phone (2)", "#3", "name"]


def test_quotes_newlines_and_bare_returns():
    assert cells(b'a,b\r"x\r\ny","say ""hi"""\r1,2\r') == [["x\r\ny", 'say "hi"'], ["1", "2"]]


def test_a_quote_that_is_never_closed_costs_its_own_line():
    rows = list(table(b'a,b\n1,"open\n2,two\n3,three\n').rows)
    assert [(row.line, row.cells, row.problem) for row in rows] == [
        (2, None, "unbalanced"), (3, ["2", "two"], ""), (4, ["3", "three"], ""),
    ]  # fmt: skip


def test_a_line_of_five_megabytes_costs_its_own_row():
    rows = list(table(b"a,b\n1," + b"x" * 5_000_000 + b"\n2,two\n").rows)
    assert [(row.line, row.problem, row.cells) for row in rows] == [(2, "too_long", None), (3, "", ["2", "two"])]


# --- Workbooks -------------------------------------------------------------------------------------------------------


def workbook(rows, header=("name", "phone")):
    return b"".join(xlsx_bytes(list(header), rows, zone=UTC))


def test_cells_of_a_workbook_are_texts():
    content = workbook([["Анна", 79160000001], ["Борис", 1.5], ["Вера", None]])
    assert cells(content) == [["Анна", "79160000001"], ["Борис", "1.5"], ["Вера", ""]]


def test_a_bomb_is_refused_before_it_is_opened():
    heavy = io.BytesIO()
    with zipfile.ZipFile(heavy, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/workbook.xml", "<workbook/>")
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * 200_000_000)
    begun = time.monotonic()
    with pytest.raises(Unreadable) as refused:
        table(heavy.getvalue())
    assert refused.value.code == "too_large_unpacked" and time.monotonic() - begun < 1


@pytest.mark.parametrize("part", ["xl/sharedStrings.xml", "xl/worksheets/sheet1.xml", "xl/workbook.xml"])
def test_a_workbook_that_declares_entities_is_refused(part):
    content = io.BytesIO(workbook([["Анна", "1"]]))
    with zipfile.ZipFile(content) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    bomb = b'<!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'
    parts[part] = parts.get(part, b"<x/>").replace(b"?>", b"?>" + bomb, 1) if b"?>" in parts.get(part, b"") else bomb
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    with pytest.raises(Unreadable) as refused:
        table(made.getvalue())
    assert refused.value.code == "entities"


def test_cells_that_lie_a_world_apart_are_refused():
    wide = io.BytesIO()
    with zipfile.ZipFile(wide, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/workbook.xml", "<workbook/>")
        archive.writestr("xl/worksheets/sheet1.xml", '<c r="A1"><v>1</v></c><c r="XFD1048576"><v>2</v></c>')
    with pytest.raises(Unreadable) as refused:
        table(wide.getvalue())
    assert refused.value.code == "too_wide"


def archive_of(*names):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return made.getvalue()


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "xls"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600 + "EncryptedPackage".encode("utf-16-le"), "encrypted"),
        (b"%PDF-1.4\n%", "pdf"),
        (archive_of("mimetype", "content.xml"), "ods"),
        (archive_of("list.csv"), "archive"),
        (archive_of("[Content_Types].xml", "xl/workbook.xml", "xl/vbaProject.bin"), "macros"),
        (workbook([["a", "b"]])[:300], "damaged"),
        (b"<html><table><tr><td>a</td></tr></table>", "markup"),
        (b"\x89PNG\r\n\x1a\n", "binary"),
        (b"  \n", "empty"),
    ],
)
def test_what_is_no_list_is_known_by_its_bytes(content, code):
    with pytest.raises(Unreadable) as refused:
        list(table(content).rows)
    assert refused.value.code == code


# --- Mapping ---------------------------------------------------------------------------------------------------------


def problems(stated, columns=("Name", "Phone")):
    with pytest.raises(MappingError) as refused:
        read(stated, list(columns))
    return refused.value.messages


@pytest.mark.parametrize(
    "field",
    ["owner", "score", "id", "created_by", "is_staff", "created_at", "consent", "deleted_at", "stage", "source"],
)
def test_what_the_system_keeps_cannot_be_mapped(field):
    assert len(problems({"columns": {"Name": field}})) == 1


def test_every_mistake_of_a_mapping_is_said_at_once():
    found = problems(
        {
            "columns": {"Nam": "name", "Phone": "fone"},
            "external_id": "ID",
            "outcome": {"column": "Phone", "won": [1], "lost": ["1"]},
            "colums": {},
        }
    )
    assert len(found) == 5
    assert any("Nam" in text and "Name, Phone" in text for text in found)


def test_columns_speak_for_themselves():
    columns = ["ФИО", "Мобильный телефон", "E-mail", "Компания", "Телефон 2", "Итого"]
    assert suggest(columns) == {
        "ФИО": "name", "Мобильный телефон": "phone", "E-mail": "email", "Компания": "company_name",
        "Телефон 2": "phone",
    }  # fmt: skip


# --- vCard -----------------------------------------------------------------------------------------------------------


def card(*lines, version="2.1"):
    return "\r\n".join(["BEGIN:VCARD", f"VERSION:{version}", *lines, "END:VCARD", ""])


def only_card(content):
    table = open_table(io.BytesIO(content))
    (row,) = table.rows
    return {column: cell for column, cell in zip(table.columns, row.cells, strict=True) if cell}


PYOTR = "Пётр Иванов"


def quoted(text, encoding):
    return quopri.encodestring(text.encode(encoding)).decode().replace("=\n", "=\r\n").strip()


@pytest.mark.parametrize(
    "content",
    [
        *[card(f"FN:{PYOTR}", "TEL:89161234567").encode(name) for name in ("utf-8", "cp1251", "koi8-r", "utf-16")],
        card(f"FN;CHARSET=windows-1251;ENCODING=QUOTED-PRINTABLE:{quoted(PYOTR, 'cp1251')}", "TEL:89161234567").encode(),
        card(f"FN;ENCODING=QUOTED-PRINTABLE:{quoted(PYOTR, 'koi8-r')}", "TEL:89161234567").encode(),
        card(f"FN;ENCODING=BASE64:{b64encode(PYOTR.encode()).decode()}", "TEL:89161234567").encode(),
        card(f"FN;ENCODING=b:{b64encode(PYOTR.encode('cp1251')).decode()}", "TEL:89161234567", version="3.0").encode(),
        card("FN:Пётр Ив\r\n анов", "TEL;TYPE=cell:89161234567", version="3.0").encode(),
        card("N:Иванов;Пётр;;;", f"item1.FN:{PYOTR}", "PHOTO;ENCODING=b:/9j/4AAQ\r\n SkZJRg==", "TEL:89161234567")
        .replace("N:Иванов;Пётр;;;\r\n", "")
        .encode(),
    ],
)  # fmt: skip
def test_a_card_of_any_make_says_the_same(content):
    assert only_card(content) == {"FN": PYOTR, "TEL": "89161234567"}


def test_a_card_of_version_4():
    content = card(
        "N:Иванов;Пётр;;;", "TEL;VALUE=uri;TYPE=\"voice,home\":tel:+7-916-123-45-67;ext=5", "EMAIL;PREF=1:a@x.ru",
        "EMAIL:b@x.ru", 'ADR;LABEL="ул. Ленина; 1":;;ул. Ленина 1;Казань;Татарстан;420000;Россия', "NOTE:раз\\nдва\\, три",
        "ORG:ООО Лён;Отдел", version="4.0",
    )  # fmt: skip
    assert only_card(content.encode()) == {
        "FN": "Иванов Пётр", "N.family": "Иванов", "N.given": "Пётр", "TEL": "+7-916-123-45-67 ext. 5", "EMAIL": "a@x.ru",
        "EMAIL 2": "b@x.ru", "ORG": "ООО Лён", "ADR.city": "Казань", "ADR.region": "Татарстан", "ADR.country": "Россия",
        "NOTE": "раз\nдва, три",
    }  # fmt: skip
