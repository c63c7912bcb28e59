"""Sequences: each step once, by day, and not a step further once the client answers, buys or leaves."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from crm.core.jobs import drain
from crm.core.models import Job, Organisation
from leads.models import Interaction, Kind, Message, Task, Template
from leads.services import merging, optouts, unmerging
from leads.services.timeline import record
from nurturing import services
from nurturing.models import Enrolment, Sequence, Step, StepRun
from tests.factories import LeadFactory

pytestmark = pytest.mark.django_db
MOSCOW = ZoneInfo("Europe/Moscow")
NOON = datetime(2026, 3, 10, 12, tzinfo=MOSCOW)
LATER = datetime(2036, 3, 10, 12, tzinfo=MOSCOW)


@pytest.fixture
def template(db):
    return Template.objects.create(
        name="Useful", subject="{{ first_name }}, о нас", body='Здравствуйте, {{ first_name|"коллега" }}!'
    )


@pytest.fixture
def chain(template):
    """A letter, two days, a task, a letter."""
    row = Sequence.objects.create(name="Warm up", enrols_by_rule=True)
    for position, fields in enumerate(
        [
            {"kind": "email", "template": template},
            {"kind": "wait", "hours": 48},
            {"kind": "task", "title": "Позвонить"},
            {"kind": "email", "template": template},
        ],
        1,
    ):
        Step.objects.create(sequence=row, position=position, **fields)
    return row


@pytest.fixture
def lead(rep):
    return LeadFactory(owner=rep, name="Иванов Пётр", email="client@example.test", language="ru")


def enrolled(lead):
    [row] = services.enrol(lead)
    Enrolment.objects.filter(pk=row.pk).update(next_at=NOON)
    return row


def at(row, moment):
    """The job of the enrolment runs at that moment."""
    services.advance(row.pk, now=moment)
    row.refresh_from_db()


def taken(lead):
    return list(StepRun.objects.filter(enrolment__lead=lead).order_by("id").values_list("step__kind", flat=True))


def test_the_steps_follow_each_other_in_their_time(lead, chain, rep):
    row = enrolled(lead)
    at(row, NOON)
    assert taken(lead) == ["email", "wait"] and row.next_at == NOON + timedelta(hours=48)
    assert list(Job.objects.filter(task="nurturing.advance").values_list("ref", flat=True)) == [str(row.pk)]
    at(row, NOON + timedelta(hours=47))
    assert taken(lead) == ["email", "wait"]
    at(row, NOON + timedelta(hours=49))
    assert taken(lead) == ["email", "wait", "task", "email"]
    assert (row.state, row.next_at) == ("done", None)
    assert [m.subject for m in Message.objects.order_by("id")] == ["Пётр, о нас"] * 2
    assert list(Task.objects.values_list("title", "assignee")) == [("Позвонить", rep.pk)]
    assert Interaction.objects.filter(kind=Kind.SEQUENCE).count() == 2


def test_ringing_an_enrolment_again_takes_no_step_twice(lead, chain):
    row = enrolled(lead)
    for _again in range(3):
        at(row, NOON)
    assert taken(lead) == ["email", "wait"] and Message.objects.count() == 1


def test_a_letter_that_falls_into_the_night_waits_for_the_morning(lead, chain):
    row = enrolled(lead)
    at(row, datetime(2026, 3, 10, 23, 30, tzinfo=MOSCOW))
    assert taken(lead) == [] and row.next_at == datetime(2026, 3, 11, 9, tzinfo=MOSCOW)


@pytest.mark.parametrize(
    ("now", "due"),
    [((10, 8, 59), (10, 9, 0)), ((10, 9, 0), None), ((10, 19, 59), None), ((10, 20, 0), (11, 9, 0))],
)  # fmt: skip
def test_day_is_from_nine_to_eight_in_the_evening(now, due):
    def march(moment):
        return datetime(2026, 3, *moment, tzinfo=MOSCOW)

    assert services.next_daytime(march(now), MOSCOW) == (march(due) if due else None)


def test_the_clients_own_zone_decides_where_it_is_known(lead):
    Organisation.get()
    assert str(services.zone_of(lead)) == "Europe/Moscow"
    lead.custom = {"time_zone": "Asia/Vladivostok"}
    assert str(services.zone_of(lead)) == "Asia/Vladivostok"
    lead.custom = {"time_zone": "Mars/X"}
    assert str(services.zone_of(lead)) == "Europe/Moscow"


@pytest.mark.parametrize("why", ["replied", "converted", "rejected", "opted_out"])
def test_it_stops_for_good(lead, chain, why):
    row = enrolled(lead)
    assert services.stop(lead, why) == 1
    at(row, NOON + timedelta(days=30))
    assert (row.state, row.stopped_why, taken(lead)) == ("stopped", why, [])
    assert services.stop(lead, why) == 0


def test_an_opt_out_is_seen_at_the_step_itself(lead, chain):
    row = enrolled(lead)
    optouts.opt_out(lead.email, reason="by_hand")
    at(row, NOON)
    assert (row.state, row.stopped_why, Message.objects.count()) == ("stopped", "opted_out", 0)


def test_switching_off_stops_all_who_are_in_it(lead, chain, marketer, rep):
    for each in (lead, LeadFactory(owner=rep)):
        services.enrol(each)
    assert services.switch(chain, on=False, by=marketer) == 2
    assert set(Enrolment.objects.values_list("state", "stopped_why")) == {("stopped", "switched_off")}
    for row in Enrolment.objects.all():
        at(row, NOON)
    assert not StepRun.objects.exists()


def test_only_leads_that_meet_the_condition_enrol_and_each_once(lead, chain, rep):
    chain.condition = [{"field": "city", "op": "eq", "value": "Казань"}]
    chain.save()
    assert services.enrol(lead) == []
    fits = LeadFactory(owner=rep, city="казань")
    assert len(services.enrol(fits)) == 1
    assert services.enrol(fits) == []
    imported = LeadFactory(owner=rep, city="Казань", is_imported=True)
    assert services.enrol(imported) == []


def test_by_hand_a_stopped_one_goes_on_where_it_was(lead, chain, rep):
    row = services.enrol_by_hand(lead, chain, by=rep)
    at(row, LATER)
    services.stop_one(row, by=rep)
    with pytest.raises(ValidationError):
        services.enrol_by_hand(LeadFactory(status="rejected", closed_at=timezone.now()), chain, by=rep)
    services.enrol_by_hand(lead, chain, by=rep)
    at(row, LATER)
    assert taken(lead) == ["email", "wait", "task", "email"]
    with pytest.raises(ValidationError):
        services.enrol_by_hand(lead, chain, by=rep)


# --- The editor ------------------------------------------------------------------------------------------------------
def test_steps_move_and_a_taken_one_is_kept_when_removed(lead, chain, template):
    first, second, third, _fourth = chain.steps.order_by("position")
    services.move(third, by=-1)
    assert [s.pk for s in chain.steps.order_by("position")][:3] == [first.pk, third.pk, second.pk]
    services.move(first, by=-1)  # already at the top
    at(enrolled(lead), NOON)
    services.remove(first)
    services.remove(chain.steps.get(position=4))
    first.refresh_from_db()
    assert first.is_archived and chain.steps.filter(is_archived=False).count() == 2
    assert StepRun.objects.filter(step=first).count() == 1


def test_a_step_put_before_the_place_reached_is_not_taken_backwards(lead, chain, template):
    row = enrolled(lead)
    at(row, NOON)
    services.place(Step(kind="task", title="Early"), chain, at=0)
    at(row, NOON + timedelta(hours=49))
    assert "Early" not in set(Task.objects.values_list("title", flat=True))


# --- Welcome ---------------------------------------------------------------------------------------------------------
@pytest.fixture
def welcome(db):
    return Template.objects.create(
        name="Welcome", is_welcome=True, subject="Спасибо", body="{{ first_name }}, я {{ owner }}.", language="ru"
    )


def enquiry(lead, **details):
    return record(lead, Kind.CAPTURED, **details)


def test_one_welcome_per_enquiry_from_the_owners_name(lead, welcome, rep):
    cause = enquiry(lead)
    message = services.greet(lead, cause)
    assert services.greet(lead, cause) is None or services.greet(lead, cause) == message
    assert list(Message.objects.values_list("kind", "subject", "to")) == [("welcome", "Спасибо", lead.email)]
    assert message.sender.startswith('"Анна Репина" <') and message.text.startswith("Пётр, я Анна Репина.")


def test_an_address_is_greeted_once_a_day_however_often_the_form_comes(lead, welcome, rep):
    services.greet(lead, enquiry(lead))
    twin = LeadFactory(owner=rep, email=lead.email, person=lead.person)
    assert services.greet(twin, enquiry(twin, returning=True)) is None


@pytest.mark.parametrize("fields", [{"is_imported": True}, {"email": ""}])
def test_imported_and_unreachable_leads_are_not_greeted(rep, welcome, fields):
    lead = LeadFactory(owner=rep, **fields)
    assert services.greet(lead, enquiry(lead)) is None


def test_who_has_opted_out_is_not_greeted(lead, welcome):
    optouts.opt_out(lead.email)
    assert services.greet(lead, enquiry(lead, returning=True)) is None


def test_a_new_person_of_an_opted_out_address_is_found_at_the_claim(lead, welcome):
    optouts.opt_out(lead.email)
    message = services.greet(lead, enquiry(lead))
    drain()
    message.refresh_from_db()
    assert message.state == "skipped"


def test_the_welcome_speaks_the_leads_language_else_the_organisations(rep, welcome):
    Template.objects.create(name="Welcome en", is_welcome=True, subject="Thank you", body="Hi", language="en")
    subjects = []
    for language in ("en", "ru", "", "de"):
        lead = LeadFactory(owner=rep, language=language)
        subjects.append(services.greet(lead, enquiry(lead)).subject)
    assert subjects == ["Thank you", "Спасибо", "Спасибо", "Спасибо"]


def test_a_merged_card_is_warmed_up_no_more_and_goes_on_where_it_was_after_the_undo(lead, chain, rep):
    other = LeadFactory(owner=rep, name="Пётр", email="other@example.test")
    row = enrolled(other)
    at(row, NOON)
    due = timezone.now() + timedelta(days=3)
    Enrolment.objects.filter(pk=row.pk).update(next_at=due)
    merge = merging.merge(lead.person, other.person, {}, by=rep)
    drain()
    held = Enrolment.objects.get(pk=row.pk)
    assert (held.state, held.stopped_why) == ("stopped", "merged")
    at(row, LATER)
    assert StepRun.objects.filter(enrolment=row).count() == 2  # the letter and the wait
    unmerging.undo(merge, by=rep)
    drain()
    row.refresh_from_db()
    assert (row.state, row.stopped_why, row.next_at, row.ended_at) == ("running", "", due, None)
    assert Job.objects.filter(task="nurturing.advance", ref=str(row.pk)).exists()


def test_a_step_that_is_due_before_the_merge_is_noticed_is_not_taken(lead, chain, rep):
    other = LeadFactory(owner=rep, name="Пётр", email="other@example.test")
    row = enrolled(other)
    merging.merge(lead.person, other.person, {}, by=rep)
    at(row, NOON)
    row.refresh_from_db()
    assert (row.state, row.stopped_why, Message.objects.count()) == ("stopped", "merged", 0)
