"""A client in a messenger and on the site's chat, with real workers: writes, is answered from the card, both see it live."""

import json
import time

import pytest
from playwright.sync_api import expect

from tests.journeys.world import PASSWORD
from tests.leads import messengers
from tests.product import wait_for

pytestmark = pytest.mark.slow

SECRET = {"X-Telegram-Bot-Api-Secret-Token": "journey-s3cret"}
SOURCES = """
from crm.core.models import Team; from leads.services.sources import add; from routing.models import Rule
add(key="bot", adapter="telegram", secret="journey-s3cret", settings={{"token": "T", "base_url": {url!r}}})
add(key="desk", adapter="chat")
team = Team.objects.get(name="Team ru")
for place, key in enumerate(["bot", "desk"]):
    here = [{{"field": "source", "op": "eq", "value": key}}]
    Rule.objects.create(name=f"Talks {{key}}", position=50 + place, strategy="evenly", team=team, condition=here)
"""
CARD = """
    select l.id, u.username as owner from leads_conversation c join leads_lead l on l.id = c.lead_id
    join core_user u on u.id = l.owner_id join leads_source s on s.id = c.source_id where s.key = %s"""
SITE = """<!doctype html><title>Shop</title><h1>Shop</h1>
<script src="{url}/static/js/capture/chat.js" data-chat="{url}/chat/desk/" data-label="Напишите нам"></script>"""
SOON = 2_000  # ms


@pytest.fixture(scope="module")
def telegram(product):
    with messengers.running() as running:
        product.python(SOURCES.format(url=running.url))
        yield running


def update(number, text):
    who = {"id": 501, "is_bot": False, "first_name": "Клара", "last_name": "Ивановна"}
    body = {
        "message_id": number,
        "from": who,
        "chat": {**who, "type": "private"},
        "date": int(time.time()),
        "text": text,
    }
    return json.dumps({"update_id": number, "message": body})


def owned(product, key):
    def found():
        rows = product.rows(CARD, key)
        return rows and rows[0]

    return wait_for(found, f"the card of {key} with its owner")


def signed_in(browser, product, username, path):
    page = browser.new_context(base_url=product.url, locale="ru-RU").new_page()
    page.set_default_timeout(15_000)
    page.goto(f"/login/?next={path}")
    page.fill("[name=username]", username)
    page.fill("[name=password]", PASSWORD)
    page.press("[name=password]", "Enter")
    page.wait_for_url(f"**{path}")
    return page


def test_a_client_of_telegram_and_the_owner_talk_in_the_card(product, person, telegram, browser):
    outside = person()

    def writes(number, text):
        kind = {"Content-Type": "application/json", **SECRET}
        assert outside.ask("POST", "/capture/bot/", update(number, text), **kind).status == 200

    writes(1, "Сколько стоит доставка?")
    card = owned(product, "bot")
    page = signed_in(browser, product, card["owner"], f"/leads/{card['id']}/")
    thread = page.locator("#talk-thread")
    expect(thread).to_contain_text("Сколько стоит доставка?")
    writes(2, "И можно ли завтра?")
    expect(thread).to_contain_text("И можно ли завтра?", timeout=SOON)
    page.fill("#talk-text", "Завтра можно, 300 рублей")
    page.keyboard.press("Control+Enter")
    expect(thread.locator(".bubble-ours")).to_contain_text("Завтра можно", timeout=SOON)
    wait_for(lambda: telegram.texts() == ["Завтра можно, 300 рублей"], "the answer at Telegram")
    expect(thread.locator(".bubble-ours .bubble-state")).to_have_attribute("data-state", "sent", timeout=SOON)
    expect(page.locator("#talk-text")).to_have_value("")
    assert product.value("select unread from leads_conversation where chat = '501'") == 0
    assert [r["state"] for r in product.json("receipts", "bot")] == ["lead", "merged"]
    page.context.close()


def test_a_visitor_of_the_site_and_the_owner_talk_in_the_chat(product, telegram, browser):
    site = browser.new_context(locale="ru-RU", viewport={"width": 400, "height": 800}).new_page()
    site.set_default_timeout(15_000)
    telegram.site = SITE.format(url=product.url)
    site.goto(f"{telegram.url}/site/?utm_source=max")
    assert (site.context.cookies(), len(site.frames)) == ([], 1)  # nothing until it is opened
    site.get_by_role("button", name="Напишите нам").click()
    chat = site.frame_locator("#crm-chat iframe")
    chat.locator("#text").fill("Здравствуйте, вы открыты?")
    chat.locator("#text").press("Enter")
    expect(chat.locator("#lines .theirs").last).to_contain_text("вы открыты?")
    card = owned(product, "desk")
    page = signed_in(browser, product, card["owner"], f"/leads/{card['id']}/")
    thread = page.locator("#talk-thread")
    expect(thread).to_contain_text("вы открыты?")
    page.fill("#talk-text", "Да, до восьми <b>вечера</b>")
    page.keyboard.press("Control+Enter")
    expect(chat.locator("#lines .ours").last).to_contain_text("до восьми <b>вечера</b>", timeout=SOON)
    chat.locator("#text").fill("Спасибо!")
    chat.locator("#text").press("Enter")
    expect(thread).to_contain_text("Спасибо!", timeout=SOON)
    leaves_a_contact(product, chat, card, f"{telegram.url}/site/?utm_source=max")
    assert site.context.cookies() == []
    site.context.close()
    page.context.close()


def leaves_a_contact(product, chat, card, page):
    """The contact is on the card, the campaign is known."""
    chat.locator("#leave").click()
    chat.locator("#name").fill("Вера Павловна")
    chat.locator("#way").fill("8 916 700-80-90")
    chat.get_by_role("button", name="Оставить контакт").click()
    expect(chat.locator("#lines .ours").last).to_contain_text("Спасибо")

    def known():
        return product.value("select phone from leads_lead where id = %s", card["id"]) == "+79167008090"

    wait_for(known, "the phone on the card")
    marks = product.value("select marks from leads_touch where lead_id = %s order by id limit 1", card["id"])
    assert (marks["utm_source"], marks["landing"]) == ("max", page)
