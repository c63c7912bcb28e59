"""Google Ads lead forms."""

import json

import pytest

from leads.models import Lead, Source, Submission, Touch
from tests.leads.capture.bodies import JSON, body_of, packed
from tests.leads.capture.conftest import make_source


@pytest.fixture
def ads(funnels):
    return make_source(key="ads", name="Google Ads", adapter="google-ads", secret="testkey")


def receipts():
    return list(Submission.objects.order_by("id").values_list("state", "reason"))


def form(**more):
    columns = [
        {"column_id": "FIRST_NAME", "string_value": "Анна"},
        {"column_id": "LAST_NAME", "string_value": "Иванова"},
        {"column_id": "WORK_EMAIL", "string_value": "anna@firm.example"},
        {"column_id": "COMPANY_NAME", "column_name": "Company", "string_value": "Ромашка"},
        {"column_id": "POSTAL_CODE", "string_value": "101000"},
        {"column_id": "Which_room?", "column_name": "Which room?", "string_value": "Kitchen"},
    ]
    return {"lead_id": "L1", "user_column_data": columns, "google_key": "testkey", "form_id": 40000000000,
            "campaign_id": 1234567890123, "adgroup_id": 0, "gcl_id": "click", "is_test": False} | more  # fmt: skip


def test_a_real_lead_and_the_second_time_the_same(ads, post, judged):
    raw = body_of("google_ads_leads", "official_sample.json")
    said = [post("ads", raw=raw, type_=JSON) for _n in range(2)]
    assert [(s.status_code, s.content) for s in said] == [(200, b"{}")] * 2
    judged()
    lead = Lead.objects.get()
    assert (lead.name, lead.phone, lead.email) == ("FirstName LastName", "+16505550123", "test@example.com")
    marks = Touch.objects.get().marks
    assert (marks["utm_campaign"], marks["gclid"][:6], "utm_term" in marks) == ("123456", "Cj0KCQ", False)
    assert lead.person.identities.filter(kind="external", scope="ads").count() == 1
    assert receipts() == [("lead", ""), ("merged", "same")]


def test_googles_test_is_no_lead(ads, post, judged):
    Source.objects.update(secret="REPLACE_WITH_TEST_GOOGLE_KEY")
    assert post("ads", raw=body_of("google_ads_leads", "send_test_data_2026.json"), type_=JSON).status_code == 200
    judged()
    assert (receipts(), Lead.objects.count()) == ([("rejected", "test")], 0)


def test_columns_without_names_and_questions_of_ones_own(ads, post, judged):
    post("ads", json_=form())
    judged()
    lead = Lead.objects.get()
    assert (lead.name, lead.email, lead.company_name) == ("Иванова Анна", "anna@firm.example", "Ромашка")
    assert lead.custom == {"POSTAL_CODE": "101000", "Which room?": "Kitchen", "form_id": "40000000000"}


def test_a_wrong_key_and_none_are_refused(ads, post):
    assert post("ads", json_=form(google_key="guess")).status_code == 401
    assert post("ads", json_=form(google_key=None)).status_code == 401
    assert receipts() == [("rejected", "bad_signature"), ("rejected", "unsigned")]


def test_half_a_body_is_a_bad_request(ads, post):
    raw = packed(form())
    assert post("ads", raw=raw[: len(raw) // 2], type_=JSON).status_code == 400


def test_what_is_no_form_is_kept_and_answered(ads, post, judged):
    assert post("ads", json_={"google_key": "testkey", "news": [1]}).status_code == 200
    assert (
        post(
            "ads", json_=form(lead_id="L2", user_column_data=[None, {}, {"column_id": 5, "string_value": [1]}])
        ).status_code
        == 200
    )
    judged()
    assert receipts()[0] == ("rejected", "not_enquiry")


def test_a_body_that_is_a_list_is_none(ads, post):
    assert post("ads", raw=json.dumps([1]).encode(), type_=JSON).status_code == 401
