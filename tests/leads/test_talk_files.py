"""Files that colleagues send: through each messenger, once, shown in the card, gone with their client."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils import timezone

from crm.core.intake_limits import LARGE, MIDDLE, SMALL, limit_of
from crm.core.jobs import drain
from leads.capture import chat
from leads.models import Conversation, Interaction, Kind, Message, SentFile, Source
from leads.services import erasing, talks
from tests.factories import LeadFactory, SourceFactory
from tests.leads import messengers

pytestmark = pytest.mark.django_db(transaction=True)

NAME, PDF = "КП «Лето»\n2026.pdf", b"%PDF-1.7\r\n--boundary\r\n"
CLEAN = "КП «Лето»2026.pdf"


@pytest.fixture
def desk():
    with messengers.running() as running:
        yield running


@pytest.fixture
def talk(rep, funnels, desk, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path

    def make(channel, **more):
        base = {"base_url": desk.url, "token": "T0KEN", "phone_number_id": "555"}
        source = SourceFactory(key=channel, adapter=channel, secret="s", settings=base | more)
        lead = LeadFactory(owner=rep)
        return Conversation.objects.create(
            source=source, channel=channel, chat="79161234567", person=lead.person, lead=lead, last_in_at=timezone.now()
        )

    return make


def upload(content=PDF, name="КП.pdf"):
    return SimpleUploadedFile(name, content, "application/pdf")


def sent(talk, rep, text="Наше предложение"):
    message = talks.answer(talk, text=text, file=upload(), by=rep)
    drain()
    message.refresh_from_db()
    return message


def test_telegram_gets_the_file_with_its_caption(talk, rep, desk):
    message = sent(talk("telegram"), rep)
    said = {"chat_id": "79161234567", "caption": "Наше предложение", "document": ("КП.pdf", "application/pdf", PDF)}
    assert desk.told == [("/botT0KEN/sendDocument", said)]
    assert (message.state, message.provider_id) == ("sent", "1")
    assert Interaction.objects.get(kind=Kind.MESSAGE_OUT).details["files"] == 1


def test_whatsapp_gets_the_file_first_and_the_message_next(talk, rep, desk):
    message = sent(talk("whatsapp"), rep)
    (media, uploaded), (path, body) = desk.told
    assert (media, path) == ("/555/media", "/555/messages")
    assert uploaded == {
        "messaging_product": "whatsapp",
        "type": "application/pdf",
        "file": ("КП.pdf", "application/pdf", PDF),
    }
    assert body["document"] == {"id": "M1", "filename": "КП.pdf", "caption": "Наше предложение"}
    assert [headers["Authorization"] for headers in desk.headers] == ["Bearer T0KEN"] * 2
    assert message.state == "sent"


def test_vk_gets_the_file_where_it_says_and_names_it(talk, rep, desk):
    message = sent(talk("vk"), rep)
    paths = [path.partition("?")[0].rpartition("/")[2] for path, _body in desk.told]
    assert paths == ["docs.getMessagesUploadServer", "upload", "docs.save", "messages.send"]
    assert desk.told[1][1] == {"file": ("КП.pdf", "application/pdf", PDF)}
    assert (desk.told[2][1]["file"], desk.told[3][1]["attachment"]) == ("ticket", "doc-5_7")
    assert (message.state, desk.told[3][1]["message"]) == ("sent", "Наше предложение")


@pytest.mark.parametrize("channel", ["whatsapp", "vk"])
def test_a_file_that_could_not_be_laid_down_is_tried_again_and_nothing_was_said(channel, talk, rep, desk):
    desk.say(500, {})
    assert sent(talk(channel), rep).state == "queued"
    assert len(desk.told) == 1


@pytest.mark.parametrize("before", [0, 2])
def test_an_answer_of_vk_without_the_document_is_no_message_sent(before, talk, rep, desk):
    for answer in [{"response": {"upload_url": f"{desk.url}/upload"}}, {"file": "ticket"}][:before]:
        desk.say(200, answer)
    desk.say(200, {"response": {}})
    message = sent(talk("vk"), rep)
    assert (message.state, message.reason, len(desk.told)) == ("failed", "refused no document", before + 1)


def test_telegram_that_hangs_up_may_have_said_it(talk, rep, desk):
    desk.say("hang up")
    assert sent(talk("telegram"), rep).state == "unsure"


def test_a_file_that_is_gone_from_the_disk_fails_in_words(talk, rep, desk):
    message = talks.answer(talk("telegram"), file=upload(), by=rep)
    message.attachment.file.storage.delete(message.attachment.file.name)
    drain()
    message.refresh_from_db()
    assert (message.state, message.reason, desk.told) == ("failed", "unbuildable", [])


def test_a_file_from_the_card_is_shown_there_and_read_by_those_who_see_the_lead(talk, rep, colleague, desk, client):
    row = talk("telegram")
    client.force_login(rep)
    address = reverse("leads:talk_answer", args=[row.lead_id, row.pk])
    answer = client.post(address, {"text": "", "file": upload(name=NAME)}, HTTP_HX_REQUEST="true")
    file = SentFile.objects.get()
    link = reverse("leads:talk_sent_file", args=[file.pk])
    assert (answer.status_code, file.name, file.size) == (200, CLEAN, len(PDF))
    assert CLEAN in answer.content.decode() and link in answer.content.decode()
    drain()
    assert desk.told[0][1]["document"][2] == PDF
    got = client.get(link)
    assert (b"".join(got.streaming_content), got["Content-Type"]) == (PDF, "application/octet-stream")
    assert got["Content-Disposition"].startswith("attachment")
    client.force_login(colleague)
    assert client.get(link).status_code == 404


@pytest.mark.parametrize(
    "channel,content,text,said",
    [("telegram", b"", "", "empty"), ("telegram", b"x" * 101, "", "larger than"), ("sms-ru", PDF, "", "No files"),
     ("telegram", PDF, "я" * 1001, "1000")],
)  # fmt: skip
def test_what_cannot_be_sent_is_refused_and_leaves_nothing(channel, content, text, said, talk, rep, client, tmp_path):
    row = talk(channel, max_file=100)
    Conversation.objects.filter(pk=row.pk).update(channel="sms" if channel == "sms-ru" else channel)
    client.force_login(rep)
    address = reverse("leads:talk_answer", args=[row.lead_id, row.pk])
    answer = client.post(address, {"text": text, "file": upload(content)}, HTTP_HX_REQUEST="true")
    assert (answer.status_code, said in answer.content.decode()) == (422, True)
    assert (Message.objects.count(), [p for p in tmp_path.rglob("*") if p.is_file()]) == (0, [])


def test_a_visitor_of_the_chat_gets_the_file_and_nobody_by_guessing(talk, rep, client):
    row = talk("chat")
    token = chat.issue(row.source)
    Conversation.objects.filter(pk=row.pk).update(chat=chat.visitor_of(token, row.source))
    message = talks.answer(Conversation.objects.get(), text="Вот", file=upload(), by=rep)
    lines = client.get(reverse("leads:chat_lines", args=["chat"]), HTTP_X_CHAT_TOKEN=token).json()["lines"]
    (file,) = [line["file"] for line in lines]
    assert (file["name"], file["size"]) == ("КП.pdf", len(PDF))
    assert b"".join(client.get(file["url"]).streaming_content) == PDF
    other = SourceFactory(key="other", adapter="chat")
    for key, word in (("chat", "x" * 24), (other.key, message.token), ("chat", str(message.pk))):
        assert client.get(reverse("leads:chat_file", args=[key, word])).status_code == 404


def test_who_is_erased_takes_files_and_the_phone_of_the_chat_along(talk, rep, admin, tmp_path):
    row = talk("whatsapp")
    sent(row, rep)
    assert [p for p in tmp_path.rglob("*") if p.is_file()]
    erasing.erase(row.person, by=admin)
    assert (SentFile.objects.count(), [p for p in tmp_path.rglob("*") if p.is_file()]) == (0, [])
    assert Conversation.objects.get().chat == f"erased-{row.pk}"


@pytest.mark.parametrize(
    "path,limit",
    [
        ("/leads/5/talk/7/", MIDDLE),
        ("/leads/imports/", LARGE),
        ("/capture/x/leads/5/talk/", SMALL),
        ("/leads/new/", SMALL),
    ],
)
def test_only_messages_to_clients_may_bring_a_file(path, limit):
    assert limit_of(path) == limit


# --- With an attacker's eyes --------------------------------------------------------------------------------------------


def got(client, address, **more):
    """The answer, read to its end, as whoever serves it would."""
    answer = client.get(address, **more)
    b"".join(answer.streaming_content)
    answer.close()
    return answer


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("..\\..\\счёт.pdf", "счёт.pdf"), ("a/b/../x.pdf", "x.pdf"), ("сч\u202efdp.exe", "счfdp.exe"),
        ('a"; filename="x.html', "a_ filename=_x.html"), ("a\r\nX-Evil: 1.pdf", "aX-Evil_ 1.pdf"),
        ("x\x00.pdf", "x.pdf"), ("ж" * 300 + ".pdf", "ж" * 116 + ".pdf"), ("\u200b", "file"), ("CON", "_CON"),
    ],
)  # fmt: skip
def test_a_name_is_one_line_without_a_path_and_names_one_file(given, kept, talk, rep, desk, client):
    row, file = talk("telegram"), upload()
    file._name = given  # past what Django takes off a form's file
    talks.answer(row, file=file, by=rep)
    drain()
    stored = SentFile.objects.get()
    assert stored.name == kept
    assert stored.file.name.partition("/")[0] == "talks" and kept not in stored.file.name
    assert [name for _path, body in desk.told for name in body if name.lower().startswith("x-evil")] == []
    client.force_login(rep)
    answer = got(client, reverse("leads:talk_sent_file", args=[stored.pk]))
    assert answer["Content-Disposition"].startswith("attachment") and "\n" not in answer["Content-Disposition"]
    assert [answer[name] for name in ("Content-Type", "X-Content-Type-Options", "Content-Security-Policy", "Cache-Control")] == [
        "application/octet-stream", "nosniff", "sandbox; default-src 'none'", "private, no-store",
    ]  # fmt: skip


def test_a_type_with_a_header_in_it_reaches_no_provider(talk, rep, desk):
    row, file = talk("whatsapp"), upload()
    file.content_type = "text/html\r\nX-Evil: 1"
    talks.answer(row, file=file, by=rep)
    drain()
    assert SentFile.objects.get().mime == "text/html X-Evil: 1"
    assert desk.told[0][1]["file"][2] == PDF


def test_whoever_asks_for_a_part_of_a_page_gets_the_file_as_a_file(talk, rep, client):
    row = talk("chat")
    message = talks.answer(row, text="Вот", file=upload(b"<script>alert(1)</script>", "x.html"), by=rep)
    address = reverse("leads:chat_file", args=["chat", message.token])
    for headers in ({"Range": "bytes=0-3"}, {"Accept": "text/html"}, {"HX-Request": "true"}):
        answer = got(client, address, headers=headers)
        assert (answer["Content-Type"], answer["Content-Disposition"]) == (
            "application/octet-stream", 'attachment; filename="x.html"',
        )  # fmt: skip
        assert answer["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert client.post(address).status_code == 405


def test_a_link_ends_with_the_client_the_source_and_the_file(talk, rep, admin, client):
    row = talk("chat")
    message = talks.answer(row, text="Вот", file=upload(), by=rep)
    address = reverse("leads:chat_file", args=["chat", message.token])
    assert got(client, address).status_code == 200
    Source.objects.update(is_active=False)
    assert client.get(address).status_code == 404
    Source.objects.update(is_active=True)
    stored = SentFile.objects.get()
    stored.file.storage.delete(stored.file.name)
    assert client.get(address).status_code == 404
    erasing.erase(row.person, by=admin)
    assert (client.get(address).status_code, SentFile.objects.count()) == (404, 0)


def test_only_who_works_the_lead_sends_a_file(talk, rep, colleague, marketer, client):
    row = talk("telegram")
    address = reverse("leads:talk_answer", args=[row.lead_id, row.pk])
    for person in (colleague, marketer):
        client.force_login(person)
        assert client.post(address, {"text": "", "file": upload()}).status_code in {403, 404}
    assert SentFile.objects.count() == 0


@pytest.mark.parametrize("size,taken", [(99, 1), (100, 1), (101, 0)])
def test_the_limit_is_exact(size, taken, talk, rep, client):
    row = talk("telegram", max_file=100)
    client.force_login(rep)
    client.post(reverse("leads:talk_answer", args=[row.lead_id, row.pk]), {"text": "", "file": upload(b"x" * size)})
    assert SentFile.objects.count() == taken
