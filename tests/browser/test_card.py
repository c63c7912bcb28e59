"""The lead's card in a real browser: budgets of actions, texts that survive, names that never run."""

import pytest
from django.conf import settings
from playwright.sync_api import expect

from leads.models import Kind
from leads.services import cards
from tests.factories import LeadFactory

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
PASSWORD = "a long passphrase"


@pytest.fixture
def lead(rep):
    return LeadFactory(owner=rep)


def sign_in(page, user, path):
    page.goto(f"/login/?next={path}")
    page.fill("[name=username]", user.username)
    page.fill("[name=password]", PASSWORD)
    page.press("[name=password]", "Enter")
    page.wait_for_url(f"**{path}")


def test_a_call_with_a_next_step_takes_four_actions(lead, rep, page):
    sign_in(page, rep, f"/leads/{lead.pk}/")
    page.locator("#composer").wait_for()
    page.keyboard.press("c")
    page.click("#dialog label:has-text('no answer')")
    page.click("#dialog label:has-text('Tomorrow')")
    page.click("#dialog .dialog-foot .btn-primary")
    page.locator("#lead-steps [data-row]").wait_for()
    expect(page.locator("#dialog[open]")).to_have_count(0)
    expect(page.locator("#timeline .timeline-item[data-kind=call]")).to_have_count(1)
    assert list(lead.interactions.filter(kind=Kind.CALL).values_list("details__result", flat=True)) == ["no_answer"]
    assert lead.tasks.open().count() == 1


def test_a_half_written_note_survives_an_expired_session(lead, rep, page):
    path = f"/leads/{lead.pk}/"
    sign_in(page, rep, path)
    page.fill("#quick_text", "Half a thought")
    page.context.clear_cookies(name=settings.SESSION_COOKIE_NAME)
    page.click("#composer .btn-primary")
    page.wait_for_url("**/login/**")
    page.wait_for_load_state()
    page.fill("[name=username]", rep.username)
    page.fill("[name=password]", PASSWORD)
    page.press("[name=password]", "Enter")
    page.wait_for_url(f"**{path}")
    expect(page.locator("#quick_text")).to_have_value("Half a thought")
    assert lead.interactions.count() == 0


def test_a_field_is_edited_in_place_by_keyboard(lead, rep, page):
    sign_in(page, rep, f"/leads/{lead.pk}/")
    page.click("#fact-budget .fact-add")
    page.locator("#fact-budget input:focus").wait_for()
    page.keyboard.type("1 500 000")
    page.keyboard.press("Enter")
    page.locator("#fact-budget .fact-value").wait_for()
    expect(page.locator("#lead-qualified")).to_contain_text("1 of 4")
    page.click("#fact-need .fact-add")
    page.locator("#fact-need textarea:focus").wait_for()
    page.keyboard.press("Escape")
    page.locator("#fact-need .fact-add").wait_for()
    lead.refresh_from_db()
    assert (lead.budget, lead.need) == (1_500_000, "")


def test_hostile_texts_never_run_on_the_card(rep, page):
    hostile = '"><img src=x onerror="window.ran=1"><svg/onload="window.ran=1">'
    lead = LeadFactory(owner=rep, name=hostile, company_name=hostile, city=hostile, tags=[hostile[:40]])
    cards.note(lead, by=rep, text=hostile)
    sign_in(page, rep, f"/leads/{lead.pk}/")
    page.keyboard.press("c")
    page.locator("#dialog[open] form").wait_for()
    page.keyboard.press("Escape")
    page.hover("#lead-head h1")
    assert page.evaluate("window.ran") is None
    expect(page.locator("#lead-head h1")).to_have_text(hostile)
