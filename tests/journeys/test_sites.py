"""Doors of sites and advertising, with real workers: an unknown provider, a confirmed subscription, Meta."""

import contextlib
import json
import re
import time

import pytest

from tests.journeys.steps import latest, letters_to, local
from tests.leads.capture.bodies import signature
from tests.leads.capture.stand_in import StandIn
from tests.product import wait_for

pytestmark = pytest.mark.slow

ADMIN = """
from crm.core.models import User
User.objects.create_user("admin_doors", "admin_doors@crm.test", "a long passphrase", role="admin", language="ru")
"""
KNOWN = 2.5  # seconds after which every worker knows new settings: more than CONFIG_TTL of a running product
JSON = {"Content-Type": "application/json"}
ORDER = {"order": {"no": "A-17", "buyer": {"who": "Павел Журавлёв", "box": "pavel@unknown.example"}, "total": "150000"}}
MEANINGS = {"order.no": "own_id", "order.buyer.who": "name", "order.buyer.box": "email", "order.total": "budget"}


def states(product, key):
    sql = "select x.state, x.reason from leads_submission x join leads_source s on s.id = x.source_id where s.key = %s"
    return sorted((row["state"], row["reason"]) for row in product.rows(sql, key))


def settled(product, key, expected):
    wait_for(lambda: len(states(product, key)) == len(expected), f"{len(expected)} receipts of {key}")
    wait_for(lambda: ("waiting", "") not in states(product, key), f"the judge of {key}")
    assert states(product, key) == sorted(expected)


def test_a_provider_nobody_has_seen_is_connected_on_pages_alone(product, person):
    product.manage("add_source", "unknown", "--adapter", "mapping", "--secret", "s3cret",
                   "--setting", "proof=header", "--setting", "proof_name=X-Api-Key", "--setting", "answer_as=ok")  # fmt: skip
    product.python(ADMIN)
    admin, shop = person("admin_doors"), person()
    key = {"X-Api-Key": "s3cret", **JSON}
    assert shop.ask("POST", "/capture/unknown/", json.dumps(ORDER), **JSON).status == 401
    assert shop.ask("POST", "/capture/unknown/", json.dumps(ORDER), **key).text == "ok"
    settled(product, "unknown", [("rejected", "unsigned"), ("rejected", "no_contact")])
    page = admin.get("/sources/unknown/mapping/")
    rows = [row[0] for row in page.document.rows if row and row[0].startswith("order.")]
    fields = {f"t{rows.index(path)}": target for path, target in MEANINGS.items()}
    fields |= {f"f{rows.index('order.total')}": "cents"}
    shown = admin.send(page, "/sources/unknown/mapping/", **fields, preview="1")
    assert "pavel@unknown.example" in shown.words and "1500" in shown.words
    admin.send(shown, "/sources/unknown/mapping/", **fields, save="1")
    time.sleep(KNOWN)
    for _n in range(2):
        shop.ask("POST", "/capture/unknown/", json.dumps(ORDER), **key)
    settled(
        product, "unknown", [("lead", ""), ("merged", "same"), ("rejected", "no_contact"), ("rejected", "unsigned")]
    )
    lead = latest(product, "pavel@unknown.example")
    assert (lead["name"], str(lead["budget"])) == ("Павел Журавлёв", "1500.00")


def test_a_subscription_is_confirmed_from_the_letter(product, person, mailbox):
    product.manage("add_source", "news", "--adapter", "newsletter", "--setting", "topic=Новинки")
    visitor, address = person(), "reader@news.example"
    page = visitor.post("/capture/news/", email=address, name="Читатель")
    assert "письм" in page.words
    wait_for(lambda: letters_to(mailbox, address), "the letter that asks for a confirmation")
    (letter,) = letters_to(mailbox, address)
    text = letter.get_body(("plain",)).get_content()
    link = local(re.search(r"https?://\S+/confirm/\S+", text)[0])
    question = visitor.get(link)
    assert (latest(product, address), states(product, "news")) == (None, [("waiting", "")])
    visitor.send(question, link)
    settled(product, "news", [("lead", "")])
    assert latest(product, address)["tags"] == ["subscriber"]


def test_an_advertisement_of_meta_is_fetched(product, person):
    data = [{"name": "full_name", "values": ["Мария Орлова"]}, {"name": "email", "values": ["maria@meta.example"]}]
    with contextlib.closing(StandIn()) as graph:
        graph.says = {"/v24.0/901": [(503, {"error": {"code": 2}}), (200, {"id": "901", "field_data": data})]}
        product.manage("add_source", "ads", "--adapter", "meta", "--secret", "app", "--setting", f"base_url={graph.url}",
                       "--setting", "access_token=T", "--setting", "verify_token=V")  # fmt: skip
        meta = person()
        hello = meta.ask("GET", "/capture/ads/?hub.mode=subscribe&hub.verify_token=V&hub.challenge=42")
        assert hello.text == "42"
        change = {"field": "leadgen", "value": {"leadgen_id": 901, "form_id": 5}}
        raw = json.dumps({"object": "page", "entry": [{"changes": [change]}]})
        signed = {"X-Hub-Signature-256": signature("app", raw.encode(), prefix="sha256="), **JSON}
        assert [meta.ask("POST", "/capture/ads/", raw, **signed).status for _n in range(2)] == [200, 200]
        settled(product, "ads", [("lead", ""), ("merged", "same")])
    assert latest(product, "maria@meta.example")["name"] == "Мария Орлова"
