"""What every test may use. Servers: tests/servers.py. The standing characters: tests/characters.py."""

import contextlib
import importlib.util
import os
import shutil
import time

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from hypothesis import HealthCheck
from hypothesis import settings as properties

# A busy machine makes no property untrue: nothing of a test is timed.
properties.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
properties.load_profile("untimed")

pytest_plugins = [name for name in ("tests.characters",) if importlib.util.find_spec(name)]

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM_ARGS = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
    "--disable-gpu",
    "--disable-dev-shm-usage",
)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker):
    """The plugin's own; a browser's last request may hold its session yet when the database is to be dropped."""
    yield
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )


def pytest_collection_modifyitems(config, items):
    """Whoever asks for a page drives a browser: no test can forget the mark."""
    for item in items:
        if {"browser", "page"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.browser)
        if item.get_closest_marker("faults") and not os.environ.get("FAULTS"):
            item.add_marker(pytest.mark.skip(reason="long fault suite: run `make faults`"))
        if item.get_closest_marker("pages") and not os.environ.get("PAGES"):
            item.add_marker(pytest.mark.skip(reason="a look at every page: run `make pages`"))


def _chromium():
    named = os.environ.get("CHROMIUM")
    found = named or next((path for name in CHROMIUM_NAMES if (path := shutil.which(name))), None)
    if found:
        return found
    reason = "NO BROWSER: Chromium was not found (install it, or name it in CHROMIUM); browser tests did not run"
    if os.environ.get("REQUIRE_BROWSER") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def browser():
    """The system's Chromium, one for the whole run."""
    executable = _chromium()
    from playwright.sync_api import sync_playwright  # slow to load, and only needed here

    root = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=[*CHROMIUM_ARGS, *root])
        yield chromium
        chromium.close()


@pytest.fixture
def new_page(browser, live_server):
    """``new_page(width=360, locale="en-US", …)``: a page in a context (cookies, language, theme) of its own."""
    with contextlib.ExitStack() as contexts:

        def open_page(width=1440, height=900, locale="ru-RU", **options):
            viewport = {"width": width, "height": height}
            context = browser.new_context(base_url=live_server.url, viewport=viewport, locale=locale, **options)
            contexts.callback(context.close)
            context.set_default_timeout(10_000)
            return context.new_page()

        yield open_page
    _wait_for_the_last_answers()


def _wait_for_the_last_answers():
    """A request of a page that has just been closed may still be at work; the tables are emptied next."""
    busy = """
        select count(*) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid() and state <> 'idle'"""
    for _look in range(100):
        with connection.cursor() as cursor:
            cursor.execute(busy)
            if not cursor.fetchone()[0]:
                return
        time.sleep(0.05)


@pytest.fixture
def page(new_page):
    """A desktop page in Russian."""
    return new_page()


@pytest.fixture
def open_as(new_page, live_server):
    """``open_as(rep, "/leads/", width=360)``: a page of the user in a browser context of its own."""

    def open_page(user, path="/", **options):
        page = new_page(**options)
        client = Client()
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        value = client.cookies[settings.SESSION_COOKIE_NAME].value
        page.context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": value, "url": live_server.url}])
        page.goto(path)
        return page

    return open_page
