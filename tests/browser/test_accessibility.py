"""Every main page through axe-core, at a desk in Russian and on a small dark phone in English; nothing from another host,
nothing on the console, no page that scrolls sideways."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db.models import Count

from deals.models import Deal
from leads.models import Lead, Message, Source, Submission, Template
from nurturing.models import Sequence

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

SIZES = {
    "desk": {"width": 1440, "height": 900, "locale": "ru-RU", "color_scheme": "light"},
    "phone": {"width": 360, "height": 740, "locale": "en-US", "color_scheme": "dark", "has_touch": True},
}
PAGES = {
    None: "/login/ /password/reset/ /f/{source}/ /f/{source}/thanks/ /u/{letter}/",
    "manager": "/ /leads/ /leads/?state=all&q=zzzzzz /leads/board/ /leads/{lead}/ /leads/new/ /leads/{lead}/calls/ "
    "/deals/ /deals/board/ /deals/{deal}/ /tasks/ /people/ /people/{person}/ /companies/ /companies/{company}/ "
    "/search/?q=0001 /preferences/ /notices/ /password/ /tasks/calendar/",
    "head": "/ /reports/ /reports/funnel/ /reports/sources/ /reports/managers/ /reports/leads/ /reports/pipeline/ "
    "/reports/forecast/ /distribution/ /distribution/try/",
    "marketer": "/ /sequences/ /sequences/{sequence}/ /templates/ /templates/{template}/",
    "admin": "/ /receipts/ /receipts/{receipt}/ /receipts/ledger/ /sources/ /sources/{source}/ /sources/{source}/edit/ "
    "/mail/ /admin/ /admin/scoring/rule/ /admin/core/job/ /admin/core/user/{user}/change/",
}  # fmt: skip
STILL = "() => !document.querySelector('.htmx-request, [aria-busy=true]')"
WIDE = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture
def keys():
    """A small company with a year behind it; what stands for the names in braces."""
    call_command("seed_demo", leads=150, seed=5, verbosity=0)
    manager = get_user_model().objects.get(username="manager")
    for model in (Lead, Deal):  # a busy manager
        model.objects.filter(status="open").update(owner=manager, team=manager.team)
    lead = Lead.objects.filter(status="open", company__isnull=False).order_by("-score").first()
    deal = Deal.objects.filter(status="open").first()
    return {
        "lead": lead.pk, "deal": deal.pk, "person": lead.person_id, "user": manager.pk,
        "company": lead.company_id,
        "source": Source.objects.filter(adapter="web-form").first().key,
        "sequence": Sequence.objects.annotate(size=Count("steps")).order_by("-size").first().pk,
        "template": Template.objects.first().pk, "receipt": Submission.objects.first().pk,
        "letter": Message.objects.exclude(token="").first().token,
    }  # fmt: skip


def listen(page, base):
    """What the page complains of while it loads and where else it asks."""
    said = []
    page.on("console", lambda message: said.append(message.text) if message.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    own = (base, "data:", "blob:")
    page.on("request", lambda request: None if request.url.startswith(own) else said.append(request.url))
    return said


def faults(page, path, said):
    answer = page.goto(path)
    page.wait_for_function(STILL)
    found = [f"{path}: {answer.status}"] if answer.status != 200 else []
    found += [f"{path}: {words}" for words in said]
    found += [f"{path}: {wide} px too wide"] if (wide := page.evaluate(WIDE)) else []
    for fault in Axe().run(page).response["violations"]:
        found += [f"{path}: {fault['id']} {node['html'][:200]}" for node in fault["nodes"][:3]]
    said.clear()
    return found


@pytest.mark.parametrize("size", SIZES)
def test_no_page_has_a_fault_that_axe_finds(keys, new_page, open_as, live_server, size):
    options, found = SIZES[size], []
    get_user_model().objects.update(language=options["locale"][:2])
    for name, paths in PAGES.items():
        user = name and get_user_model().objects.get(username=name)
        page = open_as(user, "/preferences/", **options) if user else new_page(**options)
        said = listen(page, live_server.url)
        for path in paths.format(**keys).split():
            found += faults(page, path, said)
        page.context.close()
    assert not found, "\n".join(found)
