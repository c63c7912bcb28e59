"""How many actions the daily work costs. Whoever makes it dearer changes a number here, and says why."""

import time

import pytest
from playwright.sync_api import expect

from leads.models import Kind, Lead
from tests.factories import LeadFactory

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.fixture
def leads(rep):
    return [LeadFactory(owner=rep, score=score) for score in (90, 50, 10)]


@pytest.fixture
def lead(leads):
    return leads[0]


def test_a_call_with_its_next_step_takes_four_actions(lead, rep, open_as, hands):
    page = open_as(rep, f"/leads/{lead.pk}/")
    hand = hands(page)
    hand.press("c")
    hand.click("#dialog label:has-text('no answer')")
    hand.click("#dialog label:has-text('Tomorrow')")
    hand.click("#dialog .dialog-foot .btn-primary")
    page.locator("#lead-steps [data-row]").wait_for()
    assert hand.actions <= 4
    assert list(lead.interactions.filter(kind=Kind.CALL).values_list("details__result", flat=True)) == ["no_answer"]
    lead.refresh_from_db()
    assert lead.next_step_at == lead.tasks.open().get().due_at


def test_one_key_goes_from_card_to_card_of_the_day(leads, rep, open_as, hands):
    page = open_as(rep)
    hand, seen = hands(page), []
    for _lead in leads:
        hand.press(".")
        page.wait_for_url(lambda url: "/leads/" in url and (not seen or not url.endswith(f"/leads/{seen[-1]}/")))
        page.locator("#lead-head").wait_for()
        seen.append(int(page.url.rstrip("/").rpartition("/")[2]))
    assert hand.actions == len(leads)
    assert sorted(seen) == sorted(lead.pk for lead in leads)


@pytest.mark.parametrize("place", ["card", "board by key", "board by menu"])
def test_a_stage_is_moved_in_two_actions(lead, rep, open_as, hands, place):
    following = lead.stage.pipeline.stages.order_by("position")[1]
    page = open_as(rep, f"/leads/{lead.pk}/" if place == "card" else "/leads/board/")
    hand = hands(page)
    if place == "card":
        hand.click(f".steps button:has-text('{following.name}')")
        expect(page.locator(".step[aria-current]")).to_have_text(following.name)
    elif place == "board by key":
        page.focus(f"#card-{lead.pk}")
        hand.press("Alt+ArrowRight")
    else:
        hand.click(f"#card-{lead.pk} .board-menu > button")
        hand.click(f"#move-{lead.pk} button:has-text('{following.name}')")
    if place != "card":
        page.locator(f"#column-{following.pk} #card-{lead.pk}:not(.is-saving)").wait_for()
    page.wait_for_load_state()
    lead.refresh_from_db()
    assert (lead.stage, hand.actions <= 2) == (following, True)


def test_four_digits_find_a_client_within_three_seconds(leads, rep, open_as, hands):
    wanted = leads[1]
    page = open_as(rep)
    hand, start = hands(page), time.monotonic()
    hand.press("/")
    hand.type(wanted.phone[-4:])
    page.locator(f"#search-results a[href='/leads/{wanted.pk}/']").wait_for()
    hand.press("ArrowDown")
    hand.press("Enter")
    page.wait_for_url(f"**/leads/{wanted.pk}/")
    assert time.monotonic() - start <= 3
    assert hand.actions <= 4


def test_a_lead_by_hand_needs_a_phone_and_three_actions(lead, rep, open_as, hands):
    page = open_as(rep)
    hand = hands(page)
    hand.press("n")
    page.locator("#dialog [name=phone]:focus").wait_for()
    hand.type("8 912 345-67-89")
    hand.press("Enter")
    page.wait_for_url(lambda url: "/leads/" in url)
    made = Lead.objects.get(phone="+79123456789")
    assert (made.owner, made.status, hand.actions) == (rep, "open", 3)
    assert page.url.endswith(f"/leads/{made.pk}/")


def test_from_the_list_to_a_card_and_its_composer_by_keys_alone(leads, rep, open_as, hands):
    page = open_as(rep, "/leads/")
    hand = hands(page)
    hand.press("j")
    hand.press("j")
    hand.press("Enter")
    page.locator("#lead-head").wait_for()
    hand.press("c")
    page.locator("#dialog[open] form").wait_for()
    hand.press("Escape")
    page.locator("#dialog[open]").wait_for(state="hidden")
    assert hand.actions == 5
