"""A lead that a colleague writes down: a phone alone is enough; a colleague's client is named without data."""

import pytest

from tests.journeys import steps
from tests.product import wait_for

pytestmark = pytest.mark.slow

SECRET, PHONE = "Секретарёв Тайный", "+79031234567"


def test_a_lead_by_hand_and_a_colleagues_client(product, person):
    owner, colleague = person("rep_hand"), person("colleague_hand")
    card = owner.send(owner.get("/leads/new/"), "/leads/new/", phone="8 (903) 123-45-67")
    (lead,) = product.rows(f"{steps.LEAD} where l.phone = %s", PHONE)
    assert (card.url, lead["owner_name"]) == (f"/leads/{lead['id']}/", "rep_hand")
    field = f"/leads/{lead['id']}/fields/name/"
    owner.send(owner.get(field), field, name=SECRET)
    score = "select score from leads_lead where id = %s"
    wait_for(lambda: product.value(score, lead["id"]) == 5, "the points for a phone")

    seen_without_data(colleague, lead)
    passed_on(product, owner, colleague, lead)
    shown = product.json("show_lead", str(lead["id"]))
    assert shown["card"]["name"] == SECRET
    assert [row["how"] for row in shown["assignments"]] == ["hand"]
    enquiries = [entry["kind"] for entry in shown["timeline"] if entry["kind"].endswith("captured")]
    assert enquiries == ["captured", "recaptured"]
    steps.no_differences(product)


def seen_without_data(colleague, lead):
    """The colleague learns who has the client, and nothing of the client."""
    page = colleague.get("/leads/new/")
    answer = colleague.post("/leads/new/", **page.form("/leads/new/") | {"phone": "+7 903 123 45 67"})
    named = steps.said("ru", "This client is already with %(owner)s.", owner=steps.name_of("rep_hand"))
    assert (answer.status, named in answer.words) == (422, True)
    assert (SECRET in answer.text, f"/leads/{lead['id']}/" in answer.text) == (False, False)
    assert colleague.ask("GET", f"/leads/{lead['id']}/").status == 404


def passed_on(product, owner, colleague, lead):
    """The colleague passes the enquiry on: it is on the owner's card, and the owner is told."""
    page = colleague.get("/leads/new/")
    answer = colleague.send(page, "/leads/new/", phone="89031234567", need="Просил перезвонить", insist="1")
    assert (answer.url, SECRET in answer.text) == ("/leads/", False)
    assert product.rows(f"{steps.LEAD} where l.phone = %s", PHONE)[0]["owner_name"] == "rep_hand"
    assert "Просил перезвонить" in owner.get(f"/leads/{lead['id']}/").words
    assert SECRET in owner.get("/notices/").words
