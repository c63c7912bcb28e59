"""What is broken, and how one sees that nothing was lost and nothing happened twice."""

import contextlib
import os
import signal
import socket
import time

from tests.faults.load import body
from tests.product import WAIT, wait_for

HEALED = 60  # seconds after which nothing may wait any more
LEASE = 90  # seconds: a letter in the hands of a killed worker is settled when its lease has run out
CONCURRENCY = 2  # of the worker
WEB_MOST = 3.0  # seconds that a request may take, whatever happens to the broker

WORK = "select count(*) from core_job where not dead and task in ('leads.judge', 'crm.react', 'crm.step')"
LETTERS = "select count(*) from core_job where not dead and task = 'leads.deliver'"
LEFT = """
    select count(*) from leads_lead l where status = 'open' and owner_id is null and parked_until is null
      and not exists (select 1 from leads_assignment a where a.lead_id = l.id and a.how = 'nobody')"""


# --- faults --------------------------------------------------------------------------------------------------------


def kill_worker(product):
    """-9 for the worker and its pool; another one is started, as a supervisor would."""
    product.kill("worker")
    product.start_process("worker")


def flush(product):
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(WAIT)
        line.connect(str(product.broker.socket))
        line.sendall(b"FLUSHALL\r\n")
        assert line.recv(64).startswith(b"+OK")


@contextlib.contextmanager
def broker_down(product):
    product.broker.stop()
    try:
        yield
    finally:
        product.broker.start()


@contextlib.contextmanager
def broker_frozen(product):
    os.kill(product.broker.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(product.broker.process.pid, signal.SIGCONT)


def outage(product, load, fault, seconds):
    """The fault for some seconds; returns (began, ended) on the load's clock."""
    began = time.monotonic() - load.began
    with fault(product):
        deadline = time.monotonic() + seconds
        wait_for(lambda: time.monotonic() > deadline, "the outage to pass")
        ended = time.monotonic() - load.began
    return began, ended


def at(load, share):
    """Wait until this share of the load was taken."""
    wait_for(lambda: load.done >= share * load.total, f"{share:.0%} of the load", 600)


# --- the count -----------------------------------------------------------------------------------------------------


def slowest(load, windows):
    """Seconds of the slowest answer that was asked for or given within one of the windows."""
    asked = [row for row in load.attempts for a, b in windows if row.at <= b and row.at + row.seconds >= a]
    assert asked, "no request fell into an outage: the test would prove nothing"
    return max(row.seconds for row in asked)


def settled(product):
    """Wait for what is under way, and say how long it took."""
    began = time.monotonic()
    wait_for(lambda: product.value(WORK) == 0, "the receipts to be judged and reacted to", HEALED)
    assert product.value(LEFT) == 0
    spent = time.monotonic() - began
    wait_for(lambda: product.value(LETTERS) == 0, "the letters to go out", LEASE)
    return spent


def counted(product, load):
    """Every 2xx became exactly one receipt, every client one person and one card; the repeated ones merged."""
    assert {row.status for row in load.attempts} <= {0, 202, 503}
    taken = {row.post for row in load.attempts if row.status == 202}
    assert taken == set(range(load.total))
    repeated = load.total // 10
    ledger = product.json("ledger", "--source", "load")
    assert ledger == {
        "received": load.total, "lead": load.total - repeated, "merged": repeated,
        "spam": 0, "rejected": 0, "error": 0, "waiting": 0,
    }  # fmt: skip
    keys = product.rows("select idempotency_key as key, count(*) as n from leads_submission group by 1")
    assert {row["key"]: row["n"] for row in keys} == {f"post-{post}": 1 for post in range(load.total)}
    asked = {body(load.client_of(post))["email"]: 0 for post in range(load.total)}
    for post in range(load.total):
        asked[body(load.client_of(post))["email"]] += 1
    cards = """
        select l.email, count(distinct l.id) as cards, count(distinct l.person_id) as people, count(s.id) as receipts
        from leads_lead l join leads_submission s on s.lead_id = l.id group by 1"""
    found = {row["email"]: (row["cards"], row["people"], row["receipts"]) for row in product.rows(cards)}
    assert found == {email: (1, 1, receipts) for email, receipts in asked.items()}
    assert product.value("select count(*) from leads_person") == len(asked)


def worked_once(product):
    """Each card has one owner by one assignment, its points once, and no job is left or dead."""
    twice = "select count(*) from (select lead_id from leads_assignment group by 1 having count(*) > 1) t"
    points = "select count(*) from (select lead_id, rule_id from scoring_evidence group by 1, 2 having count(*) > 1) t"
    assert (product.value(twice), product.value(points)) == (0, 0)
    assert product.value("select count(*) from leads_lead where owner_id is null") == 0
    assert product.value("select count(*) from core_job where dead") == 0
    found = product.json("check_numbers", allowed=(0, 1))
    assert {name: count for name, count in found.items() if count} == {}


def mailed_once(product, letters, kills):
    """No letter left twice; what nobody can know is marked, and is no more than the kills explain."""
    rows = product.rows("select id, token, state from leads_message where kind = 'welcome'")
    assert {row["state"] for row in rows} <= {"sent", "unsure"}
    unsure = {row["id"] for row in rows if row["state"] == "unsure"}
    assert len(unsure) <= kills * CONCURRENCY
    ids = [letter["Message-ID"].strip().lstrip("<").partition(".")[0] for letter, _to in letters.letters]
    assert len(ids) == len(set(ids))
    assert {row["id"] for row in rows} - unsure <= set(map(int, ids)) <= {row["id"] for row in rows}
    return len(unsure)
