"""Every main page through axe-core, at a desk in Russian and on a small dark phone in English; nothing from another host,
nothing on the console, no page that scrolls sideways."""

import re

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db.models import Count

from deals.models import Deal
from leads.models import Lead, Message, Source, Submission, Template
from nurturing.models import Sequence
from tests.browser.looking import STILL, flaws, listen
from tests.browser.waiting import until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

SIZES = {
    "desk": {"width": 1440, "height": 900, "locale": "ru-RU", "color_scheme": "light"},
    "phone": {"width": 360, "height": 740, "locale": "en-US", "color_scheme": "dark", "has_touch": True},
}
PAGES = {
    None: "/login/ /password/reset/ /password/reset/sent/ /password/reset/MQ/none/ /password/reset/done/ /f/{source}/ "
    "/f/{source}/thanks/ /u/{letter}/",
    "manager": "/ /leads/ /leads/?state=all&q=zzzzzz /leads/board/ /leads/{lead}/ /leads/{closed}/ /leads/new/ "
    "/leads/{lead}/calls/ /leads/{lead}/letters/new/ /leads/{lead}/conversion/ /leads/{lead}/rejection/ "
    "/deals/ /deals/board/ /deals/{deal}/ /deals/{won}/ /deals/{deal}/letters/new/ /people/{person}/deals/new/ "
    "/tasks/ /tasks/calendar/ /people/ /people/{person}/ /people/{person}/edit/ /companies/ /companies/{company}/ "
    "/companies/{company}/edit/ /search/?q=0001 /preferences/ /notices/ /password/ /password/changed/ /views/new/ "
    "/distribution/ /reports/ /reports/rows/new_leads/",
    "head": "/ /?view=mine /leads/?state=all /leads/board/ /deals/board/ /tasks/ /reports/ /reports/funnel/ "
    "/reports/sources/ /reports/managers/ /reports/leads/ /reports/pipeline/ /reports/forecast/ /distribution/ "
    "/distribution/try/ /receipts/ledger/ /leads/imports/",
    "marketer": "/ /leads/{lead}/ /sequences/ /sequences/new/ /sequences/{sequence}/ /sequences/{sequence}/leads/ "
    "/sequences/{sequence}/preview/ /sequences/{sequence}/steps/new/ /templates/ /templates/new/ /templates/{template}/ "
    "/sources/ /sources/{source}/",
    "admin": "/ /receipts/ /receipts/{receipt}/ /receipts/ledger/ /sources/ /sources/new/ /sources/{source}/ "
    "/sources/{source}/edit/ /mail/ /mail/{message}/",
}  # fmt: skip
SETTINGS = (
    "/admin/ /admin/core/user/ /admin/core/user/add/ /admin/core/user/{user}/change/ /admin/core/team/ /admin/core/job/ "
    "/admin/core/calendar/1/change/ /admin/core/absence/add/ /admin/core/apikey/add/ /admin/core/pipeline/1/change/ "
    "/admin/core/reason/ /admin/core/auditentry/ /admin/scoring/rule/ /admin/scoring/rule/add/ /admin/routing/rule/ "
    "/admin/routing/rule/add/ /admin/leads/origin/1/change/ /admin/leads/consenttext/1/change/ /admin/leads/lead/ "
    "/admin/leads/submission/ /admin/leads/message/ /admin/deals/product/ /admin/nurturing/enrolment/"
)
REFUSALS = {"/nowhere/": 404, "/mail/": 403, "/admin/": 403, "/leads/export.csv": 403}  # to a manager
CARDS = "/leads/{lead}/ /deals/{deal}/ /people/{person}/ /tasks/ /leads/"  # pages from which dialogs open


@pytest.fixture
def keys():
    """A small company with a year behind it; what stands for the names in braces."""
    call_command("seed_demo", leads=150, seed=5, verbosity=0)
    manager = get_user_model().objects.get(username="manager")
    for model in (Lead, Deal):  # a busy manager
        model.objects.filter(status="open").update(owner=manager, team=manager.team)
    lead = Lead.objects.filter(status="open", company__isnull=False).order_by("-score").first()
    for model, status in ((Lead, "rejected"), (Deal, "won")):
        model.objects.filter(status=status).update(owner=manager, team=manager.team)
    deal = Deal.objects.filter(status="open", lead__isnull=False).first()
    Lead.objects.filter(pk=deal.lead_id).update(owner=manager, team=manager.team)
    return {
        "lead": lead.pk, "deal": deal.pk, "person": lead.person_id, "user": manager.pk,
        "closed": Lead.objects.filter(status="rejected").first().pk, "won": Deal.objects.filter(status="won").first().pk,
        "message": Message.objects.first().pk,
        "company": lead.company_id,
        "source": Source.objects.filter(adapter="web-form").first().key,
        "sequence": Sequence.objects.annotate(size=Count("steps")).order_by("-size").first().pk,
        "template": Template.objects.first().pk, "receipt": Submission.objects.first().pk,
        "letter": Message.objects.exclude(token="").first().token,
    }  # fmt: skip


def faults(page, path, said, expected=200):
    answer = page.goto(path)
    until(page, STILL)
    found = [f"{path}: {answer.status}"] if answer.status != expected else []
    if expected == 200:  # Chromium itself remarks on a refusal
        found += [f"{path}: {words}" for words in said]
    found += flaws(page, path)
    said.clear()
    return found


@pytest.fixture
def look(keys, new_page, open_as, live_server):
    """``look("desk", "admin")``: a page of that size (and its complaints) on which the user is signed in."""

    def open_page(size, name):
        options = SIZES[size]
        get_user_model().objects.update(language=options["locale"][:2])
        user = name and get_user_model().objects.get(username=name)
        page = open_as(user, "/preferences/", **options) if user else new_page(**options)
        return page, listen(page, live_server.url)

    return open_page


@pytest.mark.parametrize("size", SIZES)
def test_no_page_has_a_fault_that_axe_finds(keys, look, size):
    found = []
    for name, paths in PAGES.items():
        page, said = look(size, name)
        for path in paths.format(**keys).split():
            found += faults(page, path, said)
        page.context.close()
    assert not found, "\n".join(found)


@pytest.mark.parametrize("size", SIZES)
def test_no_page_of_the_settings_has_one(keys, look, size):
    page, said = look(size, "admin")
    found = [fault for path in SETTINGS.format(**keys).split() for fault in faults(page, path, said)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("size", SIZES)
def test_no_refusal_has_one(look, size):
    page, said = look(size, "manager")
    found = [fault for path, status in REFUSALS.items() for fault in faults(page, path, said, status)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("size", SIZES)
def test_no_dialog_has_one(keys, look, size):
    page, _said = look(size, "manager")
    found, seen = [], set()
    for path in CARDS.format(**keys).split():
        page.goto(path)
        for address in page.eval_on_selector_all("a[data-dialog]", "all => all.map(a => a.getAttribute('href'))"):
            if (kind := re.sub(r"\d+", "N", address)) in seen:
                continue
            seen.add(kind)
            page.goto(path)
            until(page, STILL)
            page.evaluate("href => document.querySelector(`a[data-dialog][href='${href}']`).click()", address)
            page.wait_for_selector("#dialog[open]")
            until(page, STILL)
            page.wait_for_timeout(300)  # it fades in: colours are measured when it stands
            found += flaws(page, f"{path} → {address}")
    assert len(seen) > 15
    assert not found, "\n".join(found)


def test_x_picks_the_row_on_which_one_stands(look):
    page, _said = look("desk", "manager")
    page.goto("/leads/")
    for key in "jjx":
        page.keyboard.press(key)
    picked = (
        "all => all.map((row, place) => row.querySelector('[data-check]').checked ? place : -1).filter(n => n >= 0)"
    )
    assert page.eval_on_selector_all("#rows [data-row]", picked) == [1]
