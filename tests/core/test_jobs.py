from datetime import timedelta

import pytest
from django.conf import settings
from django.db.models.functions import Now
from django.utils import timezone

from crm.core import jobs
from crm.core.models import Job, Skill

pytestmark = pytest.mark.django_db(transaction=True)


@jobs.job("tests.skill")
def make_skill(ref):
    Skill.objects.create(name=ref)


@jobs.job("tests.chain")
def chain(ref):
    Skill.objects.create(name=f"chain {ref}")
    if int(ref):
        jobs.enqueue("tests.chain", int(ref) - 1)


@jobs.job("tests.long", queue="bulk")
def long_work(ref):
    if int(ref):
        jobs.enqueue("tests.long", int(ref) - 1)


@jobs.job("tests.again")
def again(ref):
    jobs.enqueue("tests.again", ref, due_at=timezone.now() + timedelta(days=1))


@jobs.job("tests.fails")
def fails(ref):
    Skill.objects.create(name="never")
    raise ValueError("no luck")


class Killed(BaseException):
    """Stands for the death of the process: nothing catches it, what is not committed is gone."""


@jobs.job("tests.kills")
def kills(ref):
    raise Killed


def names():
    return set(Skill.objects.values_list("name", flat=True))


def expire_leases():
    Job.objects.update(leased_until=Now() - timedelta(seconds=1), due_at=Now())


def test_a_job_is_done_once_however_often_it_is_rung():
    pk = jobs.enqueue("tests.skill", "one")
    assert jobs.enqueue("tests.skill", "one") == pk
    for _ in range(3):
        jobs.run_job(pk)
    assert (names(), Job.objects.count()) == ({"one"}, 0)


def test_a_worker_goes_straight_on_with_the_jobs_that_it_made():
    jobs.run_job(jobs.enqueue("tests.chain", 2))
    assert (names(), Job.objects.count()) == ({"chain 2", "chain 1", "chain 0"}, 0)


def test_a_chain_of_long_work_is_rung_link_by_link():
    jobs.run_job(jobs.enqueue("tests.long", 2))
    assert list(Job.objects.values_list("ref", "leased_until")) == [("1", None)]


def test_a_job_may_set_itself_anew_for_later():
    jobs.run_job(jobs.enqueue("tests.again", "x"))
    row = Job.objects.get()
    assert (row.task, row.ref, row.due_at > timezone.now() + timedelta(hours=23)) == ("tests.again", "x", True)


def test_five_failures_make_a_job_dead_and_leave_nothing_half_done():
    pk = jobs.enqueue("tests.fails", "x")
    for attempt in range(1, 6):
        jobs.run_job(pk)
        row = Job.objects.get(pk=pk)
        assert (row.attempts, row.dead) == (attempt, attempt == 5)
    assert (row.error, names(), jobs.lease()) == ("ValueError: no luck", set(), [])
    assert jobs.replay(Job.objects.all()) == 1
    assert [leased[0] for leased in jobs.lease()] == [pk]


def test_crashes_are_counted_apart_so_that_twenty_kills_do_not_kill_a_good_job():
    pk = jobs.enqueue("tests.skill", "survivor")
    jobs.beat("worker live")
    for _ in range(21):
        assert [row[0] for row in jobs.lease()] == [pk]
        assert jobs.lease() == []  # while the lease holds nobody else gets it
        expire_leases()
    assert (Job.objects.get().crashes, Job.objects.get().attempts) == (20, 0)
    jobs.run_job(pk)
    assert names() == {"survivor"}


def test_what_kills_its_worker_is_not_begun_for_ever():
    pk, good = jobs.enqueue("tests.kills", "x"), jobs.enqueue("tests.skill", "stood behind it")
    jobs.beat("worker live")
    deaths = 0
    while rung := jobs.lease():
        for leased in rung:
            try:
                jobs.run_job(leased[0])
            except Killed:
                deaths += 1
                break  # what stood behind it was not begun
        expire_leases()
    assert (deaths, names()) == (jobs.ATTEMPTS + 1, {"stood behind it"})
    row = Job.objects.get()
    assert (row.pk, row.dead, row.error) == (pk, True, "killed its worker again and again")
    assert jobs.replay(Job.objects.all()) == 1
    assert not Job.objects.filter(pk=good).exists()


def test_failures_of_a_suspect_are_counted_once():
    pk = jobs.enqueue("tests.fails", "x")
    Job.objects.update(crashes=1)
    for attempt in range(1, 6):
        jobs.run_job(pk)
        row = Job.objects.get(pk=pk)
        assert (row.attempts, row.dead) == (attempt, attempt == 5)
    assert row.error == "ValueError: no luck"


def test_a_job_does_not_die_of_a_night_without_workers_but_of_crashing_them(monkeypatch):
    monkeypatch.setattr(jobs, "_signed", {})
    pk = jobs.enqueue("tests.skill", "patient")
    jobs.beat("worker bulk")  # at work, on another queue
    for _ in range(jobs.CRASHES + 1):
        assert [row[0] for row in jobs.lease()] == [pk]
        expire_leases()
    assert (Job.objects.get().crashes, Job.objects.get().dead) == (0, False)

    jobs._sign("live")  # a worker comes: what its first work, of whatever job, begins with
    for _ in range(jobs.CRASHES - 1):  # the next one is the last straw
        assert [row[0] for row in jobs.lease()] == [pk]
        expire_leases()
    assert jobs.lease() == []
    assert (Job.objects.get().crashes, Job.objects.get().dead) == (jobs.CRASHES, True)


def test_live_work_is_rung_before_bulk_and_bulk_in_small_portions():
    bulk = [jobs.enqueue("tests.long", n) for n in range(10)]
    live = jobs.enqueue("tests.skill", "live")
    rung = jobs.lease()
    assert [row[0] for row in rung] == [live, *bulk[: jobs.IN_FLIGHT["bulk"]]]
    jobs.release([row[0] for row in rung])
    assert set(Job.objects.values_list("crashes", flat=True)) == {0}


def test_nothing_is_rung_before_it_is_due():
    jobs.enqueue("tests.skill", "later", due_at=timezone.now() + timedelta(minutes=1))
    assert jobs.lease() == []
    jobs.enqueue("tests.skill", "later")  # said again, sooner
    assert len(jobs.lease()) == 1


def test_every_task_takes_the_key_of_a_job_and_nothing_else_but_for_the_tick():
    apps = ("crm", "leads", "deals", "scoring", "routing", "nurturing", "analytics")
    code = [path for app in apps for path in (settings.BASE_DIR / app).rglob("*.py")]
    made = {str(path.relative_to(settings.BASE_DIR)) for path in code if "shared_task" in path.read_text()}
    assert made == {"crm/core/jobs.py", "crm/tasks.py"}  # the one decorator, and what beat rings
