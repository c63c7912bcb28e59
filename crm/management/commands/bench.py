"""Times, queries and sizes at several sizes of the database, through the real web server over HTTP.

Each scale has a database of its own, filled once and kept for the next run. Pages are asked for as a sales manager.
"""

import csv
import http.client
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import psycopg
from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import connection
from psycopg import sql

from crm.boot.embedded import database_url
from crm.boot.processes import PROCESSES
from crm.core import jobs
from crm.core.models import Job
from crm.demo.company import PASSWORD
from crm.demo.volley import TAKEN, Volley
from leads.models import Source, Submission

PAGES = {  # cell → address; {lead} is a lead of the manager's
    "list": "/leads/",
    "search": "/search/?q={digits}",
    "leads_board": "/leads/board/",
    "deals_board": "/deals/board/",
    "card": "/leads/{lead}/",
    "funnel": "/reports/funnel/",
    "sources": "/reports/sources/",
    "managers": "/reports/managers/",
}
TIMES = 30  # measured requests a page, after WARM ones
WARM = 3
POSTS = 200  # measured posts
MIXED = 880  # deliveries of all channels
CARDS = 50
IMPORT_ROWS = 20_000
PAUSE = 0.05  # seconds between two enquiries beside an import


class Command(BaseCommand):
    help = __doc__
    requires_system_checks = []

    def add_arguments(self, parser):
        parser.add_argument("--scale", default="1000,100000", help="numbers of leads, separated by commas")
        parser.add_argument("--json", default="", help="file for the figures")
        parser.add_argument("--pages", default="", help="these pages alone, separated by commas; nothing is written")
        parser.add_argument("--inside", action="store_true", help="measure the worker's part in this process")

    def handle(self, scale, pages="", **options):
        if options["inside"]:
            return self.stdout.write(json.dumps(cards_made()))
        figures = {}
        for size in [int(n) for n in scale.split(",")]:
            bench = Bench(size, self.stdout.write)
            cells = bench.run_pages(pages.split(",")) if pages else bench.run()
            for cell, found in cells.items():
                figures.setdefault(cell, {})[str(size)] = found
        self.table(figures)
        if options["json"]:
            Path(options["json"]).write_text(json.dumps(figures, indent=1))
        return None

    def table(self, figures):
        line = "{:12} {:>9} {:>9} {:>10} {:>8} {:>9} {:>9}"
        self.stdout.write(line.format("cell", "leads", "min ms", "median ms", "queries", "bytes", "per s"))
        for cell, scales in figures.items():
            for size, f in scales.items():
                row = [cell, size, *(f[name] if f[name] is not None else "" for name in NAMES)]
                self.stdout.write(line.format(*row))


DOORS = """
from crm.demo.deliveries import ADAPTERS
from leads.models import Source
from leads.services.sources import add
for name in set(ADAPTERS) - set(Source.objects.values_list("key", flat=True)):
    add(key=name, adapter=name)
"""
AT_WORK = """
from datetime import time
from crm.core.models import Hours
Hours.objects.all().delete()
from crm.core.models import Calendar
for calendar in Calendar.objects.all():
    Hours.objects.bulk_create(Hours(calendar=calendar, weekday=d, start=time(0), end=time(23, 59, 59)) for d in range(7))
"""
NAMES = ("min_ms", "median_ms", "queries", "bytes", "per_s")


def figure(seconds, *, queries=None, size=None, per_s=None):
    """A cell of the result from measured seconds."""
    ms = sorted(1000 * s for s in seconds)
    values = (round(ms[0], 1), round(statistics.median(ms), 1), queries, size, per_s and round(per_s, 1))
    return dict(zip(NAMES, values, strict=True))


class Bench:
    """One scale: its database, its web server, its cells."""

    def __init__(self, size, say):
        self.size, self.say = size, say
        base = os.environ.get("DATABASE_URL") or database_url(settings.STATE_DIR)
        self.admin_url, self.url = base, f"{base.rsplit('/', 1)[0]}/crm_bench_{size}"
        self.env = {
            **os.environ,
            "DATABASE_URL": self.url,
            "CRM_BENCH": "1",
            "STATEMENT_TIMEOUT_MS": "0",
            "LOG_LEVEL": "ERROR",
        }
        self.cookies = {}

    def run(self):
        self.fill()
        with self.server():
            self.sign_in()
            found = {"noop": self.posts("/bench/noop/"), "receipt": self.posts("/capture/landing/")}
            found |= {cell: self.page(address) for cell, address in PAGES.items()}
        found["receipt_mixed"] = self.mixed()
        found["card_made"] = json.loads(self.manage("bench", "--inside"))
        found |= self.imported()
        found["mail"] = self.mail()
        self.manage("shell", "-v", "0", "-c", "from crm.core.models import Job; Job.objects.all().delete()")
        return found

    def run_pages(self, names):
        self.fill()
        with self.server():
            self.sign_in()
            return {name: self.page(PAGES[name]) for name in names}

    def manage(self, *words):
        done = subprocess.run(
            [sys.executable, "manage.py", *words], env=self.env, cwd=settings.BASE_DIR, capture_output=True, text=True
        )
        if done.returncode:
            raise SystemExit(f"{' '.join(words)}: {done.stderr[-2000:]}")
        return done.stdout

    def fill(self):
        """Make and fill the database where it is not there yet."""
        name = self.url.rsplit("/", 1)[1]
        with psycopg.connect(self.admin_url, autocommit=True) as server:
            if not server.execute("select 1 from pg_database where datname = %s", [name]).fetchone():
                self.say(f"filling a database with {self.size:,} leads…")
                server.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
                self.manage("prepare")
                self.manage("seed_demo", "--leads", str(self.size), "--seed", "1")
        self.manage("prepare")
        self.manage("shell", "-v", "0", "-c", DOORS)
        self.manage("shell", "-v", "0", "-c", AT_WORK)  # whatever the hour, the lead gets an owner

    def server(self):
        return WebServer(self)

    # --- HTTP ---------------------------------------------------------------------------------------------------------
    def ask(self, method, path, body=None, headers=None):
        """(seconds, status, headers, body) of one request on the kept-alive connection.

        Pages are asked for with the manager's session; senders of enquiries have none.
        """
        posted = "json" in (headers or {}).get("Content-Type", "")
        cookie = "" if posted else "; ".join(f"{k}={v}" for k, v in self.cookies.items())
        started = time.perf_counter()
        self.http.request(method, path, body, {"Cookie": cookie, "Accept": "text/html", **(headers or {})})
        answer = self.http.getresponse()
        data = answer.read()
        seconds = time.perf_counter() - started
        for line in answer.headers.get_all("Set-Cookie") or []:
            name, _eq, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
        return seconds, answer.status, answer.headers, data

    def sign_in(self):
        _s, _status, _headers, page = self.ask("GET", "/login/")
        token = re.search(rb'name="csrfmiddlewaretoken" value="([^"]+)"', page)[1].decode()
        form = urlencode({"csrfmiddlewaretoken": token, "username": "manager", "password": PASSWORD})
        status = self.ask("POST", "/login/", form, {"Content-Type": "application/x-www-form-urlencoded"})[1]
        if status != 302:
            raise SystemExit(f"the demo's manager cannot sign in: {status}")
        _s, _status, _headers, page = self.ask("GET", "/leads/")
        self.lead = re.search(rb'href="/leads/(\d+)/"', page)[1].decode()
        digits = re.search(rb"tel:\+\d+?(\d{4})\"", page)
        self.digits = digits[1].decode() if digits else "0001"

    def page(self, address):
        path = address.format(lead=self.lead, digits=self.digits)
        headers = {"HX-Request": "true"} if path.startswith("/search/") else {}  # the list under the search box
        answers = [self.ask("GET", path, headers=headers) for _n in range(WARM + TIMES)][WARM:]
        if bad := {a[1] for a in answers} - {200}:
            raise SystemExit(f"{path} answered {bad}")
        seconds = [a[0] for a in answers]
        return figure(seconds, queries=int(answers[-1][2]["X-Query-Count"]), size=len(answers[-1][3]))

    def posts(self, path):
        """Posts one after another; ``per_s`` is their throughput on one connection."""
        started = time.perf_counter()
        answers = [self.post(path) for _n in range(POSTS)]
        took = time.perf_counter() - started
        if bad := {a[1] for a in answers} - {202}:
            raise SystemExit(f"{path} answered {bad}")
        queries = int(answers[-1][2]["X-Query-Count"])
        return figure([a[0] for a in answers], queries=queries, size=len(answers[-1][3]), per_s=POSTS / took)

    def post(self, path):
        """``ask`` with an enquiry of somebody new."""
        phone = f"+7495{uuid.uuid4().int % 10**7:07d}"
        body = json.dumps({"name": f"Bench {phone}", "phone": phone, "need": "bench"})
        return self.ask("POST", path, body, {"Content-Type": "application/json"})

    def mixed(self):
        """Every channel in turn over several connections, as the product runs: each is stored, or the bench fails."""
        count = "select count(*) from leads_submission"
        with WebServer(self, processes=PROCESSES["web"].copies), psycopg.connect(self.url, autocommit=True) as database:
            volley = Volley(self.http.port, MIXED)
            (before,) = database.execute(count).fetchone()
            took = volley.fire()
            (after,) = database.execute(count).fetchone()
        if after - before != MIXED or volley.statuses - TAKEN:
            raise SystemExit(f"{after - before} of {MIXED} were stored; answers: {volley.statuses}")
        return figure(volley.seconds, per_s=MIXED / took)

    def mail(self):
        """A mailbox of a thousand letters: fetched, stored, judged, reacted to, by one process."""
        took = json.loads(self.manage("bench_mail"))
        return figure([took["all_s"]], per_s=took["letters"] / took["all_s"])

    # --- Import ---------------------------------------------------------------------------------------------------------
    def imported(self):
        """Cells ``import`` and ``undo``: a file of new and known people through the commands, with their start.

        ``receipt_beside``: enquiries posted one after another while the same list comes in once more.
        """
        with tempfile.TemporaryDirectory() as folder:
            file, mapping = self.list_in(folder)
            command = ["import_leads", str(file), "--source", "landing", "--mapping", str(mapping), "--json"]
            came, took = self.timed(command)
            back = self.undone(came)
            seconds = self.posted_beside(command)
        return {
            "import": figure([took], per_s=IMPORT_ROWS / took),
            "undo": figure([back], per_s=IMPORT_ROWS / back),
            "receipt_beside": figure(seconds),
        }

    def undone(self, came):
        """Take the last import back; returns the seconds."""
        if came["created"] + came["updated"] + came["skipped"] != IMPORT_ROWS:
            raise SystemExit(f"the import went wrong: {came}")
        with psycopg.connect(self.url) as database:
            number = database.execute("select max(id) from leads_import").fetchone()[0]
        went, back = self.timed(["undo_import", str(number), "--json"])
        if went["removed"] + went["restored"] != came["created"] + came["updated"]:
            raise SystemExit(f"the undoing went wrong: {went}")
        return back

    def posted_beside(self, words):
        """Seconds of each enquiry that was posted while an import ran, which is taken back again."""
        with self.server(), ThreadPoolExecutor(1) as thread:
            running, seconds = thread.submit(self.timed, words), []
            while not running.done():
                took, status, *_rest = self.post("/capture/landing/")
                if status != 202:
                    raise SystemExit(f"an enquiry beside an import was answered {status}")
                seconds.append(took)
                time.sleep(PAUSE)
        self.undone(running.result()[0])
        return seconds

    def timed(self, words):
        started = time.perf_counter()
        return json.loads(self.manage(*words)), time.perf_counter() - started

    def list_in(self, folder):
        """A list of people and its mapping; one row in ten is of somebody known, with a city that the card may lack."""
        file, mapping = Path(folder, "bench.csv"), Path(folder, "map.json")
        with psycopg.connect(self.url) as database:
            sql_known = "select name, phone, email from leads_lead where email <> '' order by id limit %s"
            known = database.execute(sql_known, [IMPORT_ROWS // 10]).fetchall()
        with file.open("w", newline="") as out:
            rows = csv.writer(out)
            rows.writerow(["Name", "Phone", "E-mail", "City", "Source"])
            for n in range(IMPORT_ROWS):
                mark = uuid.uuid4()
                fresh = (f"Import {n}", f"+7{9_000_000_000 + mark.int % 10**9}", f"{mark.hex}@example.test")
                rows.writerow([*(known[n // 10] if n % 10 == 0 and n // 10 < len(known) else fresh), "Казань", "Bench"])
        columns = {"Name": "name", "Phone": "phone", "E-mail": "email", "City": "city", "Source": "origin"}
        mapping.write_text(json.dumps({"columns": columns}))
        return file, mapping


class WebServer:
    """The product's web process on a free port of the loopback, for as long as it is measured."""

    def __init__(self, bench, processes=1):
        self.bench, self.processes = bench, processes

    def __enter__(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        web = PROCESSES["web"]
        command = [sys.executable, *web.command, "--port", str(port), "--processes", str(self.processes)]
        self.process = subprocess.Popen(command, env={**self.bench.env, **web.env}, cwd=settings.BASE_DIR)
        address = urlsplit(f"http://127.0.0.1:{port}")
        for _attempt in range(300):
            try:
                self.bench.http = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
                self.bench.http.request("GET", "/healthz")
                self.bench.http.getresponse().read()
                return self
            except OSError:
                time.sleep(0.2)
        raise SystemExit("the web server did not start")

    def __exit__(self, *_error):
        self.process.terminate()
        self.process.wait(20)


def cards_made():
    """Judge and reactions of one receipt after another, all transactions, as a worker does them."""
    source, seconds, counts = Source.objects.get(key="landing"), [], []

    def counted(execute, statement, params, many, context):
        counts[-1] += "SAVEPOINT" not in statement[:20]  # as BEGIN and COMMIT, which nobody counts
        return execute(statement, params, many, context)

    for n in range(WARM + CARDS):
        fields = {"name": f"Card {n}", "need": "bench", "email": f"{uuid.uuid4().hex}@example.test"}
        body = json.dumps(fields | {"phone": f"+7496{uuid.uuid4().int % 10**7:07d}"}).encode()
        row = Submission.objects.create(
            receipt=uuid.uuid4(), source=source, content_type="application/json", body=body, sha256=uuid.uuid4().hex
        )
        job = jobs.enqueue("leads.judge", row.pk)
        counts.append(0)
        with connection.execute_wrapper(counted):
            started = time.perf_counter()
            jobs.run_job(job)
            seconds.append(time.perf_counter() - started)
        row.refresh_from_db()
        if row.state not in {"lead", "merged"}:
            raise SystemExit(f"a receipt became {row.state}")
    Job.objects.filter(queue="mail").delete()
    return figure(
        seconds[WARM:], queries=int(statistics.median(counts[WARM:])), per_s=len(seconds[WARM:]) / sum(seconds[WARM:])
    )
