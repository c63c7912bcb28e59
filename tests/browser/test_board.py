"""The board under a mouse and a finger: what moves stays moved, what may not move comes back and says why."""

import pytest
from playwright.sync_api import expect

from tests.browser.waiting import until
from tests.factories import DealFactory, LeadFactory

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.fixture
def lead(rep):
    return LeadFactory(owner=rep)


@pytest.fixture
def stages(lead):
    return list(lead.stage.pipeline.stages.order_by("position"))


def middle(page, selector):
    page.locator(selector).scroll_into_view_if_needed()
    box = page.locator(selector).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + min(box["height"] / 2, 60)


def drag(page, card, column):
    page.mouse.move(*middle(page, f"#card-{card.pk} .board-foot"))
    page.mouse.down()
    page.mouse.move(*middle(page, f"#column-{column.pk} .board-cards"), steps=8)
    page.locator(".is-ghost").wait_for()
    page.mouse.up()


def stands_in(page, card, column):
    page.locator(f"#column-{column.pk} #card-{card.pk}:not(.is-saving)").wait_for()


def counts(page):
    return [int(words) for words in page.locator(".board-head .count").all_inner_texts()]


def test_a_card_dragged_by_mouse_stays_where_it_was_put(lead, rep, stages, open_as):
    page = open_as(rep, "/leads/board/")
    drag(page, lead, stages[1])
    stands_in(page, lead, stages[1])
    expect(page.locator(f"#column-head-{stages[1].pk} .count")).to_have_text("1")
    assert counts(page)[:3] == [0, 1, 0]
    page.reload()
    stands_in(page, lead, stages[1])
    lead.refresh_from_db()
    assert (lead.stage, lead.version) == (stages[1], 1)
    assert page.url.endswith("/leads/board/")  # the click that ends a drag opens nothing


def test_a_refused_card_snaps_back_and_asks_for_what_lacks(lead, rep, stages, open_as):
    stages[1].required_fields = ["budget"]
    stages[1].save()
    page = open_as(rep, "/leads/board/")
    drag(page, lead, stages[1])
    page.locator("#dialog[open] [name=budget]").wait_for()
    stands_in(page, lead, stages[0])
    page.fill("#dialog [name=budget]", "12345678")
    page.click("#dialog .dialog-foot .btn-primary")
    stands_in(page, lead, stages[1])
    lead.refresh_from_db()
    assert (lead.stage, lead.budget) == (stages[1], 12_345_678)


def test_the_second_person_to_move_a_card_is_told(lead, rep, head, stages, open_as):
    first, second = open_as(rep, "/leads/board/"), open_as(head, "/leads/board/")
    drag(first, lead, stages[1])
    stands_in(first, lead, stages[1])
    drag(second, lead, stages[2])
    second.locator(".toast").first.wait_for()
    stands_in(second, lead, stages[1])
    lead.refresh_from_db()
    assert (lead.stage, lead.version) == (stages[1], 1)


def touch(session, kind, *points):
    session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]})


def test_a_long_press_and_a_finger_move_a_card(lead, rep, stages, open_as):
    page = open_as(rep, "/leads/board/", width=820, has_touch=True)
    session = page.context.new_cdp_session(page)
    (x, y), (to_x, to_y) = (
        middle(page, f"#card-{lead.pk} .board-foot"),
        middle(page, f"#column-{stages[1].pk} .board-cards"),
    )
    touch(session, "touchStart", (x, y))
    page.locator(".is-ghost").wait_for()
    for part in range(1, 9):
        touch(session, "touchMove", (x + (to_x - x) * part / 8, y + (to_y - y) * part / 8))
    touch(session, "touchEnd")
    stands_in(page, lead, stages[1])
    lead.refresh_from_db()
    assert lead.stage == stages[1]


def test_a_short_swipe_scrolls_and_moves_nothing(lead, rep, stages, open_as):
    page = open_as(rep, "/leads/board/", width=360, has_touch=True)
    session = page.context.new_cdp_session(page)
    x, y = middle(page, f"#card-{lead.pk} .board-foot")
    touch(session, "touchStart", (x, y))
    for step in range(1, 6):
        touch(session, "touchMove", (x - 30 * step, y))
    touch(session, "touchEnd")
    until(page, "document.querySelector('[data-board]').scrollLeft > 40")
    stands_in(page, lead, stages[0])
    lead.refresh_from_db()
    assert lead.version == 0


def test_a_deal_dragged_takes_its_sum_along(rep, open_as):
    deal = DealFactory(owner=rep, amount=12_345_678)
    stages = list(deal.stage.pipeline.stages.order_by("position"))
    page = open_as(rep, "/deals/board/")
    drag(page, deal, stages[1])
    stands_in(page, deal, stages[1])
    expect(page.locator(f"#column-head-{stages[1].pk}")).to_contain_text("12")
    deal.refresh_from_db()
    assert (deal.stage, counts(page)[:3]) == (stages[1], [0, 1, 0])
