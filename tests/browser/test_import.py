"""A list from the file to its undoing, in a real browser, at a desk and on a small dark phone; each step without a fault."""

import pytest
from django.contrib.auth import get_user_model
from playwright.sync_api import expect

from crm.core.jobs import drain
from leads.models import Identity, Import, Lead
from leads.services.cards import note
from routing.models import Rule
from tests.factories import LeadFactory, UserFactory

from .test_accessibility import SIZES, faults, listen

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

LIST = (
    "Имя;Телефон;Почта;Город;Примечание\n"
    "Анна;8 916 000-00-01;anna@example.ru;Омск;первая\n"
    "Борис;;boris@example.ru;Казань;=2+2\n"
    "Вера Известная;8 916 000-00-09;vera@example.ru;Тула;\n"
    "Вера Известная;8 916 000-00-09;vera@example.ru;Тула;\n"
    "Никто;12;;;\n"
)
MEANINGS = ("name", "phone", "email", "city", "need")


@pytest.fixture
def company(head, funnels, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "media"
    Rule.objects.create(name="All", strategy=Rule.Strategy.EVENLY, position=1)
    seller = UserFactory(username="anna", team=head.team)
    known = LeadFactory(owner=seller, name="Вера Известная", phone="+79160000009", email="", city="")
    return {"known": known, "seller": seller}


@pytest.fixture
def upload(tmp_path):
    file = tmp_path / "клиенты.csv"
    file.write_bytes(LIST.encode("cp1251"))

    def taken(page):
        page.goto("/leads/imports/")
        page.set_input_files("input[type=file]", str(file))
        page.click("main form button.btn-primary")
        page.wait_for_url("**/leads/imports/*/")
        return Import.objects.get()

    return taken


@pytest.mark.parametrize("size", SIZES)
def test_a_list_is_tried_brought_in_and_undone(company, head, open_as, upload, live_server, size):
    get_user_model().objects.update(language=SIZES[size]["locale"][:2])
    page = open_as(head, "/leads/imports/", **SIZES[size])
    said, found = listen(page, live_server.url), []
    job = upload(page)
    path = f"/leads/imports/{job.pk}/"
    found += faults(page, path, said)

    for place, meaning in enumerate(MEANINGS):  # suggested by the names of the columns
        expect(page.locator(f"[name=column{place}]")).to_have_value(meaning)
    page.click("#mapping-form .btn-primary")
    page.locator("#import-progress").wait_for()
    drain()
    page.locator("#forecast").wait_for()
    expect(page.locator("[aria-labelledby=diff-created] tbody tr")).to_have_count(2)
    expect(page.locator("[aria-labelledby=diff-updated] tbody tr")).to_have_count(1)
    expect(page.locator("[aria-labelledby=diff-skipped] tbody tr")).to_have_count(1)
    expect(page.locator("[aria-labelledby=diff-failed] tbody")).to_contain_text("Никто · 12")
    assert Lead.objects.count() == 1, "nothing is written yet"
    found += faults(page, path, said)

    page.click("button[form=start]")
    page.locator("#import-progress").wait_for()
    drain()
    page.locator("#result").wait_for()
    assert (Lead.objects.count(), Identity.objects.filter(value="vera@example.ru").count()) == (3, 1)
    found += faults(page, path, said)

    note(Lead.objects.get(name="Борис"), by=company["seller"], text="Перезвонить")
    page.click("form[action$='/undo/'] button")
    page.click("#confirm button[value=yes]")
    page.locator("#import-progress").wait_for()
    drain()
    page.locator("#kept").wait_for()
    expect(page.locator("[aria-labelledby=kept] tbody tr")).to_have_count(1)
    found += faults(page, path, said)
    found += faults(page, "/leads/imports/", said)
    assert set(Lead.objects.values_list("name", "email", "city")) == {
        ("Вера Известная", "", ""), ("Борис", "boris@example.ru", "Казань"),
    }  # fmt: skip
    assert not found, "\n".join(found)
