"""The embedded servers on the machine that runs the tests: real processes, each in a folder of its own."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg
import pytest

from crm.boot.embedded import BASE_DIR, NOBODY, SOCKET_PATH_LIMIT, Hold, Postgres, StartError, Valkey, is_root

pytestmark = pytest.mark.slow
QUESTION = "select show_trgm('Пётр') <> '{}', lower('ЩУКА'), 'щУкА' ilike 'ЩуКа', current_setting('timezone')"
ANSWER = (True, "щука", True, "UTC")


def processes_of(state):
    """Process ids whose command line or environment names the state folder."""
    needle, found = os.fsencode(state), set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            for name in ("cmdline", "environ"):
                try:
                    if needle in (entry / name).read_bytes():
                        found.add(int(entry.name))
                except OSError:
                    continue
    return found


def wait_until(true, seconds=15):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def ask(server, question=QUESTION):
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("create extension if not exists pg_trgm")
        return connection.execute(question).fetchone()


@pytest.fixture
def state(tmp_path):
    folder = tmp_path / "state"
    yield folder
    wait_until(lambda: not processes_of(folder))


def run_python(code, *prefix, **env):
    words = [*prefix, sys.executable, "-c", code]
    return subprocess.run(
        words, cwd=BASE_DIR, env={**os.environ, **env}, capture_output=True, text=True, timeout=120, check=False
    )


START_AND_ASK = """
import sys
from crm.boot.embedded import Hold, Postgres
import psycopg
with Hold(Postgres(sys.argv[1], "test"), "test") as hold, psycopg.connect(hold.server.url, autocommit=True) as c:
    c.execute("create extension if not exists pg_trgm")
    print(c.execute("select show_trgm('Пётр') <> '{}'").fetchone()[0])
""".replace("sys.argv[1]", "__import__('os').environ['STATE']")


def test_russian_is_searched_and_time_is_utc(state):
    with Hold(Postgres(state, "test"), "test") as hold:
        assert ask(hold.server) == ANSWER


def test_a_long_folder_with_cyrillic_and_spaces_works(state):
    deep = state / "очень длинная папка" / ("x" * 90) / ("y" * 60)
    with Hold(Postgres(deep, "test"), "test") as database, Hold(Valkey(deep)) as broker:
        assert ask(database.server) == ANSWER
        assert broker.server.answers()
        socket_names = [database.server.socket_dir / ".s.PGSQL.5432", broker.server.socket]
        assert [name.exists() for name in socket_names] == [True, True]
        assert max(len(os.fsencode(name)) for name in socket_names) <= SOCKET_PATH_LIMIT
        short = database.server.socket_dir
        assert short.stat().st_mode & 0o777 == 0o700
    shutil.rmtree(short)


def test_data_stays_and_the_second_start_is_quick(state):
    with Hold(Postgres(state, "test"), "test") as hold:
        ask(hold.server, "select 1")
        with psycopg.connect(hold.server.url) as connection:
            connection.execute("create table kept as select 42 as answer")
    began = time.monotonic()
    with Hold(Postgres(state, "test"), "test") as hold:
        took = time.monotonic() - began
        assert ask(hold.server, "select answer from kept") == (42,)
    assert took < 10


def test_the_last_holder_stops_the_server_and_no_other(state):
    with Hold(Valkey(state)) as first:
        with Hold(Valkey(state)) as second:
            assert second.keeper is None  # uses the first one's
        assert first.server.answers()
    assert not first.server.answers()
    assert processes_of(state) == set()


def test_a_holder_killed_with_9_leaves_nothing(state):
    code = "import os, time; from crm.boot.embedded import Hold, Valkey\n"
    code += "with Hold(Valkey(os.environ['STATE'])): print('up', flush=True); time.sleep(60)"
    holder = subprocess.Popen(
        [sys.executable, "-c", code], cwd=BASE_DIR, env={**os.environ, "STATE": str(state)}, stdout=subprocess.PIPE
    )
    assert holder.stdout.readline() == b"up\n"
    assert len(processes_of(state)) == 3  # holder, keeper, server
    holder.kill()
    holder.wait()
    holder.stdout.close()
    wait_until(lambda: processes_of(state) == set())


def test_a_killed_server_comes_back(state):
    with Hold(Postgres(state, "test"), "test") as hold:
        first = hold.server.recorded_pid()
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: hold.server.recorded_pid() not in (None, first) and hold.server.answers())
        assert ask(hold.server) == ANSWER


def test_a_killed_keeper_is_replaced(state):
    with Hold(Postgres(state, "test"), "test") as hold:
        hold.keeper.kill()
        hold.keeper.wait()
        hold.keep()
        assert ask(hold.server) == ANSWER


def test_a_start_broken_off_in_the_middle_is_made_anew(state):
    half = state / "pg18.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    with Hold(Postgres(state, "test"), "test") as hold:
        assert ask(hold.server) == ANSWER
    assert not half.exists()


def test_a_folder_that_another_user_made_in_tmp_is_refused(state, monkeypatch):
    if not is_root():
        pytest.skip("only root can make a folder that belongs to somebody else")
    server = Valkey(state)
    server.socket.parent.mkdir(parents=True)
    os.chown(server.socket.parent, 12345, 12345)
    with pytest.raises(StartError, match="belongs to another user"), Hold(server):
        pass


@pytest.fixture
def open_state():
    """A state folder that anybody can walk to: pytest's own temporary folder is closed to others."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("uid", [1, 12345], ids=["daemon", "a uid without a name"])
def test_an_ordinary_user_can_start_it(open_state, uid):
    state = open_state
    if not is_root():
        pytest.skip("this whole run is an ordinary user's")
    if not shutil.which("setpriv"):
        pytest.skip("setpriv (util-linux) is missing: the start as an ordinary user was not tried")
    os.chown(state, uid, uid)
    # Allowed to read, for the interpreter may stand in root's home; not to write, and not root.
    read = ["--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"]
    user = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", *read]
    done = run_python(START_AND_ASK, *user, STATE=str(state), PYTHONDONTWRITEBYTECODE="1")
    assert (done.stdout, done.returncode) == ("True\n", 0), done.stderr
    assert (state / "pg18").stat().st_uid == uid


def test_root_without_user_namespaces_runs_it_as_nobody_and_back(state):
    if not is_root():
        pytest.skip("only root has to become somebody else")
    owners = []
    for refused in ("1", ""):
        done = run_python(START_AND_ASK, STATE=str(state), CRM_NO_USERNS=refused)
        assert (done.stdout, done.returncode) == ("True\n", 0), done.stderr
        owners.append((state / "pg18" / "PG_VERSION").stat().st_uid)
    assert owners[0] == NOBODY
