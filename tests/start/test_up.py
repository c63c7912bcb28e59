"""``manage.py up`` as a person has it: the real process tree on a free port, in a state folder of its own."""

import http.client
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from crm.boot.embedded import BASE_DIR, Hold, Postgres, Valkey
from tests.start.test_embedded import processes_of, wait_until

pytestmark = pytest.mark.slow
START_SECONDS = 120  # generous: the machine of the tests may be busy
INHERITED = {"CRM_STATE_DIR", "CRM_TESTING", "DATABASE_URL", "REDIS_URL", "PORT", "DB_POOL"}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Up:
    """One run of the command, with everything it prints."""

    def __init__(self, state, port, shell=False, **env):
        self.state, self.port, self.lines = state, port, []
        kept = {name: value for name, value in os.environ.items() if name not in INHERITED}
        self.env = {**kept, "CRM_STATE_DIR": str(state), "DEMO": "0", **env}
        words = [sys.executable, "manage.py", "up", "--port", str(port)]
        if shell:
            words = ["sh", "-c", f"{shlex.join(words)} --with-parent; true"]
        self.process = subprocess.Popen(
            words,
            cwd=BASE_DIR,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),  # as a background shell hands it down
        )
        self.reader = threading.Thread(target=lambda: self.lines.extend(self.process.stdout), daemon=True)
        self.reader.start()

    @property
    def said(self):
        return "".join(self.lines)

    def ready(self):
        wait_until(lambda: "ready: " in self.said or self.process.poll() is not None, START_SECONDS)
        assert self.process.poll() is None, self.said
        return self

    def ended(self, seconds=30):
        code = self.process.wait(seconds)
        self.reader.join(10)
        self.process.stdout.close()
        return code

    def get(self, path):
        asking = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        asking.request("GET", path)
        answer = asking.getresponse()
        body = answer.read()
        asking.close()
        return answer.status, body

    def python(self, code):
        """What a ``manage.py`` command beside it prints."""
        words = [sys.executable, "manage.py", "shell", "-v", "0", "-c", f"from crm.core.models import Team; {code}"]
        done = subprocess.run(
            words, cwd=BASE_DIR, env=self.env, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture
def up(tmp_path):
    started = []

    def start(state=tmp_path / "state", port=None, **options):
        run = Up(state, port or free_port(), **options)
        started.append(run)
        return run

    yield start
    for run in started:
        if run.process.poll() is None:
            run.process.kill()
        if not run.process.stdout.closed:
            run.ended()


def names_of(state):
    """What runs on behalf of the state folder, by the words that tell our processes apart."""
    words = (
        "crm.boot.keeper postgres",
        "crm.boot.keeper valkey",
        "crm.boot.web",
        "worker@%h",
        "mail@%h",
        "bulk@%h",
        "relay",
        "beat ",
    )
    found = []
    for pid in processes_of(state):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as line:
                command = line.read().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        found += [word for word in words if word in command]
    return set(found), words


def nothing_left(run):
    wait_until(lambda: processes_of(run.state) == set(), 15)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", run.port))


def _command(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as line:
            return line.read()
    except OSError:
        return b""


def _answers(run):
    try:
        return run.get("/healthz")[0] == 200
    except OSError:
        return False


def test_up_serves_survives_a_fall_and_is_gone_after_kill_9_and_after_ctrl_c(up):
    first = up().ready()
    found, words = names_of(first.state)
    assert found == set(words)
    status, body = first.get("/healthz")
    assert (status, "status" in json.loads(body)) == (200, True)

    styles = first.get("/static/css/base.css")
    assert styles == (200, (BASE_DIR / "static/css/base.css").read_bytes())
    assert "Warning" not in first.said

    assert first.python("print(Team.objects.create(name='kept').name)") == "kept"
    assert first.get("/healthz")[0] == 200  # the command did not take the servers with it

    busy = up(first.state.with_name("other"), first.port)
    assert busy.ended() == 1
    assert f"Port {first.port} is busy" in busy.said
    assert not (busy.state / "pg18").exists()  # refused before anything was started

    second = up(first.state)
    assert second.ended() == 1
    assert f"Already running: process {first.process.pid}, http://127.0.0.1:{first.port}/" in second.said

    first.process.kill()
    first.ended()
    nothing_left(first)

    began = time.monotonic()
    again = up(first.state, first.port).ready()
    assert time.monotonic() - began < START_SECONDS / 2
    assert again.python("print(Team.objects.filter(name='kept').count())") == "1"

    webs = {pid for pid in processes_of(again.state) if b"crm.boot.web" in _command(pid)}
    assert len(webs) == 2
    for pid in webs:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: again.said.count("starts again") >= 2)
    wait_until(lambda: _answers(again), START_SECONDS)

    began = time.monotonic()
    again.process.send_signal(signal.SIGINT)
    assert again.ended() == 0
    assert time.monotonic() - began < 20
    nothing_left(again)
    assert (again.state / "up.lock").read_text() == ""


def test_term_in_the_middle_of_the_start_leaves_nothing(up):
    run = up()
    wait_until(lambda: "PostgreSQL runs" in run.said, START_SECONDS)
    run.process.terminate()
    assert run.ended() == 0
    nothing_left(run)


def test_it_goes_with_the_make_that_was_killed(up):
    run = up(shell=True)
    wait_until(lambda: "Valkey runs" in run.said, START_SECONDS)
    run.process.kill()  # the parent, as `make` is; not the command itself
    nothing_left(run)
    run.ended()


def test_a_port_that_is_none_is_refused_in_one_line(up):
    run = up(port=70000)
    assert run.ended() == 1
    assert run.said.count("\n") == 1
    assert "Port 70000 cannot be opened" in run.said


def test_addresses_from_outside_are_used_and_nothing_is_started(up, tmp_path):
    """A server that others run: here one started by hand, reached by DATABASE_URL and REDIS_URL."""
    with Hold(Postgres(tmp_path / "theirs", "test"), "test") as database, Hold(Valkey(tmp_path / "theirs")) as broker:
        run = up(tmp_path / "ours", DATABASE_URL=database.server.url, REDIS_URL=broker.server.url).ready()
        found, words = names_of(run.state)
        assert found == set(words) - {"crm.boot.keeper postgres", "crm.boot.keeper valkey"}
        run.process.terminate()
        assert run.ended() == 0
        nothing_left(run)
