"""Bodies that real site builders send, through /capture/<key>/ with a mapping."""

import os
from pathlib import Path

import pytest

from leads.models import Lead, Submission

SHARED = Path(os.environ.get("CRM_SHARED", Path(__file__).resolve().parents[4] / "shared")) / "real" / "webhooks"
FORM, JSON = "application/x-www-form-urlencoded", "application/json"


def body_of(*path):
    file = SHARED.joinpath(*path)
    if not file.exists():
        pytest.skip(f"NO SHARED DATA: {file} is not there")
    return file.read_bytes().strip()


@pytest.mark.parametrize("key", ["site", "program"])
def test_an_order_of_a_site_builder_is_a_lead(key, source, program, post, judged):
    made = source if key == "site" else program
    made.settings = {"mapping": {"Name_2": "last_name", "payment[products][0][name]": "product",
                                 "payment[amount]": "budget", "payment[orderid]": "custom.order",
                                 "Name_3": "-"}}  # fmt: skip
    made.save()
    assert post(key, raw=body_of("tilda", "cart_tinkoff_urlencoded.txt"), type_=FORM).status_code == 303
    judged()
    lead = Lead.objects.get()
    assert (lead.name, lead.phone, lead.email, lead.need, str(lead.budget), lead.product) == (
        "Петров Алексей", "+79030008937", "test+17@example.com", "Нет вопросов", "5.00", "Доступ к тесту на 1 чел.",
    )  # fmt: skip
    assert lead.custom["order"] == "1992217563"
    assert lead.custom["formname"] == "Cart"


def test_an_order_needs_no_mapping_to_be_a_lead(source, post, judged):
    post("site", raw=body_of("tilda", "cart_tinkoff_urlencoded.txt"), type_=FORM)
    judged()
    assert list(Lead.objects.values_list("name", "phone")) == [("Алексей", "+79030008937")]


def test_the_builders_check_of_the_address_is_no_lead(source, post, judged):
    assert post("site", raw=body_of("tilda", "connect_check.txt"), type_=FORM).status_code == 303
    judged()
    assert list(Submission.objects.values_list("state", "reason")) == [("rejected", "test")]


def test_a_questionnaire_is_known_by_its_answers_and_its_token(program, post, judged):
    program.settings = {
        "mapping": {"answers_map.What's your name?": "name", "form_response.token": "external_id",
                    "form_response.definition.title": "product"},
    }  # fmt: skip
    program.save()
    raw = body_of("typeform", "form_response_minimal_2020.json")
    assert [post("program", raw=raw, type_=JSON).status_code for _n in range(2)] == [202, 202]
    judged()
    assert list(Lead.objects.values_list("name", "product")) == [("test1", "Feedback")]
    assert sorted(Submission.objects.values_list("state", flat=True)) == ["lead", "merged"]


def test_a_questionnaire_without_a_contact_says_so(program, post):
    response = post("program", raw=body_of("typeform", "form_response_minimal_2020.json"), type_=JSON)
    assert (response.status_code, response.json()["error"]) == (422, "no_contact")


def test_every_real_webhook_is_answered_and_never_500(source, post, judged):
    files = [f for f in sorted(SHARED.rglob("*")) if f.is_file() and f.suffix in {".json", ".txt"}]
    if not files:
        pytest.skip(f"NO SHARED DATA: {SHARED} is not there")
    codes = {post("site", raw=f.read_bytes(), type_=JSON if f.suffix == ".json" else FORM).status_code for f in files}
    judged()
    assert codes <= {202, 303, 400, 422}
    assert set(Submission.objects.values_list("state", flat=True)) <= {"lead", "merged", "rejected"}
    assert Submission.objects.count() == len(files)
