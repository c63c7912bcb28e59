"""Capture → the owner's open page, measured through HTTP: ``make faults ARGS="tests/faults/test_latency.py -s"``.

Prints; asserts only that every lead was told of, because time belongs to the machine.
"""

import http.client
import json
import re
import statistics
import threading
import time

import pytest

from tests.faults import rig
from tests.faults.load import Load, MixedLoad
from tests.faults.world import PASSWORD
from tests.journeys.visitor import Visitor

pytestmark = [pytest.mark.slow, pytest.mark.faults]
RATE, SECONDS = 20, 20
MANAGERS = 4


class OpenPage(threading.Thread):
    """The live stream of a signed-in manager; keeps when each client's name was heard of first.

    As a browser does, it comes back where the stream ends, and says what it has heard last.
    """

    def __init__(self, product, username):
        super().__init__(daemon=True)
        visitor = Visitor(product.url)
        visitor.sign_in(username, PASSWORD)
        self.address = re.search(r'data-live-url="([^"]+)"', visitor.get("/preferences/").text)[1]
        self.cookies = "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())
        self.port, self.last, self.opened = product.port, "", 0
        self.heard, self.closing = {}, False
        self._open()

    def _open(self):
        self.line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=rig.WAIT)
        known = {"Last-Event-ID": self.last} if self.last else {}
        self.line.request("GET", self.address, headers={"Cookie": self.cookies, "Accept": "text/event-stream", **known})
        self.answer = self.line.getresponse()
        assert self.answer.headers["Content-Type"] == "text/event-stream"
        self.opened += 1

    def run(self):
        while not self.closing:
            try:
                self._listen()
            except OSError:
                time.sleep(2)  # what the stream asks for
            if not self.closing:
                self._open()

    def _listen(self):
        while not self.closing and (line := self.answer.readline()):
            if line.startswith(b"id: "):
                self.last = line.removeprefix(b"id: ").decode().strip()
            if line.startswith(b"data: ") and (name := re.search(r"Клиент \d+", self._text(line))):
                self.heard.setdefault(name[0], time.monotonic())

    @staticmethod
    def _text(line):
        return json.loads(line.removeprefix(b"data: ")).get("text", "")

    def close(self):
        """Ends with the next line, a comment every quarter of a minute at the latest."""
        self.closing = True
        self.join(rig.WAIT)
        self.answer.close()
        self.line.close()


def test_a_new_lead_reaches_the_owners_open_page(product, tmp_path):
    pages = [OpenPage(product, f"manager{number}") for number in range(MANAGERS)]
    for page in pages:
        page.start()
    load = Load(product.port, "bench", RATE * SECONDS, RATE, tmp_path / "ledger.jsonl").start()
    load.finish(rig.WAIT * 5)
    rig.settled(product)
    new = {f"Клиент {row.post}": load.began + row.at for row in load.attempts if row.post % 10 != 9}
    try:
        rig.wait_for(lambda: set(new) <= _heard(pages).keys(), "a notice of every new lead")
    finally:
        heard = _heard(pages)
        print(
            f"\nheard a page: {[(len(p.heard), p.opened, p.is_alive()) for p in pages]}, never: {set(new) - set(heard)}"
        )
    for page in pages:
        page.close()
    took = sorted(heard[name] - asked for name, asked in new.items())
    p95 = statistics.quantiles(took, n=20)[-1]
    print(f"\n{len(took)} captures at {RATE}/s → notice on the owner's open page: ", end="")
    print(f"p50 {statistics.median(took):.2f} s, p95 {p95:.2f} s, most {took[-1]:.2f} s")


READY = """
    select extract(epoch from judged_at - received_at)::float as took from leads_submission where id > %s"""


def test_a_card_of_any_channel_is_ready_soon(product, tmp_path):
    before = product.value("select coalesce(max(id), 0) from leads_submission")
    load = MixedLoad(product.port, "", RATE * SECONDS, RATE, tmp_path / "mixed.jsonl").start()
    load.finish(rig.WAIT * 5)
    rig.settled(product)
    took = sorted(row["took"] for row in product.rows(READY, before))
    assert len(took) >= RATE * SECONDS
    p95 = statistics.quantiles(took, n=20)[-1]
    print(f"\n{len(took)} deliveries of 11 kinds at {RATE}/s → judged: ", end="")
    print(f"p50 {statistics.median(took):.2f} s, p95 {p95:.2f} s, most {took[-1]:.2f} s")


def _heard(pages):
    return {name: at for page in pages for name, at in list(page.heard.items())}
