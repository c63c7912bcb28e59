"""``python -m crm.boot.keeper NAME STATE_DIR PROFILE READY_FD``: owns one embedded server for as long as it is used."""

import fcntl
import os
import signal
import sys
import time
from pathlib import Path

from crm.boot.embedded import SERVERS, StartError, lock

POLL_SECONDS = 0.1
RESTART_SECONDS = (0, 0.5, 1, 2, 5)  # pause before each restart in a row; the last one repeats
CALM_SECONDS = 60  # a server that ran this long starts counting anew


class Keeper:
    def __init__(self, server):
        self.server = server
        self.told_to_stop = False
        self.restarts, self.started = 0, time.monotonic()
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(signum, self._stop)

    def _stop(self, *_):
        self.told_to_stop = True

    def watch(self):
        users = self.server.state / f"{self.server.name}.users"
        while not self.told_to_stop:
            if last := lock(users, fcntl.LOCK_EX | fcntl.LOCK_NB):
                return last  # nobody uses the server, and nobody can begin to before we are gone
            if self.server.process.poll() is not None:
                self._restart()
            time.sleep(POLL_SECONDS)
        return None

    def _restart(self):
        now = time.monotonic()
        self.restarts = 0 if now - self.started > CALM_SECONDS else self.restarts
        print(f"keeper: {self.server.name} exited ({self.server.process.returncode}), starting it again", flush=True)
        time.sleep(RESTART_SECONDS[min(self.restarts, len(RESTART_SECONDS) - 1)])
        self.restarts, self.started = self.restarts + 1, time.monotonic()
        try:
            self.server.start()
        except StartError as error:
            print(f"keeper: {error}", flush=True)


def _only_keeper(path):
    """The lock of the one keeper. Asked for repeatedly: those who look whether it is free hold it for a moment."""
    for _ in range(100):
        if (mine := lock(path, fcntl.LOCK_EX | fcntl.LOCK_NB)) is not None:
            return mine
        time.sleep(0.02)
    return None


def main(name, state, profile, ready):
    if _only_keeper(Path(state) / f"{name}.keeper") is None:
        os.write(ready, b"ready")  # another keeper was quicker
        return
    keeper = Keeper(SERVERS[name](state, profile))
    try:
        keeper.server.start()
    except (StartError, OSError) as error:
        os.write(ready, str(error).encode())
        return
    os.write(ready, b"ready")
    os.close(ready)
    keeper.watch()
    keeper.server.stop()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
