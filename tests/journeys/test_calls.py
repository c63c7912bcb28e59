"""A telephone exchange and a card, through HTTP with real workers: it rings on the open page, is missed, called back."""

import contextlib
import http.client
import json
import socket
import threading
import time
from urllib.parse import urlencode, urlsplit

import pytest

from leads.capture import zadarma
from tests.journeys import steps
from tests.leads import exchange as stand_in
from tests.product import wait_for

pytestmark = pytest.mark.slow

SECRET, CLIENT = "journey-secret", "+79165550011"
CALL = {"call_start": "2026-11-01 12:00:00", "pbx_call_id": "in_j1", "caller_id": CLIENT, "called_did": "+74951112233"}
MISSED = CALL | {"event": "NOTIFY_END", "internal": "101", "disposition": "no answer", "duration": "0"}
BACK = {"call_start": "2026-11-01 12:05:00", "pbx_call_id": "out_j2", "internal": "101", "destination": CLIENT,
        "caller_id": "+74951112233", "event": "NOTIFY_OUT_END", "disposition": "answered", "duration": "65",
        "is_recorded": "1", "call_id_with_rec": "rec.1"}  # fmt: skip
SOURCE = """
from crm.core.models import User; from leads.models import Extension; from leads.services.sources import add
s = add(key="phones", adapter="zadarma", secret={secret!r}, settings={{"api_key": "KEY", "base_url": {url!r}}})
Extension.objects.create(user=User.objects.get(username="rep_ru"), source=s, number="101")
"""


@pytest.fixture
def exchange(product):
    with stand_in.running() as running:
        running.answers["/v1/pbx/record/request/"] = (200, {"status": "success", "link": f"{running.url}/sound.mp3"})
        running.answers["/v1/request/callback/"] = (200, {"status": "success"})
        product.python(SOURCE.format(secret=SECRET, url=running.url))
        yield running


def report(visitor, fields):
    text = "".join(fields.get(name, "") for name in zadarma.SIGNED[fields["event"]])
    kind = {"Content-Type": "application/x-www-form-urlencoded", "Signature": zadarma.sign(text, SECRET)}
    answer = visitor.ask("POST", "/capture/phones/", urlencode(fields), **kind)
    assert (answer.status, answer.text) == (200, "")


class OpenPage:
    """The live stream of a signed-in colleague's page, as the browser reads it."""

    def __init__(self, visitor):
        self.notices = []
        self.line = http.client.HTTPConnection(urlsplit(visitor.url).netloc, timeout=30)
        cookies = "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())
        self.line.request("GET", "/live/", headers={"Cookie": cookies, "Accept": "text/event-stream"})
        self.answer = self.line.getresponse()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        time.sleep(1)  # the reader of the server begins with what comes from now on

    def close(self):
        self.answer.fp.raw._sock.shutdown(socket.SHUT_RDWR)  # the reader sits on it
        self.reader.join(10)
        self.answer.close()
        self.line.close()

    def _read(self):
        event = ""
        try:
            for line in self.answer:
                text = line.decode().strip()
                if text.startswith("event:"):
                    event = text.partition(":")[2].strip()
                elif text.startswith("data:") and event == "notice":
                    self.notices.append((json.loads(text.partition(":")[2]), time.monotonic()))
        except (OSError, ValueError, AttributeError):
            return


def card_of(product):
    rows = product.rows("select * from leads_lead where phone = %s", CLIENT)
    return rows[0] if rows else None


def test_it_rings_on_the_open_page_is_missed_called_back_and_heard(product, person, exchange):
    rep, outside = person("rep_ru"), person()
    with contextlib.closing(OpenPage(rep)) as page:
        lead = rings(product, outside, page)
    task = missed(product, outside, lead)
    dialled(product, rep, lead, exchange)
    reached(product, outside, rep, lead, task)
    heard(product, rep, person("rep_en"))
    steps.no_differences(product)


def rings(product, outside, page):
    """A stranger calls: within two seconds the card is made and shown to whose phone rings."""
    begun = time.monotonic()
    report(outside, CALL | {"event": "NOTIFY_START"})
    report(outside, CALL | {"event": "NOTIFY_INTERNAL", "internal": "101"})
    shown, at = wait_for(lambda: [n for n in page.notices if "Входящий звонок" in n[0]["text"]], "the toast")[0]
    lead = wait_for(lambda: card_of(product), "the card")
    assert shown["href"] == f"/leads/{lead['id']}/"
    assert "+7\N{NO-BREAK SPACE}916\N{NO-BREAK SPACE}555-00-11" in shown["text"]
    assert at - begun < 5  # the bar is two seconds; the machine of the tests may be busy
    owner = product.value("select username from core_user where id = %s", lead["owner_id"])
    assert owner == "rep_ru"
    return lead


def missed(product, outside, lead):
    """Nobody picks it up: one task to call back, the clock runs."""
    report(outside, MISSED)
    report(outside, MISSED)
    sql = "select * from leads_task where lead_id = %s and dedup like 'callback:%%'"
    (task,) = wait_for(lambda: product.rows(sql, lead["id"]), "the task")
    assert (task["assignee_id"], task["done_at"]) == (lead["owner_id"], None)
    return task


def dialled(product, rep, lead, exchange):
    """One press of the button, sent twice: the exchange is asked once."""
    card = rep.get(f"/leads/{lead['id']}/")
    fields = card.form(f"/leads/{lead['id']}/dial/")
    for _press in range(2):
        rep.post(f"/leads/{lead['id']}/dial/", **fields)
    row = "select state from leads_dialling where lead_id = %s"
    wait_for(lambda: product.rows(row, lead["id"])[0]["state"] == "placed", "the exchange's word")
    assert [path for _m, path, _q, _a in exchange.asked].count("/v1/request/callback/") == 1


def reached(product, outside, rep, lead, task):
    """The call back goes through: the task is done, the clock stands, the history tells it all."""
    report(outside, BACK)
    wait_for(lambda: product.value("select done_at from leads_task where id = %s", task["id"]), "the task done")
    assert card_of(product)["waiting_since"] is None
    words = rep.get(f"/leads/{lead['id']}/").words
    assert "Исходящий звонок" in words and "1:05" in words and "Пропущенный звонок" in words
    kinds = product.rows(
        "select kind from leads_interaction where lead_id = %s and kind like 'call%%' order by id", lead["id"]
    )
    assert [row["kind"] for row in kinds] == ["call_missed", "call"]
    states = product.rows("select state from leads_submission s join leads_source o on o.id = s.source_id where o.key = 'phones' order by s.id")  # fmt: skip
    # Two reports that arrive together may be judged in any order: one of them makes the card.
    assert sorted(row["state"] for row in states) == ["lead", "merged", "merged", "merged", "merged"]


def heard(product, rep, stranger):
    """The recording comes through the product in the part that the player asks for; to who sees the lead alone."""
    call = product.value("select id from leads_call where external_id = 'out_j2'")
    answer = rep.ask("GET", f"/calls/{call}/recording/", Range="bytes=0-255", Accept="*/*")
    assert (answer.status, answer.headers["Content-Type"], answer.headers["Content-Range"]) == (
        206, "audio/mpeg", "bytes 0-255/102400",
    )  # fmt: skip
    assert stranger.ask("GET", f"/calls/{call}/recording/").status == 404
