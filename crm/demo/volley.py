"""Deliveries of all channels over several connections at once, as fast as they are answered; for the bench."""

import http.client
import threading
import time
import uuid
from dataclasses import dataclass, field

from crm.demo.deliveries import delivery

TAKEN = {200, 202, 303}
CONNECTIONS = 4


@dataclass
class Volley:
    """``total`` deliveries to a loopback port; ``seconds`` of each answer, ``statuses`` that were given."""

    port: int
    total: int
    seconds: list = field(default_factory=list)
    statuses: set = field(default_factory=set)
    first: int = field(default_factory=lambda: uuid.uuid4().int % 9_000_000)  # clients nobody has seen

    def fire(self):
        """Send them all; returns how long it took, in seconds."""
        threads = [threading.Thread(target=self._work, args=(place,)) for place in range(CONNECTIONS)]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.perf_counter() - began

    def _work(self, place):
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        for number in range(self.first + place, self.first + self.total, CONNECTIONS):
            sent = delivery(number)
            began = time.perf_counter()
            headers = {"Content-Type": sent.content_type}
            line.request("POST", f"/capture/{sent.adapter}/{sent.suffix}", sent.body, headers)
            answer = line.getresponse()
            answer.read()
            self.seconds.append(time.perf_counter() - began)
            self.statuses.add(answer.status)
        line.close()
