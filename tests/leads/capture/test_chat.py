"""Our own chat: a visitor writes, the owner answers, nobody reads another's; with a contact or with the first word."""

import json

import pytest

from crm.core.models import Calendar
from leads.models import ChatLine, Consent, ConsentText, Conversation, Identity, Lead, Submission
from leads.services import talks
from leads.views import chat
from tests.leads.capture.conftest import make_source

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk(funnels):
    return make_source(key="desk", name="Chat", adapter="chat", channel="chat")


@pytest.fixture
def visitor(desk, client, judged):
    """A visitor's page: ``say(text=…)`` and ``hears()``."""

    class Page:
        token, after = "", "0-0"

        def say(self, **said):
            body = {"token": self.token, "id": f"m{Submission.objects.count()}", **said}
            response = client.post("/chat/desk/say/", json.dumps(body), content_type="application/json")
            if response.status_code == 200:
                self.token = response.json()["token"]
            judged()
            return response

        def hears(self):
            answer = client.get(f"/chat/desk/lines/?after={self.after}", headers={"X-Chat-Token": self.token}).json()
            self.after = answer["after"]
            return [(line["ours"], line["text"]) for line in answer["lines"]]

    return Page


def states():
    return list(Submission.objects.order_by("id").values_list("state", "reason"))


def test_both_sides_talk(visitor, rep):
    page = visitor()
    page.say(text="Вы работаете завтра?", page="https://shop.example/x?utm_source=max", utm_source="max")
    lead = Lead.objects.get()
    assert (lead.need, lead.touches.get().marks["utm_source"]) == ("Вы работаете завтра?", "max")
    message = talks.answer(Conversation.objects.get(), text="Да, с девяти", by=rep)
    assert (message.state, page.hears()) == ("sent", [(False, "Вы работаете завтра?"), (True, "Да, с девяти")])
    message.refresh_from_db()
    assert message.delivery == "delivered"
    assert page.hears() == []
    page.say(text="Спасибо")
    assert page.hears() == [(False, "Спасибо")]
    assert states() == [("lead", ""), ("merged", "")]


def test_the_same_message_sent_again_is_one(visitor):
    page = visitor()
    for _n in range(2):
        page.say(text="раз", id="same")
    assert ChatLine.objects.count() == 1
    assert states() == [("lead", ""), ("merged", "")]


def test_by_setting_a_lead_comes_with_the_contact_and_has_all_that_was_said(visitor, desk):
    desk.settings = {"lead_at": "contact"}
    desk.save()
    page = visitor()
    page.say(text="Здравствуйте")
    page.say(text="Есть вопрос")
    assert (Lead.objects.count(), states()) == (0, [("rejected", "no_contact")] * 2)
    page.say(contact="8 916 123-45-67", name="Анна")
    lead = Lead.objects.get()
    assert (lead.name, lead.phone) == ("Анна", "+79161234567")
    assert states() == [("merged", ""), ("merged", ""), ("lead", "")]
    assert set(Submission.objects.values_list("lead", flat=True)) == {lead.pk}


def test_a_contact_is_learnt_by_the_card(visitor):
    page = visitor()
    page.say(text="Привет")
    page.say(contact="anna@shop.example", name="Анна")
    lead = Lead.objects.get()
    assert (lead.name, lead.email) == ("Анна", "anna@shop.example")
    assert sorted(Identity.objects.values_list("kind", flat=True)) == ["chat", "email"]


def test_consent_is_kept_with_its_text(visitor, desk):
    desk.consent = ConsentText.objects.create(text="Согласен")
    desk.save()
    visitor().say(text="!", contact="8 916 123-45-67", consent="1")
    assert list(Consent.objects.values_list("text", "person")) == [(desk.consent_id, Lead.objects.get().person_id)]


def test_nobody_reads_anothers_conversation(visitor, client, funnels):
    one, two = visitor(), visitor()
    one.say(text="тайна")
    two.say(text="другое")
    assert (one.hears(), two.hears()) == ([(False, "тайна")], [(False, "другое")])
    other = make_source(key="other", adapter="chat")
    for token in ("", "x", one.token[:-1], one.token + "A"):
        assert client.get("/chat/desk/lines/", headers={"X-Chat-Token": token}).status_code == 401
    assert client.get(f"/chat/{other.key}/lines/", headers={"X-Chat-Token": one.token}).status_code == 401


def test_a_visitor_cannot_name_another(visitor):
    one, two = visitor(), visitor()
    one.say(text="я")
    two.say(text="и я", visitor=Conversation.objects.get().chat)
    assert Conversation.objects.count() == 2
    assert b"token" not in bytes(Submission.objects.latest("id").body)


@pytest.mark.parametrize(
    ("raw", "status"),
    [(b"", 400), (b"{", 400), (b"[]", 422), (b'"x"', 422), (b'{"token": 5}', 200), (b'{"text": ["a"]}', 200)],
)
def test_bad_bodies_are_refused_in_words(raw, status, desk, client):
    assert client.post("/chat/desk/say/", raw, content_type="application/json").status_code == status


def test_one_visitor_cannot_flood(visitor, monkeypatch):
    monkeypatch.setattr(chat, "SAYS", 2)
    page = visitor()
    assert [page.say(text=str(n)).status_code for n in range(3)] == [200, 200, 429]


def test_the_page_may_stand_on_stated_sites_alone(desk, client):
    policy = client.get("/chat/desk/").headers["Content-Security-Policy"]
    assert ("frame-ancestors *" in policy, "default-src 'none'" in policy, "unsafe" in policy) == (True, True, False)
    desk.settings = {"origins": ["https://shop.example"]}
    desk.save()
    response = client.get("/chat/desk/")
    assert "frame-ancestors shop.example" in response.headers["Content-Security-Policy"]
    assert "X-Frame-Options" not in response.headers


def test_those_sites_are_stated_on_its_settings_page(desk, admin, signed_in):
    browser, address = signed_in(admin), "/sources/desk/edit/"
    kept = {"name": "Chat", "key": "desk", "channel": "chat", "s_lead_at": "first", "is_active": "on"}
    page = browser.get(address)
    assert 'name="origins"' in page.text
    known = {name: page.context["form"][name].value() or "" for name in page.context["form"].fields}
    assert browser.post(address, known | kept | {"origins": "shop.example"}).status_code == 302
    desk.refresh_from_db()
    assert desk.settings["origins"] == ["shop.example"]


def test_nobody_at_work_is_said(desk, client, rep, settings):
    settings.CONFIG_TTL = 0
    assert b"data-online" in client.get("/chat/desk/").content
    Calendar.objects.create(name="Never", is_default=True)
    assert b"data-online" not in client.get("/chat/desk/").content


def test_a_program_posts_with_the_secret(desk, post, judged, settings):
    settings.LOCAL = False
    desk.secret = "s3cret"
    desk.save()
    body = {"visitor": "crm-7", "text": "Привет", "id": "1"}
    codes = [post("desk", json_=body, headers=h).status_code for h in ({}, {"Authorization": "Bearer s3cret"})]
    judged()
    assert (codes, Conversation.objects.get().chat) == ([401, 200], "crm-7")
