"""Telegram: every real update ends where it should; twice, unsigned, cut in half; edits in any order; blocks; media."""

import json

import pytest
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from leads.capture import base, telegram
from leads.models import ChatFile, ChatLine, Conversation, Identity, Interaction, Lead, ReferralCode, Submission
from tests.factories import PersonFactory
from tests.leads.capture.conftest import make_source
from tests.leads.capture.real import bodies

SECRET = {"X-Telegram-Bot-Api-Secret-Token": "s3cret"}
# What is written or pressed by a person in a private chat; all else is no enquiry.
ENQUIRIES = {
    "animation", "audio", "callback_query", "callback_query_complex", "command", "command_message",
    "command_with_parameters", "contact", "dice", "document", "edited_message", "entities", "game", "invoice",
    "location", "message", "message_poll", "not_command", "photo", "sticker", "successful_payment", "text", "venue",
    "video", "video_note", "voice", "web_app_data",
}  # fmt: skip
pytestmark = pytest.mark.django_db


@pytest.fixture
def bot(funnels):
    return make_source(key="tg", name="Bot", adapter="telegram", secret="s3cret", channel="messenger")


@pytest.fixture
def tell(bot, post, judged):
    """Post an update and judge it; returns the receipts' states."""

    def send(update, **more):
        raw = update if isinstance(update, bytes) else json.dumps(update).encode()
        response = post("tg", raw=raw, type_="application/json", headers=SECRET | more)
        judged()
        return response

    return send


def states():
    return list(Submission.objects.order_by("id").values_list("state", "reason"))


def message(text="Здравствуйте!", number=1, user=77, **more):
    person = {"id": user, "is_bot": False, "first_name": "Пётр", "last_name": "Иванов", "username": f"PetrI{user}"}
    body = {"message_id": number, "from": person, "chat": {**person, "type": "private"}, "date": 1700000000}
    return {"update_id": 1000 + number, "message": {**body, "text": text, **more}}


@pytest.mark.parametrize("name", sorted(bodies("telegram")))
def test_a_real_update_ends_in_its_state(name, tell):
    raw = bodies("telegram")[name]
    responses = [tell(raw), tell(raw)]
    assert [(r.status_code, r.content) for r in responses] == [(200, b"{}")] * 2
    if name in ENQUIRIES:
        assert states() == [("lead", ""), ("merged", "")]
        assert (Lead.objects.count(), ChatLine.objects.count(), Conversation.objects.get().unread) == (1, 1, 1)
    else:
        assert states() == [("rejected", "not_enquiry")] * 2
        assert not Lead.objects.exists()


def test_a_message_of_a_stranger_is_a_lead(tell):
    tell(message("Сколько стоит доставка?"))
    lead = Lead.objects.get()
    assert (lead.name, lead.need, lead.source.key) == ("Пётр Иванов", "Сколько стоит доставка?", "tg")
    assert sorted(Identity.objects.values_list("kind", "value")) == [("telegram", "77"), ("telegram", "petri77")]
    assert list(lead.interactions.filter(kind="captured").values_list("text", flat=True)) == ["Сколько стоит доставка?"]


def test_the_next_message_is_on_the_open_card_and_its_owner_learns_of_it(tell, rep):
    tell(message())
    Lead.objects.update(owner=rep)
    tell(message("Есть кто?", 2))
    lead = Lead.objects.get()
    assert states() == [("lead", ""), ("merged", "")]
    assert list(lead.interactions.filter(kind="message_in").values_list("text", flat=True)) == ["Есть кто?"]
    assert list(rep.notices.filter(kind="message").values_list("details__text", flat=True)) == ["Есть кто?"]
    assert lead.tasks.open().filter(dedup__startswith="talk:").count() == 1
    assert Conversation.objects.get().unread == 2


def test_after_a_closed_card_a_message_is_a_new_lead_of_the_same_person(tell):
    tell(message())
    Lead.objects.update(status="rejected", closed_at=timezone.now())
    tell(message("Снова я", 2))
    assert Lead.objects.count() == 2
    assert Lead.objects.values("person").distinct().count() == 1
    assert Conversation.objects.get().lead == Lead.objects.latest("id")


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_edits_in_any_order_end_the_same(order, tell):
    first = message("первый")
    edits = [{"update_id": 2000 + n, "edited_message": {**message(f"правка {n}")["message"], "edit_date": 1700000000 + n}}
             for n in (1, 2)]  # fmt: skip
    for place in order:
        tell([first, *edits][place])
    assert list(ChatLine.objects.values_list("text", "edited_at__second")) == [("правка 2", 22)]
    assert Lead.objects.count() == 1
    assert sorted(state for state, _reason in states()) == ["lead", "merged", "merged"]


def test_the_same_number_in_two_chats_is_two_messages(tell):
    tell(message("раз", 5, user=1))
    tell(message("два", 5, user=2))
    assert sorted(ChatLine.objects.values_list("conversation__chat", "text")) == [("1", "раз"), ("2", "два")]
    assert Lead.objects.count() == 2


def test_a_phone_is_believed_only_of_its_owner(tell):
    own = {"phone_number": "79161234567", "first_name": "Пётр", "user_id": 77}
    tell(message("", 1, contact={**own, "user_id": 99}))
    assert not Identity.objects.filter(kind="phone").exists()
    tell(message("", 2, contact=own))
    assert list(Identity.objects.filter(kind="phone").values_list("value", flat=True)) == ["+79161234567"]
    assert Lead.objects.get().phone == "+79161234567"


@pytest.mark.parametrize(
    ("payload", "marks"),
    [
        ("ref_ANNA7", {"ref": "ANNA7"}),
        ("spring", {"utm_campaign": "spring"}),
        ("dXRtX3NvdXJjZT1tYXg", {"utm_source": "max"}),
    ],
)
def test_a_deep_link_leaves_its_marks(payload, marks, tell):
    tell(message(f"/start {payload}"))
    assert Lead.objects.get().touches.get().marks == marks


def test_groups_and_channels_are_nobodys_enquiry(tell):
    update = message()
    update["message"]["chat"] = {"id": -100, "type": "supergroup", "title": "Все"}
    tell(update)
    tell({"update_id": 7, "channel_post": update["message"]})
    assert states() == [("rejected", "not_enquiry")] * 2


def test_our_own_answers_in_a_business_chat_are_on_the_card(tell):
    own = message("Добрый день", 2)["message"] | {"from": {"id": 5, "first_name": "Анна"}}
    tell({"update_id": 1, "business_message": own})
    assert states() == [("rejected", "own")]
    tell({"update_id": 2, "business_message": message()["message"] | {"business_connection_id": "bc"}})
    tell({"update_id": 3, "business_message": own})
    assert states()[1:] == [("lead", ""), ("merged", "")]
    assert sorted(ChatLine.objects.values_list("text", "is_ours", "author")) == [
        ("Добрый день", True, "Анна"), ("Здравствуйте!", False, ""),
    ]  # fmt: skip
    assert Conversation.objects.get().details == {"business_connection_id": "bc"}
    assert Interaction.objects.filter(kind="message_out", text="Добрый день").count() == 1


def test_what_is_taken_back_stays_struck_out(tell):
    chat = message()["message"]["chat"]
    gone = {"update_id": 9, "deleted_business_messages": {"chat": chat, "message_ids": [1, 8]}}
    tell(gone)
    assert states() == [("rejected", "unknown_thread")]
    tell(message())
    tell(gone)
    tell(message("поздно", 8))
    assert sorted((line.provider_id, line.text, line.deleted_at is None) for line in ChatLine.objects.all()) == [
        ("1", "Здравствуйте!", False), ("8", "поздно", False),
    ]  # fmt: skip


def test_who_blocks_the_bot_is_known_to_have(tell):
    tell(message())
    chat = message()["message"]["chat"]
    tell({"update_id": 5, "my_chat_member": {"chat": chat, "from": chat, "date": 1700000100,
                                             "new_chat_member": {"status": "kicked"}}})  # fmt: skip
    assert Conversation.objects.get().blocked_at is not None
    tell(message("Передумал", 2))
    assert Conversation.objects.get().blocked_at is None


def test_media_are_rows_with_their_caption(tell):
    tell(message("", caption="чертёж", document={"file_id": "F1", "file_name": "план.pdf",
                                                               "mime_type": "application/pdf", "file_size": 10}))  # fmt: skip
    assert list(ChatFile.objects.values_list("kind", "ref", "name", "mime", "size", "line__text")) == [
        ("document", "F1", "план.pdf", "application/pdf", 10, "чертёж")
    ]


@pytest.mark.parametrize(
    ("headers", "status", "reason"),
    [({}, 401, "unsigned"), ({"X-Telegram-Bot-Api-Secret-Token": "wrong"}, 401, "bad_signature")],
)
def test_a_wrong_secret_is_refused_and_kept(headers, status, reason, bot, post):
    response = post("tg", json_=message(), headers=headers)
    assert (response.status_code, states()) == (status, [("rejected", reason)])


def test_both_secrets_hold_while_one_is_changed(bot, post, judged):
    bot.secret, bot.settings = "new", {"old_secret": "s3cret"}
    bot.save()
    assert post("tg", json_=message(), headers=SECRET).status_code == 200


def test_half_a_body_is_400_and_unknown_kinds_are_kept(tell):
    raw = json.dumps(message()).encode()
    assert tell(raw[: len(raw) // 2]).status_code == 400
    assert tell({"update_id": 3, "something_new": {"a": 1}}).status_code == 200
    assert states() == [("rejected", "unparseable"), ("rejected", "not_enquiry")]


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(["message", "edited_message", "callback_query", "chat", "from", "id", "type", "photo", "contact",
                         "document", "text", "date", "message_id", "reply_markup", "inline_keyboard", "location",
                         "my_chat_member", "deleted_business_messages", "message_ids", "new_chat_member"]),
        inner, max_size=6,
    ),
    max_leaves=25,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(payload=st.dictionaries(st.sampled_from(["message", "edited_message", "callback_query", "my_chat_member",
                                                "deleted_business_messages"]), JSONS))  # fmt: skip
def test_no_json_makes_the_parser_stumble(payload):
    telegram.parse(base.Body({}, payload=payload), None, headers={})


def test_a_handle_that_changed_hands_makes_nobody_one(tell):
    tell(message("раз", 1, user=1))
    second = message("два", 1, user=2)
    second["message"]["from"]["username"] = "PetrI1"
    tell(second)
    assert Lead.objects.values("person").distinct().count() == 2


def test_a_referral_code_in_a_deep_link_counts(tell, funnels):
    friend = PersonFactory()
    ReferralCode.objects.create(code="anna7", person=friend)
    tell(message("/start ref_ANNA7"))
    assert Lead.objects.get().interactions.filter(kind="referred").count() == 1


@pytest.mark.parametrize("keyboard", [5, "x", {"a": 1}, [5, "x", None], [[5, None, {"text": 3}]]])
def test_a_button_nested_oddly_is_still_a_message(keyboard, tell):
    chat = message()["message"]["chat"]
    query = {
        "id": "9",
        "from": chat,
        "data": "yes",
        "message": {"chat": chat, "reply_markup": {"inline_keyboard": keyboard}},
    }
    tell({"update_id": 1, "callback_query": query})
    assert list(ChatLine.objects.values_list("text", "kind")) == [("yes", "button")]
