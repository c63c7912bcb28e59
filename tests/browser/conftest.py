"""What the browser tests share: a page on which a user is signed in, a look at what the page complains of, hands that count."""

import pytest
from django.conf import settings
from django.test import Client


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


class Hands:
    """Does to a page what a person does, and counts: a click, a key, a text typed in one go are an action each."""

    def __init__(self, page):
        self.page, self.actions = page, 0

    def press(self, key):
        self.actions += 1
        self.page.keyboard.press(key)

    def click(self, selector):
        self.actions += 1
        self.page.click(selector)

    def type(self, text):
        self.actions += 1
        self.page.keyboard.type(text)


@pytest.fixture
def hands():
    return Hands
