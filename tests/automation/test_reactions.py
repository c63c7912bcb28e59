"""The flow: one interaction sets its reactions going, once, and a broken step holds up no other."""

import threading

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from crm.automation import reactions
from crm.automation.reactions import REACTIONS
from crm.core.jobs import drain, run_job
from crm.core.models import Job, Notice, Organisation, User
from deals.models import Deal
from deals.services.funnel import convert, win
from leads.models import Assignment, Interaction, Kind, Lead, Message
from leads.models.interactions import REACTING
from leads.services.timeline import record
from routing.models import Debt
from routing.models import Rule as RoutingRule
from routing.services import enqueue_deal, route_many
from scoring.models import Evidence, Rule
from scoring.services import recount, rescore_many
from tests.factories import LeadFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def rules(rep, colleague):
    fit = Rule.objects.create(
        name="Kazan", kind="fit", condition=[{"field": "city", "op": "eq", "value": "Казань"}], points=40
    )
    asked = Rule.objects.create(name="Asked", kind="engagement", on=["captured", "recaptured"], points=25, half_life=30)
    page = Rule.objects.create(
        name="Prices", kind="engagement", on=["page_view"], points=10, cap=2,
        condition=[{"field": "url", "op": "contains", "value": "/prices"}],
    )  # fmt: skip
    everyone = RoutingRule.objects.create(name="All evenly")
    return {"fit": fit, "asked": asked, "page": page, "everyone": everyone}


def test_the_reactions_are_exactly_those_that_make_jobs():
    assert set(REACTIONS) == REACTING


def test_whatever_a_scoring_rule_may_listen_to_is_scored():
    assert [kind for kind in Rule.LISTENS if reactions.score not in REACTIONS.get(kind, [])] == []


def test_an_enquiry_is_scored_owned_and_told(rules, rep, colleague):
    lead = LeadFactory(city="Казань")
    record(lead, Kind.CAPTURED)
    drain()
    lead = Lead.objects.get()
    assert (lead.score, lead.fit, lead.engagement, lead.band) == (65, 40, 25, "hot")
    assert lead.owner == rep
    assert set(Notice.objects.values_list("user__username", "kind")) == {("rep", "assigned"), ("rep", "hot")}
    assert list(Message.objects.values_list("to", "kind")) == [(rep.email, "notice")]
    kinds = list(Interaction.objects.order_by("id").values_list("kind", flat=True))
    assert kinds == ["captured", "band_changed", "qualified", "owner_changed"]
    assert not Job.objects.exclude(task="leads.deliver").exists()


def written():
    return [list(model.objects.order_by("pk").values()) for model in (Evidence, Assignment, Notice, Interaction)]


def test_the_same_interaction_run_again_changes_nothing(rules):
    lead = LeadFactory(city="Казань")
    row = record(lead, Kind.CAPTURED)
    drain()
    before = written()
    for _again in range(3):
        Job.objects.create(task="crm.react", ref=str(row.pk))
        drain()
    assert written() == before


def test_a_broken_step_becomes_a_job_of_its_own_and_holds_up_no_other(rules, rep, monkeypatch, caplog):
    def broken(lead, interaction):
        Lead.objects.filter(pk=lead.pk).update(need="half done")
        raise RuntimeError("the sequence is broken")

    broken.__name__ = "score"
    steps = REACTIONS[Kind.CAPTURED]
    monkeypatch.setitem(REACTIONS, Kind.CAPTURED, [broken, *steps[1:]])
    monkeypatch.setitem(reactions.STEPS, "score", broken)
    lead = LeadFactory(city="Казань", need="a lathe")
    row = record(lead, Kind.CAPTURED)
    drain()
    lead.refresh_from_db()
    assert (lead.owner, lead.score, lead.need) == (rep, 0, "a lathe")
    job = Job.objects.get(task="crm.step")
    assert (job.ref, job.attempts, job.error) == (f"{row.pk}:score", 1, "RuntimeError: the sequence is broken")

    monkeypatch.setitem(reactions.STEPS, "score", steps[0])
    run_job(job.pk)
    lead.refresh_from_db()
    assert lead.score == 65 and not Job.objects.filter(task="crm.step").exists()


def test_a_hot_lead_without_owner_is_told_to_the_heads(rules, head, rep, colleague):
    rep.takes_leads = colleague.takes_leads = False
    rep.save(), colleague.save()
    lead = LeadFactory(city="Казань")
    record(lead, Kind.CAPTURED)
    drain()
    assert set(Notice.objects.values_list("user__username", "kind")) == {("head", "unassigned"), ("head", "hot")}


def test_one_receipts_reactions_stay_within_their_queries(rules, settings):
    for number in range(3):
        UserFactory(username=f"more{number}")
    for _warm in range(2):
        record(LeadFactory(city="Казань"), Kind.CAPTURED)
        drain()
    settings.CONFIG_TTL = 60  # as in a busy worker: rules and people are at hand
    lead = LeadFactory(city="Казань", email="")
    lead_row = record(lead, Kind.CAPTURED)
    job = Job.objects.get(task="crm.react", ref=str(lead_row.pk))
    with CaptureQueriesContext(connection) as seen:
        run_job(job.pk)
    assert len(seen) <= 29, "\n".join(query["sql"][:150] for query in seen)


def test_debts_follow_the_assignments(rules):
    for _lead in range(5):
        record(LeadFactory(), Kind.CAPTURED)
    drain()
    assert sorted(Debt.objects.values_list("given", flat=True)) == [2, 3]
    assert sum(Debt.objects.values_list("debt", flat=True)) == 0


def test_a_set_of_imported_leads_is_scored_and_owned_without_telling_anybody(rules, rep, colleague):
    for _n in range(4):
        LeadFactory(city="Казань", is_imported=True)
    for _again in range(2):
        rescore_many(Lead.objects.all())
        route_many(Lead.objects.all())
    rows = Lead.objects.values_list("score", "owner__username", "band")
    assert sorted(rows) == [(40, "colleague", "warm")] * 2 + [(40, "rep", "warm")] * 2
    assert (Assignment.objects.count(), Evidence.objects.count(), recount()) == (4, 4, 0)
    drain()
    assert not Notice.objects.exists() and not Message.objects.exists()


def test_a_lead_that_cools_and_turns_hot_again_is_told_again(rules, rep):
    lead = LeadFactory(owner=rep, city="Казань")
    record(lead, Kind.CAPTURED)
    drain()
    record(lead, Kind.PAGE_VIEW, url="/prices")  # hot already: no second alarm
    drain()
    assert Notice.objects.filter(kind="hot").count() == 1
    Lead.objects.filter(pk=lead.pk).update(city="Уфа")
    record(lead, Kind.EDITED)
    drain()
    Lead.objects.filter(pk=lead.pk).update(city="Казань")
    record(lead, Kind.EDITED)
    drain()
    assert list(Notice.objects.filter(kind="hot").values_list("user", flat=True)) == [rep.pk, rep.pk]
    assert Message.objects.filter(kind="notice", to=rep.email).count() == 2


def test_a_hot_lead_dealt_from_the_pool_is_told_to_its_new_owner(rules, rep, colleague):
    User.objects.update(takes_leads=False)
    lead = LeadFactory(city="Казань")
    record(lead, Kind.CAPTURED)
    drain()
    User.objects.filter(pk=rep.pk).update(takes_leads=True)
    enqueue_deal()
    drain()
    lead.refresh_from_db()
    assert lead.owner == rep
    assert set(Notice.objects.filter(user=rep).values_list("kind", flat=True)) == {"assigned", "hot"}


@pytest.mark.django_db(transaction=True)
def test_eight_workers_at_one_lead_keep_the_cap_and_the_sum():
    Rule.objects.create(name="Prices", kind="engagement", on=["page_view"], points=10, cap=3)
    lead = LeadFactory(email="")
    keys = []
    for _visit in range(8):
        row = record(lead, Kind.PAGE_VIEW, url="/prices")
        keys.append(Job.objects.get(task="crm.react", ref=str(row.pk)).pk)

    def work(key):
        try:
            run_job(key)
            run_job(key)  # the bell may ring twice
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(key,)) for key in keys]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    lead.refresh_from_db()
    assert (lead.score, Evidence.objects.count(), recount()) == (30, 3, 0)
    assert not Job.objects.filter(task="crm.react").exists()


@pytest.mark.parametrize(("wanted", "deals"), [("lead", 1), ("deal", 2)])
def test_a_client_who_has_bought_comes_back_as_the_company_wants(rules, rep, wanted, deals):
    Organisation.objects.update_or_create(pk=1, defaults={"returning": wanted})
    bought = LeadFactory(owner=rep, need="windows")
    win(convert(bought, by=rep, amount=1000), by=rep)
    again = LeadFactory(person=bought.person, need="doors")
    record(again, Kind.CAPTURED, returning=True)
    drain()
    again.refresh_from_db()
    assert (again.status == "converted", Deal.objects.filter(person=bought.person).count()) == (wanted == "deal", deals)
