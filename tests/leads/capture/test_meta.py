"""Meta Lead Ads: the handshake, the signature over the raw bytes, the fetch from the Graph API."""

import json

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm.core.jobs import drain
from crm.core.models import Job
from leads.capture.base import Body, Parsed
from leads.capture.meta import parse, parse_lead
from leads.models import Fetch, Lead, Source, Submission, Touch
from tests.leads.capture.bodies import JSON, body_of, json_of, packed, signature
from tests.leads.capture.conftest import make_source
from tests.leads.capture.stand_in import StandIn

FORM = {"name": "Замер", "id": "30"}


@pytest.fixture
def graph():
    made = StandIn()
    yield made
    made.close()


@pytest.fixture
def page(funnels, graph):
    settings = {"verify_token": "meatyhamhock", "access_token": "t0ken", "base_url": graph.url, "version": "v1"}
    return make_source(key="meta", name="Meta", adapter="meta", secret="app-secret", settings=settings)


def send(post, value, secret="app-secret"):
    raw = value if isinstance(value, bytes) else packed(value)
    return post("meta", raw=raw, type_=JSON, headers={"X-Hub-Signature-256": signature(secret, raw, prefix="sha256=")})


def change(*numbers, **facts):
    value = {"form_id": "30", "page_id": 20, "ad_id": 0, "created_time": 1700000000} | facts
    changes = [{"field": "leadgen", "value": {"leadgen_id": number, **value}} for number in numbers]
    return {"object": "page", "entry": [{"id": "20", "time": 1700000000, "changes": changes}]}


def filled(number, phone="+79030001122", **more):
    fields = {"full_name": "Анна Иванова", "phone_number": phone, "какая_комната?": "кухня"}
    data = [{"name": name, "values": [value]} for name, value in fields.items()]
    return {"id": str(number), "created_time": "2026-01-01T00:00:00+0000", "field_data": data, "form_id": "30"} | more


def receipts():
    return list(Submission.objects.order_by("id").values_list("state", "reason"))


def again():
    """Run what was put off, too."""
    Job.objects.update(due_at=timezone.now())
    drain()


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=meatyhamhock", (200, b"1158201444")),
        ("hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=guess", (403, b"")),
        ("hub.mode=subscribe&hub.challenge=<b>1</b>&hub.verify_token=meatyhamhock", (403, b"")),
        ("hub.mode=x&hub.challenge=1&hub.verify_token=meatyhamhock", (403, b"")),
        ("", (403, b"")),
    ],
)
def test_the_handshake(page, client, query, said):
    answer = client.get(f"/capture/meta/?{query}")
    assert (answer.status_code, answer.content, receipts()) == (*said, [])
    assert answer["Content-Type"].startswith("text/plain")


def test_signatures_are_of_the_raw_bytes(page, post):
    for vector in json_of("signatures", "hmac_vectors.json"):
        if vector["scheme"].startswith("X-Hub-Signature") and vector["secret"] == "app-secret":
            header = vector["scheme"].split(" ")[0]
            said = post("meta", raw=vector["body"].encode(), type_=JSON, headers={header: vector["header"]})
            assert said.status_code == 200
            said = post("meta", raw=vector["body"].encode() + b" ", type_=JSON, headers={header: vector["header"]})
            assert said.status_code == 401


def test_a_lead_is_fetched_and_announced_again_has_no_effect(page, graph, post):
    graph.says = {
        "/v1/77": (200, filled(77, platform="ig", ad_name="Весна", campaign_name="Кухни")),
        "/v1/30": (200, FORM),
    }
    send(post, change(77))
    send(post, change("77"))
    drain()
    lead = Lead.objects.get()
    assert (lead.name, lead.phone, lead.product, lead.custom) == (
        "Анна Иванова", "+79030001122", "Замер", {"какая_комната?": "кухня"},
    )  # fmt: skip
    assert Touch.objects.get().marks == {
        "utm_source": "instagram", "utm_medium": "lead_form", "utm_campaign": "Кухни", "utm_content": "Весна",
        "form": "Замер", "page": "20",
    }  # fmt: skip
    assert receipts() == [("lead", ""), ("merged", "same")]
    asked = [query for path, query in graph.asked if path == "/v1/77"]
    assert [(q["access_token"], q["appsecret_proof"]) for q in asked] == [("t0ken", signature("app-secret", b"t0ken"))]


def test_a_receipt_waits_until_all_of_its_leads_are_there(page, graph, post):
    graph.says = {
        "/v1/1": (200, filled(1)),
        "/v1/2": [(500, {"error": {"message": "later", "code": 2}}), (200, filled(2, "+79030003344"))],
    }
    send(post, change(1, 2))
    drain()
    assert (receipts(), Lead.objects.count()) == ([("waiting", "")], 1)
    again()
    assert (receipts(), Lead.objects.count()) == ([("lead", "")], 2)
    assert list(Fetch.objects.order_by("id").values_list("state", "outcome")) == [("done", "lead")] * 2


def test_what_cannot_be_fetched_is_an_error_and_can_be_replayed(page, graph, post, signed_in, admin):
    graph.says = {"/v1/1": (503, {"error": {"message": "down", "code": 2, "is_transient": True}})}
    send(post, change(1))
    for _attempt in range(5):
        again()
    row = Submission.objects.get()
    assert ((row.state, row.reason), "503" in row.detail, "t0ken" in row.detail) == (("error", "failed"), True, False)
    assert len([path for path, _query in graph.asked if path == "/v1/1"]) == 5
    graph.says = {"/v1/1": (200, filled(1))}
    signed_in(admin).post(f"/receipts/{row.pk}/replay/")
    again()
    assert (receipts(), Lead.objects.count()) == ([("lead", "")], 1)


def test_a_token_without_rights_is_asked_for_less_and_a_bad_one_not_twice(page, graph, post):
    denied = {"error": {"message": "(#200) needs ads_management", "code": 200}}
    graph.says = {
        "/v1/1": [(403, denied), (200, filled(1))],
        "/v1/2": (400, {"error": {"code": 190, "message": "expired"}}),
    }
    send(post, change(1))
    send(post, change(2))
    drain()
    assert receipts() == [("lead", ""), ("error", "failed")]
    assert "ad_name" not in graph.asked[1][1]["fields"]


def test_metas_test_lead_is_no_lead(page, graph, post):
    dummy = [
        {"name": "full_name", "values": ["<test lead: dummy data for full_name>"]},
        {"name": "email", "values": ["test@meta.com"]},
    ]
    graph.says = {"/v1/5": (200, filled(5) | {"field_data": dummy})}
    send(post, change(5))
    drain()
    assert (receipts(), Lead.objects.count()) == ([("rejected", "test")], 0)


def test_real_bodies(page, graph, post):
    lead = json_of("meta_leadgen", "graph_lead_response_official.json")
    graph.says = {"/v1/6276465415920": (200, lead)}
    assert [send(post, body_of("meta_leadgen", "leadgen_webhook_zero_ad.json")).content for _n in range(2)] == [
        b"ok"
    ] * 2
    drain()
    made = Lead.objects.get()
    assert (made.name, made.email, made.custom) == (
        "Joe Example",
        "joe@example.com",
        {"car_make": "Honda", "selected_dealer": "99213450"},
    )
    assert receipts() == [("lead", ""), ("merged", "same")]


def test_wrong_none_and_half(page, post):
    raw = packed(change(1))
    assert send(post, raw, secret="guess").status_code == 401
    assert post("meta", raw=raw, type_=JSON).status_code == 401
    assert send(post, raw[: len(raw) // 2]).status_code == 400
    assert [reason for _state, reason in receipts()] == ["bad_signature", "unsigned", "unparseable"]


def test_other_changes_are_kept_and_answered(page, post):
    assert send(post, {"object": "page", "entry": [{"changes": [{"field": "feed", "value": {}}]}]}).content == b"ok"
    drain()
    assert receipts() == [("rejected", "not_enquiry")]


def test_without_a_token_the_receipt_says_so(page, post):
    Source.objects.update(settings={})
    send(post, change(1))
    drain()
    assert "access token" in Submission.objects.get().detail


leaves = st.none() | st.booleans() | st.integers() | st.text(max_size=6)
values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
    st.sampled_from(["entry", "changes", "field", "value", "leadgen_id", "field_data", "name", "values"]), inner, max_size=4),
    max_leaves=20)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(values)
def test_nothing_breaks_the_parser(value):
    source = Source(key="meta", adapter="meta")
    json.dumps(value)
    assert isinstance(parse(Body({}, payload=value), source, headers={}), Parsed)
    assert isinstance(parse_lead(value if isinstance(value, dict) else {}, {}, source), Parsed)
