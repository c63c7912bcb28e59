"""The outbox and the one decorator under which background work runs.

``enqueue`` inserts a Job in the caller's transaction. The relay (``manage.py relay``) leases what is due and rings
Celery; ``job`` turns a plain function of a ref into a Celery task that locks the row, does the effect and deletes
the row in one transaction, so the effect happens exactly once whatever the broker does.
"""

import contextvars
import functools
import logging
import random
import time
from contextlib import contextmanager
from datetime import timedelta

from celery import shared_task
from django.db import connection, transaction
from django.db.models import Value
from django.db.models.expressions import DatabaseDefault
from django.db.models.functions import Now

from crm.core.models import Heartbeat, Job

log = logging.getLogger(__name__)

ATTEMPTS = 5  # exceptions, or beginnings of a job suspected of killing its worker, before it is dead
CRASHES = 50  # leases that ran out before a job is dead: far more than any restart makes
LEASE = timedelta(seconds=20)  # a lost ring is rung again after this; a living worker holds the row lock as well
ALONE_LEASE = timedelta(seconds=60)  # of work that talks to others: longer than their timeouts
SIGN = 5.0  # seconds between two signs of life of a worker
AT_WORK = ALONE_LEASE + timedelta(seconds=10)  # a lease that ran out is a crash if a worker was seen so shortly before
BASE, CAP = 2.0, 300.0  # seconds; full jitter: random() × min(CAP, BASE × 4^attempts)

QUEUES = ("live", "mail", "bulk")
# Rings a queue may have out at once: seconds of work, so that a ring is answered long before its lease runs out; the
# relay asks again every few hundredths of a second.
IN_FLIGHT = {"live": 64, "mail": 32, "bulk": 4}
_queue_of = {}  # task name → queue
_run = {}  # task name → function(ref)
_alone = set()  # names of the tasks that own their transactions
_on_dead = {}  # task name → function(ref, error), called once when a job of it dies
_signed = {}  # queue → when this process last gave a sign of life
_fresh = contextvars.ContextVar("fresh_jobs", default=None)  # jobs made by the job that runs now


def enqueue(task, ref, *, due_at=None):
    """Insert a job in the caller's transaction and return its key; said twice is said once, the sooner time wins."""
    fresh = _fresh.get()
    # This worker goes on with it, the relay need not ring; but nothing live waits for a mail server or a long chain.
    straight_on = fresh is not None and due_at is None and _queue_of.get(task, "live") == "live"
    sql = """
        insert into core_job (task, ref, queue, due_at, leased_until, attempts, crashes, error, dead)
        values (%s, %s, %s, coalesce(%s, now()), case when %s then now() + %s end, 0, 0, '', false)
        on conflict (task, ref) do update set due_at = least(core_job.due_at, excluded.due_at)
        returning id"""
    with connection.cursor() as cursor:
        cursor.execute(sql, [task, str(ref), _queue_of.get(task, "live"), due_at, straight_on, LEASE])
        pk = cursor.fetchone()[0]
    if straight_on:
        fresh.append(pk)
    return pk


def save_with_job(row, task):
    """Insert a new model row and the job of which it is the ref, in one statement.

    One round trip; where no transaction is open the statement is one of its own. A sender waits for it, so it is planned
    once a connection, in the web server too.
    """
    values = {}
    for field in row._meta.concrete_fields:
        value = field.pre_save(row, add=True)
        if not field.primary_key and not isinstance(value, DatabaseDefault):
            values[field.column] = field.get_db_prep_save(value, connection)
    name = connection.ops.quote_name
    sql = f"""
        with kept as (
          insert into {name(row._meta.db_table)} ({", ".join(map(name, values))})
          values ({", ".join(["%s"] * len(values))}) returning id),
        rung as (
          insert into core_job (task, ref, queue, due_at, attempts, crashes, error, dead)
          select %s, id::text, %s, now(), 0, 0, '', false from kept)
        select id from kept"""  # noqa: S608  # nosec B608 - names of the model
    with connection.cursor() as cursor, _prepared():
        cursor.execute(sql, [*values.values(), task, _queue_of.get(task, "live")])
        row.pk = cursor.fetchone()[0]
    row._state.adding = False


@contextmanager
def _prepared():
    """Statements within are prepared by the database at their first use and only executed from then on."""
    driver = connection.connection
    former, driver.prepare_threshold = driver.prepare_threshold, 0
    try:
        yield
    finally:
        driver.prepare_threshold = former


def clock():
    """The database's time: what ``due_at`` is compared with, whatever the clock of this machine says."""
    with connection.cursor() as cursor:
        cursor.execute("select statement_timestamp()")
        return cursor.fetchone()[0]


def enqueue_many(task, refs, *, due_at=None):
    """Insert jobs for many refs in one statement; they are left to the relay."""
    extra = {} if due_at is None else {"due_at": due_at}
    Job.objects.bulk_create(
        [Job(task=task, ref=str(ref), queue=_queue_of.get(task, "live"), **extra) for ref in refs],
        ignore_conflicts=True,
        batch_size=5000,
    )


def job(name, *, queue="live", atomic=True, on_dead=None):
    """Decorate ``fn(ref: str)`` as the job ``name``: a Celery task of one integer, the Job's key.

    ``atomic=False`` is for what leaves the system and cannot be rolled back: ``fn(ref, run)`` owns its transactions and
    says ``run.done()`` or ``run.later()`` in the last of them. Until then nobody else runs the same job, and whoever
    runs it again after a crash knows that the former attempt is over. ``on_dead(ref, error)`` is told, in the same
    transaction, that the job has died.
    """

    def decorate(fn):
        _queue_of[name], _run[name] = queue, fn
        if on_dead:
            _on_dead[name] = on_dead
        if not atomic:
            _alone.add(name)

        @shared_task(name=name, queue=queue)
        @functools.wraps(fn)
        def task(job_pk: int):
            _sign(queue)
            run_job(job_pk)

        return task

    return decorate


def _sign(queue):
    """Now and then, and always before its first work, a worker notes that it takes work of this queue.

    And sees to it that its connection, kept for thousands of jobs, is not one to a server that has gone since.
    """
    now = time.monotonic()
    if now - _signed.get(queue, float("-inf")) > SIGN:
        if connection.connection is not None and not connection.is_usable():
            connection.close()
        beat(f"worker {queue}")
        _signed[queue] = now


def run_job(job_pk):
    """Run a job and then those it made, each in its own transaction."""
    todo = [job_pk]
    while todo:
        todo.extend(_run_one(todo.pop(0)))


def _run_one(job_pk):
    fresh = []
    token = _fresh.set(fresh)
    try:
        if not _run_whole(job_pk, "crashes = 0") and (row := Job.objects.filter(pk=job_pk, dead=False).first()):
            if row.task in _alone:
                _run_alone(row)
            elif row.crashes:
                _run_suspect(row)
        return fresh
    except Exception as error:
        log.exception("job %s failed", job_pk)
        if connection.connection is not None and not connection.is_usable():
            connection.close()
        _failed(job_pk, error)
        return []
    finally:
        _fresh.reset(token)


def _run_whole(job_pk, but="true"):
    """Run the job in one transaction with the deletion of its row, which comes first, so that the work may set the same
    job anew for later. False when it is done, dead, in another worker's hands, or not to be run like this.
    """
    sql = f"""
        delete from core_job where id = (
          select id from core_job where id = %s and not dead and task <> all(%s) and {but} for update skip locked)
        returning task, ref"""  # noqa: S608  # nosec B608 - a constant of this module
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(sql, [job_pk, list(_alone)])
            taken = cursor.fetchone()
        if taken:
            task, ref = taken
            _run[task](ref)
    return bool(taken)


class Run:
    """One run of a job that owns its transactions; its function says in the last of them how it ended."""

    def __init__(self, row):
        self.pk, self.attempts = row.pk, row.attempts

    def done(self):
        Job.objects.filter(pk=self.pk).delete()

    def later(self, why, *, cap=CAP, after=0):
        """Not this time: try again after a jittered delay of at most ``cap`` seconds, ``after`` seconds at the soonest.

        The job does not die of it.
        """
        wait = after + random.random() * min(cap, BASE * 4 ** min(self.attempts + 1, 10))  # noqa: S311 - spread
        Job.objects.filter(pk=self.pk).update(
            attempts=min(self.attempts + 1, 30_000),
            error=str(why)[:2000],
            leased_until=None,
            due_at=Now() + Value(timedelta(seconds=wait)),
        )


@contextmanager
def _only_here(row):
    """The job as its former runner left it, under a lock of this session, which goes when the process does.

    None when it is over, or another worker is at it.
    """
    name = f"{row.task}:{row.ref}"
    with connection.cursor() as cursor:
        cursor.execute("select pg_try_advisory_lock(hashtextextended(%s, 0))", [name])
        if not cursor.fetchone()[0]:
            yield None
            return
    try:
        yield Job.objects.filter(pk=row.pk, dead=False).first()
    finally:
        if connection.connection is not None and connection.is_usable():
            with connection.cursor() as cursor:
                cursor.execute("select pg_advisory_unlock(hashtextextended(%s, 0))", [name])


def _run_alone(row):
    """Run without a transaction around."""
    with _only_here(row) as row:
        if row is not None:
            Job.objects.filter(pk=row.pk).update(leased_until=Now() + Value(ALONE_LEASE))
            _run[row.task](row.ref, Run(row))


def _run_suspect(row):
    """Run a job under which a worker may have died, its attempt counted and committed first: nothing else survives it.

    Most such jobs only stood behind the one that killed, or their worker was restarted; they lose nothing by it.
    """
    with _only_here(row) as row:
        if row is None:
            return
        if row.attempts >= ATTEMPTS:
            with transaction.atomic():
                _die(row, "killed its worker again and again")
        else:
            Job.objects.filter(pk=row.pk).update(attempts=row.attempts + 1)
            _run_whole(row.pk)


def _failed(job_pk, error):
    """Count the attempt and set the next one, with full jitter; after the last the job is dead and shown."""
    with transaction.atomic():
        row = Job.objects.select_for_update().filter(pk=job_pk).first()
        if row is None:
            return
        if not row.crashes or row.task in _alone:  # of a suspect it was counted as it began
            row.attempts += 1
        row.error = f"{type(error).__name__}: {error}"[:2000]
        row.leased_until = None
        wait = random.random() * min(CAP, BASE * 4**row.attempts)  # noqa: S311 - spread, not a secret
        row.due_at = Now() + Value(timedelta(seconds=wait))
        row.save(update_fields=["attempts", "error", "leased_until", "due_at"])
        if row.attempts >= ATTEMPTS:
            _die(row, row.error)


def _die(row, error):
    """In the caller's transaction: the job is not tried again, is shown to administrators, and who set it is told."""
    Job.objects.filter(pk=row.pk).update(dead=True, error=error, leased_until=None)
    if row.task in _on_dead:
        _on_dead[row.task](row.ref, error)


def lease():
    """Lease what is due, as much of each queue as its workers can soon take. Returns [(pk, task, queue)], committed.

    Rings wait in the broker no longer than a lease, so that a lease that ran out means that the process died or the
    ring was lost: counted as a crash, apart from attempts. Not so while no worker is seen at its queue: a job does not
    die of a night without workers.
    """
    sql = """
        with cap (queue, n) as (select * from unnest(%s::varchar[], %s::int[])),
        room as (
          select cap.queue, cap.n - (
            select count(*) from core_job j
            where j.queue = cap.queue and not j.dead and j.leased_until > now()) as n
          from cap),
        due as (
          select j.id, j.crashed from room cross join lateral (
            select id, (leased_until is not null and exists (
              select from core_heartbeat h
              where h.name = 'worker ' || room.queue and h.at > leased_until - %s))::int as crashed
            from core_job
            where queue = room.queue and not dead and due_at <= now()
              and (leased_until is null or leased_until < now())
            order by due_at limit greatest(room.n, 0) for update skip locked) j)
        update core_job j set
          crashes = crashes + due.crashed,
          dead = crashes + due.crashed >= %s,
          error = case when crashes + due.crashed >= %s
                       then 'crashed the worker too often' else error end,
          leased_until = now() + %s
        from due where j.id = due.id
        returning j.id, j.task, j.queue, j.dead, j.ref, j.error"""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql, [list(IN_FLIGHT), list(IN_FLIGHT.values()), AT_WORK, CRASHES, CRASHES, LEASE])
        rows = cursor.fetchall()
        for _pk, task, _queue, dead, ref, error in rows:
            if dead and task in _on_dead:
                _on_dead[task](ref, error)
    order = {queue: place for place, queue in enumerate(QUEUES)}
    return sorted((row[:3] for row in rows if not row[3]), key=lambda row: (order[row[2]], row[0]))


def release(pks):
    """Take leases back that no ring stands for: the broker refused. Not a crash."""
    Job.objects.filter(pk__in=pks).update(leased_until=None)


def replay(jobs):
    """Give dead jobs another life; returns how many."""
    return jobs.filter(dead=True).update(dead=False, attempts=0, crashes=0, leased_until=None, due_at=Now(), error="")


def beat(name):
    """Note that a process works."""
    Heartbeat.objects.bulk_create(
        [Heartbeat(name=name, at=Now())], update_conflicts=True, update_fields=["at"], unique_fields=["name"]
    )


def drain(limit=10_000):
    """Run everything that is due in this process, as workers would; for tests and one-off commands. Returns a count."""
    done = 0
    while done < limit:
        batch = list(
            Job.objects.filter(dead=False, due_at__lte=Now()).order_by("id").values_list("pk", flat=True)[:200]
        )
        if not batch:
            return done
        for pk in batch:
            run_job(pk)
        done += len(batch)
    return done
