"""What runs: one definition for ``manage.py up`` and (held by a test) for docker-compose.yml."""

from dataclasses import dataclass, field

CELERY = ("-m", "celery", "-A", "crm.celery", "-q")
QUIET = ("--without-gossip", "--without-mingle", "--without-heartbeat")  # workers need not know of each other
SOFT_STOP = {"REMAP_SIGTERM": "SIGQUIT"}  # TERM lets running tasks end, see worker_soft_shutdown_timeout
ONE_CONNECTION_EACH = {"DB_POOL": ""}


@dataclass(frozen=True)
class Process:
    """``command`` are the words after ``python``."""

    command: tuple[str, ...]
    env: dict[str, str] = field(default_factory=dict)
    copies: int = 1


def _worker(queues, concurrency, name):
    words = (*CELERY, "worker", "-Q", queues, "-c", str(concurrency), "-n", f"{name}@%h", "-l", "WARNING", *QUIET)
    return Process(words, {**ONE_CONNECTION_EACH, **SOFT_STOP})


PROCESSES = {
    "web": Process(("-m", "crm.boot.web"), {"DB_POOL": "16"}, copies=2),
    "worker": _worker("live", 2, "worker"),
    "mail": _worker("mail", 1, "mail"),  # whoever waits for a mail server or a messenger keeps no enquiry waiting
    "bulk": _worker("bulk", 1, "bulk"),  # a minute's chunk of an import must never stand before a hot lead
    "relay": Process(("manage.py", "relay"), ONE_CONNECTION_EACH),
    "beat": Process((*CELERY, "beat", "-l", "WARNING", "--pidfile=", "-s"), ONE_CONNECTION_EACH),  # + schedule file
}
