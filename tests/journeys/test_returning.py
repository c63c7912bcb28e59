"""A client who comes back: while the card is open, after a rejection, after a purchase."""

import pytest

from tests.journeys import steps
from tests.product import wait_for

pytestmark = pytest.mark.slow

EMAIL = "again@client.test"
STATES = """
    select state from leads_submission
    where source_id = (select id from leads_source where key = 'form-back') order by id"""
FIELDS = {"name": "Борис Гость", "email": EMAIL, "phone": "8 916 555-66-77", "company": "Гости"}


def asks(product, client, number):
    """The same person's form for the ``number``-th time; returns what became of the receipts so far."""
    answer = steps.post_form(client, "form-back", **FIELDS, comment=f"Заявка {number}")
    assert answer.status == 303

    def judged():
        states = [row["state"] for row in product.rows(STATES)]
        return len(states) == number and "waiting" not in states and states

    return wait_for(judged, "the receipt to be judged")


def test_a_returning_client_is_never_silent(product, mailbox, person):
    client = person()
    assert asks(product, client, 1) == ["lead"]
    first = steps.ready(product, EMAIL)
    owner = person(first["owner_name"])
    comes_while_open(product, client, owner, first)
    second = comes_after_rejection(product, client, owner, first)
    third = comes_after_purchase(product, client, owner, second)

    assert {first["person_id"], second["person_id"], third["person_id"]} == {first["person_id"]}
    assert len({first["id"], second["id"], third["id"]}) == 3
    expected = {"received": 4, "lead": 3, "merged": 1, "spam": 0, "rejected": 0, "error": 0, "waiting": 0}
    assert product.json("ledger", "--source", "form-back") == expected
    assert [row["lead"] for row in product.json("receipts", "form-back")] == [
        first["id"], first["id"], second["id"], third["id"],
    ]  # fmt: skip
    assert len(steps.letters_to(mailbox, EMAIL)) == 1  # one greeting a day, however often they ask
    steps.no_differences(product)


def comes_while_open(product, client, owner, lead):
    """Merged into the open card, whose owner has a notice and a task, both on the page."""
    assert asks(product, client, 2) == ["lead", "merged"]
    assert steps.latest(product, EMAIL)["id"] == lead["id"]
    told = product.rows(
        "select kind from core_notice where user_id = %s and details->>'lead' = %s order by id",
        lead["owner_id"], str(lead["id"]),
    )  # fmt: skip
    assert [row["kind"] for row in told] == ["assigned", "returned"]
    card = owner.get(f"/leads/{lead['id']}/").words
    assert (steps.said("ru", "Answer the enquiry") in card, "Заявка 2" in card) == (True, True)
    assert "Борис Гость" in owner.get("/notices/").words


def comes_after_rejection(product, client, owner, former):
    """A new lead of the same person, to the former owner who is at work; the card says that they return."""
    address = f"/leads/{former['id']}/rejection/"
    reason = product.value("select id from core_reason where kind = 'lead' order by position limit 1")
    owner.send(owner.get(address), address, reason=reason, note="не сейчас")
    assert steps.latest(product, EMAIL)["status"] == "rejected"
    assert asks(product, client, 3) == ["lead", "merged", "lead"]
    lead = steps.ready(product, EMAIL, besides=[former["id"]])
    assert (lead["owner_id"], lead["status"]) == (former["owner_id"], "open")
    shown = product.json("show_lead", str(lead["id"]))
    assert [row["how"] for row in shown["assignments"]] == ["return"]
    (enquiry,) = [entry for entry in shown["timeline"] if entry["kind"] == "captured"]
    assert enquiry["details"]["previous_lead"] == former["id"]
    return lead


def comes_after_purchase(product, client, owner, former):
    """Who has bought gets a new lead; the person's card holds all of them."""
    convert = f"/leads/{former['id']}/conversion/"
    deal = owner.send(owner.get(convert), convert, title="Первая покупка", amount="1000").url
    owner.send(owner.get(f"{deal}win/"), f"{deal}win/", expected_close="2026-12-01")
    assert steps.latest(product, EMAIL)["status"] == "converted"
    assert asks(product, client, 4) == ["lead", "merged", "lead", "lead"]
    lead = steps.ready(product, EMAIL, besides=[former["id"]])
    assert (lead["owner_id"], lead["status"]) == (former["owner_id"], "open")
    page = owner.get(f"/people/{lead['person_id']}/")
    assert f"/leads/{former['id']}/" in page.links("/leads/")
    assert "Первая покупка" in owner.get(f"/people/{lead['person_id']}/deals/", part=True).words
    return lead
