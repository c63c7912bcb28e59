"""Calls and merges as a colleague sees them: the toast while it rings, the player, the choice of fields, the undo."""

import os
import re
from pathlib import Path

import pytest
from django.db import transaction
from django.utils import timezone

from crm.core.jobs import drain
from crm.core.models import User
from leads.models import Call, Extension, Lead, Merge
from leads.services import calls
from leads.telephony import CallEvent
from tests.factories import LeadFactory, SourceFactory, SubmissionFactory, make_funnels
from tests.leads import exchange as stand_in

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
SHOTS = os.environ.get("SHOTS")  # a folder where pictures of the pages are left to be looked at


def shot(page, name):
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS) / f"{name}.png"), full_page=True)


@pytest.fixture
def world(db):
    make_funnels()
    rep = User.objects.create_user("rep", password="x", first_name="Анна", last_name="Репина", language="ru")
    with stand_in.running() as exchange:
        source = SourceFactory(
            adapter="mango", secret="S", settings={"api_key": "K", "base_url": f"{exchange.url}/vpbx"}
        )
        Extension.objects.create(user=rep, source=source, number="101")
        exchange.answers["/vpbx/commands/callback"] = (200, {"result": 1000})
        yield rep, source, exchange


def hear(source, stage, **more):
    row = SubmissionFactory(source=source, received_at=timezone.now())
    said = {"direction": "in", "client": "+79161234567", "extension": "101"} | more
    with transaction.atomic():
        calls.take(CallEvent("c1", stage, timezone.now(), **said), row)
    drain()


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (360, "dark")])
def test_a_call_in_the_card(open_as, world, width, scheme):
    rep, source, exchange = world
    lead = LeadFactory(owner=rep, name="Пётр Иванов", phone="+79161234567")
    hear(source, "ended", result="answered", talk=185, recording="REC", weight=5)
    call = Call.objects.get()
    page = open_as(rep, f"/leads/{lead.pk}/", width=width, color_scheme=scheme)
    player = page.locator(f"audio[src='/calls/{call.pk}/recording/']")
    player.wait_for()
    shot(page, f"call-card-{width}")
    page.get_by_role("link", name="Чем закончился?").click()
    page.locator("#dialog #touch-form").wait_for()
    shot(page, f"call-outcome-{width}")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Позвонить").first.click()
    page.locator("#dialling").wait_for()
    drain()
    page.get_by_text("Ваш телефон звонит").wait_for()
    shot(page, f"call-dialling-{width}")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_two_cards_become_one_and_two_again(open_as, world):
    rep, _source, _exchange = world
    one = LeadFactory(
        owner=rep, name="Анна Смирнова", person__name="Анна Смирнова", phone="+79161230001", city="Москва"
    )
    other = LeadFactory(owner=rep, name="Аня", person__name="Аня", phone="+79161230002", city="Пермь")
    page = open_as(rep, f"/people/{one.person_id}/")
    page.get_by_role("link", name="Сравнить").click()
    page.get_by_role("row", name=re.compile("Город")).get_by_role("radio").last.check()
    shot(page, "merge")
    page.set_viewport_size({"width": 360, "height": 800})
    shot(page, "merge-360")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.set_viewport_size({"width": 1440, "height": 900})
    page.get_by_role("button", name="Объединить").click()
    page.wait_for_url(f"**/people/{one.person_id}/")
    assert Lead.objects.get(pk=one.pk).city == "Пермь"
    shot(page, "merged")
    page.get_by_role("button", name="Отменить").click()
    page.locator("dialog").get_by_role("button").last.click()
    page.get_by_text("Снова две карточки").first.wait_for()
    assert Merge.objects.get().undone_at is not None
    assert list(Lead.objects.order_by("pk").values_list("city", "status")) == [("Москва", "open"), ("Пермь", "open")]
    assert other.pk
