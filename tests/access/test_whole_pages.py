"""An address typed into the browser gives a whole page: parts that load by themselves lead to the page they stand on."""

import pytest

from tests.access import matrix, world
from tests.access.walk import walk

pytestmark = pytest.mark.django_db

FRAMED = {"leads:message_body", "leads:letter_in_body"}  # foreign letters, shown in a frame of a page of ours
PARTS = {
    "analytics:funnel_panel": "analytics:index",
    "deals:board_column": "deals:board",
    "deals:card_part": "deals:card",
    "deals:company_panel": "leads:company",
    "deals:lead_panel": "leads:card",
    "deals:person_panel": "leads:person",
    "leads:board_column": "leads:board",
    "leads:card_part": "leads:card",
    "leads:import_progress": "leads:import",
    "leads:letter_fill": "leads:letter_new",
    "leads:letters": "leads:timeline",
    "leads:talk_thread": "leads:talk",
    "leads:twins": "leads:person",
    "nurturing:panel": "leads:card",
    "nurturing:steps": "nurturing:sequence",
    "routing:panel": "leads:card",
    "scoring:panel": "leads:card",
}


@pytest.fixture
def places(rep, colleague, head, outsider, marketer, admin, funnels):
    return world.build(rep, colleague, head, outsider, marketer, admin)


def addresses(places):
    """name → (address of one's own record, who may open it)."""
    for pattern in walk():
        entry = matrix.REGISTRY.get(pattern.name, {})
        if pattern.is_admin or entry.get("elsewhere"):
            continue
        label = "own" if entry.get("object") else None
        roles = entry.get("roles") or ["manager"]
        if url := matrix.url_of(pattern, entry, places, label):
            yield pattern.name, url, "rep" if "manager" in roles else roles[-1]


def test_no_address_answers_a_browser_with_a_part_of_a_page(places):
    bare = []
    for name, url, actor in addresses(places):
        response = matrix.client_of(places, actor).get(url)
        kind = response.headers.get("Content-Type", "")
        if response.streaming:
            response.close()
            continue
        if response.status_code != 200 or not kind.startswith("text/html") or name in FRAMED:
            continue
        if b"<html" not in response.content:
            bare.append(name)
    assert bare == []


@pytest.mark.parametrize("name", PARTS)
def test_a_part_leads_to_its_page_and_is_bare_for_it(places, name):
    url, actor = next((url, actor) for other, url, actor in addresses(places) if other == name)
    client = matrix.client_of(places, actor)
    browser = client.get(url)
    assert (browser.status_code, client.get(browser.url).resolver_match.view_name) == (302, PARTS[name])
    if name != "leads:letters":  # an address of old, nothing loads it
        part = client.get(url, headers=matrix.HTMX)
        assert part.status_code == 200 and b"<html" not in part.content
