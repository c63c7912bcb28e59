"""A product that may be broken: its own servers and processes, and a mail server that counts."""

import pytest

from tests.leads import sinks
from tests.product import Product


@pytest.fixture(scope="session")
def letters():
    with sinks.running() as sink:
        yield sink


@pytest.fixture(scope="module")
def product(tmp_path_factory, letters):
    running = Product(tmp_path_factory.mktemp("faults"), letters.port)
    try:
        running.prepare("from tests.faults.world import build", "build()")
        running.start()
        yield running
    finally:
        running.stop()
