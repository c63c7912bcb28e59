"""Jivo: who it is when a chat is taken, what was said when it is over, in any order and said twice."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leads.capture import base, chat, jivo, vk_messages
from leads.models import ChatLine, Conversation, Identity, Lead, Submission
from tests.leads.capture.conftest import make_source
from tests.leads.capture.real import bodies

pytestmark = pytest.mark.django_db
OK = b'{"result": "ok"}'


@pytest.fixture
def widget(funnels):
    return make_source(key="jivo", name="Jivo", adapter="jivo", secret="s3cret", channel="chat")


@pytest.fixture
def tell(widget, post, judged):
    def send(event, path="/capture/{}/?secret=s3cret"):
        raw = event if isinstance(event, bytes) else json.dumps(event).encode()
        response = post("jivo", raw=raw, type_="application/json", path=path)
        judged()
        return response

    return send


def states():
    return list(Submission.objects.order_by("id").values_list("state", "reason"))


def real(name, **more):
    return json.loads(bodies("jivo")[name]) | more


@pytest.mark.parametrize("name", sorted(bodies("jivo")))
def test_a_real_event_is_a_lead_once(name, tell):
    raw = bodies("jivo")[name]
    assert [tell(raw).content for _n in range(2)] == [OK, OK]
    assert states() == [("lead", ""), ("merged", "")]
    lead = Lead.objects.get()
    assert (lead.name, lead.phone, lead.email) == ("John Smith", "+14084987855", "email@example.com")
    assert lead.touches.order_by("id").first().marks["utm_source"] == "google"
    assert ChatLine.objects.count() == (2 if name == "chat_finished" else 0)


@pytest.mark.parametrize(
    "order", [("chat_accepted", "chat_updated", "chat_finished"), ("chat_finished", "chat_accepted")]
)
def test_one_chat_is_one_card_whatever_comes_first(order, tell):
    for name in order:
        tell(real(name, chat_id=7))
    assert [state for state, _reason in states()] == ["lead", *["merged"] * (len(order) - 1)]
    assert (Lead.objects.count(), Conversation.objects.count()) == (1, 1)
    assert list(ChatLine.objects.order_by("at").values_list("is_ours", "author")) == [
        (False, ""), (True, "Thomas Anderson"),
    ]  # fmt: skip


def test_contacts_given_later_are_on_the_card(tell):
    nobody = {"name": "Client 5", "number": "5", "chats_count": 1}
    tell(real("chat_accepted", chat_id=7, visitor=nobody))
    assert list(Identity.objects.values_list("kind", "scope", "value")) == [("external", "jivo:3948", "5")]
    tell(real("chat_updated", chat_id=7, visitor=nobody | {"phone": "8 916 123-45-67", "email": None}))
    lead = Lead.objects.get()
    assert (lead.phone, lead.email) == ("+79161234567", "")


def test_a_message_left_offline_is_an_enquiry(tell):
    event = real("chat_updated", event_name="offline_message", message="Перезвоните", offline_message_id=1665399500726)
    tell(event)
    tell(event)
    assert states() == [("lead", ""), ("merged", "")]
    assert (Lead.objects.get().need, ChatLine.objects.get().text) == (
        "Description text\nПерезвоните"[-11:],
        "Перезвоните",
    )


def test_nobody_at_all_is_no_lead(tell):
    tell(real("chat_accepted", visitor={}))
    tell({"event_name": "client_attribute_updated", "client_id": 1})
    tell({"event_name": "created_deal", "deal_id": 3})
    assert states() == [("rejected", "no_contact"), ("rejected", "not_enquiry"), ("rejected", "not_enquiry")]


@pytest.mark.parametrize("path", ["/capture/{}/s3cret", "/capture/{}/?token=s3cret"])
def test_the_secret_is_part_of_the_address(path, tell):
    assert tell(real("chat_accepted"), path).status_code == 200


@pytest.mark.parametrize("path", ["/capture/{}/", "/capture/{}/other", "/capture/{}/?secret=other"])
def test_without_the_secret_nothing_is_taken(path, tell):
    assert tell(real("chat_accepted"), path).status_code == 401
    assert not Lead.objects.exists()


def test_half_a_body_is_400(tell):
    assert tell(bodies("jivo")["chat_finished"][:200]).status_code == 400


NAMES = ["event_name", "visitor", "phone", "email", "number", "chat_id", "widget_id", "session", "utm_json", "utm", "page",
         "agents", "chat", "messages", "message", "timestamp", "type", "call", "status", "type", "object", "from_id",
         "peer_id", "attachments", "photo", "sizes", "doc", "user_id", "payload", "text", "visitor", "contact", "name",
         "geo", "coordinates", "fwd_messages", "id", "conversation_message_id"]  # fmt: skip
WORDS = st.sampled_from(["chat_finished", "chat_accepted", "call_event", "client_updated", "offline_message", "message_new",
                         "message_edit", "message_event", "message_read", "message_allow", "photo", "visitor", "end"])  # fmt: skip
JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=8),
    max_leaves=30,
)


@settings(max_examples=150, deadline=None)
@given(payload=st.dictionaries(st.sampled_from(NAMES), JSONS))
def test_no_json_makes_the_parsers_stumble(payload):
    source = type("Source", (), {"key": "k", "settings": {}, "secret": ""})()
    body = base.Body({}, payload=payload)
    jivo.parse(body, source, headers={})
    chat.parse(body, source, headers={})
    vk_messages.events(payload)
