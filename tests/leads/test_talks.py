"""The conversation in the card: what it shows, answering, windows and templates, files, who may see it."""

import pytest
from django.core.files.base import ContentFile
from django.utils import timezone

from leads.models import ChatFile, ChatLine, Conversation, Message
from leads.services import talks
from tests.factories import LeadFactory, SourceFactory

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


@pytest.fixture
def lead(rep, funnels):
    return LeadFactory(owner=rep, name="Анна")


@pytest.fixture
def talk(lead):
    source = SourceFactory(key="tg", adapter="telegram")
    row = Conversation.objects.create(
        source=source, channel="telegram", chat="77", person=lead.person, lead=lead, title="Анна", unread=1,
        last_in_at=timezone.now(),
    )  # fmt: skip
    ChatLine.objects.create(conversation=row, provider_id="1", text="Сколько стоит?", at=timezone.now())
    return row


def whatsapp(talk, **settings):
    talk.channel, talk.source.settings = "whatsapp", settings
    talk.source.save()
    talk.save()
    return talk


def test_the_panel_shows_both_sides_in_order(talk, lead, rep, signed_in):
    ChatLine.objects.create(
        conversation=talk, provider_id="2", text="взял назад", at=timezone.now(), deleted_at=timezone.now()
    )
    talks.answer(talk, text="Сто рублей", by=rep)
    page = signed_in(rep).get(f"/leads/{lead.pk}/talk/", headers=HTMX).content.decode()
    places = [page.index(word) for word in ("Сколько стоит?", "<del>взял назад</del>", "Сто рублей")]
    assert places == sorted(places)
    assert "every 1s" in page  # the answer is on its way


def test_a_card_without_conversations_has_none(lead, rep, signed_in):
    page = signed_in(rep).get(f"/leads/{lead.pk}/talk/", headers=HTMX).content.decode()
    assert 'hx-trigger="live:talk from:body' in page
    assert "composer" not in page


def test_an_answer_is_a_row_a_touch_and_ends_the_waiting(talk, lead, rep, signed_in):
    lead.waiting_since = timezone.now()
    lead.save()
    response = signed_in(rep).post(f"/leads/{lead.pk}/talk/{talk.pk}/", {"text": "Здравствуйте"}, headers=HTMX)
    assert (response.status_code, "Здравствуйте" in response.content.decode()) == (200, True)
    message = Message.objects.get()
    assert (message.channel, message.kind, message.to, message.by, message.state) == (
        "telegram", "talk", "77", rep, "queued",
    )  # fmt: skip
    lead.refresh_from_db()
    talk.refresh_from_db()
    assert (lead.waiting_since, lead.answered_at is not None, talk.unread) == (None, True, 0)
    assert list(lead.interactions.filter(kind="message_out").values_list("text", flat=True)) == ["Здравствуйте"]


@pytest.mark.parametrize("text", ["", "   ", "я" * 4001])
def test_what_cannot_be_sent_is_said(text, talk, lead, rep, signed_in):
    response = signed_in(rep).post(f"/leads/{lead.pk}/talk/{talk.pk}/", {"text": text}, headers=HTMX)
    assert (response.status_code, 'role="alert"' in response.content.decode()) == (422, True)
    assert not Message.objects.exists()


def test_after_the_window_only_templates_go(talk, lead, rep, signed_in):
    whatsapp(talk, templates="hello, ru, Здравствуйте, {{1}}! Ваш заказ {{2}}.")
    talk.last_in_at = timezone.now() - talk.WINDOW
    talk.save()
    client, address = signed_in(rep), f"/leads/{lead.pk}/talk/{talk.pk}/"
    page = client.get(f"/leads/{lead.pk}/talk/", headers=HTMX).content.decode()
    assert ('name="text"' in page, page.count('name="value"')) == (False, 2)
    assert client.post(address, {"text": "Привет"}, headers=HTMX).status_code == 422
    assert client.post(address, {"template": "other"}, headers=HTMX).status_code == 422
    assert client.post(address, {"template": "hello", "value": ["Анна", "7"]}, headers=HTMX).status_code == 200
    message = Message.objects.get()
    assert message.text == "Здравствуйте, Анна! Ваш заказ 7."
    assert message.form == {"template": "hello", "language": "ru", "values": ["Анна", "7"]}


def test_who_has_blocked_us_is_not_written_to(talk, lead, rep, signed_in):
    Conversation.objects.update(blocked_at=timezone.now())
    response = signed_in(rep).post(f"/leads/{lead.pk}/talk/{talk.pk}/", {"text": "Алло"}, headers=HTMX)
    assert response.status_code == 422


def test_reading_clears_the_badge(talk, lead, rep, signed_in):
    signed_in(rep).post(f"/leads/{lead.pk}/talk/{talk.pk}/read/")
    talk.refresh_from_db()
    assert talk.unread == 0


@pytest.mark.parametrize("name", ["<script>.svg", 'a"; filename="x.html', "..\\..\\x\r\nSet-Cookie: a=b", "план.pdf"])
def test_a_file_is_only_ever_downloaded(name, talk, rep, outsider, signed_in):
    row = ChatFile(line=talk.lines.get(), kind="document", ref="F", name=name, state="kept")
    row.file.save(name, ContentFile(b"<script>alert(1)</script>"))
    assert row.file.name.startswith("talks/")
    assert "." not in row.file.name
    response = signed_in(rep).get(f"/talk/files/{row.pk}/")
    assert b"".join(response.streaming_content) == b"<script>alert(1)</script>"
    head = response.headers
    assert (head["Content-Type"], head["X-Content-Type-Options"]) == ("application/octet-stream", "nosniff")
    assert head["Content-Security-Policy"].startswith("sandbox")
    assert head["Content-Disposition"].startswith("attachment")
    assert "\n" not in head["Content-Disposition"]
    assert signed_in(outsider).get(f"/talk/files/{row.pk}/").status_code == 404


def test_a_colleague_elsewhere_sees_nothing(talk, lead, outsider, signed_in):
    client = signed_in(outsider)
    codes = [client.get(f"/leads/{lead.pk}/talk/").status_code,
             client.get(f"/leads/{lead.pk}/talk/{talk.pk}/thread/").status_code,
             client.post(f"/leads/{lead.pk}/talk/{talk.pk}/", {"text": "!"}).status_code]  # fmt: skip
    assert codes == [404, 404, 404]


def test_a_client_is_written_to_first_by_a_template(lead, rep, outsider, signed_in):
    lead.phone = "+79161234567"
    lead.save()
    SourceFactory(key="wa", name="WhatsApp", adapter="whatsapp", settings={"templates": ["hello, ru, Привет, {{1}}!"]})
    client, address = signed_in(rep), f"/leads/{lead.pk}/talk/new/wa/"
    assert address in client.get(f"/leads/{lead.pk}/talk/", headers=HTMX).content.decode()
    assert "Привет, {{1}}!" in client.get(address, headers=HTMX).content.decode()
    assert client.post(address, {"template": "none"}, headers=HTMX).status_code == 422
    assert client.post(address, {"template": "hello", "value": "Анна"}, headers=HTMX).status_code == 204
    message = Message.objects.get()
    assert (message.text, message.to, message.conversation.lead) == ("Привет, Анна!", "79161234567", lead)
    assert client.post(address, {"template": "hello", "value": "Анна"}, headers=HTMX).status_code == 422
    assert signed_in(outsider).get(address).status_code == 404
