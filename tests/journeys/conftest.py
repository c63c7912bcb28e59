"""One running product for all journeys: web, worker, relay and beat, and a mail server that keeps what it is given."""

import pytest

from tests.journeys.visitor import Visitor
from tests.journeys.world import PASSWORD, language_of
from tests.leads import sinks
from tests.product import Product


@pytest.fixture(scope="session")
def mailbox():
    with sinks.running() as sink:
        yield sink


@pytest.fixture(scope="session")
def product(tmp_path_factory, mailbox):
    running = Product(tmp_path_factory.mktemp("journeys"), mailbox.port)
    try:
        running.prepare("from tests.journeys.world import build", "build()")
        running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture
def person(product):
    """``person("rep_ru")``: a colleague who has signed in; ``person()``: anybody from the street."""

    def somebody(username=None, language="ru"):
        visitor = Visitor(product.url, language_of(username.rpartition("_")[2]) if username else language)
        if username:
            visitor.sign_in(username, PASSWORD)
        return visitor

    return somebody
