"""Files that came from elsewhere, as they are: the command, the cards, the numbers."""

import csv
import json
from collections import Counter
from pathlib import Path

import pytest
from django.core.management import call_command

from analytics.reports import sources as report
from crm.core.jobs import drain
from crm.management.commands.check_numbers import everything
from deals.models import Deal
from leads.models import Identity, Interaction, Lead, Message, Origin, Person, StageMove, Task
from tests.factories import SourceFactory, UserFactory

REAL = Path(__file__).resolve().parents[3] / "shared" / "real"
EDUCATION = REAL / "datasets" / "x_education" / "Leads.csv"
MAP = {
    "columns": {
        "Lead Source": {"field": "origin", "missing": ["Select"]},
        "Country": "country",
        "City": {"field": "city", "missing": ["Select"]},
        "Specialization": {"field": "custom.specialization", "missing": ["Select"]},
        "Lead Origin": "custom.lead_origin",
        "TotalVisits": "custom.total_visits",
    },
    "external_id": "Prospect ID",
    "outcome": {"column": "Converted", "won": ["1"], "lost": ["0"]},
    "known_after_contact": ["Tags", "Lead Quality", "Last Activity", "Last Notable Activity"],
}


def real(path):
    if not path.exists():
        pytest.skip(f"REAL FILE MISSING: {path}; this journey did not run")
    return path


@pytest.fixture
def bring(tmp_path, settings, capsys):
    settings.MEDIA_ROOT = tmp_path / "media"

    def run(path, mapping, *, source="education", dry=False):
        stated = tmp_path / "map.json"
        stated.write_text(json.dumps(mapping), "utf-8")
        capsys.readouterr()
        flags = ["--dry-run"] if dry else []
        call_command("import_leads", str(path), "--source", source, "--mapping", str(stated), "--json", *flags)
        return json.loads(capsys.readouterr().out)

    return run


def counts(found):
    return {name: value for name, value in found.items() if name != "error_file"}


def all_of(n, what):
    return {"rows": n, "created": 0, "updated": 0, "skipped": 0, "failed": 0} | {what: n}


def test_a_real_list_of_leads_becomes_cards_and_the_source_report_counts_the_file(bring, funnels, team):
    for name in ("anna", "boris"):
        UserFactory(username=name, team=team)
    SourceFactory(key="education", name="X Education", adapter="list", origin=Origin.objects.create(name="X"))
    with real(EDUCATION).open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 9240

    assert counts(bring(EDUCATION, MAP, dry=True)) == all_of(9240, "created")
    assert (Lead.objects.count(), Person.objects.count()) == (0, 0)

    assert counts(bring(EDUCATION, MAP)) == all_of(9240, "created")
    _the_report_equals_the_file(rows)
    _outcomes_are_stated_and_nothing_more(rows)
    assert drain() == 0, "an import sets no automation going"
    assert (Message.objects.count(), Task.objects.count()) == (0, 0)

    before = _everything_that_counts()
    assert counts(bring(EDUCATION, MAP)) == all_of(9240, "skipped")
    assert _everything_that_counts() == before
    call_command("check_numbers", json=True)


def _the_report_equals_the_file(rows):
    names = dict(Origin.objects.values_list("pk", "name")) | {None: ""}
    found = report.numbers(everything())
    shown = {names[origin]: (n["all"], n["converted"], n["won"], money) for origin, n, money in found}
    of = Counter(row["Lead Source"] for row in rows)
    won = Counter(row["Lead Source"] for row in rows if row["Converted"] == "1")
    assert shown == {name: (n, won[name], won[name], 0) for name, n in of.items()}
    assert (of["Google"], of["google"], of[""]) == (2868, 5, 36), "Google and google stay two, blank is no source"


def _outcomes_are_stated_and_nothing_more(rows):
    won = sum(row["Converted"] == "1" for row in rows)
    states = Counter(Lead.objects.values_list("status", "rejected_reason__name", "owner"))
    assert states == {("converted", None, None): won, ("rejected", "Из списка: не купил", None): 9240 - won}
    deals = Counter(Deal.objects.values_list("status", "amount", "is_imported", "owner"))
    assert deals == {("won", None, True, None): won}
    moves = Counter(StageMove.objects.values_list("kind", "imported"))
    assert moves == {("entered", True): 9240, ("converted", True): won, ("rejected", True): 9240 - won}
    assert not Lead.objects.exclude(waiting_since=None, name="", phone="", email="").exists()
    lead = Identity.objects.get(value=rows[1]["Prospect ID"], scope="education").person.leads.get()
    assert lead.country == "India" and lead.city == ""
    assert lead.custom == {
        "lead_origin": "API",
        "total_visits": "5",
        "after_contact": {"Tags": "Ringing", "Last Activity": "Email Opened", "Last Notable Activity": "Email Opened"},
    }


def _everything_that_counts():
    kinds = (Lead, Person, Identity, Interaction, StageMove, Deal, Origin)
    return [kind.objects.count() for kind in kinds]


CONTACTS = [
    # file, mapping, counts, names and e-mails of the cards
    (
        "thunderbird/basic_csv_addressbook.csv",
        {"columns": {"Display Name": "name", "Primary Email": "email", "Notes": "need"}},
        all_of(2, "created"),
        {("John Doe", "john@doe.invalid"), ("Jane Doe", "jane@doe.invalid")},
    ),
    (
        "civicrm/individual_valid_with_related_email.csv",
        {"columns": {"Player First Name": "first_name", "Player Last name": "last_name", "Mother – email": "email"}},
        all_of(1, "created"),
        {("Susie Jones", "mum@example.org")},
    ),
    (
        "roundcube/Csv2vcard/email.csv",
        {"columns": {"Primary Email": "email"}},
        all_of(4, "created"),
        {("", f"test{n}@domain.tld") for n in range(1, 5)},
    ),
    ("chatwoot/with_emoji.csv", {"columns": {"phone_number": "phone", "name": "name"}}, all_of(1, "failed"), set()),
    (
        "vcard_ez_vcard/io/text/rfc2426-example.vcf",
        {"columns": {}},
        all_of(2, "created"),
        {("Frank Dawson", "frank_dawson@lotus.com"), ("Tim Howes", "howes@netscape.com")},
    ),
    (
        "vcard_ez_vcard/io/text/John_Doe_IPHONE.vcf",
        {"columns": {"FN": "name", "TEL": "phone", "EMAIL": "email", "ORG": "company_name"}},
        all_of(1, "created"),
        {("Mr. John Richter James Doe Sr.", "john.doe@ibm.com")},
    ),
]


@pytest.mark.parametrize(
    ("path", "mapping", "expected", "cards"), CONTACTS, ids=[case[0].rsplit("/", 1)[1] for case in CONTACTS]
)
def test_real_contact_files_become_cards(bring, funnels, path, mapping, expected, cards):
    SourceFactory(key="education")
    file = real(REAL / "imports" / path)
    assert counts(bring(file, mapping)) == expected
    assert set(Lead.objects.values_list("name", "email")) == cards
    again = bring(file, mapping)
    assert (again["created"], again["updated"]) == (0, 0), "the same file again adds nothing"


def test_a_contact_with_several_addresses_is_one_person(bring, funnels):
    SourceFactory(key="education")
    file = real(REAL / "imports" / "roundcube" / "Csv2vcard" / "outlook.csv")
    names = ["E-mail Address", "E-mail 2 Address", "E-mail 3 Address"]
    bring(file, {"columns": dict.fromkeys(names, "email")})
    assert Person.objects.count() == 1
    assert set(Identity.objects.values_list("value", flat=True)) == {f"test{n}@domain.tld" for n in (1, 2, 3)}
