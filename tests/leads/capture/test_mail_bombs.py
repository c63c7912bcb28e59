"""Letters that are too much: for the memory, for the parser, for the process; and a mailbox after three days without us."""

import base64
import gc
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote

import pytest
from django.conf import settings as stated
from django.db import connection

from crm.core.jobs import enqueue, run_job
from crm.core.models import Job, Notice
from leads.capture.letter import MAX_ATTACHED, MAX_ATTACHMENTS, MAX_TEXT, parse
from leads.models import Lead, LetterFile, MailFolder, Submission
from leads.services import judging, mailboxes
from tests.leads.capture import postbox
from tests.leads.capture.postbox import letter, mailbox, put

MB = 1_000_000
STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
measured = pytest.mark.skipif(not RESET.exists(), reason="memory is measured on Linux")


def _said(name):
    return int(next(line for line in STATUS.read_text().splitlines() if line.startswith(name)).split()[1]) * 1024


class Growth:
    """``with Growth() as grown: …; grown.most``: how much more memory the process took meanwhile than before."""

    def __enter__(self):
        gc.collect()
        RESET.write_text("5")
        self.before, self.most = _said("VmRSS"), 0
        return self

    def __exit__(self, *_raised):
        self.most = _said("VmHWM") - self.before


HEAD = b"From: a@client.ru\r\nSubject: x\r\n"
MIXED = HEAD + b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nhi\r\n'


def _file(size):
    coded = base64.encodebytes(bytes(range(256)) * (size // 256)).replace(b"\n", b"\r\n")
    return b"--b\r\nContent-Type: application/pdf; name=a.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n" + coded


def _nested(times, inside):
    deeper = HEAD + b"MIME-Version: 1.0\r\nContent-Type: message/rfc822\r\n\r\n"
    return deeper * times + HEAD + b"\r\n" + inside


BOMBS = {
    "a file of 18 MB": (lambda: MIXED + _file(18 * MB) + b"--b--", set()),
    "files of 40 MB": (lambda: MIXED + _file(29 * MB) + b"--b--", {"attachments:too_large"}),
    "500 parts": (lambda: MIXED + _file(36_000) * 500 + b"--b--", {"attachments:too_many", "parts:too_many"}),
    "a hundred letters in letters": (lambda: _nested(100, b"end\r\n" * MB), {"parts:too_deep", "lines:too_many"}),
    "empty lines": (lambda: HEAD + b"\r\n" + b"\r\n" * 12 * MB, {"lines:too_many"}),
    "one line": (lambda: HEAD + b"\r\n" + b"word " * 5 * MB, {"lines:too_long"}),
    "text": (lambda: HEAD + b"\r\n" + (b"word " * 15 + b"\r\n") * 320_000, set()),
    "HTML": (lambda: HEAD + b"Content-Type: text/html\r\n\r\n" + b"<p>word</p>\r\n" * 1_800_000, {"lines:too_many"}),
    "a million headers": (lambda: HEAD + b"X-A: yyyyyyyyyyyyyyyy\r\n" * MB + b"\r\nbody", {"headers:too_many"}),
    "a header of 20 MB": (lambda: HEAD + b"X-A: " + b"y " * 10 * MB + b"\r\n\r\nbody", {"headers:too_many"}),
}  # fmt: skip


@measured
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_read_with_bounded_memory_in_bounded_time(name):
    make, warnings = BOMBS[name]
    raw, began = make(), time.process_time()
    with Growth() as grown:
        found = parse(raw)
    assert warnings <= set(found.warnings)
    assert len(found.text) <= MAX_TEXT and sum(len(a.content) for a in found.attachments) <= MAX_ATTACHED
    assert sum(not a.skipped for a in found.attachments) <= MAX_ATTACHMENTS
    assert grown.most < 150 * MB, f"{grown.most / MB:.0f} MB"
    assert time.process_time() - began < 15


def test_what_a_letter_says_is_not_changed_by_its_bounds():
    """A letter just within them is whole: every byte of its files, every line of its text."""
    content = bytes(range(256)) * 9000
    raw = MIXED + b"--b\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: BASE64 \r\n\r\n"
    found = parse(raw + base64.encodebytes(content) + b"--b--")
    assert [a.content for a in found.attachments] == [content] and found.warnings == ()
    text = "".join(f"строка {n}\n" for n in range(5000))
    assert parse(HEAD + b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + text.encode()).text == text.rstrip("\n")
    cut = base64.encodebytes(content)[:-4] + b"!\r\n"  # its end is missing
    kept = parse(raw + cut + b"--b--").attachments[0].content
    assert kept == content[: len(kept)] and len(content) - len(kept) < 6
    said = b"this is no base64, whatever the header says of it"
    assert parse(raw + said + b"\r\n--b--").attachments[0].content == said


# --- In a mailbox ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server():
    with postbox.imap_server() as port:
        yield port


@pytest.fixture
def box(server, funnels, settings):
    settings.LOCAL = True
    return mailbox(postbox.emptied(server))


@measured
@pytest.mark.django_db(transaction=True)
def test_a_letter_of_forty_megabytes_stops_nobody(server, box):
    huge, big = MIXED + _file(29 * MB) + b"--b--\r\n", MIXED + _file(17 * MB) + b"--b--\r\n"
    put(server, letter("before", sender="one@client.ru"), huge.replace(b"a@", b"two@"), big.replace(b"a@", b"three@"),
        letter("after", sender="four@client.ru"))  # fmt: skip
    del huge, big
    with Growth() as grown:
        assert mailboxes.poll(box)["stored"] == 4
    assert grown.most < 150 * MB, f"{grown.most / MB:.0f} MB"
    with Growth() as grown:
        for job in Job.objects.filter(task=judging.TASK).order_by("pk"):
            run_job(job.pk)
    assert grown.most < 150 * MB, f"{grown.most / MB:.0f} MB"
    assert sorted(Lead.objects.values_list("email", flat=True)) == [
        "four@client.ru", "one@client.ru", "three@client.ru", "two@client.ru",
    ]  # fmt: skip
    assert "cut" in Submission.objects.get(lead__email="two@client.ru").warnings
    assert LetterFile.objects.get(letter__lead__email="three@client.ru").size == 17 * MB // 256 * 256


@measured
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("letters", "size"), [(400, 50_000), pytest.param(5000, 20_000, marks=pytest.mark.faults)], ids=["short", "long"]
)
def test_after_three_days_all_letters_come_in_with_bounded_memory(server, box, letters, size):
    put(server, *[letter("x" * size, sender=f"c{n}@client.ru") for n in range(letters)])
    enqueue(mailboxes.POLL, box.pk)
    looks = 0
    with Growth() as grown:
        while job := Job.objects.filter(task=mailboxes.POLL).first():
            run_job(job.pk)
            looks += 1
    assert Submission.objects.count() == Job.objects.filter(task=judging.TASK).count() == letters
    assert (MailFolder.objects.get().stored, MailFolder.objects.get().error) == (letters, "")
    assert grown.most < 100 * MB, f"{grown.most / MB:.0f} MB"
    print(f"{letters} letters in {looks} looks, {grown.most / MB:.0f} MB more")


# Reads what is rung as a worker does, and dies of one letter; the leases that it leaves have run out by the next time.
WORKER = """
import os, signal, django
django.setup()
from django.db.models.functions import Now
from crm.core.jobs import beat, lease, run_job
from crm.core.models import Job
from leads.capture import imap
whole = imap.parse_letter
def parse(raw):
    return os.kill(os.getpid(), signal.SIGSEGV) if b"X-Deadly" in raw else whole(raw)
imap.parse_letter = parse
beat("worker live")
Job.objects.filter(leased_until__isnull=False).update(leased_until=Now())
for pk, _task, _queue in lease():
    run_job(pk)
"""


def work_in_another_process():
    here = connection.settings_dict
    url = f"postgresql://{here['USER']}:{here['PASSWORD']}@{quote(here['HOST'], safe='')}:{here['PORT']}/{here['NAME']}"
    words = {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "crm.settings", "CRM_STATE_DIR": str(stated.STATE_DIR)}
    done = subprocess.run(
        [sys.executable, "-c", WORKER], cwd=stated.BASE_DIR, env=os.environ | words, capture_output=True, timeout=120
    )  # fmt: skip
    assert done.returncode in {0, -signal.SIGSEGV}, done.stderr.decode()[-2000:]
    return done.returncode


@pytest.mark.django_db(transaction=True)
def test_a_letter_that_kills_the_worker_is_set_aside_after_five_attempts(server, box, admin):
    put(server, letter("1", sender="one@client.ru"), letter("2", sender="two@client.ru", X_Deadly="yes"),
        letter("3", sender="three@client.ru"))  # fmt: skip
    assert mailboxes.poll(box)["stored"] == 3
    ends = [work_in_another_process() for _time in range(7)]
    assert ends == [-signal.SIGSEGV] * 6 + [0]  # the one that made it a suspect, and five that were counted
    rows = list(Submission.objects.order_by("pk"))
    assert [(r.state, r.reason) for r in rows] == [("lead", ""), ("error", "failed"), ("lead", "")]
    assert rows[1].detail == "killed its worker again and again"
    assert Notice.objects.filter(user=admin, kind="receipt_error").count() == 1
    assert mailboxes.poll(box) == {"stored": 0, "skipped": 0, "more": False}  # not fetched for ever
    judging.replay(rows[1], by=admin)  # the parser was mended
    assert Lead.objects.filter(email="two@client.ru").count() == 1
