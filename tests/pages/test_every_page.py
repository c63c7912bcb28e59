"""Every page of the product in Chromium: 1440 and 360 px, light and dark, Russian and English, a full and an empty company.

`make pages` leaves a picture of each under OUT/<company>/<language>/ and what is wrong in OUT/<company>-<language>.txt;
pages whose pictures are there already are not taken again. PAGES_ONLY=regex: these pages alone, anew.
PAGES_ROLES=manager,visitor: these alone. PAGES_EACH=once: what roles see alike by the first of them alone. PAGES_AXE=all:
axe-core in English too, none: nowhere.
"""

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from playwright.sync_api import Error

from tests.browser.looking import STILL, listen, sideways, violations
from tests.browser.waiting import until
from tests.pages import company, plan
from tests.pages.acts import act, again, openers

pytestmark = [pytest.mark.pages, pytest.mark.django_db(transaction=True)]
OUT = Path(os.environ.get("PAGES") or ".local/pages")
ONLY = re.compile(os.environ.get("PAGES_ONLY", ""))
ROLES = os.environ.get("PAGES_ROLES", ",".join(("visitor", *company.ROLES))).split(",")
ONCE = os.environ.get("PAGES_EACH") == "once"
AXE = os.environ.get("PAGES_AXE", "ru")
DESK, PHONE = {"width": 1440, "height": 900}, {"width": 360, "height": 740}
TALLEST = 2600  # px of a picture
EXPECTED = "Failed to load resource"  # Chromium's own remark on a refusal
# Letters of others stand in frames without scripts: axe cannot look into them and waits, and for ever on them alone.
NO_FRAMES = {"iframes": False}
LETTERS = ("leads-message-body", "leads-letter-in-body")


class Walk:
    """One role's way through a company in one language."""

    def __init__(self, page, base, world, language, role):
        self.page, self.role = page, role
        self.said = listen(page, base)
        self.folder = OUT / world / language
        self.report = OUT / f"{world}-{language}.txt"
        self.axe = AXE in {"all", language}
        self.opened = set()

    def tell(self, name, faults):
        """What is wrong with the page now, in place of what was."""
        lines = self.report.read_text().splitlines(keepends=True)
        lines = [line for line in lines if not line.startswith(f"{name}: ")]
        self.report.write_text("".join([*lines, *(f"{name}: {' '.join(fault.split())}\n" for fault in faults)]))

    def wanted(self, name):
        """Whether it is to be looked at: what PAGES_ONLY names, else what has not its pictures yet."""
        if ONLY.pattern:
            return bool(ONLY.search(name)) or ("~" in ONLY.pattern and "~" not in name)  # it may open there
        return not (self.folder / f"{name}@360-light.jpg").exists()

    def look(self, one):
        """The page, and before it what opens on it."""
        if one.grows:
            for child in self.children(one):
                self.take(child)
        self.take(one)

    def children(self, one):
        try:
            self.page.goto(one.url)
            until(self.page, STILL)
            found = list(openers(self.page))
        except (Error, AssertionError) as error:
            self.tell(one.name, [str(error)])
            return
        for done, kind in found:
            if kind not in self.opened:
                self.opened.add(kind)
                yield replace(one, name=f"{one.name}~{plan.slug(kind)}"[:180], act=done, grows=False)

    def take(self, one):
        if not self.wanted(one.name) or not ONLY.search(one.name):
            return
        try:
            faults = list(self.faults(one))
        except (Error, AssertionError) as error:
            faults = [f"could not be looked at: {error}"]
        finally:
            self.page.set_viewport_size(DESK)
            self.page.emulate_media(color_scheme="light")
        self.tell(one.name, faults)

    def faults(self, one):
        page = self.page
        self.said.clear()
        if one.html:
            page.route(f"**{one.url}", lambda route: route.fulfill(body=one.html, content_type="text/html"))
        answer = page.goto(one.url)
        until(page, STILL)
        if answer.status != one.status:
            yield f"answered {answer.status}"
        if not one.act or act(page, *one.act):
            yield from self.seen(one, 1440, "light", axe=self.axe)
            page.emulate_media(color_scheme="dark")
            yield from self.seen(one, 1440, "dark")
        page.emulate_media(color_scheme="dark")
        page.set_viewport_size(PHONE)
        if not one.act or again(page, *one.act):
            yield from self.seen(one, 360, "dark", axe=self.axe)
            page.emulate_media(color_scheme="light")
            yield from self.seen(one, 360, "light")
        refused = one.status != 200 or (one.act and one.act[0] == "submit")
        yield from (words for words in self.said if not (refused and words.startswith(EXPECTED)))

    def seen(self, one, width, theme, axe=False):
        """The picture; what is wrong with the page as it stands."""
        page = self.page
        options = {}
        if not one.act or one.act[0] in {"submit", "unfold"}:
            tall = page.evaluate("() => document.documentElement.scrollHeight")
            options = {"full_page": True, "clip": {"x": 0, "y": 0, "width": width, "height": min(tall, TALLEST)}}
        path = self.folder / f"{one.name}@{width}-{theme}.jpg"
        page.screenshot(path=path, type="jpeg", quality=80, **options)
        axe = axe and not one.name.endswith(LETTERS)
        where = f"{width} {theme}"
        found, told = sideways(page, where), len(self.said)
        if axe:
            found += violations(page, where, **NO_FRAMES)
            del self.said[told:]  # axe's own: it tries styles that our policy forbids
        return found


@pytest.mark.parametrize("world", ["full", "empty"])
@pytest.mark.parametrize("language", ["ru", "en"])
def test_every_page(world, language, new_page, open_as, live_server):
    places = getattr(company, world)()
    get_user_model().objects.update(language=language)
    (OUT / world / language).mkdir(parents=True, exist_ok=True)
    options = {**DESK, "locale": {"ru": "ru-RU", "en": "en-US"}[language], "reduced_motion": "reduce"}
    report, seen = OUT / f"{world}-{language}.txt", set()
    report.touch()
    for role in ROLES:
        user = places.actors[role]
        page = open_as(user, "/preferences/", **options) if user else new_page(**options)
        walk = Walk(page, live_server.url, world, language, role)
        for one in plan.pages(places, role, language, walk.wanted):
            if ONCE and plan.sight(one, role) in seen:
                continue
            seen.add(plan.sight(one, role))
            walk.look(one)
        page.context.close()
    assert report.read_text() == ""
