"""What a receipt becomes: a new card, part of an open one, a client who is back, spam, or a stated failure."""

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from crm.core.jobs import drain, run_job
from crm.core.models import Job, Notice, Organisation, Pipeline, Reason
from leads.identity import Known
from leads.models import (
    Consent,
    ConsentText,
    Identity,
    Interaction,
    Lead,
    Person,
    StageMove,
    Submission,
    Task,
    Touch,
)
from leads.services import funnel, intake, judging
from tests.factories import LeadFactory, make_funnels

from .conftest import make_source


def capture(source, fields, **more):
    """An enquiry through the door, judged but without the automation that follows."""
    known = [Known("phone", fields["phone"])] if "phone" in fields else []
    known += [Known("email", fields["email"])] if "email" in fields else []
    known += more.pop("known", [])
    return intake.open_lead(fields=fields, identities=known, source=source, **more)


# --- A new card -----------------------------------------------------------------------------------------------------


def test_an_enquiry_makes_a_person_a_card_a_funnel_entry_a_touch_and_starts_the_clock(source, post, judged):
    post("site", {"name": "иванов иван", "phone": "8 999 000-00-01 доб. 12", "city": "г. МОСКВА",
                  "company": 'ООО "Ромашка"', "message": "Хочу окно", "utm_source": "Google", "utm_medium": "cpc",
                  "utm_campaign": "весна"})  # fmt: skip
    judged()
    lead = Lead.objects.select_related("person__company", "first_origin").get()
    row = Submission.objects.get()
    assert (lead.name, lead.phone, lead.city, lead.need, lead.company_name) == (
        "Иванов Иван", "+79990000001", "Москва", "Хочу окно", 'ООО "Ромашка"',
    )  # fmt: skip
    assert (lead.person.name, lead.person.company.name_key) == ("Иванов Иван", "ромашка")
    assert (lead.first_origin.name, lead.first_origin.channel, lead.first_campaign) == ("Google", "ads", "весна")
    assert (lead.created_at, lead.waiting_since) == (row.received_at, row.received_at)
    assert list(Identity.objects.values_list("kind", "value", "extension")) == [("phone", "+79990000001", "12")]
    assert list(StageMove.objects.values_list("kind", "lead")) == [("entered", lead.pk)]
    assert list(Touch.objects.values_list("submission", "marks")) == [
        (row.pk, {"utm_source": "Google", "utm_medium": "cpc", "utm_campaign": "весна"})
    ]
    first = Interaction.objects.filter(lead=lead).earliest("id")
    assert (first.kind, first.text, first.submission_id, first.details["source"]) == (
        "captured", "Хочу окно", row.pk, "Site",
    )  # fmt: skip
    assert (row.state, row.lead_id, row.person_id) == ("lead", lead.pk, lead.person_id)


@pytest.mark.parametrize(
    ("marks", "origin"),
    [
        ({"utm_source": "vk_ads", "gclid": "1"}, "vk_ads"),
        ({"gclid": "1"}, "google"),
        ({"yclid": "1"}, "yandex"),
        ({"fbclid": "1"}, "facebook"),
        ({"referrer": "https://www.google.ru/search?q=x"}, "google"),
        ({"referrer": "https://ya.ru/"}, "yandex"),
        ({"referrer": "https://notgoogle.test/"}, "Site"),
        ({}, "Site"),
    ],
)
def test_the_origin_is_what_the_marks_say_else_the_sources_own(marks, origin, source):
    lead, _outcome = capture(source, {"phone": "+79990000001"}, marks=marks)
    assert lead.first_origin.name == lead.last_origin.name == origin


def test_consent_is_kept_with_its_text_only_where_it_was_given(source, post, judged):
    source.consent = ConsentText.objects.create(text="Я согласен")
    source.save()
    post("site", {"phone": "89990000001", "consent": "on"})
    post("site", {"phone": "89990000002"})
    judged()
    (consent,) = Consent.objects.all()
    assert (consent.text, consent.submission.lead.phone) == (source.consent, "+79990000001")


# --- A known person -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "again", [{"phone": "+79990000001"}, {"email": "a@b.test"}, {"phone": "+79990000001", "email": "x@y.test"}]
)
def test_an_enquiry_from_a_person_with_an_open_card_joins_it(again, source):
    first, _made = capture(source, {"phone": "+79990000001", "email": "a@b.test"})
    second, outcome = capture(source, again)
    assert (second.pk, outcome) == (first.pk, "merged")
    assert (Person.objects.count(), Lead.objects.count()) == (1, 1)
    assert list(Interaction.objects.order_by("id").values_list("kind", flat=True)) == ["captured", "recaptured"]


def test_a_new_enquiry_completes_the_card_and_never_overwrites_it(source):
    lead = LeadFactory(name="Иван", city="", product="Окна", phone="+79990000001", email="", source=source)
    capture(source, {"phone": "+79990000001", "email": "new@b.test", "name": "Пётр", "city": "Казань", "tags": ["vip"]})
    lead.refresh_from_db()
    assert (lead.name, lead.city, lead.email, lead.product, lead.tags) == (
        "Иван",
        "Казань",
        "new@b.test",
        "Окна",
        ["vip"],
    )
    assert Interaction.objects.get(lead=lead, kind="recaptured").details["conflicts"] == {"name": "Пётр"}


def test_the_owner_of_an_open_card_is_told_and_has_one_task(source, rep):
    Organisation.objects.update_or_create(pk=1, defaults={"missed_call_minutes": 30})
    lead = LeadFactory(owner=rep, phone="+79990000001", source=source)
    before = timezone.now()
    for _n in range(2):
        capture(source, {"phone": "+79990000001"})
    lead.refresh_from_db()
    (task,) = Task.objects.filter(lead=lead)
    assert task.assignee == rep
    assert timedelta(minutes=29) < task.due_at - before < timedelta(minutes=31)
    assert lead.next_step_at == task.due_at
    assert lead.waiting_since is not None
    assert list(Notice.objects.values_list("user", "kind", "url")) == [(rep.pk, "returned", f"/leads/{lead.pk}/")] * 2


@pytest.mark.parametrize("closing", ["rejected", "converted"])
def test_a_person_whose_card_is_closed_comes_back_as_a_new_enquiry_with_all_that_is_known(closing, source, rep):
    old = LeadFactory(owner=rep, name="Иван", city="Казань", phone="+79990000001", email="a@b.test", source=source)
    if closing == "rejected":
        funnel.reject(old, Reason.objects.get(kind="lead"))
    else:
        funnel.convert(funnel.locked(old))
    lead, outcome = capture(source, {"phone": "+79990000001", "product": "Окна"})
    assert (outcome, lead.person_id, lead.pk != old.pk) == ("lead", old.person_id, True)
    assert (lead.name, lead.city, lead.email, lead.product, lead.status, lead.owner) == (
        "Иван", "Казань", "a@b.test", "Окна", "open", None,
    )  # fmt: skip
    assert lead.waiting_since is not None
    details = Interaction.objects.get(lead=lead, kind="captured").details
    assert {name: details[name] for name in ("returning", "previous_lead", "previous_owner", "previous_status")} == {
        "returning": True, "previous_lead": old.pk, "previous_owner": rep.pk, "previous_status": closing,
    }  # fmt: skip


def test_signs_of_two_people_go_to_the_one_with_more_of_them_and_name_the_other(source):
    one, _x = capture(source, {"phone": "+79990000001", "email": "one@b.test"})
    two, _x = capture(source, {"phone": "+79990000002", "email": "two@b.test"})
    lead, _x = capture(source, {"phone": "+79990000001", "email": "two@b.test"})
    assert lead.person_id == one.person_id  # the phone decides between equals
    assert Interaction.objects.filter(kind="recaptured").get().details["also"] == [two.person_id]
    assert Identity.objects.count() == 4


def test_a_shared_number_needs_the_name_as_a_second_sign(source):
    one, _x = capture(source, {"phone": "+79990000001", "name": "Анна"})
    Identity.objects.update(is_shared=True)
    other, _x = capture(source, {"phone": "+79990000001", "name": "Ольга"})
    same, outcome = capture(source, {"phone": "+79990000001", "name": "АННА"})
    assert other.person_id != one.person_id
    assert (same.pk, outcome) == (one.pk, "merged")


def test_an_external_id_is_identity_within_its_source(source, program):
    first, _x = capture(source, {}, known=[Known("external", "17", "site")])
    again, outcome = capture(source, {}, known=[Known("external", "17", "site")])
    other, _x = capture(program, {}, known=[Known("external", "17", "program")])
    assert (again.pk, outcome) == (first.pk, "merged")
    assert other.person_id != first.person_id


# --- At the same moment ---------------------------------------------------------------------------------------------


def _together(count, work):
    """Run ``work(n)`` in so many threads at once; returns their results in no order."""
    results, barrier = [], threading.Barrier(count)

    def run(n):
        barrier.wait()
        try:
            results.append(work(n))
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[n]) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.django_db(transaction=True)
def test_receipts_of_one_person_judged_at_once_make_one_card(client):
    make_funnels()
    make_source()
    for n in range(8):
        client.post("/capture/site/", {"phone": "89990000001", "email": f"{n}@b.test"})
    jobs = list(Job.objects.filter(task="leads.judge").values_list("pk", flat=True))
    _together(8, lambda n: run_job(jobs[n]))
    drain()
    assert (Person.objects.count(), Lead.objects.count()) == (1, 1)
    assert sorted(Submission.objects.values_list("state", flat=True)) == ["lead"] + ["merged"] * 7
    assert Identity.objects.count() == 9


@pytest.mark.django_db(transaction=True)
def test_twenty_posts_with_one_key_at_once_make_one_receipt(client):
    make_funnels()
    make_source()

    def send(_n):
        from django.test import Client

        answer = Client().post(
            "/capture/site/", '{"phone": "89990000001"}', content_type="application/json", HTTP_IDEMPOTENCY_KEY="k1"
        )
        return answer.status_code, answer.content

    answers = _together(20, send)
    drain()
    assert len(set(answers)) == 1
    assert answers[0][0] == 202
    assert (Submission.objects.count(), Lead.objects.count()) == (1, 1)


@pytest.mark.django_db(transaction=True)
def test_a_job_that_two_workers_take_is_done_once(client):
    make_funnels()
    make_source()
    client.post("/capture/site/", {"phone": "89990000001"})
    pk = Job.objects.get().pk
    _together(4, lambda n: run_job(pk))
    drain()
    assert (Lead.objects.count(), StageMove.objects.count(), Touch.objects.count()) == (1, 1, 1)


# --- What it costs --------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_receipt_takes_three_queries_and_a_new_card_sixteen(client):
    make_funnels()
    make_source()
    client.post("/capture/site/", {"phone": "89990000009", "utm_source": "x"})
    drain()  # the origin is known now
    with CaptureQueriesContext(connection) as taken:
        client.post("/capture/site/", {"phone": "89990000001", "name": "Иван", "message": "Окно", "utm_source": "x"})
    pk = Submission.objects.latest("id").pk
    with CaptureQueriesContext(connection) as judged:
        judging.judge(pk)
    # Of these, the organisation (both), the source and the entry stage are asked once in CONFIG_TTL seconds outside
    # the tests.
    assert (_count(taken), _count(judged)) == (3, 16)  # the receipt and its job are one statement


def _count(queries):
    return len([q for q in queries.captured_queries if q["sql"] not in {"BEGIN", "COMMIT"}])


# --- What is no lead ------------------------------------------------------------------------------------------------


def test_a_providers_test_is_rejected_as_a_test(source, post, judged):
    assert post("site", {"test": "test"}).status_code == 303
    judged()
    assert list(Submission.objects.values_list("state", "reason", "lead")) == [("rejected", "test", None)]


def test_a_receipt_that_fails_five_times_says_so_and_can_be_replayed_once(source, post, judged, admin):
    post("site", {"phone": "89990000001"})
    Pipeline.objects.update(is_default=False)  # no funnel to enter: the judge breaks
    for _n in range(5):
        Job.objects.update(due_at=timezone.now())
        judged(limit=1)
    row = Submission.objects.get()
    assert (row.state, row.reason, Job.objects.get().dead) == ("error", "failed", True)
    assert "lead funnel" in row.detail
    Pipeline.objects.filter(kind="lead").update(is_default=True)
    assert judging.replay(row, by=admin).state == "lead"
    assert judging.replay(row, by=admin).state == "lead"
    judged()
    captured = Interaction.objects.filter(kind="captured").count()
    assert (Lead.objects.count(), captured, Job.objects.filter(task="leads.judge").count()) == (1, 1, 0)


def test_a_mapping_that_comes_later_mends_what_had_no_contact(source, post, judged, admin):
    post("site", json_={"questionnaire": {"how to reach you": "8 999 000-00-01"}})
    row = Submission.objects.get()
    assert (row.state, row.reason) == ("rejected", "no_contact")
    source.settings = {"mapping": {"questionnaire.how to reach you": "phone"}}
    source.save()
    assert judging.replay_many(Submission.objects.all(), by=admin) == 1
    judged()
    row.refresh_from_db()
    assert (row.state, row.lead.phone) == ("lead", "+79990000001")
    assert judging.replay_many(Submission.objects.all(), by=admin) == 0


def test_a_sender_who_was_refused_is_taken_only_when_an_administrator_says_so(program, post, admin):
    program.secret = "s"
    program.save()
    post("program", json_={"phone": "89990000001"})
    row = Submission.objects.get()
    assert judging.replay(row, by=admin).state == "rejected"
    assert judging.replay(row, by=admin, force=True).state == "lead"


def test_matching_does_not_write(source):
    lead, _x = capture(source, {"phone": "+79990000001"})
    assert intake.match([Known("phone", "+79990000001")]) == lead.person
    assert intake.match([Known("phone", "+79990000002")]) is None
    assert intake.match([]) is None


def test_a_receipt_whose_job_keeps_killing_the_worker_says_so(source, post):
    from crm.core import jobs

    post("site", {"phone": "89990000001"})
    jobs.beat("worker live")  # somebody was at work when it died
    Job.objects.update(crashes=jobs.CRASHES - 1, leased_until=timezone.now() - timedelta(seconds=1))
    assert jobs.lease() == []
    row = Submission.objects.get()
    assert (row.state, row.reason, row.detail) == ("error", "failed", "crashed the worker too often")
