"""Bodies that real site builders send, through /capture/<key>/ with a mapping."""

import json
import os
from pathlib import Path

import pytest

from leads.capture import meta
from leads.models import Lead, Submission
from leads.services import judging
from tests.leads.capture.conftest import make_source

SHARED = Path(os.environ.get("CRM_SHARED", Path(__file__).resolve().parents[4] / "shared")) / "real" / "webhooks"
FORM, JSON = "application/x-www-form-urlencoded", "application/json"


def body_of(*path):
    file = SHARED.joinpath(*path)
    if not file.exists():
        pytest.skip(f"NO SHARED DATA: {file} is not there")
    return file.read_bytes().strip()


def json_of(*path):
    return json.loads(body_of(*path))


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


# --- 1C and others, by the mapping of any provider ------------------------------------------------------------------------


@pytest.fixture
def any_provider(funnels):
    return make_source(key="any", name="Any", adapter="mapping")


ONE_C = {  # file → (how it is answered, reason of its receipt)
    "bitrix-module-6/goods/1/import.xml": (202, "no_contact"), "bitrix-module-6/goods/1/offers.xml": (400, "unparseable"),
    "bitrix-module-6/goods/1/prices.xml": (202, "no_contact"), "bitrix-module-6/goods/1/rests.xml": (400, "unparseable"),
    "bitrix-module-6/properties/1/import.xml": (202, "no_contact"),
    "bitrix-module-6/properties/1/offers.xml": (202, "no_contact"), "off-doc-1c/import.xml": (202, "no_contact"),
    "off-doc-1c/offers.xml": (202, "no_contact"), "off-doc-1c/orders.xml": (202, "no_contact"),
    "ready-script/import.xml": (202, "no_contact"), "ready-script/offers.xml": (202, "no_contact"),
}  # fmt: skip


@pytest.mark.parametrize("name", ONE_C)
@pytest.mark.parametrize("type_", ["application/xml", "application/octet-stream"])
def test_what_1c_sends_is_kept_and_no_lead_of_itself(name, type_, any_provider, post, judged):
    raw, (status, reason) = body_of("1c_commerceml", name), ONE_C[name]
    assert post("any", raw=raw, type_=type_).status_code == status
    judged()
    row = Submission.objects.get()
    assert (row.state, row.reason, bytes(row.body)) == ("rejected", reason, raw)


def test_every_file_of_1c_is_read_above():
    folder = SHARED / "1c_commerceml"
    if not folder.exists():
        pytest.skip(f"NO SHARED DATA: {folder} is not there")
    assert {str(file.relative_to(folder)) for file in folder.rglob("*.xml")} == set(ONE_C)


def test_orders_of_1c_become_a_lead_each_once_they_are_mapped(any_provider, post, judged, admin):
    post("any", raw=body_of("1c_commerceml", "off-doc-1c", "orders.xml"), type_="text/xml")
    judged()
    order = "Документ.0."
    any_provider.settings = {"each": "Документ", "mapping": {
        f"{order}Номер": "external_id", f"{order}Контрагенты.Контрагент.Фамилия": "name", f"{order}Сумма": "budget",
        f"{order}ЗначенияРеквизитов.ЗначениеРеквизита.Статус заказа": "custom.status",
    }}  # fmt: skip
    any_provider.save()
    judging.replay(Submission.objects.get(), by=admin)
    judged()
    found = Lead.objects.order_by("pk").values_list("name", "budget", "custom__status")
    assert [(name, str(budget or ""), status) for name, budget, status in found] == [
        ("Иванов", "6734.47", "[N] Принят"), ("", "", "Открыт"), ("", "", "Открыт"),
    ]  # fmt: skip
    assert list(Submission.objects.order_by("pk").values_list("state", "part")) == [
        ("lead", "Документ.0"), ("lead", "Документ.1"), ("lead", "Документ.2"),
    ]  # fmt: skip


XML = '<?xml version="1.0" encoding="{}"?><заказ><Контакт><Тип>Телефон</Тип><Значение>8 903 000-11-01</Значение></Контакт></заказ>'


@pytest.mark.parametrize("encoding", ["utf-8", "windows-1251", "utf-16"])
def test_a_named_value_of_xml_has_its_name_even_alone(encoding, any_provider, post, judged):
    any_provider.settings = {"mapping": {"Контакт.Телефон": "phone"}}
    any_provider.save()
    assert post("any", raw=XML.format(encoding).encode(encoding), type_="application/xml").status_code == 202
    judged()
    assert [lead.phone for lead in Lead.objects.all()] == ["+79030001101"]


BOMB = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><x>&b;</x>'
OUTSIDE = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>'


@pytest.mark.parametrize("raw", [BOMB, OUTSIDE, b"<a><b></a>", b"<a>" * 200 + b"</a>" * 200, b"\x00<a/>", b"<a", b""])
def test_xml_that_is_not_read(raw, any_provider, post):
    answer = post("any", raw=raw, type_="application/xml")
    assert (answer.status_code, answer.json()["error"]) == (400, "unparseable")


def test_a_form_of_a_site_takes_no_xml(source, post):
    raw = body_of("1c_commerceml", "off-doc-1c", "orders.xml")
    assert (post("site", raw=raw, type_="application/xml").status_code, Submission.objects.get().reason) == (
        415,
        "unparseable",
    )


def test_a_bank_statement_of_1c_is_no_enquiry(any_provider, post, judged):
    raw = body_of("1c_bank", "vtb_kl_to_1c_v103.txt")
    assert post("any", raw=raw, type_="text/plain").status_code == 415
    assert (Submission.objects.get().reason, bytes(Submission.objects.get().body)) == ("unparseable", raw)


def test_a_deal_of_amocrm_is_known_by_its_number_once_it_is_mapped(any_provider, post, judged, admin):
    post("any", raw=body_of("amocrm", "leads_status.txt"), type_=FORM)
    judged()
    assert list(Submission.objects.values_list("state", "reason")) == [("rejected", "no_contact")]
    any_provider.settings = {
        "mapping": {"leads.status.0.id": "external_id", "leads.status.0.status_id": "custom.stage"}
    }
    any_provider.save()
    judging.replay(Submission.objects.get(), by=admin)
    assert list(Lead.objects.values_list("custom__stage", flat=True)) == ["45648904"]


# --- Checks of an address, answers of an API ------------------------------------------------------------------------------


def asked(name, *folder):
    """The query of a recorded check."""
    return body_of(*folder, name).decode().splitlines()[0].partition("?")[2].split()[0]


def test_metas_check_of_the_address(funnels, client):
    make_source(key="meta", adapter="meta", secret="s", settings={"verify_token": "meatyhamhock"})
    query = asked("verify_handshake.txt", "meta_leadgen")
    right, wrong = client.get(f"/capture/meta/?{query}"), client.get(f"/capture/meta/?{query}x")
    assert (right.status_code, right.content, right["Content-Type"][:10]) == (200, b"1158201444", "text/plain")
    assert (wrong.status_code, wrong.content, Submission.objects.count()) == (403, b"", 0)


def test_zadarmas_check_of_the_address(funnels, client):
    make_source(key="zd", adapter="zadarma", secret="s")
    answer = client.get(f"/capture/zd/?{asked('echo_check.txt', 'zadarma')}")
    assert (answer.status_code, answer.content, Submission.objects.count()) == (200, b"1234567890", 0)


def test_an_enquiry_as_the_graph_api_gives_it(source):
    (lead,) = json_of("meta_leadgen", "graph_leads_page_official.json")["data"]
    parsed = meta.parse_lead(lead, {}, source)
    assert (parsed.kind, [known.value for known in parsed.identities]) == ("lead", ["joe@example.com"])
    assert (parsed.fields["name"], parsed.fields["custom"]) == ("Joe Example", {"car_make": "Honda"})


def test_a_delivery_of_sendgrid_that_is_empty_says_so(funnels, client):
    raw = body_of("sendgrid", "inbound_parse", "default_data_with_attachments.txt")
    make_source(key="mail", adapter="inbound-mail", secret="s")
    answer = client.generic("POST", "/capture/mail/?secret=s", raw, content_type="multipart/form-data; boundary=xYzZY")
    assert (raw, answer.status_code, Submission.objects.get().reason) == (b"", 400, "unparseable")
