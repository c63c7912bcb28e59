"""``manage.py up``: everything that the product needs, in one process tree, until Ctrl-C."""

import contextlib
import errno
import fcntl
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, connection, connections

from crm.boot.child import die_with_parent
from crm.boot.embedded import BASE_DIR, Hold, Postgres, StartError, Valkey, child_command, lock
from crm.boot.processes import PROCESSES
from crm.boot.supervisor import Supervisor

READY_SECONDS = 90
DEMO_LOGINS = ("admin", "head", "manager", "marketer")


class Stop(BaseException):
    """Ctrl-C or TERM, at whatever point of the start."""


class Command(BaseCommand):
    help = "Starts PostgreSQL, Valkey (unless DATABASE_URL, REDIS_URL name others), web, workers, relay and beat."
    requires_system_checks = []  # the children check; a second start takes seconds

    def add_arguments(self, parser):
        parser.add_argument("--port", type=int, default=int(os.environ.get("PORT") or 8000))
        parser.add_argument("--no-demo", action="store_true", help="leave an empty database empty (also: DEMO=0)")

        parser.add_argument("--with-parent", action="store_true", help="stop when the parent (make) is killed")

    def handle(self, *, port, no_demo, with_parent, **options):
        if not settings.LOCAL:
            raise CommandError("`up` is the local mode. In production run the processes of docker-compose.yml.")
        self.began = time.monotonic()
        self.port, self.url = port, f"http://127.0.0.1:{port}/"
        self.demo = not no_demo and os.environ.get("DEMO", "1") != "0"
        os.environ["PORT"] = str(port)
        self.holds, self.supervisor = [], Supervisor(self.say)
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # a background shell hands SIGINT down ignored
            signal.signal(signum, self._stop)
        if with_parent:
            die_with_parent(signal.SIGTERM, os.getppid())
        with contextlib.ExitStack() as stack:
            try:
                self._run(stack)
            except Stop:
                self.say("stopping")
            except (StartError, OperationalError) as error:
                raise CommandError(str(error).strip()) from error
            finally:
                for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                    signal.signal(signum, signal.SIG_IGN)  # the stop is bounded by itself
                self.supervisor.stop()
                connections.close_all()
        self.say("stopped")

    def _stop(self, *_):
        raise Stop

    def say(self, text):
        with contextlib.suppress(OSError):
            print(f"[{time.monotonic() - self.began:6.1f} s] {text}", flush=True)

    def _run(self, stack):
        self._only_one(stack)
        listening = stack.enter_context(self._listen())
        self._start_servers(stack)
        self._prepare_database()
        self._start_processes(listening)
        self._wait_until_ready()
        self._greet()
        while True:
            time.sleep(0.5)
            self.supervisor.watch()
            for hold in self.holds:
                hold.keep()

    def _only_one(self, stack):
        """Two of them on one state folder would fight for the same rows and files."""
        path = Path(settings.STATE_DIR) / "up.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = lock(path, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if handle is None:
            raise CommandError(f"Already running: {path.read_text().strip() or path}. Stop that one first.")
        stack.callback(os.close, handle)
        os.ftruncate(handle, 0)
        os.write(handle, f"process {os.getpid()}, {self.url}\n".encode())
        stack.callback(os.ftruncate, handle, 0)

    def _listen(self):
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(("127.0.0.1", self.port))
            listening.listen(1024)
        except (OSError, OverflowError) as error:
            listening.close()
            if getattr(error, "errno", None) == errno.EADDRINUSE:
                free = f"Port {self.port} is busy. Take another one: make up PORT={self.port % 65000 + 1}"
                raise CommandError(free) from error
            raise CommandError(f"Port {self.port} cannot be opened: {error}") from error
        return listening

    def _start_servers(self, stack):
        for variable, server, title in (("DATABASE_URL", Postgres, "PostgreSQL"), ("REDIS_URL", Valkey, "Valkey")):
            if os.environ.get(variable):
                self.say(f"{title}: the one that {variable} names")
                continue
            self.holds.append(stack.enter_context(Hold(server(settings.STATE_DIR))))
            self.say(f"{title} runs")

    def _prepare_database(self):
        marker = Path(settings.STATE_DIR) / "demo.loading"
        if marker.exists() and "DATABASE_URL" in self._addresses():
            recreate_database()
            self.say("the loading of demo data was broken off last time: beginning with an empty database")
        marker.unlink(missing_ok=True)
        Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)  # WhiteNoise warns of a missing one
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 0")  # an index on a big table takes its time
        call_command("prepare", verbosity=0)
        self.say("database ready")
        if self.demo and not get_user_model().objects.exists():
            marker.touch()
            self._load_demo()
            marker.unlink()
        connections.close_all()

    def _load_demo(self):
        self.say("loading demo data (2,000 leads)")
        command = [sys.executable, "manage.py", "seed_demo", "--leads", "2000", "--seed", "1"]
        env = {**os.environ, **self._addresses(), "STATEMENT_TIMEOUT_MS": "0"}
        silent = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
        done = subprocess.run(child_command(command), cwd=BASE_DIR, env=env, check=False, **silent)
        if done.returncode:
            raise CommandError("The demo data could not be loaded (see above). Without it: make up DEMO=0")
        self.say("demo data loaded")

    def _addresses(self):
        """Named aloud, so that a child neither looks for servers nor starts any."""
        names = {hold.server.name: hold.server for hold in self.holds}
        found = {}
        if "postgres" in names:
            found["DATABASE_URL"] = names["postgres"].url
        if "valkey" in names:
            found["REDIS_URL"] = names["valkey"].url
        return found

    def _start_processes(self, listening):
        shared = {**os.environ, **self._addresses(), "PYTHONUNBUFFERED": "1"}
        for name, process in PROCESSES.items():
            words = list(process.command)
            if name == "web":
                words += ["--fd", str(listening.fileno())]
            if name == "beat":
                words += [str(Path(settings.STATE_DIR).resolve() / "beat-schedule")]
            for copy in range(process.copies):
                title = f"{name} {copy + 1}" if process.copies > 1 else name
                fds = (listening.fileno(),) if name == "web" else ()
                self.supervisor.start(title, words, {**shared, **process.env}, fds)
        self.say("web, workers, relay and beat started")

    def _wait_until_ready(self):
        deadline = time.monotonic() + READY_SECONDS
        while not self._answers():
            if broken := self.supervisor.watch():
                raise CommandError(f"{', '.join(broken)} does not stay up; see its lines above")
            if time.monotonic() > deadline:
                raise CommandError(f"{self.url}healthz did not answer within {READY_SECONDS} s")
            time.sleep(0.1)

    def _answers(self):
        try:
            asking = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            with contextlib.closing(asking):
                asking.request("GET", "/healthz")
                return asking.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False

    def _greet(self):
        self.say(f"ready: {self.url}   (Ctrl-C stops everything)")
        found = set(get_user_model().objects.filter(username__in=DEMO_LOGINS).values_list("username", flat=True))
        connections.close_all()
        if logins := [name for name in DEMO_LOGINS if name in found]:
            self.say(f"sign in as {', '.join(logins)}; password: demo")


def recreate_database():
    """The embedded one alone, and only while nothing but a half-loaded demo is in it."""
    connections.close_all()
    with connection._nodb_cursor() as cursor:
        cursor.execute("DROP DATABASE IF EXISTS crm WITH (FORCE)")
        cursor.execute("CREATE DATABASE crm")
