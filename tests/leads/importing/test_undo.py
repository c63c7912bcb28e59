"""An import undone: what it made goes, what it completed comes back, what people did since stays."""

import json

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from crm.automation.undoing import UPPER, whole
from crm.core.jobs import drain
from crm.core.models import Organisation
from deals.models import Deal
from leads.models import Assignment, Identity, Import, ImportRow, Interaction, Lead, Person
from leads.services import importing, undoing
from leads.services.cards import edit, note
from routing.models import Debt, DebtEntry
from routing.services import recount_debts
from scoring.models import Rule as ScoringRule
from scoring.services import rescore_many
from tests.factories import LeadFactory

from .test_import import CONTACTS, lines

WON = {
    "columns": {"name": "name", "email": "email", "city": "city", "company": "company_name", "from": "origin",
                "tags": "tags"},
    "outcome": {"column": "outcome", "won": ["won"], "lost": ["lost"]},
}  # fmt: skip
# What an import and its undoing keep about themselves, and what only says who did something.
ABOUT_ITSELF = {"Import", "ImportRow", "AuditEntry", "Notice", "Job", "Session", "Heartbeat", "Reason"}


def business():
    """Every business table as it stands: its rows, in order."""
    Organisation.get()  # made when first asked for
    found = {}
    with connection.cursor() as cursor:
        for model in apps.get_models(include_auto_created=True):
            if model.__name__ not in ABOUT_ITSELF:
                cursor.execute(f'select t::text from "{model._meta.db_table}" t order by 1')
                found[model.__name__] = [row[0] for row in cursor.fetchall()]
    return found


def differences(before, now):
    """Table → (rows that are gone, rows that are new)."""
    pairs = {name: (sorted({*before[name]} - {*now[name]}), sorted({*now[name]} - {*before[name]})) for name in now}
    return {name: pair for name, pair in pairs.items() if pair != ([], []) or len(before[name]) != len(now[name])}


def undone(job):
    whole(job)
    job.refresh_from_db()
    return {name: job.undo[name] for name in ("rows", "removed", "restored", "kept")}


@pytest.fixture
def fit(db):
    """Points for the city and for an address."""
    city = [{"field": "city", "op": "in", "value": ["Омск"]}]
    ScoringRule.objects.create(name="Omsk", kind="fit", points=60, condition=city)
    ScoringRule.objects.create(name="Address", kind="fit", points=5, condition=[{"field": "email", "op": "filled"}])


def settled(*leads):
    rescore_many(Lead.objects.filter(pk__in=[lead.pk for lead in leads]))
    return business()


names = st.sampled_from(["", "Анна", "Борис", "Вера Ильина"])
phones = st.sampled_from(["", "8 916 000-00-01", "+7 916 000 00 02", "89160000003", "12"])
emails = st.sampled_from(["", "a@x.ru", "b@x.ru", "A@x.ru; c@x.ru", "нет"])
rows = st.lists(
    st.tuples(
        names, phones, emails, st.sampled_from(["", "Омск", "Тула"]), st.sampled_from(["", "ООО Лён", "Клён"]),
        st.sampled_from(["", "Google", "Выставка"]), st.sampled_from(["", "vip", "vip, new"]),
        st.sampled_from(["", "won", "lost"]),
    ),
    max_size=12,
)  # fmt: skip


@given(known=rows, first=rows, second=rows, size=st.integers(1, 5))
@settings(
    max_examples=40,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_after_import_and_undo_the_business_tables_are_as_before(
    bring, sales, fit, monkeypatch, known, first, second, size
):
    """Whatever was there and whatever the list says; in chunks of any size; two lists are undone in reverse."""
    stated = WON | {"columns": WON["columns"] | {"phone": "phone"}}

    def text(found):
        head = "name;phone;email;city;company;from;tags;outcome"
        return "\n".join([head, *(";".join(row) for row in found)]) + "\n"

    monkeypatch.setattr(importing, "CHUNK", size)
    monkeypatch.setattr(undoing, "CHUNK", max(1, size - 1))
    with transaction.atomic():
        bring(text(known), stated)
        states, jobs = [business()], []
        for found in (first, second):
            jobs.append(bring(text(found), stated))
            states.append(business())
        for job, before in zip(reversed(jobs), reversed(states[:-1]), strict=True):
            if job.rows:
                whole(job)
            assert differences(before, business()) == {}
        assert recount_debts() == 0
        transaction.set_rollback(True)


# --- What people did since -------------------------------------------------------------------------------------------


def test_a_card_that_somebody_has_worked_on_is_kept_and_listed(bring, sales, rep):
    job = bring(lines("Анна,,a@x.ru,", "Борис,,b@x.ru,", ",,b@x.ru,Омск"), CONTACTS)
    boris = Lead.objects.get(email="b@x.ru")
    note(boris, by=rep, text="Перезвонить в среду")
    assert undone(job) == {"rows": 3, "removed": 1, "restored": 0, "kept": 2}
    assert list(Lead.objects.values_list("email", "city")) == [("b@x.ru", "Омск")]
    kept = ImportRow.objects.filter(of=job, undone="kept").order_by("line")
    assert [(row.line, row.lead_id, row.reason) for row in kept] == [(3, boris.pk, "worked"), (4, boris.pk, "worked")]
    assert (Identity.objects.get().value, Person.objects.get().name) == ("b@x.ru", "Борис")


def test_fields_that_somebody_has_changed_since_stay(bring, sales, rep):
    lead = LeadFactory(owner=rep, name="Анна", phone="+79160000001", email="", city="")
    job = bring(lines("Анна,89160000001,a@x.ru,Омск"), CONTACTS)
    lead.refresh_from_db()
    edit(lead, {"city": "Тула"}, by=rep)
    assert undone(job) == {"rows": 1, "removed": 0, "restored": 0, "kept": 1}
    lead.refresh_from_db()
    assert (lead.email, lead.city) == ("", "Тула")
    row = ImportRow.objects.get(of=job)
    assert (row.reason, row.data["kept"]) == ("changed", ["city"])
    assert list(lead.person.identities.values_list("value", flat=True)) == ["+79160000001"]


def test_the_score_of_a_completed_card_goes_back_with_its_history(bring, sales, rep, fit):
    lead = LeadFactory(owner=rep, name="Анна", phone="+79160000001", email="", city="")
    before = settled(lead)
    job = bring(lines("Анна,89160000001,a@x.ru,Омск"), CONTACTS)
    lead.refresh_from_db()
    assert (lead.score, lead.band) == (65, "hot")
    assert undone(job) == {"rows": 1, "removed": 0, "restored": 1, "kept": 0}
    assert differences(before, business()) == {}


def test_a_won_deal_goes_with_its_lead_unless_it_was_worked_on(bring, sales):
    job = bring("email,outcome\na@x.ru,won\nb@x.ru,won\n", {"columns": {"email": "email"}, "outcome": WON["outcome"]})
    deal = Deal.objects.get(lead__email="b@x.ru")
    Deal.objects.filter(pk=deal.pk).update(version=2)
    assert undone(job) == {"rows": 2, "removed": 1, "restored": 0, "kept": 1}
    assert (list(Deal.objects.all()), ImportRow.objects.get(undone="kept").reason) == ([deal], "deal")


def test_what_another_list_has_completed_waits_for_that_list(bring, sales):
    before = business()
    first = bring(lines("Анна,,a@x.ru,"), CONTACTS)
    second = bring(lines(",,a@x.ru,Омск"), CONTACTS)
    assert undone(first) == {"rows": 1, "removed": 0, "restored": 0, "kept": 1}
    assert ImportRow.objects.get(of=first).reason == "list"
    assert undone(second) == {"rows": 1, "removed": 0, "restored": 1, "kept": 0}
    assert undone(first) == {"rows": 1, "removed": 1, "restored": 0, "kept": 0}
    assert differences(before, business()) == {}


# --- The command, the chain, the crash -------------------------------------------------------------------------------


def test_the_command_says_what_became_of_the_rows_and_may_be_said_twice(bring, sales, capsys):
    job = bring(lines("Анна,,a@x.ru,", ",,,"), CONTACTS)
    said = []
    for _again in range(2):
        call_command("undo_import", str(job.pk), "--json")
        said.append(json.loads(capsys.readouterr().out))
    assert said == [{"import": job.pk, "rows": 1, "removed": 1, "restored": 0, "kept": 0}] * 2
    assert (Lead.objects.count(), Assignment.objects.count(), Interaction.objects.count()) == (0, 0, 0)
    assert (DebtEntry.objects.count(), Debt.objects.count()) == (0, 0)
    with pytest.raises(CommandError):
        call_command("undo_import", "0")


def test_an_import_that_brought_nothing_cannot_be_undone(source):
    job = Import.objects.create(source=source, file_name="a.csv", state="checked")
    with pytest.raises(undoing.WrongState):
        undoing.begin(job)


def test_a_killed_undo_goes_on_from_the_last_committed_chunk(bring, sales, monkeypatch):
    monkeypatch.setattr(undoing, "CHUNK", 2)
    job = bring(lines(*[f"Клиент {n},,c{n}@x.ru," for n in range(5)]), CONTACTS)
    undoing.begin(job)
    undoing.ring(Import.objects.get(pk=job.pk))
    assert undoing.carry_out(job, UPPER, until=0) is False
    assert (Lead.objects.count(), Import.objects.get().undo["rows"]) == (3, 2)
    assert drain() == 1
    job.refresh_from_db()
    assert (job.state, job.undo["rows"], job.undo["removed"], Lead.objects.count()) == ("undone", 5, 5, 0)
