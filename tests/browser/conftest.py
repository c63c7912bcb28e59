"""What the browser tests share: hands that count."""

import pytest


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
