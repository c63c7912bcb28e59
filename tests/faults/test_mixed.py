"""All channels mixed, while web, workers, broker and database fail: every 2xx accounted for, nobody twice."""

import time
from collections import Counter

import pytest

from tests.faults import rig
from tests.faults.load import TAKEN, MixedLoad

pytestmark = pytest.mark.slow

RECEIPTS = "select o.key, s.state, s.lead_id as lead from leads_submission s join leads_source o on o.id = s.source_id order by s.id"
CARDS = "select phone, count(*) as leads, count(distinct person_id) as people from leads_lead group by phone"
TWICE = """
    select count(*) from (
      select person_id from leads_identity where kind <> 'visitor' group by kind, scope, value, person_id
      having count(*) > 1) t"""


@pytest.mark.parametrize(
    ("total", "per_second", "kills"),
    [
        pytest.param(220, 8, 3, id="short"),
        pytest.param(5000, 15, 20, id="long", marks=pytest.mark.faults),
    ],
)
def test_every_2xx_is_a_card_once_whatever_fails(product, tmp_path, total, per_second, kills):
    before = product.value("select count(*) from leads_submission")
    load = MixedLoad(product.port, "", total, per_second, tmp_path / "ledger.jsonl").start()
    began = time.monotonic()
    broken(product, load, kills)
    load.finish(900)
    spent = rig.settled(product)
    assert spent < rig.HEALED

    clients = {load.client(post) for post in range(total)}
    cards = {row["phone"]: row for row in product.rows(CARDS) if row["phone"] in clients}
    assert set(cards) == clients
    assert {(row["leads"], row["people"]) for row in cards.values()} == {(1, 1)}
    assert product.value(TWICE) == 0

    receipts = product.rows(RECEIPTS)[before:]
    states = Counter(row["state"] for row in receipts)
    assert set(states) == {"lead", "merged"}
    assert states["lead"] == len(clients)
    taken = [row for row in load.attempts if row.status in TAKEN]
    assert {row.status for row in load.attempts} - TAKEN <= {0, 503}
    assert {row.post for row in taken} == set(range(total))
    assert len(taken) <= len(receipts) <= len(load.attempts)
    totals = product.json("ledger")
    assert totals["received"] == sum(count for state, count in totals.items() if state != "received")
    assert totals["waiting"] == totals["error"] == 0
    rig.worked_once(product)
    print(
        f"{total} deliveries of 11 kinds in {time.monotonic() - began:.0f} s, {len(load.attempts)} attempts, ", end=""
    )
    print(f"{kills} kills: {dict(states)}, settled {spent:.0f} s after")


def broken(product, load, kills):
    """The faults one after the other while the load runs."""
    for number in range(kills):
        rig.at(load, (number + 1) / (kills + 2))
        rig.kill_worker(product)
        if number % 3 == 0:
            product.kill("web")
            product.start_process("web")
        if number == kills // 4:
            rig.outage(product, load, rig.broker_down, 5)
        elif number == kills // 2:
            rig.flush(product)
        elif number == kills * 3 // 4:
            product.database.stop()
            product.database.start()
