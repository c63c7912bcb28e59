"""Owners by rules, in working time, fairly, with proof."""

import threading
from datetime import UTC, date, datetime, time, timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from crm.core.jobs import drain
from crm.core.models import Absence, Holiday, Job, Notice, Skill
from leads.models import Assignment, Interaction, Kind, Lead
from routing import services
from routing.models import Debt, DebtEntry, Rule
from tests.factories import CalendarFactory, LeadFactory, UserFactory

pytestmark = pytest.mark.django_db

OFFICE = [(day, *span) for day in range(5) for span in ((time(9), time(13)), (time(14), time(18)))]
MONDAY = date(2026, 11, 23)


def msk(day, hour, minute=0):
    """An instant by the clock of Moscow (UTC+3)."""
    return datetime.combine(day, time(hour, minute), UTC) - timedelta(hours=3)


@pytest.fixture
def office(db):
    return CalendarFactory(name="Office", spans=OFFICE, is_default=True)


@pytest.fixture
def everyone(db):
    return Rule.objects.create(name="All evenly", position=9)


def routed(lead, **kwargs):
    lead = Lead.objects.select_related("source", "first_origin", "stage", "owner").get(pk=lead.pk)
    row = services.route(lead, **kwargs)
    lead.refresh_from_db()
    return lead, row


def test_a_lead_goes_to_somebody_at_work_and_the_trace_says_why(office, everyone, rep, colleague):
    vip = Rule.objects.create(
        name="VIP", position=1, condition=[{"field": "budget", "op": "gte", "value": "1000000"}], strategy="grade"
    )
    now = msk(MONDAY, 12)
    Absence.objects.create(user=colleague, starts_at=now - timedelta(days=1), ends_at=now + timedelta(days=1))
    lead, row = routed(LeadFactory(budget=5), now=now)
    assert (lead.owner, row.how, row.to_owner) == (rep, "rule", rep)
    skipped, matched = row.trace
    assert (skipped["rule"], skipped["matched"], skipped["test"]) == (vip.pk, False, vip.condition[0])
    assert matched == {
        "rule": everyone.pk, "name": "All evenly", "matched": True, "strategy": "evenly", "test": [], "given": rep.pk,
        "more": 0,
        "candidates": [
            {"user": rep.pk, "name": str(rep), "at_work": True, "before": "0.000000", "after": "0.000000"},
            {"user": colleague.pk, "name": str(colleague), "at_work": False, "why": "absent"},
        ],
    }  # fmt: skip


def test_heads_marketers_and_who_takes_no_leads_are_passed_by(office, everyone, head, marketer, admin, rep):
    UserFactory(takes_leads=False), UserFactory(is_active=False)
    for _lead in range(3):
        lead, row = routed(LeadFactory(), now=msk(MONDAY, 10))
        assert lead.owner == rep
        assert [c["user"] for c in row.trace[-1]["candidates"]] == [rep.pk]


@pytest.mark.parametrize(
    "hour, minute, at_work",
    [(8, 59, False), (9, 0, True), (12, 59, True), (13, 0, False), (14, 0, True), (18, 0, False)],
)
def test_breaks_and_edges_of_the_day_count(office, everyone, rep, hour, minute, at_work):
    lead, _row = routed(LeadFactory(), now=msk(MONDAY, hour, minute))
    assert (lead.owner == rep) is at_work


def test_the_hour_is_that_of_the_persons_own_zone(office, everyone, rep, colleague):
    colleague.time_zone = "Asia/Vladivostok"  # UTC+10
    colleague.save()
    lead, _row = routed(LeadFactory(), now=msk(MONDAY, 3))  # ten in the morning there
    assert lead.owner == colleague


def test_nobody_at_work_parks_until_the_first_opening_and_tells_why(office, everyone, rep, colleague):
    Holiday.objects.create(calendar=office, date=MONDAY)
    rep_back = msk(MONDAY + timedelta(days=1), 15)
    Absence.objects.create(user=rep, starts_at=msk(MONDAY, 0), ends_at=rep_back)
    lead, row = routed(LeadFactory(), now=msk(MONDAY - timedelta(days=2), 12))  # Saturday, and Monday is a holiday
    opening = msk(MONDAY + timedelta(days=1), 9)
    assert (lead.owner, lead.parked_until, row.how) == (None, opening, "nobody")
    assert {c["why"] for c in row.trace[0]["candidates"]} == {"off_hours"}
    job = Job.objects.get(task="routing.deal")
    assert job.due_at == opening
    assert Interaction.objects.get(kind=Kind.PARKED).details["until"] == opening.isoformat()
    assert not DebtEntry.objects.exists()


def test_an_opening_after_the_clocks_change_is_right(everyone):
    berlin = CalendarFactory(spans=[(6, time(9), time(18)), (0, time(9), time(18))], is_default=True)
    UserFactory(time_zone="Europe/Berlin", calendar=berlin)
    lead, _row = routed(LeadFactory(), now=datetime(2027, 3, 27, 12, tzinfo=UTC))  # Saturday before the change
    assert lead.parked_until == datetime(2027, 3, 28, 7, tzinfo=UTC)  # nine by summer time, not eight


def test_working_time_across_a_change_of_clocks_is_real_time(office):
    from crm.core.models.calendars import WorkTime

    night = WorkTime(zone="Europe/Berlin", hours=[(6, time(0), time(6))])
    day = datetime(2027, 3, 27, 12, tzinfo=UTC)
    assert night.worked(day, day + timedelta(days=1)) == 5 * 3600


def test_a_rule_whose_people_are_away_hands_on_to_the_next(office, everyone, rep, outsider):
    Rule.objects.create(name="South first", position=1, team=outsider.team)
    now = msk(MONDAY, 10)
    Absence.objects.create(user=outsider, starts_at=now, ends_at=now + timedelta(hours=1))
    lead, row = routed(LeadFactory(), now=now)
    assert lead.owner == rep
    assert [(e["name"], e["matched"], e["given"]) for e in row.trace] == [
        ("South first", True, None), ("All evenly", True, rep.pk),
    ]  # fmt: skip


def test_nobody_ever_is_told_to_the_heads_and_tried_again(everyone, head):
    lead, row = routed(LeadFactory())
    assert (lead.owner, lead.parked_until, row.how) == (None, None, "nobody")
    assert list(Notice.objects.values_list("user", "kind")) == [(head.pk, "unassigned")]
    assert Job.objects.get(task="routing.deal").ref == "undated"
    routed(lead)
    assert Assignment.objects.count() == 1 and Notice.objects.count() == 1
    newcomer = UserFactory()
    services.deal_pool()
    lead.refresh_from_db()
    assert lead.owner == newcomer
    assert list(Assignment.objects.order_by("id").values_list("how", flat=True)) == ["nobody", "pool"]


def test_the_pool_is_dealt_hottest_first_among_all_who_come_on(office, everyone, rep, colleague, monkeypatch):
    night = msk(MONDAY, 3)
    leads = [LeadFactory(score=score, email="") for score in (5, 50, 20, 90, 40)]
    for lead in leads:
        routed(lead, now=night)
    assert Lead.objects.filter(parked_until=msk(MONDAY, 9), owner=None).count() == 5
    monkeypatch.setattr(services, "CHUNK", 2)
    after, order = None, []
    while True:
        after = services.deal_pool(after=after, now=msk(MONDAY, 9), limit=2)
        if after is None:
            break
    order = Assignment.objects.filter(how="pool").order_by("id").values_list("lead__score", "to_owner__username")
    assert list(order) == [(90, "rep"), (50, "colleague"), (40, "rep"), (20, "colleague"), (5, "rep")]
    assert sum(Debt.objects.values_list("debt", flat=True)) == 0 and services.recount_debts() == 0


def test_the_dealing_job_goes_on_chunk_by_chunk(everyone, monkeypatch):
    for score in range(5):
        routed(LeadFactory(score=score, email=""))
    UserFactory()
    monkeypatch.setattr(services.deal_pool, "__kwdefaults__", {"after": None, "now": None, "limit": 2}, raising=False)
    services.enqueue_deal()
    drain()
    assert not Lead.objects.filter(owner=None).exists()


def test_a_returning_client_goes_to_the_former_owner_if_at_work(office, everyone, rep, colleague):
    lead = LeadFactory()
    back = Interaction.objects.create(
        lead=lead, person=lead.person, kind=Kind.CAPTURED, details={"previous_owner": colleague.pk}
    )
    lead, row = routed(lead, interaction=back, now=msk(MONDAY, 10))
    assert (lead.owner, row.how) == (colleague, "return") and not DebtEntry.objects.exists()

    other = LeadFactory()
    away = Interaction.objects.create(
        lead=other, person=other.person, kind=Kind.CAPTURED, details={"previous_owner": colleague.pk}
    )
    Absence.objects.create(user=colleague, starts_at=msk(MONDAY, 0), ends_at=msk(MONDAY, 23))
    other, row = routed(other, interaction=away, now=msk(MONDAY, 10))
    assert (other.owner, row.how) == (rep, "rule")


def test_a_lead_of_somebody_who_left_finds_a_new_owner_or_the_pool(office, everyone, rep, colleague):
    lead = LeadFactory(owner=colleague)
    assert routed(lead, now=msk(MONDAY, 10))[1] is None
    colleague.is_active = False
    colleague.save()
    lead, row = routed(lead, now=msk(MONDAY, 10))
    assert (lead.owner, row.from_owner) == (rep, colleague)
    Lead.objects.filter(pk=lead.pk).update(owner=colleague)
    lead, _row = routed(lead, now=msk(MONDAY, 20))
    assert (lead.owner, lead.parked_until) == (None, msk(MONDAY + timedelta(days=1), 9))


def test_skills_grades_teams_and_load_choose_among_whom_the_rule_means(office, team, rep, colleague, outsider):
    lathes = Skill.objects.create(name="Lathes")
    colleague.skills.add(lathes)
    named = Rule.objects.create(name="Lathes", strategy="skill", condition=[{"field": "product", "op": "filled"}])
    now = msk(MONDAY, 10)
    assert routed(LeadFactory(product="lathes"), now=now)[0].owner == colleague  # the skill called as the product
    named.skills.add(lathes)
    assert routed(LeadFactory(product="Saws"), now=now)[0].owner == colleague
    named.delete()
    Rule.objects.create(name="South", strategy="evenly", team=outsider.team)
    assert routed(LeadFactory(), now=now)[0].owner == outsider
    Rule.objects.all().delete()
    Rule.objects.create(name="Load", strategy="load", team=team)
    assert routed(LeadFactory(), now=now)[0].owner == rep  # none against colleague's two
    rep.capacity = 1
    rep.save()
    lead, row = routed(LeadFactory(), now=now)
    assert lead.owner == colleague
    assert {c["user"]: c.get("why", (c.get("before"), c.get("after"))) for c in row.trace[0]["candidates"]} == {
        rep.pk: "full", colleague.pk: (2, 3),
    }  # fmt: skip


def test_whoever_was_switched_off_a_second_ago_gets_nothing(office, everyone, rep, colleague, settings):
    routed(LeadFactory(), now=msk(MONDAY, 10))  # the worker has read its staff
    settings.CONFIG_TTL = 60  # and trusts it, stale as it is by now
    type(colleague).objects.filter(pk=colleague.pk).update(is_active=False)
    for _lead in range(2):
        lead, row = routed(LeadFactory(), now=msk(MONDAY, 10))
        assert lead.owner == rep
    assert {c["user"]: c.get("why") for c in row.trace[0]["candidates"]} == {rep.pk: None, colleague.pk: "left"}


def test_a_named_head_may_get_leads(office, head, rep):
    Rule.objects.create(name="Big fish", strategy="person", person=head)
    assert routed(LeadFactory(), now=msk(MONDAY, 10))[0].owner == head


def test_an_imported_list_is_dealt_evenly_in_sets_at_any_hour(office, everyone, rep, colleague, outsider, settings):
    now = msk(MONDAY, 3)
    Absence.objects.create(user=outsider, starts_at=now - timedelta(days=1), ends_at=now + timedelta(days=1))
    leads = [LeadFactory(email="", is_imported=True) for _n in range(7)]
    Lead.objects.filter(pk=leads[0].pk).update(status="rejected", closed_at=timezone.now())
    rows = services.route_many(Lead.objects.filter(pk__in=[lead.pk for lead in leads]), now=now)
    assert len(rows) == 6
    owners = Lead.objects.filter(status="open").order_by("pk").values_list("owner__username", flat=True)
    assert sorted(owners) == ["colleague"] * 3 + ["rep"] * 3
    assert not Lead.objects.exclude(status="open").filter(owner__isnull=False).exists()
    assert not Notice.objects.exists()
    assert Interaction.objects.filter(kind=Kind.OWNER_CHANGED).count() == 6
    assert services.recount_debts() == 0
    assert list(Debt.objects.values_list("user__username", "given", "debt").order_by("user__username")) == [
        ("colleague", 3, 0), ("rep", 3, 0),
    ]  # fmt: skip


def test_recount_finds_a_counter_that_lies(office, everyone, rep, colleague):
    routed(LeadFactory(), now=msk(MONDAY, 10))
    assert services.recount_debts() == 0
    Debt.objects.filter(user=rep).update(debt=3)
    assert services.recount_debts() == 2  # the counter, and the rule that no longer adds up


@pytest.mark.django_db(transaction=True)
def test_eight_at_once_stay_fair():
    Rule.objects.create(name="All evenly")
    people = [UserFactory(email="") for _n in range(3)]
    leads = [LeadFactory(email="").pk for _n in range(24)]
    failed = []

    def work(mine):
        try:
            for pk in mine:
                with transaction.atomic():
                    services.route(Lead.objects.select_for_update(of=("self",)).select_related("owner").get(pk=pk))
        except Exception as error:
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(leads[n::8],)) for n in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert failed == []
    assert [Lead.objects.filter(owner=person).count() for person in people] == [8, 8, 8]
    assert sum(Debt.objects.values_list("debt", flat=True)) == 0
    assert services.recount_debts() == 0
    assert Assignment.objects.count() == 24
