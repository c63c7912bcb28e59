"""Doors as people use them: the chat on the company's site, a form made in the product, a provider mapped by picking."""

import json
import os
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from django.db.models import Max
from playwright.sync_api import expect

from crm.core.jobs import drain
from leads.models import Consent, ConsentText, Conversation, Lead, Source, Submission
from tests.factories import LeadFactory
from tests.leads.capture.conftest import make_source

SOON = 20_000  # ms: what goes through a worker and the live stream, on a machine that has other work
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
SHOTS = os.environ.get("SHOTS")  # a folder where pictures of the pages are left to be looked at


def shot(page, name):
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS) / f"{name}.png"), full_page=True)


class Site(BaseHTTPRequestHandler):
    """The company's own site: one page with what the product says to paste into it."""

    def log_message(self, *_args):
        pass

    def do_GET(self):
        html = f"<!doctype html><html lang='ru'><title>Диваны</title><body><h1>Диваны</h1>{self.server.embed}</body></html>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(html.encode())


@pytest.fixture
def site(new_page, live_server, settings):
    """``site(embed)``: a visitor's page of the company's site, which is another origin than the product."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()

    def open_site(embed, **options):
        server.embed = embed.replace(settings.PUBLIC_URL, live_server.url)
        page = new_page(**options)
        page.goto(f"http://localhost:{server.server_address[1]}/sofas?utm_source=yandex")
        return page

    yield open_site
    server.shutdown()
    server.server_close()
    thread.join()


# --- The chat on the site ---------------------------------------------------------------------------------------------


def write(visitor, text):
    """Say something in the chat; the line is pale until a worker has stored it."""
    chat = visitor.frame_locator("#crm-chat iframe")
    chat.locator("#text").fill(text)
    next(frame for frame in visitor.frames if "/chat/desk/" in frame.url).wait_for_load_state()  # its script as well
    with visitor.expect_response("**/chat/desk/say/"):
        chat.locator("#text").press("Enter")
    drain()
    expect(chat.locator("[data-waiting]")).to_have_count(0, timeout=SOON)


@pytest.mark.parametrize("width", [1440, 360])
def test_a_visitor_and_the_owner_talk_through_the_widget(open_as, site, funnels, admin, rep, width):
    make_source(key="desk", name="Chat", adapter="chat", channel="chat")
    embed = open_as(admin, "/sources/desk/").locator("#chat-embed").text_content()
    visitor = site(embed, width=width)
    opener = visitor.locator("#crm-chat button")
    expect(opener).to_be_visible()
    expect(visitor.locator("#crm-chat iframe")).to_have_count(0)  # nothing is loaded until it is asked for
    opener.click()
    chat = visitor.frame_locator("#crm-chat iframe")
    write(visitor, "Диван в наличии?")
    expect(chat.locator("#lines li.theirs p").last).to_have_text("Диван в наличии?")
    lead = Lead.objects.get()
    assert (lead.need, lead.touches.get().marks["utm_source"]) == ("Диван в наличии?", "yandex")
    Lead.objects.update(owner=rep, team=rep.team)
    card = open_as(rep, f"/leads/{lead.pk}/", width=width)
    expect(card.locator("#talk-thread .bubble-text")).to_have_text(["Диван в наличии?"])
    card.locator("#talk-text").fill("Да, два цвета")
    card.locator("#talk-composer form").first.locator("button.btn-primary").click()
    expect(card.locator("#talk-thread .bubble-ours .bubble-text")).to_have_text(["Да, два цвета"], timeout=SOON)
    drain()
    shot(card, f"talk-{width}")
    expect(chat.locator("#lines li.ours p").last).to_have_text("Да, два цвета", timeout=SOON)
    expect(visitor.locator("#crm-chat iframe")).to_be_visible()
    write(visitor, "Беру серый")
    card.reload()
    said = ["Диван в наличии?", "Да, два цвета", "Беру серый"]
    expect(card.locator("#talk-thread .bubble-text")).to_have_text(said, timeout=SOON)
    assert (Lead.objects.count(), Conversation.objects.get().lead) == (1, lead)


@pytest.mark.parametrize("forgotten", ["frame", "site"])
def test_the_chat_waits_for_the_visitor_after_a_reload_and_belongs_to_nobody_else(
    open_as, site, funnels, admin, rep, forgotten
):
    """Also where the browser keeps nothing for a frame of another site, or the site has cleared what it kept."""
    make_source(key="desk", name="Chat", adapter="chat", channel="chat")
    embed = open_as(admin, "/sources/desk/").locator("#chat-embed").text_content()
    visitor = site(embed)
    visitor.locator("#crm-chat button").click()
    write(visitor, "Есть кто?")
    where = visitor.main_frame if forgotten == "site" else visitor.main_frame.child_frames[0]
    assert where.evaluate("Object.keys(localStorage).filter((name) => name.startsWith('crm-chat')).length") == 1
    where.evaluate("localStorage.clear()")
    visitor.reload()
    visitor.locator("#crm-chat button").click()
    expect(visitor.frame_locator("#crm-chat iframe").get_by_text("Есть кто?")).to_be_visible()
    stranger = site(embed)
    stranger.locator("#crm-chat button").click()
    expect(stranger.frame_locator("#crm-chat iframe").locator("#text")).to_be_visible()
    expect(stranger.frame_locator("#crm-chat iframe").get_by_text("Есть кто?")).to_have_count(0)


# --- A form -----------------------------------------------------------------------------------------------------------


def build_form(page):
    """Make a form source and its questions as an administrator does."""
    page.goto("/sources/new/?adapter=web-form")
    page.fill("#id_name", "Замер кухни")
    page.fill("#id_key", "kitchen")
    page.select_option("#id_consent", str(ConsentText.objects.get().pk))
    page.locator("form.form button.btn-primary").last.click()
    page.wait_for_url("**/sources/kitchen/")
    page.goto("/sources/kitchen/form/")
    page.check("#id_q-0-required")  # the name
    page.check("#id_q-2-DELETE")  # the e-mail
    page.fill("#id_q-4-label", "Метраж")
    page.select_option("#id_q-4-type", "number")
    page.check("#id_q-4-required")
    page.fill("#id_q-5-label", "Ремонт")
    page.select_option("#id_q-5-type", "choice")
    page.fill("#id_q-5-options", "Есть\nНет")
    page.fill("#id_headline", "Замер бесплатно")
    page.fill("#id_thanks", "Мастер позвонит до вечера")
    page.locator(".form-actions button.btn-primary").click()
    expect(page.locator("#id_q-3-label")).to_have_value("Метраж")


@pytest.mark.parametrize("width", [1440, 360])
def test_a_form_is_built_filled_in_and_becomes_a_card(open_as, new_page, funnels, admin, width):
    ConsentText.objects.create(text="Согласен на обработку персональных данных.")
    build_form(open_as(admin))
    visitor = new_page(width=width)
    visitor.goto("/f/kitchen/?utm_campaign=spring")
    expect(visitor.get_by_role("heading", name="Замер бесплатно")).to_be_visible()
    expect(visitor.locator("#id_email")).to_have_count(0)
    visitor.fill("#id_name", "Анна Иванова")
    visitor.fill("#id_phone", "12")
    visitor.wait_for_timeout(2100)  # a person takes longer than a robot
    visitor.locator("form.form button.btn-primary").click()
    expect(visitor.locator("[role=alert]").first).to_be_visible()
    assert (visitor.url.split("?")[0].endswith("/f/kitchen/"), Submission.objects.count()) == (True, 0)
    wrong = visitor.locator("[aria-invalid=true]")
    assert [wrong.nth(n).get_attribute("name") for n in range(wrong.count())] == ["phone", "Метраж", "consent"]
    expect(visitor.locator("#id_name")).to_have_value("Анна Иванова")
    visitor.fill("#id_phone", "8 903 000-11-01")
    visitor.get_by_label("Метраж").fill("12")
    visitor.get_by_label("Ремонт").select_option("Нет")
    visitor.get_by_role("checkbox").check()
    visitor.locator("form.form button.btn-primary").click()
    visitor.wait_for_url("**/f/kitchen/thanks/**")
    expect(visitor.get_by_text("Мастер позвонит до вечера")).to_be_visible()
    drain()
    lead = Lead.objects.get()
    assert (lead.name, lead.phone, lead.custom) == ("Анна Иванова", "+79030001101", {"Метраж": "12", "Ремонт": "Нет"})
    assert (lead.touches.get().marks["utm_campaign"], Consent.objects.get().text.version) == ("spring", 1)


# --- A provider that nobody has seen ----------------------------------------------------------------------------------

ORDER = {"who": {"given": "Анна", "reach": "+7 903 000-11-01"}, "wish": "Кухня", "sum": "150000", "kind": "order"}


def send(page, number, **changes):
    headers = {"Authorization": "Bearer s3cret", "Content-Type": "application/json"}
    answer = page.request.post("/capture/shop/", data=json.dumps(ORDER | changes), headers=headers)
    assert answer.status == 202, answer.text()
    drain()


def row(page, path):
    return page.get_by_role("row").filter(has=page.get_by_role("cell", name=path, exact=True))


def test_a_provider_is_mapped_by_picking_and_its_next_enquiry_is_a_card(open_as, funnels, admin):
    make_source(key="shop", name="Shop", adapter="mapping", secret="s3cret")
    LeadFactory(name="Другой")
    known = Lead.objects.aggregate(last=Max("pk"))["last"]
    page = open_as(admin, "/sources/shop/")
    send(page, 1)
    assert list(Submission.objects.values_list("state", "reason")) == [("rejected", "no_contact")]
    page.get_by_role("link", name=re.compile("Что значат поля|What the fields mean")).click()
    expect(page.get_by_role("cell", name="+7 903 000-11-01", exact=True)).to_be_visible()
    for path, meaning in (
        ("who.given", "name"),
        ("who.reach", "phone"),
        ("wish", "product"),
        ("sum", "budget"),
        ("kind", "-"),
    ):
        row(page, path).get_by_role("combobox").first.select_option(meaning)
    row(page, "sum").get_by_role("combobox").last.select_option("cents")
    shot(page, "mapping")
    page.locator("button[name=preview]").click()
    card = page.locator("section[aria-labelledby=preview]")
    expect(card.locator("dd")).to_have_text(["+79030001101", "Кухня", re.compile("1500"), "Анна"])
    assert Source.objects.get(key="shop").settings == {}  # looked at, not saved
    page.locator("button[name=save]").click()
    expect(row(page, "who.reach").get_by_role("combobox").first).to_have_value("phone")
    send(page, 2, who={"given": "Борис", "reach": "+7 903 000-11-02"})
    lead = Lead.objects.get(pk__gt=known)
    assert (lead.name, lead.phone, lead.product, lead.budget, lead.custom) == (
        "Борис",
        "+79030001102",
        "Кухня",
        1500,
        {},
    )
    page.goto(f"/leads/{lead.pk}/")
    expect(page.get_by_role("heading", name="Борис").first).to_be_visible()


# --- Whose code it is -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [1440, 360])
def test_the_client_of_a_code_is_searched_and_picked(open_as, funnels, head, rep, width):
    make_source(key="friends", name="Friends", adapter="referral")
    for name in ("Вера Орлова", "Вера Белова"):
        LeadFactory(owner=rep, name=name, person__name=name, person__owner=rep)
    page = open_as(head, "/sources/friends/codes/", width=width)
    page.get_by_role("searchbox", name="Client").press_sequentially("вера")
    expect(page.locator("[data-found] label")).to_have_text(["Вера Белова", "Вера Орлова"], timeout=SOON)
    page.get_by_role("radio", name="Вера Орлова").check()
    shot(page, f"code-{width}")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("button", name="Make a code").click()
    expect(page.locator("[data-row]")).to_contain_text(["Вера Орлова"])
