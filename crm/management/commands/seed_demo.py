"""Fill an installation with a believable company, dated relative to today."""

import random
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection, transaction

from crm.demo import company
from crm.demo.copying import Tables, write
from crm.demo.life import DAY, HOUR, MINUTE, Ledger, Life
from leads.models import Company as Firm
from leads.models import Lead, Submission
from routing.models import Debt, DebtEntry

CHUNK = 4000  # leads written at once
PERIOD = 365  # days of history
FRESH = 15  # leads of the last hours, so that the first page has something to do


class Command(BaseCommand):
    help = __doc__
    requires_system_checks = []

    def add_arguments(self, parser):
        parser.add_argument("--leads", type=int, default=2000)
        parser.add_argument("--seed", type=int, default=1)

    def handle(self, leads, seed, verbosity=1, **options):
        if not settings.LOCAL:
            raise CommandError("The demo has known passwords: it is made in local mode alone.")
        start = time.monotonic()
        world = company.build()
        seeding = Seeding(world, random.Random(seed), leads)  # noqa: S311 - a believable company, not a secret
        for done in seeding.run():
            if verbosity:
                self.stdout.write(f"  {done:,} leads, {time.monotonic() - start:.0f} s")


class Seeding:
    """Lives in the order of their enquiries, written in chunks; each chunk is one transaction with its debts."""

    def __init__(self, world, rng, leads):
        self.world, self.rng, self.leads = world, rng, leads
        self.tables = Tables(world.now)
        self.companies = dict(Firm.objects.values_list("name_key", "pk"))
        self.given = dict(Debt.objects.filter(rule=world.routing).values_list("user_id", "given"))
        self.moments = sorted(self.moment(number) for number in range(leads))
        self.ledger = Ledger(self.tables[Submission])
        self.first = Lead.objects.count() + self.tables[Lead].next

    def run(self):
        with writer() as write_down:
            for begin in range(0, self.leads, CHUNK):
                end = min(self.leads, begin + CHUNK)
                write_down(*self.chunk(begin, end))
                yield end
        self.tables.settle()
        with connection.cursor() as cursor:
            cursor.execute("analyze")

    def chunk(self, begin, end):
        """(rows as ``Tables.take`` gives them, counters of fairness) of so many lives."""
        deltas, given, life = {}, {}, None
        for number in range(begin, end):
            life = Life(self.world, self.tables, self.rng, self.first + number, self.moments[number])
            life.ledger, life.world_companies = self.ledger, self.companies
            life.world_deltas, life.world_given = deltas, given
            for chapter in (life.meet, life.arrive, life.assign, life.greet, life.work, life.settle):
                chapter()
            self.noise(life)
        if end == self.leads:
            self.ledger.catch_up(self.world.now)
        self.book(life, deltas)
        return self.tables.take(), self.debts(given)

    def moment(self, number):
        """When the enquiry comes: the last ones within hours, the others over the year, more on working days."""
        now, rng = self.world.now, self.rng
        if number >= self.leads - min(FRESH, self.leads // 10):
            return now - rng.uniform(2, 180) * MINUTE
        while True:
            day = now - (PERIOD * (1 - rng.random() ** 0.8)) * DAY
            local = datetime.fromtimestamp(day, UTC)
            midnight = day - (local.hour * HOUR + local.minute * MINUTE + local.second)
            at = midnight + min(20.9, max(4, rng.gauss(11, 3))) * HOUR
            if at < now - 3 * HOUR and (local.weekday() < 5 or rng.random() < 0.35):
                return at

    def noise(self, life):
        """What every form gets besides: spam, empty posts."""
        draw = self.rng.random()
        if draw < 0.02:
            life.receive("spam", life.created + 30, Submission.Reason.HONEYPOT)
        elif draw < 0.03:
            life.receive("rejected", life.created + 40, Submission.Reason.NO_CONTACT)

    def book(self, life, deltas):
        """One net entry a person and chunk in the fairness ledger, on the chunk's last assignment."""
        for user, delta in deltas.items():
            self.tables[DebtEntry].add(
                assignment_id=life.assignment,
                rule_id=self.world.routing.pk,
                user_id=user,
                delta=delta,
                at=life.assigned,
            )

    def debts(self, given):
        rows = [
            Debt(rule=self.world.routing, user_id=user, debt=debt, given=given.get(user, 0))
            for user, debt in self.world.debts.items()
        ]
        for row in rows:
            row.given = self.given[row.user_id] = self.given.get(row.user_id, 0) + row.given
        return rows


@contextmanager
def writer():
    """``write_down(rows, debts)``: a chunk in a transaction of its own, by a thread, while the next one is thought up.

    Within somebody's transaction there is no second connection: it is written at once.
    """
    if connection.in_atomic_block:
        yield write_chunk
        return
    with ThreadPoolExecutor(1) as thread:
        last = thread.submit(lambda: None)

        def write_down(*chunk):
            nonlocal last
            last.result()  # one at a time; what went wrong is raised here
            last = thread.submit(write_chunk, *chunk)

        try:
            yield write_down
            last.result()
        finally:
            thread.submit(lambda: connection.close()).result()  # the thread's own


@transaction.atomic
def write_chunk(rows, debts):
    without_foreign_key_checks()
    write(rows)
    Debt.objects.bulk_create(
        debts, update_conflicts=True, unique_fields=["rule", "user"], update_fields=["debt", "given"]
    )


def without_foreign_key_checks():
    """Rows made here fit together; where the role may not switch the checks off, they are made, slowly."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("set local session_replication_role = replica")
    except DatabaseError:
        pass
