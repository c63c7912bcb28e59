import json

import pytest
from django.test import Client

from crm.core.jobs import drain
from crm.core.models import ApiKey, Stage
from deals.models import Deal
from leads.models import Lead, Submission
from tests.access import matrix, world

pytestmark = pytest.mark.django_db


@pytest.fixture
def places(rep, colleague, head, outsider, marketer, admin, funnels):
    return world.build(rep, colleague, head, outsider, marketer, admin)


@pytest.fixture
def api():
    """``api(user).post(path, {...}, **headers)``: a client with the user's bearer key."""

    class Api:
        def __init__(self, user):
            _key, token = ApiKey.issue(name="test", user=user)
            self.client = Client(headers={"Authorization": f"Bearer {token}"})

        def __getattr__(self, method):
            def call(path, data=None, **headers):
                body = {} if data is None else {"data": json.dumps(data), "content_type": "application/json"}
                body = {"data": data} if method == "get" else body
                return getattr(self.client, method)("/api/v1" + path, **body, headers=headers)

            return call

    return Api


def test_without_a_valid_key_nothing_answers(client, places, rep):
    key, token = ApiKey.issue(name="off", user=rep)
    ApiKey.objects.filter(pk=key.pk).update(is_active=False)
    for header in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Bearer {token}"}):
        answer = client.get("/api/v1/leads", headers=header)
        assert (answer.status_code, answer.json()["error"]) == (401, "unauthorized")
    assert client.get(f"/api/v1/leads?key={token}").status_code == 401
    client.force_login(rep, backend="django.contrib.auth.backends.ModelBackend")
    assert client.get("/api/v1/leads").status_code == 401  # a session is no key


def test_a_key_sees_what_its_user_sees(api, places):
    for actor in ("rep", "outsider", "head", "marketer", "admin"):
        answer = api(places.actors[actor]).get("/leads").json()
        seen = {label for label, bundle in places.bundles.items() if bundle.canary in json.dumps(answer)}
        assert seen == {label for label in places.bundles if matrix.may_see(actor, label)}, actor
        deals = json.dumps(api(places.actors[actor]).get("/deals").json())
        assert {label for label, bundle in places.bundles.items() if bundle.canary in deals} == seen


@pytest.mark.parametrize("kind", ["lead", "deal"])
def test_a_strangers_record_is_not_there_and_nothing_is_written(api, places, rep, kind):
    other = places.bundles["mate"].params[kind]
    calls = [
        ("get", f"/{kind}s/{other}", None),
        ("patch", f"/{kind}s/{other}", {"title" if kind == "deal" else "city": "x"}),
    ]
    if kind == "lead":
        calls += [
            ("post", f"/leads/{other}/interactions", {"kind": "note", "text": "x"}),
            ("post", "/deals", {"lead": other}),
        ]
    client = api(rep)
    for method, path, data in calls:
        before = matrix.writes()
        answer = getattr(client, method)(path, data)
        assert (answer.status_code, matrix.writes() - before) == (404, 0), path
    marketer = api(places.actors["marketer"])
    assert marketer.patch(f"/{kind}s/{other}", {"title" if kind == "deal" else "city": "x"}).status_code == 404


def test_the_list_answers_by_email_in_pages(api, admin, places):
    wanted = Lead.objects.get(pk=places.bundles["own"].params["lead"])
    found = api(admin).get("/leads", {"email": wanted.email.upper()}).json()
    assert [row["id"] for row in found["items"]] == [wanted.pk]
    assert {"id", "name", "email", "phone", "source", "stage", "owner", "score", "band"} <= set(found["items"][0])
    first = api(admin).get("/leads", {"limit": 3}).json()
    second = api(admin).get("/leads", {"limit": 3, "after": first["next"]}).json()
    assert len(first["items"]) == 3
    assert [row["id"] for row in first["items"] + second["items"]] == list(
        Lead.objects.order_by("-pk").values_list("pk", flat=True)
    )
    assert second["next"] is None


@pytest.mark.parametrize(
    "query",
    ["limit=1000000", "after=-1", "ordering=owner__password", "_connector=OR 1=1", "id__in=1", "status=x", "created_from=soon",
     "owner__is_superuser=1", "name__regex=(a%2B)%2B$"],
)  # fmt: skip
def test_parameters_that_do_not_exist_or_fit_are_refused(api, admin, places, query):
    answer = api(admin).get(f"/leads?{query}")
    assert answer.status_code == 400, answer.content


def test_what_a_database_cannot_keep_is_left_out(api, admin, places):
    client = api(admin)
    for query in ("leads?q=%00", "leads?source=%00", "leads?email=%00@x.test", "leads?phone=%00", "deals?q=%00"):
        assert client.get(f"/{query}").status_code == 400, query
    lead = client.post("/leads", {"name": "Ан\0на", "phone": "+79990000001", "need": "а\0б"}).json()
    deal = client.post("/deals", {"lead": lead["id"], "title": "Ок\0на"}).json()
    assert (lead["name"], lead["fields"]["need"], deal["title"]) == ("Анна", "аб", "Окна")
    assert client.patch(f"/leads/{lead['id']}", {"tags": ["a\0b"], "city": "Тверь\0"}).json()["tags"] == ["ab"]
    note = client.post(f"/leads/{lead['id']}/interactions", {"kind": "note", "text": "\0"})
    assert note.status_code == 422


def test_a_lead_is_made_once_under_a_key_and_handed_out(api, admin, rep, places):
    client, data = api(admin), {"name": "иван петров", "phone": "8 (912) 345-67-89", "city": "г. Казань"}
    made = client.post("/leads", data, **{"Idempotency-Key": "k1"})
    again = client.post("/leads", data, **{"Idempotency-Key": "k1"})
    other = client.post("/leads", data | {"city": "Тверь"}, **{"Idempotency-Key": "k1"})
    assert (made.status_code, again.status_code, other.status_code) == (201, 201, 422)
    assert (again.json()["id"], again["Idempotent-Replayed"]) == (made.json()["id"], "true")
    assert (made.json()["name"], made.json()["phone"], made.json()["fields"]["city"]) == (
        "Иван Петров",
        "+79123456789",
        "Казань",
    )
    merged = client.post("/leads", {"phone": "+79123456789", "email": "ivan@example.test"})
    assert (merged.status_code, merged.json()["id"]) == (200, made.json()["id"])
    assert sorted(Submission.objects.filter(source__key="api").values_list("state", flat=True)) == ["lead", "merged"]
    drain()


def test_a_colleagues_card_takes_the_enquiry_without_showing_itself(api, rep, places):
    theirs = Lead.objects.get(pk=places.bundles["other"].params["lead"])
    answer = api(rep).post("/leads", {"email": theirs.email, "need": "again"})
    assert (answer.status_code, answer.json()["state"], set(answer.json())) == (202, "merged", {"receipt", "state"})


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"phone":', 400), (b"", 400), (b"[1,", 400), (b'{"phone": "+79990000001", "phone": "+79990000002"}', 400),
        (b'{"phone": NaN}', 400), (b'{"budget": 1e400, "phone": "+79990000001"}', 400), (b'{"email": ["a"]}', 422),
        (b'{"email": {"$gt": ""}}', 422), (b'{"phone": true}', 422), (b'{"name": "nobody"}', 422),
        (b'{"owner": 1, "phone": "+79990000001"}', 422), (b'{"budget": -1, "phone": "+79990000001"}', 422),
        (b'{"company_size": 9223372036854775808, "phone": "+79990000001"}', 422),
    ],
)  # fmt: skip
def test_bad_bodies_are_said_in_words_and_make_nothing(api, admin, places, body, status):
    client, before = api(admin), Lead.objects.count()
    answer = client.client.post("/api/v1/leads", body, content_type="application/json")
    assert (answer.status_code, Lead.objects.count()) == (status, before), answer.content
    assert answer.json()["detail"]


def test_the_gates_hold_over_the_api_and_a_change_is_all_or_nothing(api, rep, places):
    pk = places.bundles["own"].params["lead"]
    stages = list(Stage.objects.filter(pipeline__kind="lead"))
    stages[1].required_fields = ["budget"]
    stages[1].save()
    refused = api(rep).patch(f"/leads/{pk}", {"city": "Тверь", "stage": stages[1].pk})
    assert (refused.status_code, refused.json()["error"], refused.json()["missing"]) == (
        422,
        "fields_missing",
        ["budget"],
    )
    assert Lead.objects.get(pk=pk).city == ""
    moved = api(rep).patch(f"/leads/{pk}", {"budget": "1000.00", "stage": stages[1].pk})
    assert (moved.status_code, moved.json()["stage"], moved.json()["version"]) == (200, stages[1].name, 1)
    stale = api(rep).patch(f"/leads/{pk}", {"city": "Тула", "version": 0})
    assert (stale.status_code, Lead.objects.get(pk=pk).city) == (409, "")


def test_a_deal_is_opened_from_a_lead_once_and_won(api, rep, places):
    pk = places.bundles["own"].params["lead"]
    Deal.objects.filter(lead=pk).update(lead=None)
    first = api(rep).post("/deals", {"lead": pk, "title": "Окна", "amount": "90000.00"})
    assert (first.status_code, first.json()["title"], first.json()["amount"]) == (201, "Окна", "90000.00")
    assert api(rep).post("/deals", {"lead": pk}).json()["id"] == first.json()["id"]
    won = api(rep).patch(f"/deals/{first.json()['id']}", {"won": True})
    assert (won.status_code, won.json()["status"]) == (200, "won")
