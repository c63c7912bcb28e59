"""Scores are the sum of dated evidence, whatever happened."""

from datetime import timedelta

import pytest
from django.utils import timezone, translation
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm.core.jobs import drain
from leads.models import Interaction, Kind, Lead
from leads.services.timeline import record
from scoring import services
from scoring.models import Evidence, Rescoring, Rule, Thresholds
from tests.factories import LeadFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def rules(db):
    kazan = Rule.objects.create(
        name="Kazan", kind="fit", condition=[{"field": "city", "op": "eq", "value": "Казань"}], points=35
    )
    prices = Rule.objects.create(
        name="Prices", kind="engagement", on=["page_view"], points=10, cap=2, half_life=10,
        condition=[{"field": "url", "op": "contains", "value": ["/prices"]}],
    )  # fmt: skip
    left = Rule.objects.create(name="Left", kind="engagement", on=["unsubscribed"], points=-20)
    return {"kazan": kazan, "prices": prices, "left": left}


def happen(lead, kind, **details):
    """An interaction without the automation that would follow."""
    return Interaction.objects.create(lead=lead, person=lead.person, kind=kind, details=details)


def rescored(lead, kind=Kind.EDITED, **details):
    lead = Lead.objects.get(pk=lead.pk)
    services.rescore(lead, happen(lead, kind, **details))
    lead.refresh_from_db()
    return lead


def rows(lead):
    return list(Evidence.objects.filter(lead=lead).order_by("id").values_list("rule__name", "points", "withdraws"))


def test_each_point_names_its_rule_event_and_reason(rules):
    lead = rescored(LeadFactory(city="Казань"), Kind.PAGE_VIEW, url="https://shop.test/prices?x=1")
    event = Interaction.objects.get(kind=Kind.PAGE_VIEW)
    assert rows(lead) == [("Kazan", 35, False), ("Prices", 10, False)]
    prices = Evidence.objects.get(rule=rules["prices"])
    assert (prices.interaction, prices.at, prices.decays_at) == (event, event.at, event.at + timedelta(days=10))
    assert "/prices" in prices.reason
    assert (lead.score, lead.fit, lead.engagement, lead.band, lead.qualification) == (45, 35, 10, "warm", 1)


def test_a_reason_is_told_in_the_language_of_whoever_reads(rules):
    with translation.override("ru"):
        lead = rescored(LeadFactory(city="Казань"), Kind.PAGE_VIEW, url="/prices")
    first = Evidence.objects.get(lead=lead, rule=rules["kazan"])
    Lead.objects.filter(pk=lead.pk).update(city="Омск")
    services.rescore(Lead.objects.get(pk=lead.pk))
    last = Evidence.objects.get(lead=lead, withdraws=True)
    said = {}
    for language in ("ru", "en"):
        with translation.override(language):
            said[language] = (first.reason, last.reason)
    assert said == {
        "en": ("city: Казань", "city: Казань — here: Омск"),
        "ru": ("город: Казань", "город: Казань — здесь: Омск"),
    }
    assert Evidence(why="слова прежних версий").reason == "слова прежних версий"


def test_a_field_that_changes_takes_its_points_along(rules):
    lead = rescored(LeadFactory(city="Казань"))
    Lead.objects.filter(pk=lead.pk).update(city="Уфа")
    lead = rescored(lead)
    assert rows(lead) == [("Kazan", 35, False), ("Kazan", -35, True)]
    assert (lead.score, lead.band) == (0, "cold")
    changes = Interaction.objects.filter(kind=Kind.BAND_CHANGED).order_by("id")
    assert [(c.details["from"], c.details["to"], c.details["score"]) for c in changes] == [
        ("cold", "warm", 35), ("warm", "cold", 0),
    ]  # fmt: skip


def test_qualification_keeps_its_moment_and_only_rises(rules):
    lead = rescored(LeadFactory(city="Казань"))
    since = lead.mql_at
    Lead.objects.filter(pk=lead.pk).update(city="Уфа")
    lead = rescored(lead)
    assert (lead.qualification, lead.mql_at, lead.sql_at) == (1, since, None)
    assert [i.details["to"] for i in Interaction.objects.filter(kind=Kind.QUALIFIED)] == [1]


def test_the_cap_holds_and_a_replay_adds_nothing(rules):
    lead = LeadFactory()
    for _visit in range(4):
        lead = rescored(lead, Kind.PAGE_VIEW, url="/prices")
    assert lead.score == 20
    for event in Interaction.objects.filter(kind=Kind.PAGE_VIEW):
        services.rescore(lead, event)
    assert Evidence.objects.count() == 2 and services.recount() == 0


def test_points_fade_on_their_dates_however_late_the_clock_rings(rules):
    lead = rescored(LeadFactory(), Kind.PAGE_VIEW, url="/prices")
    given_at = Evidence.objects.get().at
    services.decay(now=given_at + timedelta(days=25))
    services.decay(now=given_at + timedelta(days=25))
    faded = list(Evidence.objects.filter(step__gt=0).order_by("step").values_list("step", "points", "at"))
    assert faded == [(1, -5, given_at + timedelta(days=10)), (2, -3, given_at + timedelta(days=20))]
    lead.refresh_from_db()
    assert (lead.score, lead.engagement) == (2, 2)
    services.decay(now=given_at + timedelta(days=900))
    lead.refresh_from_db()
    assert lead.score == 0 and Evidence.objects.get(step=0).decays_at is None
    assert services.decay(now=given_at + timedelta(days=2000)) == 0 and services.recount() == 0


def test_the_decay_jobs_go_on_until_nothing_is_due(rules, monkeypatch):
    monkeypatch.setattr(services, "CHUNK", 2)
    for _lead in range(5):
        rescored(LeadFactory(), Kind.PAGE_VIEW, url="/prices")
    Evidence.objects.update(decays_at=timezone.now() - timedelta(seconds=1))
    services.enqueue_decay()
    services.enqueue_decay()
    drain()
    assert list(Lead.objects.order_by("id").values_list("score", flat=True)) == [5] * 5
    assert services.recount() == 0


def test_applying_the_rules_brings_older_leads_along(rules, admin, monkeypatch):
    monkeypatch.setattr(services, "CHUNK", 2)
    leads = [LeadFactory(city="Казань") for _n in range(3)]
    for lead in leads:
        for _visit in range(3):
            happen(lead, Kind.PAGE_VIEW, url="/prices")
    closed = LeadFactory(city="Казань")
    Lead.objects.filter(pk=closed.pk).update(status="rejected", closed_at=timezone.now())
    run = services.rescore_all(by=admin)
    drain()
    run.refresh_from_db()
    assert (run.total, run.done, run.changed) == (3, 3, 3) and run.finished_at
    assert list(Lead.objects.order_by("id").values_list("score", flat=True)) == [55, 55, 55, 0]

    Rule.objects.filter(pk=rules["prices"].pk).update(is_active=False)
    Rule.objects.filter(pk=rules["kazan"].pk).update(points=40)
    services.rescore_all(by=admin)
    drain()
    assert list(Lead.objects.order_by("id").values_list("score", flat=True)) == [40, 40, 40, 0]
    assert not Evidence.objects.filter(decays_at__isnull=False).exists()
    assert Rescoring.objects.count() == 2 and services.recount() == 0


def test_recount_finds_what_is_wrong(rules):
    lead = rescored(LeadFactory(city="Казань"))
    assert services.recount() == 0
    Lead.objects.filter(pk=lead.pk).update(score=36)
    assert services.recount() == 1


MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("city"), st.sampled_from(["Казань", "Уфа"])),
        st.tuples(st.just("visit"), st.sampled_from(["/prices", "/about"])),
        st.tuples(st.just("leave"), st.none()),
        st.tuples(st.just("days"), st.integers(1, 40)),
        st.tuples(st.just("switch"), st.sampled_from(["kazan", "prices"])),
        st.tuples(st.just("again"), st.none()),
    ),
    max_size=15,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=MOVES)
def test_after_any_history_the_score_is_the_sum_of_the_rows(rules, moves):
    lead, now = LeadFactory(), timezone.now()
    Rule.objects.update(is_active=True)
    for move, value in moves:
        if move == "city":
            Lead.objects.filter(pk=lead.pk).update(city=value)
            lead = rescored(lead)
        elif move == "visit":
            lead = rescored(lead, Kind.PAGE_VIEW, url=value)
        elif move == "leave":
            lead = rescored(lead, Kind.UNSUBSCRIBED)
        elif move == "days":
            now += timedelta(days=value)
            services.decay(now=now)
        elif move == "switch":
            rule = rules[value]
            Rule.objects.filter(pk=rule.pk).update(is_active=not Rule.objects.get(pk=rule.pk).is_active)
            services.rescore_many(Lead.objects.filter(pk=lead.pk))
        elif event := Interaction.objects.filter(lead=lead).last():
            services.rescore(Lead.objects.get(pk=lead.pk), event)
        assert services.recount() == 0


def test_new_limits_move_the_bands(rules):
    lead = rescored(LeadFactory(city="Казань"))
    Thresholds.objects.create(pk=1, warm=36, hot=50)
    services.rescore_all()
    drain()
    lead.refresh_from_db()
    assert lead.band == "cold" and services.recount() == 0


def test_the_timeline_sets_scoring_going(rules):
    lead = LeadFactory()
    record(lead, Kind.PAGE_VIEW, url="https://shop.test/prices")
    drain()
    lead.refresh_from_db()
    assert lead.score == 10
