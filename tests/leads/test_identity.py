"""One form of names, phones, e-mails, companies and cities; proved on real collections where they are at hand."""

import csv
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leads import identity

SHARED = Path(os.environ.get("CRM_SHARED", Path(__file__).resolve().parents[3] / "shared")) / "real" / "phones"

texts = (
    st.text(max_size=60)
    | st.text("0123456789+-() .доб,;/xE٠１", max_size=30)
    | st.text("абвАБВёЁ-'. ООИП\"«»@,", max_size=40)
)


def shared(*path):
    file = SHARED.joinpath(*path)
    if not file.exists():
        pytest.skip(f"NO SHARED DATA: {file} is not there")
    return file


# --- Properties -----------------------------------------------------------------------------------------------------


@given(texts)
def test_nothing_raises_and_everything_normalised_stays_as_it_is(raw):
    for normal in (identity.person_name, identity.company_key, identity.city, identity.line):
        once = normal(raw)
        assert normal(once) == once
    if number := identity.phone(raw):
        assert identity.phone(number.e164).e164 == number.e164
    if address := identity.email(raw):
        assert identity.email(address) == address
    assert identity.phones(raw) == list(dict.fromkeys(identity.phones(raw)))
    assert all(identity.email(address) == address for address in identity.emails(raw))


@given(st.integers(3_000_000_000, 6_999_999_999) | st.integers(9_000_000_000, 9_999_999_999))
def test_every_habit_of_writing_a_russian_number_is_one_number(digits):
    ten = str(digits)
    a, b, c, d = ten[:3], ten[3:6], ten[6:8], ten[8:]
    habits = [ten, "7" + ten, "8" + ten, "+7" + ten, f"8 ({a}) {b}-{c}-{d}", f"+7 {a} {b} {c} {d}",
              f"8-{a}-{b}-{c}-{d}", f"'8{ten}", f"8\xa0{a}\xa0{b}\xa0{c}\xa0{d}", f"тел. 8{ten}", f"+7{ten} доб. 12",
              f"8{ten}.0"]  # fmt: skip
    assert {identity.phone(habit).e164 for habit in habits} == {"+7" + ten}


# --- Phones ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "e164", "extension"),
    [
        ("8 (495) 123-45-67 доб. 123", "+74951234567", "123"),
        ("+7 495 123 45 67 ext 9", "+74951234567", "9"),
        ("84951234567#12", "+74951234567", "12"),
        ("8-800-555-35-35", "+78005553535", ""),
        ("＋７９９９０００００03", "+79990000003", ""),
        ("+٧٩٩٩٠٠٠٠٠٠٣", "+79990000003", ""),
        ("7.9991234567E+10", "+79991234567", ""),
        ("8 10 375 29 123-45-67", "+375291234567", ""),
        ("375291234567", "+375291234567", ""),
        ("+77012345678", "+77012345678", ""),
        ("0044 20 7946 0958", "+442079460958", ""),
    ],
)
def test_a_number_is_understood(raw, e164, extension):
    assert identity.phone(raw) == (e164, extension)


@pytest.mark.parametrize(
    "raw", [None, "", "12", "abc", "7.99912E+10", "1111111111", "7165219", "9" * 30, "+", "нет", True]
)
def test_what_names_no_number_is_none(raw):
    assert identity.phone(raw) is None


@pytest.mark.parametrize(
    "raw",
    ["8999 000 00 03, 8999 000 00 04", "+79990000003 +79990000004", "89990000003 89990000004",
     "89990000003/89990000004", "89990000003 или 89990000004", "89990000003\n89990000004",
     "89990000003;89990000004;89990000003"],
)  # fmt: skip
def test_several_numbers_in_one_field_are_all_found(raw):
    assert [number.e164 for number in identity.phones(raw)] == ["+79990000003", "+79990000004"]


def test_a_list_of_fifty_numbers_gives_ten():
    assert len(identity.phones(",".join(f"8999000{n:04d}" for n in range(50)))) == 10


def test_a_known_services_cases_of_phones_agree():
    """Its numbers without a city code need a city; those are the only ones that we do not guess."""
    cases = [c for c in json.loads(shared("dadata_cases.json").read_text()) if c["kind"] == "phone"]
    wrong = {}
    for case in cases:
        want = case["expected"]
        whole = want.get("phone") or f"+{want['country_code']}{want['city_code']}{want['number']}"
        number = identity.phone(case["source"])
        if number != identity.phone(whole):
            wrong[case["source"]] = number
    assert wrong == {"тел 7165219 доб139": None}


def test_the_example_numbers_of_every_region_are_understood_as_they_are_written():
    with shared("libphonenumber_example_numbers.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["valid"] == "True"]
    wrong = [r["e164"] for r in rows if (identity.phone(r["international"]) or [None])[0] != r["e164"]]
    assert len(rows) > 500
    assert wrong == []


# --- E-mail ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "address"),
    [
        (" Test@Example.COM ", "test@example.com"),
        ("mailto:a@b.ru", "a@b.ru"),
        ("Иван <ivan@ya.ru>", "ivan@ya.ru"),
        ("info@домен.рф", "info@xn--d1acufc.xn--p1ai"),
        ("serega@yandex/ru", "serega@yandex.ru"),
        ("ivan@mail,ru", "ivan@mail.ru"),
        ("ivan@mail.ru.", "ivan@mail.ru"),
        ("a+b@c.test", "a+b@c.test"),
        ("a@b@c.ru", None),
        ("a@b.ru\r\nBcc: x@y.z", None),
        ("a@b.ru\nx", None),
        ("a@b", None),
        ("a..b@c.ru", None),
        ("@b.ru", None),
        ("x" * 65 + "@b.ru", None),
        (None, None),
        (True, None),
    ],
)
def test_an_address_is_one_form_or_none(raw, address):
    assert identity.email(raw) == address


def _mailboxes(name):
    lines = shared("email_addresses_flanker", name).read_text(encoding="utf-8", errors="replace").splitlines()
    return [text for text in lines if text and not text.startswith("#")]


def test_real_valid_mailboxes_are_taken():
    """Quoted and non-ASCII local parts and addresses of bare machines are valid by the letter; no client has one."""
    machines = {"first.last@example.123", "test@123.123.123.123", "+@b.c", "foobar@192.168.0.1"}
    boxes = [
        m for m in _mailboxes("mailbox_valid.txt") if m.isascii() and '"' not in m and "[" not in m and "(" not in m
    ]
    plain = [m for m in boxes if "." in m.rpartition("@")[2]]
    assert len(plain) > 30
    assert {m for m in plain if identity.email(m) is None} == machines


def test_real_invalid_mailboxes_never_come_out_as_they_went_in():
    taken = {m: identity.email(m) for m in _mailboxes("mailbox_invalid.txt")}
    assert [m for m, found in taken.items() if found == m.lower()] == []


# --- Names, companies, cities ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("  иванов   иван ", "Иванов Иван"),
        ("ИВАНОВ ИВАН ИВАНОВИЧ", "Иванов Иван Иванович"),
        ("отто фон бисмарк", "Отто фон Бисмарк"),
        ("OTTO VON BISMARCK", "Otto von Bismarck"),
        ("анна-мария о'коннор", "Анна-Мария О'Коннор"),
        ("McDonald RONALD", "McDonald Ronald"),
        ("ИВАНОВ И.И.", "Иванов И.И."),
        ("Генрих VIII", "Генрих VIII"),
        ("алиев али оглы", "Алиев Али оглы"),
        ("<b>x</b>", "<b>x</b>"),
        ("a\r\nb", "A B"),
        (None, ""),
        ("x" * 500, "X" + "x" * 199),
    ],
)
def test_a_name_gets_its_capitals_and_keeps_its_own(raw, name):
    assert identity.person_name(raw) == name


@pytest.mark.parametrize(
    "raw", ['ООО "Ромашка"', "«Ромашка», ООО", "ромашка", "РОМАШКА",
            "Общество с ограниченной ответственностью «Ромашка»",
            "ЗАО Ромашка", "ООО “Ромашка”"],
)  # fmt: skip
def test_spellings_of_one_company_share_a_key(raw):
    assert identity.company_key(raw) == "ромашка"


def test_a_company_named_by_its_form_alone_keeps_it():
    assert [identity.company_key(raw) for raw in ("ООО", "Apple Inc.", "A&B Co., Ltd.", "")] == [
        "ооо",
        "apple",
        "a&b",
        "",
    ]


def test_the_legal_type_of_real_company_names_does_not_count():
    import defusedxml.ElementTree as ElementTree

    tree = ElementTree.parse(shared("names", "probablepeople_company_labeled.xml"))
    different = 0
    names = [n for n in tree.getroot() if [e.tag for e in n][-1:] == ["CorporationLegalType"]]
    for name in names:
        words = [e.text or "" for e in name]
        different += identity.company_key(" ".join(words)) != identity.company_key(" ".join(words[:-1]))
    assert len(names) > 100
    assert different / len(names) < 0.03


@pytest.mark.parametrize(
    ("raw", "city"),
    [("г. Москва", "Москва"), ("г.Казань", "Казань"), ("МОСКВА", "Москва"), ("ростов-на-дону", "Ростов-на-Дону"),
     ("спб", "Санкт-Петербург"), ("Нижний Новгород г", "Нижний Новгород"), ("Москва, ул. Ленина", "Москва"),
     ("New York", "New York"), ("г. Гусь-Хрустальный", "Гусь-Хрустальный"), ("", ""), (None, "")],
)  # fmt: skip
def test_a_city_is_its_bare_name(raw, city):
    assert identity.city(raw) == city
