"""Answers handed over to messengers: claimed before, said once, later or failed or unsure as the provider says; files."""

from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from crm.core.jobs import drain
from crm.core.models import Job
from leads.models import ChatFile, ChatLine, Conversation, Lead, Message
from leads.outbound import telegram, vk
from leads.services import talks
from tests.factories import LeadFactory, SourceFactory
from tests.leads import messengers

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def desk():
    with messengers.running() as running:
        yield running


@pytest.fixture
def talk(rep, funnels, desk):
    """``talk("telegram")``: a conversation of a source that speaks to the stand-in."""

    def make(channel, **settings):
        base = {"base_url": desk.url, "token": "T0KEN", "phone_number_id": "555"}
        source = SourceFactory(key=channel, adapter=channel, secret="s", settings=base | settings)
        lead = LeadFactory(owner=rep)
        return Conversation.objects.create(
            source=source, channel=channel, chat="79161234567", person=lead.person, lead=lead,
            last_in_at=timezone.now(),
        )  # fmt: skip

    return make


def again():
    """Run what was put off, too."""
    Job.objects.filter(task="leads.deliver").update(due_at=timezone.now())
    drain()


def sent(talk, rep, text="Привет", **more):
    message = talks.answer(talk, text=text, by=rep, **more)
    drain()
    message.refresh_from_db()
    return message


def test_telegram_says_it_by_the_bot(talk, rep, desk):
    message = sent(talk("telegram"), rep)
    assert desk.told == [("/botT0KEN/sendMessage", {"chat_id": 79161234567, "text": "Привет"})]
    assert (message.state, message.provider_id, message.sent_at is not None) == ("sent", "1", True)


def test_telegram_speaks_through_the_business_account(talk, rep, desk):
    row = talk("telegram")
    row.details = {"business_connection_id": "bc"}
    row.save()
    sent(row, rep)
    assert desk.told[0][1]["business_connection_id"] == "bc"


def test_whatsapp_says_text_with_its_token(talk, rep, desk):
    message = sent(talk("whatsapp"), rep)
    path, body = desk.told[0]
    assert (path, body["type"], body["text"]["body"], body["to"]) == ("/555/messages", "text", "Привет", "79161234567")
    assert body["biz_opaque_callback_data"] == message.token
    assert desk.headers[0]["Authorization"] == "Bearer T0KEN"
    assert (message.state, message.provider_id) == ("sent", "wamid.1")


def test_whatsapp_says_a_template_with_its_values(talk, rep, desk):
    row = talk("whatsapp", templates="hello, ru, Здравствуйте, {{1}}!")
    Conversation.objects.update(last_in_at=timezone.now() - timedelta(days=3))
    message = sent(row, rep, text="", template="hello", values=["Анна"])
    body = desk.told[0][1]
    assert body["template"] == {
        "name": "hello", "language": {"code": "ru"},
        "components": [{"type": "body", "parameters": [{"type": "text", "text": "Анна"}]}],
    }  # fmt: skip
    assert (message.state, message.text) == ("sent", "Здравствуйте, Анна!")


def test_the_window_is_looked_at_when_it_goes_out(talk, rep, desk):
    row = talk("whatsapp")
    message = talks.answer(row, text="Поздно", by=rep)
    Conversation.objects.update(last_in_at=timezone.now() - timedelta(hours=25))
    drain()
    message.refresh_from_db()
    assert (message.state, message.reason, desk.told) == ("skipped", "window", [])


def test_vk_gives_every_attempt_the_same_number(talk, rep, desk):
    desk.say("hang up")
    message = sent(talk("vk"), rep)
    assert message.state == "queued"
    again()
    message.refresh_from_db()
    assert message.state == "sent"
    assert [body["random_id"] for _path, body in desk.told] == [str(vk.random_id(message.token))] * 2


@pytest.mark.parametrize("channel", ["telegram", "whatsapp"])
def test_a_lost_answer_is_unsure_and_never_sent_again(channel, talk, rep, desk):
    desk.say("hang up")
    message = sent(talk(channel), rep)
    again()
    message.refresh_from_db()
    assert (message.state, message.reason, len(desk.told)) == ("unsure", "no_answer", 1)


def test_a_provider_that_cannot_be_reached_is_tried_again(talk, rep, desk):
    row = talk("telegram")
    url, row.source.settings["base_url"] = row.source.settings["base_url"], "http://127.0.0.1:9"
    row.source.settings["base_url"] = "http://127.0.0.1:8099"
    row.source.save()
    message = sent(row, rep)
    assert (message.state, Job.objects.get(task="leads.deliver").attempts) == ("queued", 1)
    row.source.settings["base_url"] = url
    row.source.save()
    again()
    message.refresh_from_db()
    assert message.state == "sent"


def test_too_many_requests_wait_as_long_as_asked(talk, rep, desk):
    desk.say(
        429, {"ok": False, "error_code": 429, "description": "Too Many Requests", "parameters": {"retry_after": 90}}
    )
    message = sent(talk("telegram"), rep)
    job = Job.objects.get(task="leads.deliver")
    assert message.state == "queued"
    assert job.due_at > timezone.now() + timedelta(seconds=80)
    again()
    message.refresh_from_db()
    assert (message.state, len(desk.told)) == ("sent", 2)


@pytest.mark.parametrize(
    ("channel", "status", "body"),
    [
        ("telegram", 403, {"ok": False, "error_code": 403, "description": "Forbidden: bot was blocked by the user"}),
        ("whatsapp", 400, {"error": {"code": 131050, "message": "User has stopped receiving messages"}}),
        ("vk", 200, {"error": {"error_code": 901, "error_msg": "Can't send messages for users without permission"}}),
    ],
)
def test_who_has_blocked_us_is_not_written_to_again(channel, status, body, talk, rep, desk):
    desk.say(status, body)
    row = talk(channel)
    message = sent(row, rep)
    row.refresh_from_db()
    assert (message.state, message.reason.split()[0]) == ("failed", "blocked")
    assert row.blocked_at is not None
    assert "не принимает" in message.reason_text or "does not take" in message.reason_text


@pytest.mark.parametrize(
    ("channel", "status", "body", "state", "why"),
    [
        ("telegram", 400, {"ok": False, "description": "Bad Request: chat not found"}, "failed", "refused"),
        ("telegram", 503, {}, "queued", "503"),
        ("telegram", 502, {}, "unsure", "no_answer"),
        ("telegram", 500, {"ok": False, "description": "Internal Server Error"}, "unsure", "no_answer"),
        ("telegram", 200, [], "unsure", "no_answer"),
        ("telegram", 200, {"ok": False, "description": "odd"}, "failed", "refused"),
        ("whatsapp", 400, {"error": {"code": 131047, "message": "Re-engagement"}}, "failed", "window"),
        ("whatsapp", 400, {"error": {"code": 130429, "message": "Rate limit"}}, "queued", "Rate"),
        ("whatsapp", 401, {"error": {"code": 190, "message": "Token expired"}}, "failed", "refused"),
        ("whatsapp", 500, {"error": "?"}, "unsure", "no_answer"),
        ("whatsapp", 500, {"error": {"code": 1, "message": "An unknown error"}}, "unsure", "no_answer"),
        ("whatsapp", 500, {"error": {"code": 131000, "message": "Message failed to send"}}, "queued", "Message"),
        ("whatsapp", 503, {"error": {"code": 2, "message": "Down"}}, "queued", "Down"),
        ("whatsapp", 200, [], "unsure", "no_answer"),
        ("vk", 200, {"error": {"error_code": 6, "error_msg": "Too many requests"}}, "queued", "Too"),
        ("vk", 200, {"error": {"error_code": 5, "error_msg": "User authorization failed"}}, "failed", "refused"),
        ("vk", 200, {"error": {"error_code": 10, "error_msg": "Internal server error"}}, "queued", "no_answer"),
        ("vk", 504, {}, "queued", "no_answer"),
        ("vk", 200, [], "queued", "no_answer"),
    ],
)
def test_what_the_provider_says_decides(channel, status, body, state, why, talk, rep, desk):
    desk.answers.append((status, body, {}))
    message = sent(talk(channel), rep)
    assert (message.state, message.reason.split()[0]) == (state, why)


def test_without_a_token_nothing_is_tried(talk, rep, desk):
    message = sent(talk("telegram", token=""), rep)
    assert (message.state, message.reason, desk.told) == ("failed", "no_token", [])


def test_what_vk_may_have_taken_is_not_said_again_once_it_has_forgotten(talk, rep, desk):
    """Of a second copy VK knows for an hour; a doubt stays a doubt, whatever later attempts end in."""
    desk.say(504)
    desk.say(200, {"error": {"error_code": 6, "error_msg": "Too many requests"}})
    message = sent(talk("vk"), rep)
    again()
    message.refresh_from_db()
    assert (message.state, message.reason, len(desk.told)) == ("queued", "no_answer Too many requests", 2)
    Message.objects.update(created_at=timezone.now() - timedelta(minutes=51))
    again()
    message.refresh_from_db()
    assert (message.state, message.reason, len(desk.told)) == ("unsure", "no_answer Too many requests", 2)


@pytest.mark.parametrize("channel", ["whatsapp", "vk"])
def test_an_upload_that_failed_is_tried_again_for_nothing_has_been_said(channel, talk, rep, desk):
    desk.say(502)
    message = sent(talk(channel), rep, text="", file=SimpleUploadedFile("план.txt", b"plan"))
    assert (message.state, message.reason.partition(" ")[0]) == ("queued", "502")
    again()
    message.refresh_from_db()
    assert message.state == "sent"


def test_answers_keep_their_order(talk, rep, desk):
    row = talk("telegram")
    desk.say(429)
    first = talks.answer(row, text="первое", by=rep)
    talks.answer(row, text="второе", by=rep)
    drain()
    assert desk.texts() == ["первое"]
    for _round in range(3):
        again()
    assert desk.texts() == ["первое", "первое", "второе"]
    first.refresh_from_db()
    assert first.state == "sent"


@pytest.mark.parametrize(("channel", "state", "calls"), [("telegram", "unsure", 0), ("vk", "sent", 1)])
def test_after_a_crash_only_what_the_provider_tells_apart_goes_again(channel, state, calls, talk, rep, desk):
    message = talks.answer(talk(channel), text="!", by=rep)
    Message.objects.update(state="sending", claimed_at=timezone.now())
    drain()
    message.refresh_from_db()
    assert (message.state, len(desk.told)) == (state, calls)


# --- Files ------------------------------------------------------------------------------------------------------------


def file_of(talk, **values):
    line = ChatLine.objects.create(conversation=talk, provider_id="1", at=timezone.now())
    return ChatFile.objects.create(**{"line": line, "kind": "document", "ref": "F1", "name": "план.pdf"} | values)


def fetched(row):
    from crm.core.jobs import enqueue

    enqueue("leads.fetch_file", row.pk)
    drain()
    row.refresh_from_db()
    return row


@pytest.mark.parametrize("channel", ["telegram", "whatsapp", "vk"])
def test_a_file_is_fetched_and_kept(channel, talk, desk):
    row = fetched(file_of(talk(channel), url=f"{desk.url}/media/1"))
    assert (row.state, row.size) == ("kept", len(messengers.FILE))
    assert row.file.read() == messengers.FILE
    row.file.close()
    if channel == "whatsapp":
        assert desk.headers[-1]["Authorization"] == "Bearer T0KEN"


@pytest.mark.parametrize("stated", [10**9, None])
def test_a_file_that_is_too_large_stays_away(stated, talk, desk):
    row = talk("telegram", max_file=10)
    kept = fetched(file_of(row, size=stated))
    assert (kept.state, bool(kept.file)) == ("too_large" if stated else kept.state, False)
    assert kept.state in {"too_large", "waiting", "failed"}


def test_a_file_of_an_inner_address_is_not_fetched(talk, desk):
    row = talk("vk", base_url="")
    kept = fetched(file_of(row, url=f"{desk.url}/media/1"))
    assert (kept.state, bool(kept.file)) == ("failed", False)


# --- The webhook ------------------------------------------------------------------------------------------------------


def test_the_webhook_is_set_with_its_secret(talk, desk):
    source = talk("telegram").source
    assert telegram.set_webhook(source, "https://crm.example/capture/telegram/") == ""
    path, body = desk.told[0]
    assert (path, body["url"], body["secret_token"]) == (
        "/botT0KEN/setWebhook",
        "https://crm.example/capture/telegram/",
        "s",
    )
    desk.say(400, {"ok": False, "description": "Bad Request: bad webhook: HTTPS url must be provided"})
    assert "HTTPS" in telegram.set_webhook(source, "http://crm.example/")


def test_the_name_of_a_vk_client_is_asked_for(desk, funnels, client):
    settings = {"base_url": desk.url, "token": "T0KEN"}
    SourceFactory(key="vk", adapter="vk", secret="s", settings=settings)
    message = {"date": 1700000000, "from_id": 88, "peer_id": 88, "text": "Привет", "conversation_message_id": 1}
    event = {"type": "message_new", "secret": "s", "object": {"message": message}}
    client.post("/capture/vk/", event, content_type="application/json")
    drain()
    assert list(Lead.objects.values_list("name", "person__name")) == [("Вкшин Иван", "Вкшин Иван")] or list(
        Lead.objects.values_list("name", flat=True)
    ) == ["Иван Вкшин"]
    assert Conversation.objects.get().title


def test_only_an_administrator_sets_the_webhook(talk, desk, rep, admin, signed_in):
    talk("telegram")
    assert signed_in(rep).post("/sources/telegram/webhook/").status_code == 403
    assert signed_in(admin).post("/sources/telegram/webhook/").status_code == 302
    assert [path for path, _body in desk.told] == ["/botT0KEN/setWebhook"]
