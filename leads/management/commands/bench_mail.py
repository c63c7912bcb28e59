"""How quickly a mailbox is read: a thousand letters from an IMAP server into cards. Started by ``bench`` alone."""

import contextlib
import imaplib
import json
import os
import random
import socket
import subprocess
import sys
import time
import uuid
from email.message import EmailMessage

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db.models.functions import Now

from crm.core.jobs import run_job
from crm.core.models import Job
from leads.models import Submission
from leads.services import mailboxes, sources

LETTERS = 1000
USER, PASSWORD = "bench@example.test", "bench"
SERVER = "from pymap.main import main; main()"


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser):
        parser.add_argument("--worker", action="store_true", help="only do what is due, as one worker more")

    def handle(self, worker, **options):
        if worker:
            return work()
        if not os.environ.get("CRM_BENCH"):
            raise CommandError("only in a database of the bench: it makes a thousand leads")
        with postbox() as port:
            put(port)
            stated = {"host": "127.0.0.1", "port": port, "tls": "none", "user": USER, "password": PASSWORD}
            source = sources.add(key=f"mail-{uuid.uuid4().hex[:8]}", adapter="imap", settings=stated)
            Job.objects.all().delete()
            started = time.perf_counter()
            report = mailboxes.poll(source)
            fetched = time.perf_counter() - started
            with workers():
                work()
            took = time.perf_counter() - started
        states = set(Submission.objects.filter(source=source).values_list("state", flat=True))
        if report["stored"] != LETTERS or not states <= {"lead", "merged"}:
            raise CommandError(f"{report}, {states}")
        return self.stdout.write(
            json.dumps({"letters": LETTERS, "fetched_s": round(fetched, 2), "all_s": round(took, 2)})
        )


def work():
    """What workers do with letters that came; those that go out have a worker of their own."""
    while True:
        due = Job.objects.filter(dead=False, due_at__lte=Now()).exclude(task="leads.deliver")
        pks = list(due.order_by("id").values_list("pk", flat=True)[:400])
        if not pks:
            return
        random.shuffle(pks)  # two workers do not go for the same ones
        for pk in pks[:100]:
            run_job(pk)


@contextlib.contextmanager
def workers():
    """A second one, as the product runs two."""
    other = subprocess.Popen([sys.executable, "manage.py", "bench_mail", "--worker"], cwd=settings.BASE_DIR)
    yield
    other.wait(600)


@contextlib.contextmanager
def postbox():
    """An IMAP server of the tests' own kind on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = [sys.executable, "-c", SERVER, "--host", "127.0.0.1", "--port", str(port), "--no-tls"]
    words += [
        "--no-service",
        "managesieve",
        "--no-service",
        "admin",
        "dict",
        "--demo-user",
        USER,
        "--demo-password",
        PASSWORD,
    ]
    server = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _attempt in range(200):
            if server.poll() is not None:
                raise CommandError("no IMAP server: install the development packages (pymap)")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
                break
            time.sleep(0.1)
        yield port
    finally:
        server.terminate()
        server.wait(10)


def put(port):
    """Letters of different people, as long as letters are, each with a small file."""
    link = imaplib.IMAP4("127.0.0.1", port)
    link.login(USER, PASSWORD)
    for n in range(LETTERS):
        letter, mark = EmailMessage(), uuid.uuid4().hex
        letter["From"], letter["To"], letter["Subject"] = f"Клиент {n} <{mark}@example.test>", USER, f"Заявка {n}"
        letter["Message-ID"], letter["Date"] = f"<{mark}@example.test>", "Fri, 20 Nov 2026 12:30:00 +0300"
        letter.set_content("Нужна кофемашина в офис. " * 40)
        letter.add_alternative("<p>" + "Нужна кофемашина в офис. " * 40 + "</p>", subtype="html")
        letter.add_attachment(b"x" * 5000, maintype="application", subtype="pdf", filename="смета.pdf")
        link.append("INBOX", None, None, letter.as_bytes())
    link.logout()
