"""Tilda: forms and orders, urlencoded and as JSON."""

import contextlib
import json
from urllib.parse import quote, urlencode

import pytest

from leads.capture.base import Body, Parsed, Refused, parse_body
from leads.capture.tilda import parse
from leads.models import Lead, Submission, Touch
from tests.leads.capture.bodies import FORM, JSON, body_of
from tests.leads.capture.conftest import make_source

COOKIES = (
    "_ym_uid=167; TILDAUTM="
    + quote("utm_source=yandex|||utm_medium=cpc|||utm_campaign=Весна")
    + "; previousUrl=x.test%2Fa"
)


@pytest.fixture
def site(funnels):
    return make_source(key="tilda", name="Tilda", adapter="tilda", secret="k3y", settings={"secret_name": "api_key"})


def signed(raw):
    return raw + b"&api_key=k3y"


def receipts():
    return list(Submission.objects.order_by("id").values_list("state", "reason"))


def test_the_check_of_the_address_is_answered_and_is_no_lead(site, post, judged):
    said = post("tilda", raw=body_of("tilda", "connect_check.txt"), type_=FORM)
    judged()
    assert (said.status_code, said.content, receipts()) == (200, b"ok", [("rejected", "test")])


def test_a_real_order_is_a_lead_and_the_second_time_the_same(site, post, judged):
    raw = signed(body_of("tilda", "cart_tinkoff_urlencoded.txt"))
    assert [post("tilda", raw=raw, type_=FORM).content for _n in range(2)] == [b"ok", b"ok"]
    judged()
    lead = Lead.objects.get()
    assert (lead.name, lead.phone, lead.email, lead.need, lead.product, str(lead.budget)) == (
        "Алексей", "+79030008937", "test+17@example.com", "Нет вопросов", "Доступ к тесту на 1 чел.", "5.00",
    )  # fmt: skip
    assert (lead.custom["order"], lead.custom["formname"], "api_key" in lead.custom) == ("1992217563", "Cart", False)
    assert receipts() == [("lead", ""), ("merged", "same")]


@pytest.mark.parametrize("how", ["brackets", "text", "json"])
def test_an_order_in_every_form(site, post, judged, how):
    order = {"orderid": "77", "amount": "1500", "products": [{"name": "Стол", "quantity": 1, "price": "1000"},
                                                             {"name": "Стул", "quantity": 1, "price": "500"}]}  # fmt: skip
    plain = {"Phone": "+7 903 000-11-22", "tranid": "1:2", "formid": "form1", "COOKIES": COOKIES}
    if how == "brackets":
        flat = {"payment[orderid]": "77", "payment[amount]": "1500", "payment[products][0][name]": "Стол",
                "payment[products][1][name]": "Стул"}  # fmt: skip
        said = post("tilda", raw=urlencode(plain | flat | {"api_key": "k3y"}).encode(), type_=FORM)
    elif how == "text":
        said = post(
            "tilda", raw=urlencode(plain | {"payment": json.dumps(order), "api_key": "k3y"}).encode(), type_=FORM
        )
    else:
        said = post("tilda", json_=plain | {"payment": order}, headers={"api-key": "x", "Authorization": "Bearer k3y"})
    judged()
    lead = Lead.objects.get()
    assert (said.content, lead.product, str(lead.budget), lead.custom["order"]) == (
        b"ok",
        "Стол, Стул",
        "1500.00",
        "77",
    )
    marks = Touch.objects.get().marks
    assert {
        "utm_source": "yandex",
        "utm_medium": "cpc",
        "utm_campaign": "Весна",
        "ym_uid": "167",
    }.items() <= marks.items()
    assert not {"COOKIES", "tranid"} & set(lead.custom)


def test_the_key_may_come_in_a_header_or_in_the_address(site, post):
    raw = b"Phone=89030001122"
    assert post("tilda", raw=raw, type_=FORM, headers={"api_key": "k3y"}).status_code == 200
    assert post("tilda", raw=raw, type_=FORM, path="/capture/{}/?api_key=k3y").status_code == 200
    assert post("tilda", raw=raw, type_=FORM, headers={"api_key": "guess"}).status_code == 401
    assert post("tilda", raw=raw, type_=FORM).status_code == 401


def test_half_an_order_in_json_is_a_bad_request(site, post):
    raw = json.dumps({"Phone": "89030001122", "api_key": "k3y"}).encode()
    assert post("tilda", raw=raw[:20], type_=JSON).status_code == 400
    assert receipts() == [("rejected", "unparseable")]


def test_an_order_without_a_contact_is_answered_and_kept(site, post, judged):
    assert post("tilda", raw=signed(b"Name=x"), type_=FORM).content == b"ok"
    judged()
    assert receipts() == [("rejected", "no_contact")]


@pytest.mark.parametrize(
    "raw", [b"payment=%7B%22products%22%3A5%7D", b"payment={", b"COOKIES=%00;=;TILDAUTM=%%%", b"payment=[1]&Phone=1",
            b"payment[products][0]=Old+-+1x5+%3D+5&payment[amount]=5"],
)  # fmt: skip
def test_odd_bodies_break_nothing(site, raw):
    with contextlib.suppress(Refused):
        assert isinstance(parse(parse_body(FORM, raw), site, headers={}), Parsed)


def test_older_shops_write_a_product_as_one_text(site):
    fields = {"payment.products": ["Стол - 1x1000 = 1000"], "payment.amount": ["1000"]}
    assert parse(Body(fields), site, headers={}).fields["product"] == "Стол"
