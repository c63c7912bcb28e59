"""The product as a department has it: its own processes on servers of its own, for tests that walk it or break it.

Every process is a child that the kernel ends with this one; only these are ever signalled.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psycopg
from psycopg.rows import dict_row

from crm.boot.embedded import BASE_DIR, Postgres, Valkey, child_command
from crm.boot.processes import PROCESSES

WAIT = 60  # seconds; generous, the machine of the tests may be busy
START = 120
FOREIGN = {
    "CRM_STATE_DIR", "CRM_TESTING", "DATABASE_URL", "REDIS_URL", "PORT", "DB_POOL", "DJANGO_ALLOW_ASYNC_UNSAFE",
    "LANGUAGE_CODE", "TIME_ZONE", "PUBLIC_URL", "EMAIL_HOST", "EMAIL_PORT",
}  # fmt: skip


def wait_for(found, what, seconds=WAIT):
    """The first true value of ``found()``; the test fails when there is none in time."""
    deadline = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < deadline, f"waited {seconds} s in vain for {what}"
        time.sleep(0.1)
    return value


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Product:
    def __init__(self, state, smtp_port=0):
        self.state, self.port = Path(state), _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.database, self.broker = Postgres(state, "test"), Valkey(state)
        self.running = {}  # name → Popen
        mail = {"EMAIL_HOST": "127.0.0.1", "EMAIL_PORT": str(smtp_port)} if smtp_port else {}
        self.env = {name: value for name, value in os.environ.items() if name not in FOREIGN} | mail
        self.env |= {
            "CRM_STATE_DIR": str(state), "DATABASE_URL": self.database.url, "REDIS_URL": self.broker.url,
            "PORT": str(self.port), "LANGUAGE_CODE": "ru", "TIME_ZONE": "Europe/Moscow", "PYTHONUNBUFFERED": "1",
        }  # fmt: skip

    # --- life ---------------------------------------------------------------------------------------------------------

    def prepare(self, *code):
        """Servers and database; each ``code`` is a line of Python that fills it."""
        self.state.mkdir(parents=True, exist_ok=True)
        (self.state / "static").mkdir(exist_ok=True)
        self.database.start()
        self.broker.start()
        self.manage("prepare", "-v", "0")
        return self.python("; ".join(code)) if code else ""

    def start(self, *names):
        for name in names or ("web", "worker", "mail", "relay", "beat"):
            self.start_process(name)
        wait_for(self.answers, f"{self.url}/healthz", START)

    def start_process(self, name):
        process = PROCESSES[name]
        words = list(process.command)
        if name == "web":
            words += ["--port", str(self.port)]
        if name == "beat":
            words += [str(self.state / "beat-schedule")]
        with (self.state / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                child_command([sys.executable, *words]),
                cwd=BASE_DIR,
                env={**self.env, **process.env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a kill of the group reaches the worker's pool
            )

    def kill(self, name):
        """-9 for the process and its whole group."""
        process = self.running.pop(name)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(WAIT)

    def stop(self):
        for name in list(self.running):
            self.kill(name)
        for server in (self.broker, self.database):
            if server.process is not None and server.process.poll() is None:
                os.kill(server.process.pid, signal.SIGCONT)
            server.stop()

    def answers(self):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5) as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            return connection.recv(64).startswith(b"HTTP/1.1 200")
        return False

    # --- what people and tests ask of it ------------------------------------------------------------------------------

    def manage(self, *words, allowed=(0,)):
        """What the command prints."""
        done = subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=BASE_DIR,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=START,
            check=False,
        )
        assert done.returncode in allowed, done.stderr + done.stdout
        return done.stdout

    def json(self, *words, **options):
        return json.loads(self.manage(*words, "--json", **options))

    def python(self, code):
        return self.manage("shell", "-v", "0", "-c", code).strip()

    def rows(self, sql, *params):
        with psycopg.connect(self.database.url, autocommit=True, row_factory=dict_row) as connection:
            return connection.execute(sql, params).fetchall()

    def value(self, sql, *params):
        (row,) = self.rows(sql, *params)
        (value,) = row.values()
        return value

    def log_of(self, name):
        path = self.state / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""
