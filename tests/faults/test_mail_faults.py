"""The line to a mailbox is cut, reset, silent or full of garbage at any byte: each letter is one receipt in the end."""

import contextlib
import hashlib
import random
import re
from datetime import timedelta

import pytest
from django.db import DatabaseError
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import override

from crm.core.jobs import drain, run_job
from crm.core.models import Job, Notice
from leads import imap
from leads.models import IncomingLetter, Lead, MailFolder, Source, Submission
from leads.services import mailboxes
from tests.leads.capture import postbox
from tests.leads.capture.postbox import Fault, letter, mailbox, put

pytestmark = pytest.mark.django_db(transaction=True)

FOLDER, HTMX = "Sales", {"HX-Request": "true"}
ENDINGS = ("cut", "cut", "reset", "bye", "garbage")
RUSSIAN = re.compile("[А-яё ]{10,}")


@pytest.fixture(scope="module")
def server():
    with postbox.imap_server() as port:
        yield port


@pytest.fixture
def proxy(server, funnels, settings):
    settings.LOCAL = True
    line = postbox.Proxy(postbox.emptied(server))
    yield line
    line.close()


class Post:
    """What lies in the folder, and who writes more."""

    def __init__(self, port, chance):
        self.port, self.chance, self.letters = port, chance, []

    def write(self, count):
        fresh = []
        for _n in range(count):
            number = len(self.letters) + len(fresh)
            words = "строка письма " * self.chance.choice([1, 50, 3000])
            fresh.append(letter(f"{number} {words}", sender=f"client{number}@client.ru").as_bytes())
        put(self.port, *fresh, folder=FOLDER)
        self.letters += fresh

    def number_anew(self):
        """The folder is made again with the same letters in another order, as a restored mail server would."""
        with postbox.logged_in(self.port) as link:
            link.delete(FOLDER)
        put(self.port, *self.chance.sample(self.letters, len(self.letters)), folder=FOLDER)

    def lying(self):
        """[(UID, digest)] of the folder, in order; and no letter may have a mark."""
        with postbox.logged_in(self.port) as link:
            link.select(FOLDER, readonly=True)
            _typ, rows = link.uid("FETCH", "1:*", "(UID FLAGS BODY.PEEK[])")
        pairs = [row for row in rows if isinstance(row, tuple)]
        assert not [head for head, _raw in pairs if re.search(rb"Seen|Flagged|Deleted|Answered", head)]
        return [(int(re.search(rb"UID (\d+)", head)[1]), hashlib.sha256(raw).hexdigest()) for head, raw in pairs]


def attempt(box, post, proxy, whole):
    """One look over a line that breaks somewhere; what is stored and what the cursor says agree afterwards."""
    chance = post.chance
    side = chance.choice(["down", "down", "up"])
    proxy.fault = Fault(
        chance.randrange(max(2, int(whole[side] * 1.4))), side, chance.choice(ENDINGS), chance.randbytes(chance.randint(1, 300))
    )  # fmt: skip
    broken = None
    try:
        mailboxes.poll(box)
    except imap.Trouble as error:
        broken = error
    folder = MailFolder.objects.filter(source=box, name=FOLDER).first()
    if folder is None:
        return broken
    assert bool(folder.error) == bool(broken)
    if broken:
        words = mailboxes.trouble(folder)
        with override("ru"):
            assert RUSSIAN.match(mailboxes.trouble(folder)), folder.error
        assert not re.search(r"Error\b|Exception|b'|command:|\x00|=>", words), words
    assert Submission.objects.count() == folder.stored
    kept = set(Submission.objects.values_list("sha256", flat=True))
    with postbox.logged_in(post.port) as link:
        link.select(FOLDER, readonly=True)
        same = int(link.response("UIDVALIDITY")[1][-1]) == folder.uidvalidity
    if same:
        assert {digest for uid, digest in post.lying() if uid <= folder.last_uid} <= kept
    return broken


@pytest.mark.parametrize(
    ("cuts", "seed"),
    [pytest.param(20, 19, id="short"), *(pytest.param(200, n, id=f"long-{n}", marks=pytest.mark.faults) for n in (1, 2, 3))],
)  # fmt: skip
def test_a_line_that_breaks_anywhere_loses_nothing_and_doubles_nothing(server, proxy, cuts, seed):
    post = Post(server, random.Random(seed))  # noqa: S311 - repeatable
    box = mailbox(proxy.port, folders=FOLDER)
    post.write(6)
    broken, whole = [], {"down": 60_000, "up": 500}
    for number in range(cuts):
        if number == cuts // 2:
            post.number_anew()
        broken.append(attempt(box, post, proxy, whole))
        if broken[-1] is None:
            whole = {side: max(200, count) for side, count in proxy.passed.items()}
            post.write(post.chance.randint(1, 3))
    proxy.fault = None
    mailboxes.poll(box)

    folder = MailFolder.objects.get(source=box, name=FOLDER)
    lying = post.lying()
    kept = list(Submission.objects.values_list("sha256", flat=True))
    assert sorted(kept) == sorted(digest for _uid, digest in lying) and len(set(kept)) == len(post.letters)
    assert (folder.last_uid, folder.error, folder.failed_at) == (lying[-1][0], "", None)
    assert mailboxes.poll(box) == {"stored": 0, "skipped": 0, "more": False}
    drain()
    assert Lead.objects.count() == IncomingLetter.objects.count() == len(post.letters)
    assert not Job.objects.filter(dead=True).exists()
    codes = {error.code for error in broken if error}
    assert len(codes) >= 2 and sum(error is not None for error in broken) >= cuts // 3
    print(
        f"seed {seed}: {cuts} looks, {sum(e is not None for e in broken)} broken ({', '.join(sorted(codes))}), ", end=""
    )
    print(f"{len(kept)} letters, each once")


def test_a_line_that_bears_little_gets_every_letter_through_all_the_same(server, proxy):
    """Each conversation ends after 25 kB, less than the letters together: every look gets at least one letter on."""
    post = Post(server, random.Random(5))  # noqa: S311 - repeatable
    put(server, *[letter("х" * 6000, sender=f"c{n}@client.ru") for n in range(8)], folder=FOLDER)
    box, looks = mailbox(proxy.port, folders=FOLDER), 0
    proxy.fault = Fault(25_000)
    while Submission.objects.count() < 8:
        looks += 1
        with contextlib.suppress(imap.Broken):
            mailboxes.poll(box)
        assert Submission.objects.count() >= looks - 1, "a look that got nothing on"
    assert looks >= 4
    proxy.fault = None
    mailboxes.poll(box)
    assert Submission.objects.count() == len(post.lying()) == 8


def test_a_server_that_falls_silent_is_left_after_a_while(server, proxy, monkeypatch):
    monkeypatch.setattr(imap, "TIMEOUT", 0.4)
    put(server, letter("x" * 5000), folder=FOLDER)
    box = mailbox(proxy.port, folders=FOLDER)
    for after in (0, 700, 3000):
        proxy.fault = Fault(after, ending="silence")
        with pytest.raises(imap.Broken) as broken:
            mailboxes.poll(box)
        assert broken.value.code == "late"
    monkeypatch.setattr(imap, "PATIENCE", 0.0)  # however often a byte comes
    proxy.fault = None
    with pytest.raises(imap.Broken) as broken:
        mailboxes.poll(box)
    assert broken.value.code == "late"
    monkeypatch.undo()
    assert mailboxes.poll(box)["stored"] == 1


@pytest.mark.parametrize("point", ["enqueue_many", "_move"])
def test_a_look_that_ends_before_its_commit_leaves_nothing(server, proxy, monkeypatch, point):
    put(server, letter(), folder=FOLDER)
    box = mailbox(proxy.port, folders=FOLDER)

    def gone(*_words):
        raise DatabaseError("the connection is gone")

    with monkeypatch.context() as broken:
        broken.setattr(mailboxes, point, gone)
        with pytest.raises(DatabaseError):
            mailboxes.poll(box)
    assert (Submission.objects.count(), Job.objects.count()) == (0, 0)
    assert MailFolder.objects.get().last_uid == 0
    mailboxes.poll(box)
    assert (Submission.objects.count(), Job.objects.count(), MailFolder.objects.get().stored) == (1, 1, 1)


def test_a_login_that_is_refused_for_an_hour(server, proxy, signed_in, admin):
    """It is tried again and again, never dies of it, an administrator is told once, and the page says what is wrong."""
    proxy.refuses = b"[AUTHENTICATIONFAILED] Invalid credentials"
    box = mailbox(proxy.port)
    put(server, letter())
    Source.objects.filter(pk=box.pk).update(created_at=timezone.now() - timedelta(hours=1))
    mailboxes.enqueue_polls()
    waited, looks = timedelta(), 0
    while waited < timedelta(hours=1):
        job, began = Job.objects.get(task=mailboxes.POLL), timezone.now()
        run_job(job.pk)
        job.refresh_from_db()
        assert not job.dead and job.due_at - began <= timedelta(seconds=mailboxes.BACKOFF + 5)
        waited, looks = waited + (job.due_at - began), looks + 1
    assert 6 <= looks <= 40
    assert Notice.objects.filter(user=admin, kind="mailbox_closed").count() == 1

    page, client = reverse("leads:mailbox_state", args=[box.key]), signed_in(admin)
    with override(admin.language):
        words = str(imap.WORDS["login"])
    said = client.get(page, headers=HTMX).content.decode()
    assert words in said and "Invalid credentials" in said
    proxy.refuses = b""
    client.post(page, headers=HTMX)  # "Check the mailbox" reads it now
    drain()
    assert Lead.objects.get().email == "petr@romashka.ru"
    assert MailFolder.objects.get().error == "" and not Job.objects.filter(task=mailboxes.POLL).exists()
    assert words not in client.get(page, headers=HTMX).content.decode()


def test_a_server_that_says_goodbye_says_why(server, proxy):
    box = mailbox(proxy.port)
    for after in (0, 500):
        proxy.fault = Fault(after, ending="bye")
        with pytest.raises(imap.Broken) as broken:
            mailboxes.poll(box)
    assert (broken.value.code, broken.value.said) == ("bye", "overloaded, come back later")
    assert mailboxes.trouble(MailFolder.objects.get()) == str(broken.value)
