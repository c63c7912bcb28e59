"""What is broken, and how one sees that nothing was lost and nothing happened twice."""

import contextlib
import os
import signal
import socket
import time
from collections import Counter

from tests.product import WAIT, wait_for

HEALED = 60  # seconds after which nothing may wait any more
LEASE = 90  # seconds: a letter in the hands of a killed worker is settled when its lease has run out
CONCURRENCY = 1  # letters that the mail worker has in hand at once
WEB_MOST = 3.0  # seconds that a request may take, whatever happens to the broker

WORK = "select count(*) from core_job where not dead and task in ('leads.judge', 'crm.react', 'crm.step')"
JUDGED = "select count(*) from leads_submission where state <> 'waiting'"
LETTERS = "select count(*) from core_job where not dead and task = 'leads.deliver'"
RECEIPTS = """
    select s.idempotency_key as key, s.lead_id as lead, l.email, l.person_id as person
    from leads_submission s join leads_source o on o.id = s.source_id left join leads_lead l on l.id = s.lead_id
    where o.key = %s"""
WELCOMES = """
    select m.id, m.state from leads_message m join leads_lead l on l.id = m.lead_id
    join leads_source o on o.id = l.source_id where m.kind = 'welcome' and o.key = %s"""
LEFT = """
    select count(*) from leads_lead l where status = 'open' and owner_id is null and parked_until is null
      and not exists (select 1 from leads_assignment a where a.lead_id = l.id and a.how = 'nobody')"""


# --- faults --------------------------------------------------------------------------------------------------------


def kill_worker(product):
    """-9 for the workers and their pools while they work; others are started, as a supervisor would."""
    before = product.value(JUDGED)
    wait_for(lambda: product.value(JUDGED) > before, "the worker to be at work")
    for name in ("worker", "mail"):
        product.kill(name)
        product.start_process(name)


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
    drained(product, WORK, HEALED)
    assert product.value(LEFT) == 0
    spent = time.monotonic() - began
    drained(product, LETTERS, LEASE)
    return spent


def drained(product, question, seconds):
    """Nothing is left; so many seconds without a step ahead are too many."""
    left, since = product.value(question), time.monotonic()
    while left:
        time.sleep(0.2)
        now = product.value(question)
        if now < left:
            since = time.monotonic()
        left = min(left, now)
        assert time.monotonic() - since < seconds, f"{left} jobs did not move for {seconds} s: {question}"


def counted(product, load):
    """Every 2xx became exactly one receipt, every client one person and one card; the repeated ones merged."""
    assert {row.status for row in load.attempts} <= {0, 202, 503}
    posts = range(load.total)
    assert {row.post for row in load.attempts if row.status == 202} == set(posts)
    repeated = load.total // 10
    assert product.json("ledger", "--source", load.source) == {
        "received": load.total, "lead": load.total - repeated, "merged": repeated,
        "spam": 0, "rejected": 0, "error": 0, "waiting": 0,
    }  # fmt: skip
    receipts = product.rows(RECEIPTS, load.source)
    assert sorted(row["key"] for row in receipts) == sorted(f"post-{post}" for post in posts)
    asked = Counter(load.client(post) for post in posts)
    assert Counter(row["email"] for row in receipts) == asked
    assert len({row["lead"] for row in receipts}) == len({row["person"] for row in receipts}) == len(asked)


def worked_once(product):
    """Each card has one owner by one assignment, its points once, and no job is dead."""
    twice = "select count(*) from (select lead_id from leads_assignment group by 1 having count(*) > 1) t"
    points = "select count(*) from (select lead_id, rule_id from scoring_evidence group by 1, 2 having count(*) > 1) t"
    assert (product.value(twice), product.value(points)) == (0, 0)
    assert product.value("select count(*) from leads_lead where owner_id is null") == 0
    assert product.value("select count(*) from core_job where dead") == 0
    found = product.json("check_numbers", allowed=(0, 1))
    assert {name: count for name, count in found.items() if count} == {}


def mailed_once(product, letters, load, kills):
    """No letter left twice; what nobody can know is marked, and is no more than the kills explain."""
    rows = product.rows(WELCOMES, load.source)
    assert len(rows) == load.total - load.total // 10
    assert {row["state"] for row in rows} <= {"sent", "unsure"}
    unsure = {row["id"] for row in rows if row["state"] == "unsure"}
    assert len(unsure) <= kills * CONCURRENCY
    ids = [int(letter["Message-ID"].strip().lstrip("<").partition(".")[0]) for letter, _to in letters.letters]
    assert len(ids) == len(set(ids))
    assert {row["id"] for row in rows} - unsure <= set(ids)
    return len(unsure)
