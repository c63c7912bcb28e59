"""Typeform: answers by type, hidden fields, the signature."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leads.capture.base import Body, Parsed, Refused
from leads.capture.typeform import parse
from leads.models import Lead, Source, Submission, Touch
from tests.leads.capture.bodies import JSON, body_of, packed, signature
from tests.leads.capture.conftest import make_source


@pytest.fixture
def form(funnels):
    return make_source(key="tf", name="Typeform", adapter="typeform", secret="s3cret")


def receipts():
    return list(Submission.objects.order_by("id").values_list("state", "reason"))


def send(post, raw, secret="s3cret"):
    return post("tf", raw=raw, type_=JSON, headers={"Typeform-Signature": signature(secret, raw, encoding="base64", prefix="sha256=")})  # fmt: skip


def answer(kind, value, title, number, **field):
    return {"type": kind, kind: value, "field": {"id": str(number), "type": kind, "ref": f"ref-{number}", **field}}, {
        "id": str(number), "title": title,
    }  # fmt: skip


ANSWERED = [
    answer("text", "Анна Иванова", "Как вас зовут?", 1),
    answer("phone_number", "+79030001122", "Куда позвонить?", 2),
    answer("email", "anna@example.com", "А почта?", 3),
    answer("choices", {"labels": ["Кухня", "Шкаф"], "other": "Стол"}, "Что интересует.", 4),
    answer("choice", {"label": "Москва"}, "Город", 5),
    answer("boolean", True, "Есть проект?", 6),
    answer("number", 250000, "Бюджет", 7),
    answer("text", "ООО Ромашка", "Где вы работаете?", 8, ref="company"),
    answer("date", "2026-12-01", "Когда?", 9),
    answer("file_url", "https://files.example/1.pdf", "Файл", 10),
    answer("payment", {"amount": "$10", "last4": "1111"}, "Оплата", 11),
]


def response(**more):
    body = {
        "form_id": "f1", "token": "t" * 20, "hidden": {"utm_source": "google", "gclid": "abc", "utm_medium": "xxxxx"},
        "definition": {"title": "Замер", "fields": [question for _answer, question in ANSWERED]},
        "answers": [a for a, _question in ANSWERED],
        "variables": [{"key": "score_total", "type": "number", "number": 4}],
    }  # fmt: skip
    return {"event_id": "e", "event_type": "form_response", "form_response": body | more}


def test_a_real_answer_is_found_by_its_token_and_the_second_time_the_same(form, post, judged):
    raw = body_of("typeform", "form_response_minimal_2020.json")
    assert [send(post, raw).content for _n in range(2)] == [b"ok", b"ok"]
    judged()
    lead = Lead.objects.get()
    assert (lead.name, lead.product) == ("test1", "Feedback")
    assert list(lead.person.identities.values_list("kind", "value")) == [
        ("external", "x71for1wr6irs2rx71fotn12b3izh25v")
    ]
    assert receipts() == [("lead", ""), ("merged", "same")]


def test_answers_of_every_type(form, post, judged):
    send(post, packed(response()))
    judged()
    lead = Lead.objects.get()
    assert (lead.name, lead.phone, lead.email, lead.city, str(lead.budget), lead.company_name) == (
        "Анна Иванова", "+79030001122", "anna@example.com", "Москва", "250000.00", "ООО Ромашка",
    )  # fmt: skip
    assert lead.custom == {
        "Что интересует": "Кухня, Шкаф, Стол", "Есть проект?": "true", "Когда?": "2026-12-01",
        "Файл": "https://files.example/1.pdf", "Оплата": "$10", "score_total": "4",
    }  # fmt: skip
    assert Touch.objects.get().marks == {"utm_source": "google", "gclid": "abc"}


def test_a_mapping_of_the_source_comes_first(form, post, judged):
    Source.objects.update(settings={"mapping": {"ref-4": "product", "Есть проект?": "-"}})
    send(post, packed(response()))
    judged()
    lead = Lead.objects.get()
    assert (lead.product, "Есть проект?" in lead.custom) == ("Кухня", False)


def test_a_wrong_signature_and_none_are_refused(form, post):
    raw = packed(response())
    assert send(post, raw, secret="guess").status_code == 401
    assert send(post, raw + b" ").status_code == 200
    assert post("tf", raw=raw, type_=JSON).status_code == 401
    assert [reason for _state, reason in receipts()] == ["bad_signature", "", "unsigned"]


def test_half_a_body_is_a_bad_request(form, post):
    raw = packed(response())
    assert send(post, raw[: len(raw) // 2]).status_code == 400


def test_other_events_are_kept_and_answered(form, post, judged):
    assert send(post, packed({"event_type": "form_response_partial", "form_response": {}})).content == b"ok"
    judged()
    assert receipts() == [("rejected", "not_enquiry")]


leaves = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
    st.sampled_from(["answers", "hidden", "definition", "fields", "type", "text", "field", "id", "choices", "labels"]),
    inner, max_size=4), max_leaves=20)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(values)
def test_nothing_breaks_the_parser(value):
    source = Source(key="tf", adapter="typeform")
    try:
        found = parse(Body({}, payload={"form_response": value}), source, headers={})
    except Refused:
        return
    assert isinstance(found, Parsed)
