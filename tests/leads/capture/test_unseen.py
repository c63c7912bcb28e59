"""Bodies of senders that nobody has described to the product: who wrote them is found by what the fields are called,
by the questions that stand beside the answers, and at last by what a value looks like."""

import json
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leads.capture import ADAPTERS, answers
from leads.capture.base import parse_body
from leads.capture.names import meaning, of_path
from leads.models import Lead, Source, Submission
from tests.leads.capture.conftest import make_source

FORM, JSON = "application/x-www-form-urlencoded", "application/json"
PHONE, EMAIL, NAME = "+79161234567", "ivan@example.com", "Петров Иван"


FORMS = {
    "hyphens": {"_form": "15", "your-name": NAME, "your-email": EMAIL, "your-tel": "8 (916) 123-45-67"},
    "prefixes": {"user_name": NAME, "user_phone": PHONE, "user_email": EMAIL},
    "Russian questions": {"Как вас зовут?": NAME, "Ваш телефон *": "8-916-123-45-67", "Ваш e-mail": EMAIL},
    "titles beside values": {
        "form[name]": "Заявка", "fields[name][title]": "Имя", "fields[name][value]": NAME, "fields[f1][type]": "email",
        "fields[f1][title]": "Куда ответить", "fields[f1][value]": EMAIL, "fields[f2][title]": "Телефон",
        "fields[f2][value]": PHONE,
    },
    "values within names": {
        "FIELDS[TITLE]": "С сайта", "FIELDS[NAME]": "Иван", "FIELDS[LAST_NAME]": "Петров",
        "FIELDS[PHONE][0][VALUE]": PHONE, "FIELDS[PHONE][0][VALUE_TYPE]": "WORK", "FIELDS[EMAIL][0][VALUE]": EMAIL,
    },
    "JSON in a field": {
        "formID": "1",
        "rawRequest": json.dumps({
            "q3_name": {"first": "Иван", "last": "Петров"}, "q4_email": EMAIL, "q5_phone": {"full": "(916) 123-45-67"},
        }),
    },
}  # fmt: skip
BODIES = {
    "camel case": {"customerName": NAME, "customerPhone": PHONE, "customerEmail": EMAIL},
    "label and value": {"form": {"fields": [
        {"title": "Ваше имя", "value": NAME}, {"title": "Контактный телефон", "value": PHONE},
        {"title": "Адрес электронной почты", "value": EMAIL},
    ]}},
    "keys of its own, labels, types": {"eventType": "FORM_RESPONSE", "data": {"formName": "Form", "fields": [
        {"key": "question_3EKz4n", "label": "Name", "type": "INPUT_TEXT", "value": NAME},
        {"key": "q2", "label": "Where shall we write?", "type": "INPUT_EMAIL", "value": EMAIL},
        {"key": "q3", "label": "Phone number", "type": "INPUT_PHONE_NUMBER", "value": PHONE},
    ]}},
    "numbered fields": {"fields": {
        "0": {"name": "Name", "value": NAME, "id": 0, "type": "name"},
        "1": {"name": "Email", "value": EMAIL, "id": 1, "type": "email"},
        "2": {"name": "Phone", "value": PHONE, "id": 2, "type": "phone"},
    }},
    "name and value with context": {"submittedAt": 1, "fields": [
        {"objectTypeId": "0-1", "name": "email", "value": EMAIL}, {"name": "full_name", "value": NAME},
        {"name": "phone", "value": PHONE},
    ], "context": {"pageUri": "shop.example/page", "pageName": "Shop"}},
    "a form with a name of its own": {"payload": {
        "name": "Contact us", "data": {"First Name": "Иван", "Last Name": "Петров", "email": EMAIL, "Phone": PHONE},
    }},
    "questions with languages": {"answer": {"data": {
        "answer_short_text_1": {"value": NAME, "question": {"slug": "answer_short_text_1", "label": {"ru": "Имя"}}},
        "answer_phone_2": {"value": PHONE, "question": {"label": {"ru": "Номер"}}},
        "answer_3": {"value": EMAIL, "question": {"label": {"ru": "Почта"}}},
    }}},
    "lists under questions": {"namedValues": {"Имя": [NAME], "Телефон": ["8 916 123 45 67"], "Email": [EMAIL]}},
    "changes": {"object": 1, "entry": {"lead_id": "7", "changes": [
        {"field": "email", "value": EMAIL}, {"field": "name", "value": NAME}, {"field": "phone_number", "value": PHONE},
    ]}},
    "an order": {"order": {"fields": [
        {"type": "name", "title": "Имя", "value": NAME}, {"type": "phone", "title": "Связь", "value": PHONE},
        {"type": "text", "title": "Почта", "value": EMAIL},
    ]}},
    "an array of answers": [
        {"label": "Имя", "value": NAME, "width": 6}, {"label": "Телефон", "value": PHONE, "width": 6},
        {"label": "Эл. почта", "value": EMAIL, "width": 12},
    ],
}  # fmt: skip


def read(kind, raw, adapter="json"):
    module = ADAPTERS[adapter]
    body = getattr(module, "read", parse_body)(kind, raw)
    return module.parse(body, Source(key="x", adapter=adapter, settings={}), headers={})


def told(parsed):
    return {(known.kind, known.value) for known in parsed.identities}, parsed.fields.get("name")


@pytest.mark.parametrize("name", FORMS)
def test_forms_of_any_builder(name):
    assert told(read(FORM, urlencode(FORMS[name]).encode(), "web-form")) == ({("phone", PHONE), ("email", EMAIL)}, NAME)


@pytest.mark.parametrize("name", BODIES)
def test_json_of_any_builder(name):
    parsed = read(JSON, json.dumps(BODIES[name]).encode())
    assert told(parsed) == ({("phone", PHONE), ("email", EMAIL)}, NAME)
    assert not [warning for warning in parsed.warnings if warning.startswith("taken_for")]


def test_a_contact_without_any_name_is_known_by_its_look_and_said_to_be():
    parsed = read(JSON, json.dumps({"1.3": "Иван", "2": EMAIL, "3": "+7 916 123-45-67", "id": "12"}).encode())
    assert told(parsed)[0] == {("phone", PHONE), ("email", EMAIL)}
    assert sorted(parsed.warnings) == ["taken_for_email:2", "taken_for_phone:3"]


def test_a_contact_named_in_a_place_that_we_do_not_know_is_taken():
    parsed = read(JSON, json.dumps({"order": {"buyerInfo": {"phone": PHONE, "name": NAME}}, "total": "100"}).encode())
    assert told(parsed)[0] == {("phone", PHONE)}
    assert parsed.warnings == ["taken_for_phone:order.buyerInfo.phone"]


@pytest.mark.parametrize(
    "body",
    [
        {"manager": {"phone": PHONE, "email": EMAIL}, "name": NAME},  # the sender's own people
        {"a": "one@example.com", "b": "two@example.com"},  # whose is which?
        {"order": "79161234567", "stamp": "1700000000", "sum": "8 916"},  # digits alone are anything
        {"text": f"позвоните мне на {PHONE}"},  # a sentence is no contact
        {"items": [{"title": "Окно", "value": "500"}, {"title": "Дверь", "value": "700"}]},
    ],
)
def test_nobody_is_guessed_where_it_is_not_sure(body):
    assert read(JSON, json.dumps(body).encode()).identities == []


def test_a_person_with_a_text_is_a_person_and_no_answer():
    parsed = read(JSON, json.dumps({"contact": {"name": NAME, "text": "Перезвоните", "phone": PHONE}}).encode())
    assert told(parsed) == ({("phone", PHONE)}, NAME)
    assert parsed.fields["need"] == "Перезвоните"


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"first_name": "Ivan", "last_name": "Petrov"}, "Ivan Petrov"),
        ({"first_name": "Ivan", "middle_name": "A.", "last_name": "Petrov"}, "Ivan A. Petrov"),
        ({"Имя": "Иван", "Отчество": "Ильич", "Фамилия": "Петров"}, "Петров Иван Ильич"),
        ({"name": "Ivan", "last_name": "Petrov"}, "Ivan Petrov"),
        ({"name": "Ivan A. Petrov", "first_name": "Ivan", "last_name": "Petrov"}, "Ivan A. Petrov"),
    ],
)
def test_parts_of_a_name_stand_in_the_order_of_its_language(body, name):
    assert read(JSON, json.dumps({"phone": PHONE, **body}).encode()).fields["name"] == name


def test_questions_of_its_own_stand_on_the_card_under_their_words():
    fields = [{"label": "Телефон", "value": PHONE}, {"label": "Какая площадь?", "value": "60 м²", "id": "q7"}]
    assert read(JSON, json.dumps({"data": {"fields": fields}}).encode()).fields["custom"] == {"Какая площадь?": "60 м²"}


def test_marks_mean_the_same_wherever_they_stand():
    parsed = read(
        JSON, json.dumps({"phone": PHONE, "extra": {"utm": {"source": "ya"}, "visit": {"yclid": "7"}}}).encode()
    )
    assert parsed.marks == {"utm_source": "ya", "yclid": "7"}


def test_what_a_source_says_of_its_fields_goes_before_what_is_guessed():
    source = Source(key="x", adapter="json", settings={"mapping": {"fields.0.value": "need", "fields.0.name": "-"}})
    module = ADAPTERS["json"]
    body = module.read(JSON, json.dumps({"phone": PHONE, "fields": [{"name": "Email", "value": EMAIL}]}).encode())
    parsed = module.parse(body, source, headers={})
    assert told(parsed)[0] == {("phone", PHONE)}
    assert parsed.fields["need"] == EMAIL


@pytest.mark.parametrize(
    ("name", "means"),
    [
        ("Your Phone Number*", "phone"), ("Моб. тел.", "phone"), ("Phone 2", "phone"), ("What's your email address?", "email"),
        ("clientName", "name"), ("form name", None), ("user_agent", None), ("client_ip", None), ("contact_id", None),
        ("phone_model", None), ("email_opt_in", None), ("lead_status", None), ("x" * 5000, None), ("", None),
    ],
)  # fmt: skip
def test_what_a_name_means(name, means):
    assert meaning(name) == means


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.text(max_size=12), st.lists(st.text(max_size=12), min_size=1, max_size=2), max_size=8))
def test_nothing_breaks_the_looking(fields):
    kept = answers.under_questions(fields)
    assert sum(map(len, kept.values())) <= sum(map(len, fields.values()))
    answers.contacts_anywhere(kept, "RU")
    for path in fields:
        of_path(path)


@pytest.mark.django_db
def test_it_becomes_a_card_through_the_door(post, judged, funnels):
    make_source(key="any-form", name="Any form", adapter="web-form")
    assert post("any-form", raw=urlencode(FORMS["hyphens"]).encode(), type_=FORM).status_code == 303
    judged()
    lead = Lead.objects.get()
    assert (lead.name, lead.phone, lead.email) == (NAME, PHONE, EMAIL)
    assert Submission.objects.get().state == "lead"
