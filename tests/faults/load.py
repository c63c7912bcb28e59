"""The load: a bounded number of captures from many threads, each written down after its answer.

Whoever gets no answer or a 5xx asks again with the same Idempotency-Key, as a sender that means it does.
"""

import contextlib
import http.client
import json
import os
import threading
import time
import uuid
from dataclasses import dataclass, field

from crm.demo.deliveries import delivery, phone_of

TAKEN = {200, 202, 303}  # what providers, programs and forms are answered
TIMEOUT = 15  # seconds; far more than an answer may take
PATIENCE = 120  # seconds of asking again, per capture
CLIENT = uuid.uuid5(uuid.NAMESPACE_DNS, "client.test")


def address(source, number):
    """The ``number``-th client's own address, the same in every post of theirs."""
    return f"{uuid.uuid5(CLIENT, str(number))}@{source}.test"


@dataclass
class Attempt:
    """One answer: of which post, when, with which status (0: none came), after how many seconds."""

    post: int
    client: str  # its address, which holds its uuid
    at: float
    status: int
    seconds: float
    retry_after: str = ""


@dataclass
class Load:
    """``total`` posts at about ``per_second``; one in ten comes from a client who has asked before."""

    port: int
    source: str
    total: int
    per_second: float
    path: object  # the written ledger
    threads: int = 8
    attempts: list = field(default_factory=list)

    def __post_init__(self):
        self._lock, self._next, self._workers = threading.Lock(), 0, []
        self._file = self.path.open("a")

    def start(self):
        self.began = time.monotonic()
        self._workers = [threading.Thread(target=self._work, daemon=True) for _n in range(self.threads)]
        for worker in self._workers:
            worker.start()
        return self

    @property
    def done(self):
        return len({row.post for row in list(self.attempts) if row.status in TAKEN})

    def finish(self, seconds):
        deadline = time.monotonic() + seconds
        for worker in self._workers:
            worker.join(max(0, deadline - time.monotonic()))
        assert not any(worker.is_alive() for worker in self._workers), "the load did not end in time"
        self._file.close()

    # --- one thread ---------------------------------------------------------------------------------------------------

    def _work(self):
        while (post := self._take()) is not None:
            time.sleep(max(0, self.began + post / self.per_second - time.monotonic()))
            self._deliver(post)

    def _take(self):
        with self._lock:
            if self._next >= self.total:
                return None
            self._next += 1
            return self._next - 1

    def _deliver(self, post):
        """Ask until it is taken; a refusal that is not an outage is not asked again."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            attempt = self._attempt(post)
            with self._lock:
                self.attempts.append(attempt)
                self._file.write(f"{json.dumps(attempt.__dict__)}\n")
                self._file.flush()
                os.fsync(self._file.fileno())
            if 0 < attempt.status < 500:
                return
            time.sleep(0.3)

    @staticmethod
    def _client_of(post):
        """Every tenth post comes from the client of five posts before."""
        return post - 5 if post % 10 == 9 else post

    def client(self, post):
        return address(self.source, self._client_of(post))

    def request(self, post):
        """(path, body, headers) of a post."""
        headers = {"Content-Type": "application/json", "Idempotency-Key": f"post-{post}"}
        body = {"name": f"Клиент {post}", "email": self.client(post), "company": "Нагрузка"}
        return f"/capture/{self.source}/", json.dumps(body), headers

    def _attempt(self, post):
        began = time.monotonic()
        status, later = 0, ""
        asking = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)
        with contextlib.closing(asking), contextlib.suppress(OSError, http.client.HTTPException):
            path, body, headers = self.request(post)
            asking.request("POST", path, body, headers)
            answer = asking.getresponse()
            answer.read()
            status, later = answer.status, answer.headers.get("Retry-After", "")
        return Attempt(post, self.client(post), began - self.began, status, time.monotonic() - began, later)


@dataclass
class MixedLoad(Load):
    """Every channel in turn, as its provider sends it; a repeated post is the same delivery, letter by letter.

    Providers know no Idempotency-Key: whoever got no answer sends the same once more.
    """

    def client(self, post):
        return phone_of(self._client_of(post))

    def request(self, post):
        sent = delivery(self._client_of(post))
        return f"/capture/{sent.adapter}/{sent.suffix}", sent.body, {"Content-Type": sent.content_type}
