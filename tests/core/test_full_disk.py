"""ATT-14: a disk that fills up in the middle of a file: 503 with Retry-After, no half file, no row that lies."""

import errno

import pytest
from django.core.files.base import ContentFile, File
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import InMemoryUploadedFile, SimpleUploadedFile
from django.core.files.uploadhandler import TemporaryFileUploadHandler
from django.db import DatabaseError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from crm.core.intake_limits import BodyLimits
from crm.core.jobs import drain, enqueue
from crm.core.models import AuditEntry, Job
from leads.models import ChatFile, ChatLine, Conversation, Import, Interaction, Message, SentFile, Source, Submission
from leads.services import receipt
from tests.core.loops import in_a_loop
from tests.factories import LeadFactory, SourceFactory
from tests.leads import messengers

pytestmark = pytest.mark.django_db(transaction=True)
FULL = OSError(errno.ENOSPC, "No space left on device")
HALF = b"x" * 1000


@pytest.fixture
def media(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    return lambda: [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.fixture
def full(media, monkeypatch):
    """The disk takes half of each file."""

    def chunks(self, chunk_size=None):
        yield HALF
        assert len(media()) == 1  # it is half there
        raise FULL

    for kind in (File, InMemoryUploadedFile):
        monkeypatch.setattr(kind, "chunks", chunks)


@pytest.fixture
def unheeding():
    """A client that gets the answer as a browser does, whatever was raised."""
    return lambda user: (client := Client(raise_request_exception=False), client.force_login(user))[0]


def told(answer):
    return answer.status_code, answer["Retry-After"]


def test_of_a_file_that_does_not_fit_nothing_stays(full, media):
    with pytest.raises(OSError, match="No space"):
        default_storage.save("talks/ab/abc", ContentFile(b"y" * 2000))
    assert media() == []


def test_a_file_that_was_there_before_is_left_alone(media, monkeypatch):
    default_storage.save("a", ContentFile(b"first"))
    monkeypatch.setattr(File, "chunks", lambda self, chunk_size=None: (_ for _ in ()).throw(FULL))
    with pytest.raises(OSError, match="No space"):
        default_storage.save("a", ContentFile(b"second"))
    assert [path.read_bytes() for path in media()][:1] == [b"first"]


def test_a_list_that_does_not_fit(full, media, admin, unheeding, funnels):
    answer = unheeding(admin).post(reverse("leads:imports"), {"file": SimpleUploadedFile("a.csv", b"a;b\n1;2\n")})
    assert told(answer) == (503, "5")
    assert (Import.objects.count(), AuditEntry.objects.count(), media()) == (0, 0, [])


def test_a_file_to_a_client_that_does_not_fit(full, media, rep, unheeding, funnels):
    lead = LeadFactory(owner=rep)
    talk = Conversation.objects.create(
        source=SourceFactory(key="telegram", adapter="telegram"), channel="telegram", chat="1", person=lead.person,
        lead=lead, last_in_at=timezone.now(),
    )  # fmt: skip
    before = Interaction.objects.count()
    address = reverse("leads:talk_answer", args=[lead.pk, talk.pk])
    answer = unheeding(rep).post(address, {"text": "Вот", "file": SimpleUploadedFile("a.pdf", b"%PDF")})
    assert told(answer) == (503, "5")
    rows = (
        Message.objects.count(),
        SentFile.objects.count(),
        Interaction.objects.count() - before,
        Job.objects.count(),
    )
    assert (rows, media()) == ((0, 0, 0, 0), [])


def test_a_clients_file_that_does_not_fit_is_tried_again(full, media, rep, funnels, monkeypatch):
    with messengers.running() as desk:
        source = SourceFactory(key="vk", adapter="vk", settings={"base_url": desk.url, "token": "T"})
        lead = LeadFactory(owner=rep)
        talk = Conversation.objects.create(source=source, channel="vk", chat="1", person=lead.person, lead=lead)
        line = ChatLine.objects.create(conversation=talk, provider_id="1", at=timezone.now())
        row = ChatFile.objects.create(line=line, kind="doc", ref="F", name="a.pdf", url=f"{desk.url}/media/1")
        enqueue("leads.fetch_file", row.pk)
        drain()
        row.refresh_from_db()
        assert (row.state, row.file.name, media(), Job.objects.get().dead) == ("waiting", "", [], False)
        monkeypatch.undo()
        Job.objects.update(due_at=timezone.now())
        drain()
        row.refresh_from_db()
        assert row.state == "kept"


def test_a_material_that_does_not_fit_leaves_the_former_one(media, admin, unheeding, monkeypatch, funnels):
    source = SourceFactory(key="book", adapter="download")
    client, plain = (
        unheeding(admin),
        {"name": "К", "channel": "site", "origin": source.origin_id or "", "is_active": "on"},
    )

    def laid_down(content):
        return client.post("/sources/book/edit/", plain | {"set_file": SimpleUploadedFile("a.pdf", content)})

    assert laid_down(b"first").status_code == 302
    stored = Source.objects.get().settings
    with monkeypatch.context() as patch:
        patch.setattr(InMemoryUploadedFile, "chunks", lambda self, chunk_size=None: (_ for _ in ()).throw(FULL))
        assert told(laid_down(b"second")) == (503, "5")
    assert (Source.objects.get().settings, [path.read_bytes() for path in media()]) == (stored, [b"first"])
    assert laid_down(b"third").status_code == 302
    assert [path.read_bytes() for path in media()] == [b"third"]


def test_an_upload_that_does_not_fit_while_it_is_read(media, admin, monkeypatch, settings, funnels):
    """The CSRF middleware reads the form before any view is asked."""
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 10

    def refuse(self, raw, start):
        raise FULL

    monkeypatch.setattr(TemporaryFileUploadHandler, "receive_data_chunk", refuse)
    client = Client(raise_request_exception=False, enforce_csrf_checks=True)
    client.force_login(admin)
    client.get(reverse("leads:imports"))  # its cookie
    answer = client.post(reverse("leads:imports"), {"file": SimpleUploadedFile("a.csv", b"a;b\n" * 100)})
    assert told(answer) == (503, "5")
    assert (Import.objects.count(), media()) == (0, [])


def test_a_body_that_django_cannot_lay_down():
    sent = []

    async def app(scope, receive, send):
        raise FULL

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    in_a_loop(BodyLimits(app)({"type": "http", "path": "/capture/x/", "headers": []}, receive, send))
    assert (sent[0]["status"], dict(sent[0]["headers"])[b"retry-after"]) == (503, b"5")


def test_a_receipt_for_which_the_database_has_no_room(monkeypatch, funnels):
    SourceFactory(key="site", adapter="web-form")

    def refuse(*_args, **_more):
        raise DatabaseError('could not extend file "base/1/2": No space left on device')

    with monkeypatch.context() as patch:
        patch.setattr(receipt, "save_with_job", refuse)
        answer = Client(raise_request_exception=False).post("/capture/site/", {"phone": "89990000001"})
    assert (told(answer), Submission.objects.count()) == ((503, "5"), 0)
    assert Client().post("/capture/site/", {"phone": "89990000001"}).status_code == 303
