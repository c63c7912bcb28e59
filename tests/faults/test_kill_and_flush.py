"""Workers killed, the broker stopped, frozen, flushed, the database stopped: nothing lost, nothing done twice."""

import json
import time

import pytest

from tests.faults import rig
from tests.faults.load import Load
from tests.faults.world import PASSWORD
from tests.journeys.visitor import Visitor

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("source", "total", "per_second", "kills", "seconds"),
    [
        pytest.param("short", 300, 6, 5, 3, id="short"),
        pytest.param("long", 2000, 10, 20, 10, id="long", marks=pytest.mark.faults),
    ],
)
def test_nothing_is_lost_while_workers_die_and_the_broker_fails(
    product, letters, tmp_path, source, total, per_second, kills, seconds
):
    load = Load(product.port, source, total, per_second, tmp_path / "ledger.jsonl").start()
    windows = broken(product, load, kills, seconds)
    load.finish(600)
    spent = rig.settled(product)
    assert spent < rig.HEALED

    rig.counted(product, load)
    rig.worked_once(product)
    unsure = rig.mailed_once(product, letters, load, kills)
    slowest = rig.slowest(load, windows)
    assert slowest < rig.WEB_MOST
    written = [json.loads(line) for line in (tmp_path / "ledger.jsonl").read_text().splitlines()]
    assert len([row for row in written if row["status"] == 202]) == total
    print(f"{total} captures, {kills} kills: settled {spent:.0f} s after, {unsure} unsure letters, ", end="")
    print(f"slowest answer while the broker was away {slowest:.2f} s")


def broken(product, load, kills, seconds):
    """The faults one after the other while the load runs; returns when the broker was away."""
    visitor = Visitor(product.url)
    visitor.sign_in("manager0", PASSWORD)
    windows = []
    for number in range(kills):
        rig.at(load, (number + 1) / (kills + 2))
        rig.kill_worker(product)
        if number == kills // 4:
            windows.append(rig.outage(product, load, rig.broker_down, seconds))
        elif number == kills // 2:
            windows.append(rig.outage(product, load, rig.broker_frozen, seconds))
        elif number == kills * 3 // 4:
            rig.flush(product)
    with rig.broker_down(product):  # pages of people, too
        began = time.monotonic()
        assert visitor.get("/leads/").status == 200
        assert time.monotonic() - began < rig.WEB_MOST
    rig.flush(product)
    return windows


def test_the_database_stopped_answers_503_at_once_and_takes_the_retry_once(product, tmp_path):
    product.database.stop()
    load = Load(product.port, "late", 20, 100, tmp_path / "ledger.jsonl", threads=4).start()
    rig.wait_for(lambda: len({row.post for row in load.attempts}) >= 4, "answers without a database")
    product.database.start()
    load.finish(rig.WAIT * 2)
    refused = [row for row in load.attempts if row.status == 503]
    assert len(refused) >= 4
    assert {row.retry_after for row in refused} == {"5"}
    assert max(row.seconds for row in refused) <= rig.WEB_MOST
    rig.settled(product)
    rig.counted(product, load)
    rig.worked_once(product)
