"""A provider that nobody has seen: connected on pages alone."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leads.capture.base import JSON, Parsed, Refused
from leads.capture.mapping import parse, read
from leads.capture.reading import readable
from leads.models import Lead, Source, Submission, Touch
from tests.leads.capture.bodies import FORM, body_of, json_of, packed, signature
from tests.leads.capture.conftest import make_source

ORDER = {
    "event": "order.created",
    "number": "A-17",
    "who": {"given": "Анна", "family": "Иванова", "reach": [{"kind": "x", "to": "+7 903 000-11-22"}]},
    "answers": [{"code": "box 2", "value": "anna@example.com"}, {"code": "room", "value": "Кухня"}],
    "money": "150000",
    "until": 1790812800,
    "blob": '{"campaign": "Весна"}',
}
CHOSEN = {
    "who.given": "name", "who.family": "name", "who.reach.0.to": "phone", "answers.box 2": "email",
    "answers.room": "custom", "money": "budget", "number": "own_id", "blob.campaign": "utm_campaign", "event": "-",
    "who.reach.0.kind": "-",
}  # fmt: skip


@pytest.fixture
def source(funnels):
    return make_source(key="any", name="Any", adapter="mapping", secret="s3cret")


def receipts():
    return list(Submission.objects.order_by("id").values_list("state", "reason"))


def send(post, value, **headers):
    return post("any", raw=packed(value), type_=JSON, headers={"Authorization": "Bearer s3cret", **headers})


def chosen(page, paths, **more):
    """What the page's form would post: a meaning for each path, and what else is said."""
    rows = {path: number for number, (path, _sample, _guess, _t, _c, _f) in enumerate(page.context["form"].rows())}
    return {f"t{rows[path]}": target for path, target in paths.items()} | {
        f"{name[0]}{rows[path]}": value for name, pairs in more.items() for path, value in pairs.items()
    }


def test_an_unknown_provider_is_connected_without_code(source, post, judged, signed_in, admin):
    send(post, ORDER)
    judged()
    assert receipts() == [("rejected", "no_contact")]
    client = signed_in(admin)
    page = client.get("/sources/any/mapping/")
    data = chosen(page, CHOSEN, custom={"answers.room": "Комната"}, format={"money": "cents", "until": "unix"})
    data |= {"k0": "product", "v0": "Замер", "receipt": page.context["example"].receipt.pk}
    shown = client.post("/sources/any/mapping/", data | {"preview": "1"})
    assert [value for _kind, value in shown.context["preview"]["contacts"]] == ["+79030001122", "anna@example.com"]
    assert Source.objects.get().settings == {}
    assert client.post("/sources/any/mapping/", data | {"save": "1"}).status_code == 302
    client.post("/receipts/replay/", {"source": "any"})
    send(post, ORDER)
    judged()
    lead = Lead.objects.get()
    assert (lead.name, lead.phone, lead.email, str(lead.budget), lead.product) == (
        "Анна Иванова", "+79030001122", "anna@example.com", "1500.00", "Замер",
    )  # fmt: skip
    assert lead.custom == {"Комната": "Кухня", "until": "2026-10-01"}
    assert Touch.objects.get().marks == {"utm_campaign": "Весна"}
    assert receipts() == [("lead", ""), ("merged", "same")]


def test_a_pasted_example_serves_before_anything_has_come(source, signed_in, admin):
    page = signed_in(admin).get("/sources/any/mapping/", {"sample": json.dumps(ORDER)})
    assert [row[0] for row in page.context["form"].rows()][:3] == ["event", "number", "who.given"]
    assert signed_in(admin).get("/sources/any/mapping/", {"sample": "{"}).context["example"].error
    assert signed_in(admin).get("/sources/any/mapping/").context["form"].paths == []


PROOFS = [
    ({"proof": "header", "proof_name": "X-Api-Key"}, {"X-Api-Key": "s3cret"}, ""),
    ({"proof": "query", "proof_name": "token"}, {}, "?token=s3cret"),
    ({}, {"Authorization": "Bearer s3cret"}, ""),
    ({"proof": "hmac", "proof_name": "X-Sign", "hmac_prefix": "sha256="},
     {"X-Sign": signature("s3cret", packed({"phone": "89030001122"}), prefix="sha256=")}, ""),
    ({"proof": "hmac", "proof_name": "X-Sign", "hmac_algorithm": "sha1", "hmac_encoding": "base64"},
     {"X-Sign": signature("s3cret", packed({"phone": "89030001122"}), algorithm="sha1", encoding="base64")}, ""),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "headers", "query"), PROOFS)
def test_every_way_to_prove_oneself(source, post, settings, headers, query):
    Source.objects.update(settings=settings)
    raw = packed({"phone": "89030001122"})
    path = "/capture/{}/" + query
    assert post("any", raw=raw, type_=JSON, path=path, headers=headers).status_code == 202
    wrong = {name: f"{value}x" for name, value in headers.items()}
    assert post("any", raw=raw, type_=JSON, path=path + ("x" if query else ""), headers=wrong).status_code == 401
    assert post("any", raw=raw, type_=JSON).status_code == 401


def test_the_secret_in_a_field_is_no_fact_about_the_client(source, post, judged):
    Source.objects.update(settings={"proof": "field", "proof_name": "auth[key]", "answer_as": "ok"})
    assert post("any", raw=b"auth[key]=s3cret&phone=89030001122", type_=FORM).content == b"ok"
    assert post("any", raw=b"auth[key]=guess&phone=89030001122", type_=FORM).status_code == 401
    assert post("any", raw=b'{"auth": {"key": "s3', type_=JSON).status_code == 400
    judged()
    assert Lead.objects.get().custom == {}


def test_conditions_tell_enquiries_tests_and_the_rest_apart(source, post, judged):
    Source.objects.update(settings={"only_when": "event = order.created", "test_when": "mode=test"})
    for more in ({}, {"event": "order.paid"}, {"mode": "test"}):
        send(post, {"event": "order.created", "phone": "89030001122"} | more)
    judged()
    assert receipts() == [("lead", ""), ("rejected", "not_enquiry"), ("rejected", "test")]


def test_reports_and_checks_by_get(source, client, judged):
    assert client.get("/capture/any/?phone=89030001122").status_code == 405
    Source.objects.update(settings={"take_get": True, "challenge": "challenge", "proof": "query", "proof_name": "key"})
    assert client.get("/capture/any/?challenge=abc123").content == b"abc123"
    assert b"<b>" not in client.get("/capture/any/?challenge=<b>1</b>&key=s3cret").content
    assert client.get("/capture/any/?phone=89030001122&key=s3cret").status_code in {202, 303}
    judged()
    assert Lead.objects.count() == 1


@pytest.mark.parametrize("kind", ["json", "form", "multipart"])
def test_the_same_in_every_type_of_body(source, post, judged, kind):
    Source.objects.update(settings={"mapping": {"client[tel]": "phone", "client[who]": "name"}, "rest": "ignore"})
    headers = {"Authorization": "Bearer s3cret"}
    if kind == "json":
        post("any", json_={"client": {"tel": "89030001122", "who": "Анна"}, "x": 1}, headers=headers)
    elif kind == "form":
        post("any", raw="client[tel]=89030001122&client[who]=Анна&x=1".encode(), type_=FORM, headers=headers)
    else:
        post("any", {"client[tel]": "89030001122", "client[who]": "Анна", "x": "1"}, headers=headers)
    judged()
    lead = Lead.objects.get()
    assert (lead.name, lead.phone, lead.custom) == ("Анна", "+79030001122", {})


def test_real_bodies_of_other_systems(source, post, judged):
    stated = {"leads.add.0.id": "external_id", "user_column_data.FULL_NAME": "name", "user_column_data.EMAIL": "email"}
    Source.objects.update(settings={"mapping": stated})
    headers = {"Authorization": "Bearer s3cret"}
    post("any", raw=body_of("amocrm", "leads_add_min.txt"), type_=FORM, headers=headers)
    post("any", raw=body_of("google_ads_leads", "official_sample.json"), type_=JSON, headers=headers)
    judged()
    assert set(Lead.objects.values_list("name", "email")) == {("", ""), ("FirstName LastName", "test@example.com")}


def test_half_a_body_is_a_bad_request(source, post):
    raw = packed(json_of("google_ads_leads", "official_sample.json"))
    said = post("any", raw=raw[: len(raw) // 2], type_=JSON, headers={"Authorization": "Bearer s3cret"})
    assert said.status_code == 400


@pytest.mark.parametrize(
    "settings",
    [{"only_when": "x"}, {"proof": "header"}, {"hmac_algorithm": "crc"}, {"constants": {"owner": "1"}},
     {"formats": {"a": "roman"}}, {"mapping": {"a": "owner"}}],
)  # fmt: skip
def test_settings_without_sense_are_refused(source, settings):
    from django.core.exceptions import ValidationError

    from leads.services.sources import check_settings

    with pytest.raises(ValidationError):
        check_settings(settings, "mapping")


@pytest.mark.parametrize(
    ("name", "text", "read"),
    [("cents", "150050", "1500.5"), ("comma", "1.234,56 ₽", "1234.56"), ("dmy", "31.12.2026 10:00", "2026-12-31"),
     ("mdy", "12/31/2026", "2026-12-31"), ("dmy", "31.31.2026", "31.31.2026"), ("iso", "2026-12-31T10:00:00Z", "2026-12-31"),
     ("unix", "0", "1970-01-01"), ("unix_ms", "86400000", "1970-01-02"), ("unix", "soon", "soon"), ("digits", "+7 (903)", "7903"),
     ("first", "a b", "a"), ("first", " ", " "), ("lower", "AbC", "abc"), ("", " x ", " x "), ("cents", "1e999", "1e999")],
)  # fmt: skip
def test_formats(name, text, read):
    assert readable(text, name) == read


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8)
    | st.sampled_from(['{"a": 1}', "[", '[{"name": "x", "value": "y"}]', "{}"]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.sampled_from(["name", "value", "a", "0", "key", "a.b", "id", ""]), inner, max_size=4),
    max_leaves=25,
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(values)
def test_nothing_breaks_the_parser(value):
    source = Source(key="any", adapter="mapping", settings={"mapping": {"a": "phone", "name": "email"}})
    try:
        found = parse(read(JSON, json.dumps(value).encode()), source, headers={})
    except Refused:
        return
    assert isinstance(found, Parsed)
