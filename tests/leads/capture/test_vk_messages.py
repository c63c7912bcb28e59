"""VK: messages, edits, our own answers, permissions; the confirmation and the secret are in test_vk.py."""

import json

import pytest

from leads.models import ChatFile, ChatLine, Conversation, Identity, Lead, Message, Submission
from leads.services import talks
from tests.leads.capture.conftest import make_source
from tests.leads.capture.real import bodies

pytestmark = pytest.mark.django_db


@pytest.fixture
def group(funnels):
    return make_source(key="vk", name="VK", adapter="vk", secret="k3y", settings={"confirmation": "abc123"})


@pytest.fixture
def tell(group, post, judged):
    def send(event):
        response = post("vk", json_={"group_id": 1, "secret": "k3y", **event})
        judged()
        return response

    return send


def states():
    return list(Submission.objects.order_by("id").values_list("state", "reason"))


def message(text="Привет", number=3, **more):
    return {"date": 1700000000, "from_id": 88, "id": 100 + number, "out": 0, "peer_id": 88, "text": text,
            "conversation_message_id": number, "attachments": [], "random_id": 0, **more}  # fmt: skip


def new(**more):
    return {"type": "message_new", "object": {"message": message(**more), "client_info": {}}}


def test_the_real_message_is_a_lead_once(tell):
    event = json.loads(bodies("vk")["message_new"])
    assert [tell(event | {"secret": "k3y"}).content for _n in range(2)] == [b"ok"] * 2
    assert (Lead.objects.get().need, ChatLine.objects.get().text) == ("test5", "test5")
    assert Identity.objects.filter(kind="vk", value="8800000").count() == 1
    assert states()[0] == ("lead", "")


def test_the_same_message_in_another_delivery_is_one(tell):
    for number in range(2):
        tell(new() | {"event_id": f"event-number-{number}"})
    assert states() == [("lead", ""), ("merged", "")]
    assert ChatLine.objects.count() == 1


def test_the_older_form_without_a_wrapper(tell):
    tell(
        {"type": "message_new", "object": {"id": 5, "user_id": 88, "date": 1700000000, "body": "по-старому", "out": 0}}
    )
    assert ChatLine.objects.get().text == "по-старому"


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_edits_in_any_order_end_the_same(order, tell):
    edit = {"type": "message_edit", "object": message("Привет!", update_time=1700000050)}
    for place in order:
        tell((new(), edit)[place])
    assert list(ChatLine.objects.values_list("text", flat=True)) == ["Привет!"]
    assert sorted(state for state, _reason in states()) == ["lead", "merged"]


def test_our_answer_from_here_is_known_by_its_number(tell, rep):
    tell(new())
    answer = talks.answer(Conversation.objects.get(), text="Здравствуйте", by=rep)
    number = int(answer.form["echo"].removeprefix("random:"))
    tell({"type": "message_reply", "object": message("Здравствуйте", 4, out=1, from_id=-1, random_id=number)})
    answer.refresh_from_db()
    assert (answer.provider_id, answer.state) == ("4", "sent")
    assert ChatLine.objects.filter(is_ours=True).count() == 0


def test_an_answer_from_vk_itself_is_on_the_card(tell):
    reply = {"type": "message_reply", "object": message("Из ВК", 4, out=1, from_id=-1)}
    tell(reply)
    tell(new())
    tell(reply)
    assert states() == [("rejected", "own"), ("lead", ""), ("merged", "")]
    lead = Lead.objects.get()
    assert list(lead.interactions.filter(kind="message_out").values_list("text", flat=True)) == ["Из ВК"]
    assert lead.waiting_since is None


def test_reading_is_a_status(tell, rep):
    tell(new())
    Message.objects.create(
        channel="vk", kind="talk", conversation=Conversation.objects.get(), lead=Lead.objects.get(), text="!",
        state="sent", sent_at="2026-01-01T00:00Z", to="88", sender="",
    )  # fmt: skip
    tell({"type": "message_read", "object": {"from_id": 88, "peer_id": 88, "read_message_id": 9}})
    assert Message.objects.get().delivery == "read"


def test_who_forbids_messages_is_not_written_to(tell):
    tell({"type": "message_deny", "object": {"user_id": 88}})
    tell(new())
    tell({"type": "message_deny", "object": {"user_id": 88}})
    assert states() == [("rejected", "not_enquiry"), ("lead", ""), ("merged", "")]
    assert talks.why_not(Conversation.objects.get()) == "blocked"
    tell({"type": "message_allow", "object": {"user_id": 88, "key": ""}})
    assert talks.why_not(Conversation.objects.get()) == ""


def test_attachments_are_files(tell):
    sizes = [
        {"url": "https://vk.example/s", "width": 75, "height": 75},
        {"url": "https://vk.example/b", "width": 800, "height": 600},
    ]
    photo = {"type": "photo", "photo": {"id": 1, "owner_id": 88, "sizes": sizes}}
    voice = {
        "type": "audio_message",
        "audio_message": {"id": 2, "owner_id": 88, "link_ogg": "https://vk.example/v.ogg"},
    }
    tell(new(text="", attachments=[photo, voice]))
    assert sorted(ChatFile.objects.values_list("kind", "url")) == [
        ("audio_message", "https://vk.example/v.ogg"), ("photo", "https://vk.example/b"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "event",
    [
        new(peer_id=2_000_000_001),
        {"type": "message_typing_state", "object": {"state": "typing", "from_id": 88}},
        {"type": "wall_post_new", "object": {"id": 1}},
        {"type": "message_new", "object": []},
        {"type": ["message_new"], "object": {"message": 5}},
    ],
)
def test_what_is_no_persons_message_is_kept_and_answered(event, tell):
    assert tell(event).content == b"ok"
    assert states() == [("rejected", "not_enquiry")]


def test_a_wrong_secret_is_refused(group, post):
    assert post("vk", json_=new() | {"secret": "other"}).status_code == 401
