"""VK communities: the confirmation of the address, lead forms."""

import pytest

from leads.capture.base import Body, Parsed
from leads.capture.vk import parse
from leads.models import Lead, Source, Submission
from tests.leads.capture.bodies import JSON, body_of, json_of, packed
from tests.leads.capture.conftest import make_source


@pytest.fixture
def community(funnels):
    settings = {"confirmation": "a1b2c3d4"}
    return make_source(key="vk", name="VK", adapter="vk", secret="test-secret", settings=settings)


def order(**more):
    """A small form of ours, in VK's form."""
    answers = [
        {"key": "first_name", "question": "Имя", "answer": "Анна"},
        {"key": "phone_number", "question": "Телефон", "answer": "8 (903) 000-11-22"},
        {
            "key": "custom_0",
            "question": "Что интересует?",
            "answer": [{"key": "a", "value": "Кухня"}, {"value": "Шкаф"}],
        },
    ]
    form = {"lead_id": 7, "group_id": 5, "user_id": 77, "form_id": 1, "form_name": "Замер", "answers": answers}
    event = {"type": "lead_forms_new", "group_id": 5, "event_id": "e" * 40, "secret": "test-secret"}
    return event | {"object": form | more}


def receipts():
    return list(Submission.objects.order_by("id").values_list("state", "reason"))


def test_the_confirmation_is_answered_with_the_string_of_the_community(community, post):
    said = post("vk", raw=body_of("vk", "confirmation.json"), type_=JSON)
    assert (said.status_code, said.content, receipts()) == (200, b"a1b2c3d4", [])


def test_a_confirmation_with_a_wrong_secret_learns_nothing(community, post):
    said = post("vk", json_={"type": "confirmation", "group_id": 5, "secret": "guess"})
    assert (said.status_code, b"a1b2" in said.content) == (403, False)


def test_a_real_form_is_a_lead_and_the_second_time_the_same(community, post, judged):
    raw = body_of("vk", "lead_forms_new_custom_fields.json")
    said = [post("vk", raw=raw, type_=JSON) for _n in range(2)]
    assert [(s.status_code, s.content) for s in said] == [(200, b"ok")] * 2
    judged()
    lead = Lead.objects.get()
    assert (lead.name, lead.phone, lead.product) == ("Ivan Ivanov", "+78005553535", "Оформить заказ")
    assert lead.custom["Ваш заказ в виде «ссылка или артикул — количество»"] == "29128569"
    signs = set(lead.person.identities.values_list("kind", "value"))
    assert signs == {("phone", "+78005553535"), ("vk", "111111111")}
    assert receipts() == [("lead", ""), ("merged", "same")]
    assert lead.interactions.filter(kind="recaptured").count() == 0


def test_choices_and_questions_of_ones_own(community, post, judged):
    post("vk", json_=order())
    judged()
    lead = Lead.objects.get()
    assert (lead.name, lead.phone, lead.custom) == ("Анна", "+79030001122", {"Что интересует?": "Кухня, Шкаф"})
    assert lead.first_origin.name == "vk"


def test_a_wrong_secret_and_none_are_refused(community, post):
    raw = packed(order() | {"secret": "guess"})
    assert post("vk", raw=raw, type_=JSON).status_code == 401
    assert post("vk", json_={k: v for k, v in order().items() if k != "secret"}).status_code == 401
    assert receipts() == [("rejected", "bad_signature"), ("rejected", "unsigned")]


def test_the_former_secret_counts_while_it_is_changed(community, post):
    Source.objects.update(secret="new", settings={"old_secret": "test-secret", "old_secret_until": "2999-01-01T00:00Z"})
    assert post("vk", json_=order()).status_code == 200
    Source.objects.update(settings={"old_secret": "test-secret", "old_secret_until": "2020-01-01T00:00Z"})
    assert post("vk", json_=order()).status_code == 401


def test_half_a_body_is_a_bad_request(community, post):
    raw = body_of("vk", "lead_forms_new_custom_fields.json")
    assert post("vk", raw=raw[: len(raw) // 2], type_=JSON).status_code == 400
    assert receipts() == [("rejected", "unparseable")]


def test_what_we_do_not_know_is_kept_and_answered(community, post, judged):
    said = post("vk", json_={"type": "wall_post_new", "group_id": 5, "object": {"id": 1}, "secret": "test-secret"})
    judged()
    assert (said.content, receipts()) == (b"ok", [("rejected", "not_enquiry")])


@pytest.mark.parametrize("answers", [None, 5, "x", [1], [{}], [{"key": "phone_number", "answer": {"value": [1]}}]])
def test_a_form_without_readable_answers_breaks_nothing(community, answers):
    event = order(answers=answers)
    found = parse(Body({}, payload=event), community, headers={})
    assert isinstance(found, Parsed) and found.fields.get("name") is None


def test_real_form_names_the_community(community):
    found = parse(Body({}, payload=json_of("vk", "lead_forms_new_custom_fields.json")), community, headers={})
    assert found.own_id == "11111111:39842910"
