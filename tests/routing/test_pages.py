"""Why this owner, how evenly, and what would happen: read, never written."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import translation

from crm.core.models import Job
from leads.models import Assignment, Lead
from routing import services
from routing.models import Debt, Rule
from routing.words import step as told
from tests.factories import LeadFactory, UserFactory

pytestmark = pytest.mark.django_db

HX = {"HX-Request": "true"}


@pytest.fixture
def rules(db):
    return [
        Rule.objects.create(
            name="VIP", position=1, condition=[{"field": "city", "op": "eq", "value": "Казань"}], strategy="grade"
        ),
        Rule.objects.create(name="All evenly", position=2),
    ]


@pytest.fixture
def lead(rules, rep):
    lead = LeadFactory(city="Уфа")
    services.route(lead)
    return lead


def test_the_card_tells_why_in_the_readers_language(lead, rules, rep, signed_in):
    page = signed_in(rep).get(f"/leads/{lead.pk}/why-this-owner/", headers=HX)
    ((row, steps),) = page.context["history"]
    assert row.to_owner == rep
    assert [(s["name"], s["matched"], s["why"]) for s in steps] == [
        ("VIP", False, "city: Казань — here: Уфа"), ("All evenly", True, "holds for every lead"),
    ]  # fmt: skip
    assert [(c["name"], c["chosen"], c["before"], c["after"]) for c in steps[1]["candidates"]] == [
        (str(rep), True, "+0.000", "+0.000")
    ]
    rep.language = "ru"
    rep.save()
    text = signed_in(rep).get(f"/leads/{lead.pk}/why-this-owner/", headers=HX).content.decode()
    assert "Почему этот ответственный?" in text and "Why this owner" not in text


def test_strangers_get_nothing(lead, outsider, colleague, head, signed_in):
    pages = {u.username: signed_in(u).get(f"/leads/{lead.pk}/why-this-owner/", headers=HX).status_code for u in
             (outsider, colleague, head)}  # fmt: skip
    assert pages == {"outsider": 404, "colleague": 404, "head": 200}


def test_a_parked_lead_says_that_it_waits(rules, head, signed_in):
    lead = LeadFactory()
    services.route(lead)
    text = signed_in(head).get(f"/leads/{lead.pk}/why-this-owner/", headers=HX).content.decode()
    assert "In the pool" in text and "Nobody is expected at work; the heads have been told." in text
    assert "but nobody fits the rule" in text


def test_everybody_who_gets_leads_may_read_how_evenly(lead, rep, colleague, marketer, signed_in):
    table = signed_in(rep).get("/distribution/").context["tables"]
    assert [(t.rule.name, t.given, [(s.user, s.given, s.percent) for s in t.shares]) for t in table] == [
        ("VIP", 0, []), ("All evenly", 1, [(rep, 1, 1.0)]),
    ]  # fmt: skip
    assert signed_in(marketer).get("/distribution/").status_code == 403


def test_the_fairness_page_costs_the_same_for_many_people(lead, rep, signed_in):
    client, counts = signed_in(rep), []
    for _round in range(2):
        with CaptureQueriesContext(connection) as seen:
            client.get("/distribution/")
        counts.append(len(seen))
        Debt.objects.bulk_create([Debt(rule=Rule.objects.last(), user=UserFactory()) for _n in range(5)])
    assert counts[0] == counts[1]


def test_the_simulator_tells_what_would_happen_and_writes_nothing(rules, rep, head, signed_in):
    lead = LeadFactory(city="Казань")
    page = signed_in(head).get("/distribution/try/", {"lead": lead.pk})
    assert (page.context["receiver"], [s["name"] for s in page.context["steps"]]) == (rep, ["VIP"])
    assert (Assignment.objects.count(), Debt.objects.count(), Job.objects.count()) == (0, 0, 0)
    assert Lead.objects.get().owner is None


@pytest.mark.parametrize("number", ["99999999", "abc", "-1", "9" * 30])
def test_the_simulator_refuses_what_is_no_lead(rules, head, signed_in, number):
    page = signed_in(head).get("/distribution/try/", {"lead": number})
    assert page.status_code == 422
    assert list(page.context["form"].errors) == ["lead"]
    assert "There is no such lead, or you do not see it." in page.content.decode()


def test_the_simulator_of_a_company_without_leads_says_so(rules, head, signed_in):
    said = "There are no leads yet."
    assert said in signed_in(head).get("/distribution/try/").text
    LeadFactory(owner=head)
    assert said not in signed_in(head).get("/distribution/try/").text


def test_managers_do_not_simulate(rules, rep, signed_in):
    assert signed_in(rep).get("/distribution/try/").status_code == 403


FORM = {
    "name": "Kazan", "position": "1", "strategy": "evenly", "min_grade": "0", "max_grade": "9", "is_active": "on",
    "condition-0-field": "city", "condition-0-op": "eq", "condition-0-value": "Казань",
}  # fmt: skip


def test_an_administrator_writes_a_rule_and_the_pool_is_dealt(admin, rep, signed_in):
    assert signed_in(admin).post("/admin/routing/rule/add/", FORM).status_code == 302
    assert Rule.objects.get().condition == [{"field": "city", "op": "eq", "value": "Казань"}]
    assert Job.objects.get().task == "routing.deal"


def test_a_rule_about_nobody_is_pointed_out(admin, signed_in):
    page = signed_in(admin).post("/admin/routing/rule/add/", FORM, follow=True)
    assert "Nobody fits this rule now" in page.content.decode() and Rule.objects.exists()


def test_mistakes_in_a_rule_are_named(admin, rep, signed_in):
    idle = UserFactory(takes_leads=False)
    cases = [
        ({"strategy": "person"}, "person", "This strategy needs a person."),
        ({"person": str(rep.pk)}, "person", "Only the strategy “to a named person” asks for a person."),
        ({"strategy": "person", "person": str(idle.pk)}, "person", "takes no leads"),
        ({"min_grade": "3", "max_grade": "2"}, "max_grade", "The highest grade is below the lowest."),
        ({"min_grade": "5"}, "min_grade", "5 нет среди допустимых значений."),
    ]
    for change, field, words in cases:
        page = signed_in(admin).post("/admin/routing/rule/add/", FORM | change)
        assert words in " ".join(page.context["adminform"].form.errors[field])
    assert not Rule.objects.exists()


def test_debts_are_rounded_and_who_is_not_listed_could_not_take_it_either():
    away = [{"user": n, "name": f"n{n}", "why": "absent"} for n in range(2, 5)]
    entry = {"name": "All", "matched": True, "given": 1, "strategy": "turns", "more": 7, "test": [],
             "candidates": [{"user": 1, "name": "n1", "before": "0.909091", "after": "-0.090909"}, *away]}  # fmt: skip
    with translation.override("en"):
        step = told(entry)
    assert [(row["before"], row["after"]) for row in step["candidates"]] == [("+0.909", "−0.091")]
    assert (len(step["absent"]), step["absent_count"]) == (3, 10)
