"""Strangers' and colleagues' files meet a virus scanner, where there is one, before anybody can have them."""

import io
from email.message import EmailMessage

import pytest
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils import timezone

from crm.core import antivirus
from crm.core.jobs import drain, enqueue
from crm.core.models import Job
from leads.models import ChatFile, ChatLine, Conversation, LetterFile, Message, SentFile
from leads.services import materials, talks
from tests import scanners
from tests.factories import LeadFactory, SourceFactory
from tests.leads import messengers

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def scanner(settings):
    with scanners.stand_in() as (address, seen):
        settings.CLAMD = address
        yield seen


@pytest.fixture
def desk():
    with messengers.running() as running:
        yield running


@pytest.fixture
def talk(rep, funnels, desk, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    given = {"base_url": desk.url, "token": "T0KEN"}
    source = SourceFactory(key="telegram", adapter="telegram", secret="s", settings=given)
    lead = LeadFactory(owner=rep)
    return Conversation.objects.create(
        source=source, channel="telegram", chat="7", person=lead.person, lead=lead, last_in_at=timezone.now()
    )


def test_files_are_scanned_whole_and_stand_at_their_beginning_again(scanner):
    content = b"x" * (antivirus.PIECE + 7)
    stream = io.BytesIO(content)
    stream.seek(5)
    assert antivirus.found_in(stream) == ""
    assert (scanner, stream.tell()) == ([content], 0)
    assert antivirus.found_in(io.BytesIO(b"a" + scanners.EICAR)) == scanners.NAME


def test_without_a_scanner_nothing_is_asked():
    assert antivirus.found_in(io.BytesIO(scanners.EICAR)) == ""


def test_what_the_scanner_will_not_look_at_is_not_called_clean(settings):
    with scanners.stand_in(most=100) as (address, _seen):
        settings.CLAMD = address
        with pytest.raises(antivirus.NotChecked, match="size limit"):
            antivirus.found_in(io.BytesIO(b"x" * 10**6))
    with pytest.raises(antivirus.NotChecked):  # it is gone now
        antivirus.found_in(io.BytesIO(b"x"))
    settings.CLAMD = "unix:/nowhere/clamd.ctl"
    with pytest.raises(antivirus.NotChecked):
        antivirus.found_in(io.BytesIO(b"x"))


def test_the_real_clamd_finds_it(settings, tmp_path):
    if not scanners.installed():
        pytest.skip("clamd is not installed: the real scanner is NOT tried")
    with scanners.real(tmp_path) as settings.CLAMD:
        assert scanners.NAME in antivirus.found_in(io.BytesIO(scanners.EICAR))
        assert antivirus.found_in(io.BytesIO(b"hello" * 100_000)) == ""


def file_in(talk, content, desk):
    desk.file = content
    line = ChatLine.objects.create(conversation=talk, provider_id="1", text="Смотрите", at=timezone.now())
    return ChatFile.objects.create(line=line, kind="document", ref="F1", name="счёт.pdf")


def fetched(row):
    enqueue("leads.fetch_file", row.pk)
    drain()
    row.refresh_from_db()
    return row


def test_a_clients_file_with_a_virus_is_not_kept_and_the_card_says_so(client, scanner, talk, desk, rep, tmp_path):
    row = fetched(file_in(talk, scanners.EICAR, desk))
    assert (row.state, row.reason, row.file.name) == ("infected", scanners.NAME, "")
    assert not [f for f in tmp_path.rglob("*") if f.is_file()]
    client.force_login(rep)
    page = client.get(reverse("leads:talk", args=[talk.lead_id])).content.decode()
    assert (
        f"carries a virus, was not kept ({scanners.NAME})" in page
        and reverse("leads:talk_file", args=[row.pk]) not in page
    )
    assert client.get(reverse("leads:talk_file", args=[row.pk])).status_code == 404


def test_a_clients_file_waits_for_a_scanner_that_is_away(talk, desk, settings):
    settings.CLAMD = "unix:/nowhere/clamd.ctl"
    row = fetched(file_in(talk, b"%PDF", desk))
    assert (row.state, Job.objects.filter(task="leads.fetch_file").count()) == ("waiting", 1)
    with scanners.stand_in() as (settings.CLAMD, _seen):
        Job.objects.update(due_at=timezone.now(), leased_until=None)
        drain()
    row.refresh_from_db()
    assert row.state == "kept"


def posted(client, name, content):
    letter = EmailMessage()
    letter["From"], letter["To"], letter["Subject"] = "Иван Петров <ivan@client.ru>", "sales@us.ru", "Счёт"
    letter["Message-ID"] = "<virus@client.ru>"
    letter.set_content("Счёт во вложении")
    letter.add_attachment(content, maintype="application", subtype="pdf", filename=name)
    letter.add_attachment(b"%PDF clean", maintype="application", subtype="pdf", filename="clean.pdf")
    SourceFactory(key="post", adapter="inbound-mail", settings={})
    assert client.post("/capture/post/", letter.as_bytes(), content_type="message/rfc822").status_code == 200
    drain()
    return list(LetterFile.objects.order_by("position"))


def test_a_letters_file_with_a_virus_is_not_kept_the_others_are(client, scanner, rep, funnels, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    bad, good = posted(client, "счёт.pdf", scanners.EICAR)
    assert (bad.state, bad.reason, bad.file.name, good.state) == ("infected", scanners.NAME, "", "kept")
    client.force_login(rep)
    assert client.get(reverse("leads:letter_file", args=[bad.pk])).status_code == 404


def test_a_colleague_cannot_send_a_virus_on(scanner, talk, rep, desk):
    file = SimpleUploadedFile("КП.pdf", scanners.EICAR, "application/pdf")
    with pytest.raises(ValidationError, match=scanners.NAME):
        talks.answer(talk, text="Вот", file=file, by=rep)
    assert not Message.objects.exists() and not SentFile.objects.exists()
    talks.answer(talk, text="Вот", file=SimpleUploadedFile("КП.pdf", b"%PDF", "application/pdf"), by=rep)
    with SentFile.objects.get().file.open() as kept:
        assert kept.read() == b"%PDF"


def test_a_file_behind_a_form_is_looked_at(scanner, settings):
    with pytest.raises(ValidationError, match=scanners.NAME):
        materials.check(SimpleUploadedFile("guide.pdf", scanners.EICAR))
    settings.CLAMD = "unix:/nowhere/clamd.ctl"
    with pytest.raises(ValidationError):
        materials.check(SimpleUploadedFile("guide.pdf", b"%PDF"))
