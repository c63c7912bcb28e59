"""Address books that programs really wrote, from the shared data beside the repository: how many people, who they are."""

import re
from pathlib import Path

import pytest

from crm.core import outbound
from leads.capture import quotation
from leads.importing.errors import Unreadable
from leads.importing.mapping import suggest
from leads.importing.table import open_table

REAL = Path(__file__).resolve().parents[4] / "shared" / "real"
IMPORTS, DATASETS, TALON = REAL / "imports", REAL / "datasets", REAL / "emails" / "talon" / "signature" / "emails"
EZ, CUBE, ICS = "vcard_ez_vcard/io/text", "roundcube/Csv2vcard", "vobject_ics"


def there(path):
    if not path.exists():
        pytest.skip(f"REAL FILE MISSING: {path}")
    return path


def read(path):
    with there(path).open("rb") as stream:
        table = open_table(stream)
        return table, [dict(zip(table.columns, row.cells, strict=False)) for row in table.rows if row.cells]


# --- vCards -------------------------------------------------------------------------------------------------------------

# file → (cards, of the last one: name, phones, e-mails, company)
CARDS = {
    f"{CUBE}/email.vcf": (4, "test4@domain.tld", [], ["test4@domain.tld"], ""),
    f"{CUBE}/outlook.vcf": (1, "test1@domain.tld", [], ["test1@domain.tld", "test2@domain.tld", "test3@domain.tld"], ""),
    f"{CUBE}/gmail.vcf": (1, "Prefix Firstname Middle Lastname Suffix", ["mainphone", "homephone", "mobile"],
                          ["home@aaa.pl", "work@email.pl", "unknown@email.com"], None),
    f"{EZ}/John_Doe_GMAIL.vcf": (1, "Mr. John Richter, James Doe Sr.", ["905-555-1234", "905-666-1234"],
                                 ["john.doe@ibm.com"], "IBM"),
    f"{EZ}/John_Doe_IPHONE.vcf": (1, "Mr. John Richter James Doe Sr.", ["905-555-1234", "905-666-1234", "905-777-1234"],
                                  ["john.doe@ibm.com"], "IBM"),
    f"{EZ}/John_Doe_MS_OUTLOOK.vcf": (1, "Mr. John Richter James Doe Sr.", ["(905) 555-1234", "(905) 666-1234"],
                                      ["john.doe@ibm.cm"], "IBM"),
    f"{EZ}/gmail-single.vcf": (1, "Greg Dartmouth", ["555 555 1111", "555 555 2222"], ["gdartmouth@hotmail.com"], "TheCompany"),
    f"{EZ}/gmail-single2.vcf": (1, "VCard Test", ["5555551111", "5555551112", "5555551113"],
                                ["email@example.com", "homeemail@example.com", "workemail@example.com"], None),
    f"{EZ}/outlook-2003.vcf": (1, "John Doe III", ["BusinessPhone", "HomePhone", "MobilePhone"], ["jdoe@hotmail.com"], "Company, The"),
    f"{EZ}/rfc2426-example.vcf": (2, "Tim Howes", ["+1-415-937-3419"], ["howes@netscape.com"], "Netscape Communications Corp."),
    f"{ICS}/simple_3_0_test.ics": (1, "Daffy Duck Knudson (with Bugs Bunny and Mr. Pluto)",
                                   ["+01-(0)2-765.43.21", "+01-(0)5-555.55.55", "+01-(0)2-876.54.32"], [], "University of Novosibirsk"),
    f"{ICS}/vcard_with_groups.ics": (1, "Meister Berger", [], ["mb@goerlitz.de"], None),
}  # fmt: skip


@pytest.mark.parametrize("name", CARDS)
def test_the_people_of_a_vcard(name):
    table, people = read(IMPORTS / name)
    last, (count, full_name, phones, emails, company) = people[-1], CARDS[name]
    found = [
        [last[c] for c in table.columns if re.fullmatch(rf"{kind}( \d)?", c) and last[c]] for kind in ("TEL", "EMAIL")
    ]
    assert (table.kind, len(people), last["FN"], found) == ("vcard", count, full_name, [phones, emails])
    assert company is None or last["ORG"] == company


def test_cards_of_a_phone_that_writes_quoted_printable():
    """Two with an e-mail alone, four with names in letters of three bytes and up to three phones."""
    _table, people = read(IMPORTS / EZ / "John_Doe_ANDROID.vcf")
    assert [bool(person["FN"]) for person in people] == [False, False, True, True, True, True]
    assert [person["EMAIL"] for person in people[:2]] == ["john.doe@company.com", "jane.doe@company.com"]
    assert people[2]["TEL"] == "123456789" and set(people[2]["FN"]) == {"Ñ", " "}
    assert [people[3][c] for c in ("TEL", "TEL 2", "TEL 3")] == ["123456", "234567", "3456789"]


CALENDARS = ["freebusy", "journal", "recurrence", "simple_2_0_test", "simple_test", "standard_test", "tz_us_eastern", "vtodo"]  # fmt: skip
REFUSED = {f"{ICS}/{name}.ics": "calendar" for name in CALENDARS} | {
    "vcard_ez_vcard/io/xml/rfc6351-example.xml": "markup",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_holds_no_people_is_refused_in_words(name):
    with pytest.raises(Unreadable) as refused:
        read(IMPORTS / name)
    assert refused.value.code == REFUSED[name]


def test_no_address_book_of_the_folder_is_left_unread():
    assert read(IMPORTS / ICS / "silly_test.ics")[1] == []  # nothing of anything
    known = {f"{ICS}/silly_test.ics", *CARDS, *REFUSED, *TABLES, f"{EZ}/John_Doe_ANDROID.vcf"}
    found = {str(f.relative_to(IMPORTS)) for f in there(IMPORTS).rglob("*") if f.is_file()}
    assert found - known == set()


# --- Tables -------------------------------------------------------------------------------------------------------------

TABLES = {  # file → (rows, what the columns are taken for)
    f"{CUBE}/email.csv": (4, {"email": 1}),
    f"{CUBE}/gmail.csv": (1, None),
    f"{CUBE}/outlook.csv": (1, {"email": 3}),
    "chatwoot/with_emoji.csv": (1, {"phone": 1, "name": 1}),
    "civicrm/individual_valid_with_related_email.csv": (1, None),
    "thunderbird/basic_csv_addressbook.csv": (2, None),
}
SETS = {
    "crm_relational_synthetic/crm_accounts.csv": 220, "crm_relational_synthetic/crm_activities.csv": 14105,
    "crm_relational_synthetic/crm_contacts.csv": 520, "crm_relational_synthetic/crm_contracts.csv": 1318,
    "crm_relational_synthetic/crm_opportunities.csv": 1850, "crm_relational_synthetic/crm_opportunity_line_items.csv": 8208,
    "crm_relational_synthetic/crm_opportunity_stage_history.csv": 7437, "crm_relational_synthetic/crm_products.csv": 31,
    "crm_relational_synthetic/crm_users.csv": 84, "maven_crm_opportunities/accounts.csv": 85,
    "maven_crm_opportunities/products.csv": 7, "maven_crm_opportunities/sales_pipeline.csv": 8800,
    "maven_crm_opportunities/sales_teams.csv": 35, "x_education/Leads_Data_Dictionary.csv": 37,
    "x_education/Leads_Data_Dictionary.xlsx": 37,
}  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_the_people_of_a_table(name):
    table, people = read(IMPORTS / name)
    count, meant = TABLES[name]
    taken = list(suggest(table.columns, kind=table.kind).values())
    assert len(people) == count
    assert meant is None or {field: taken.count(field) for field in meant} == meant


@pytest.mark.parametrize("name", SETS)
def test_every_row_of_a_set_is_read(name):
    assert len(read(DATASETS / name)[1]) == SETS[name]


def test_the_contacts_of_another_crm_need_no_mapping():
    table, people = read(DATASETS / "crm_relational_synthetic" / "crm_contacts.csv")
    meant = suggest(table.columns, kind=table.kind)
    assert {meant.get(c) for c in ("first_name", "last_name", "email", "job_title")} == {
        "first_name", "last_name", "email", "job_title",
    }  # fmt: skip
    assert len({person["email"] for person in people}) > 500


# --- Signatures, addresses ------------------------------------------------------------------------------------------------

SIGNED = {"jeff": "via mobile"}  # the others have no mark before them: a line too much is read, a line too few is lost


@pytest.mark.parametrize("name", ["camel_case", "jeff", "johndoeexamplecom", "long", "short_url", "sparse"])
def test_of_a_letter_without_quotation_nothing_is_lost(name):
    body = there(TALON / "stripped" / f"{name}_body").read_text(encoding="utf-8")
    found = quotation.split(body)
    assert found.signature == SIGNED.get(name, "")
    kept = [line.strip() for line in f"{found.reply}\n{found.signature}".splitlines() if line.strip()]
    assert kept == [line.strip() for line in body.splitlines() if line.strip()]


def lines(name):
    text = there(REAL / "phones" / "email_addresses_flanker" / name).read_text(encoding="utf-8")
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def test_addresses_that_may_be_called():
    refused = []
    for url in lines("url_valid.txt"):
        try:
            outbound.parse(url)
        except outbound.Refused:
            refused.append(url)
    assert refused == [url for url in lines("url_valid.txt") if "@" in url or "%20" in url.split("/")[2]]
    for url in lines("url_invalid.txt"):
        if not url.startswith("http"):
            with pytest.raises(outbound.Refused):
                outbound.parse(url)
