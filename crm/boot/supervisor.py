"""Starts processes, passes on what they say, restarts those that fall, and leaves none behind."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

from crm.boot.embedded import BASE_DIR, child_command

PAUSES = (0.2, 1, 2, 5, 10, 30)  # seconds before a restart, one after another; the last one repeats
CALM_SECONDS = 60  # a process that ran this long starts counting anew
SOFT_SECONDS, HARD_SECONDS = 2, 3  # of a stop: TERM, TERM again (the cold stop of a worker), KILL; rows are safe anyway


class Child:
    """One process that is kept running."""

    def __init__(self, name, command, env, fds=()):
        self.name, self.command, self.env, self.fds = name, command, env, fds
        self.falls, self.due, self.process = 0, 0.0, None

    def start(self):
        self.process = subprocess.Popen(
            child_command([sys.executable, *self.command]),
            cwd=BASE_DIR,
            env=self.env,
            pass_fds=self.fds,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches the supervisor only, and a kill of the group reaches its pool
        )
        self.started = time.monotonic()
        threading.Thread(target=self._pass_on, args=(self.process.stdout,), daemon=True).start()

    def _pass_on(self, pipe):
        for line in pipe:
            with contextlib.suppress(OSError, ValueError):  # the terminal is gone: nothing to tell and nobody to
                print(f"{self.name:8}| {line.decode(errors='replace').rstrip()}", flush=True)

    def running(self):
        return self.process is not None and self.process.poll() is None

    def signal_group(self, signum):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signum)

    def fell(self):
        """Note the fall: clear its group of pool processes, and say after how many seconds it starts again."""
        self.signal_group(signal.SIGKILL)
        if time.monotonic() - self.started > CALM_SECONDS:
            self.falls = 0
        pause = PAUSES[min(self.falls, len(PAUSES) - 1)]
        self.falls, self.due = self.falls + 1, time.monotonic() + pause
        return pause


class Supervisor:
    def __init__(self, say):
        self.say, self.children = say, []

    def start(self, name, command, env, fds=()):
        child = Child(name, command, env, fds)
        self.children.append(child)
        child.start()

    def watch(self):
        """One look at every process; call it again and again. Returns those that fell more than four times in a row."""
        for child in self.children:
            if child.running():
                continue
            if child.process is not None:
                code, pause = child.process.returncode, child.fell()
                child.process = None
                self.say(f"{child.name} ended ({code}), starts again in {pause:g} s")
            elif time.monotonic() >= child.due:
                child.start()
        return [child.name for child in self.children if child.falls > 4]

    def stop(self):
        alive = [child for child in self.children if child.running()]
        for signum, seconds in ((signal.SIGTERM, SOFT_SECONDS), (signal.SIGTERM, HARD_SECONDS), (signal.SIGKILL, 5)):
            for child in alive:
                child.process.send_signal(signum)
            alive = _wait(alive, seconds)
        for child in self.children:
            if child.process is not None:
                child.signal_group(signal.SIGKILL)


def _wait(children, seconds):
    """Those that still run after ``seconds``."""
    deadline = time.monotonic() + seconds
    while children and time.monotonic() < deadline:
        time.sleep(0.05)
        children = [child for child in children if child.running()]
    return children
