"""WhatsApp: every real delivery ends where it should; the handshake, signatures over raw bytes, statuses, ads."""

import hashlib
import hmac
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leads.capture import base, whatsapp
from leads.models import ChatFile, ChatLine, Conversation, Identity, Lead, Message, Submission
from leads.services import erasing
from tests.leads.capture.conftest import make_source
from tests.leads.capture.real import cases

pytestmark = pytest.mark.django_db
WEAK = {"reaction", "unreaction_empty", "unreaction_no_emoji"}


@pytest.fixture
def number(funnels):
    return make_source(
        key="wa", name="WhatsApp", adapter="whatsapp", secret="app-secret", settings={"verify_token": "слово-1"}
    )


def signed(raw, secret="app-secret"):
    return {"X-Hub-Signature-256": "sha256=" + hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()}


@pytest.fixture
def tell(number, post, judged):
    def send(body):
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        response = post("wa", raw=raw, type_="application/json", headers=signed(raw))
        judged()
        return response

    return send


def states():
    return list(Submission.objects.order_by("id").values_list("state", "reason"))


def delivery(*messages, wa_id="79161234567", name="Анна", **value):
    contacts = [{"profile": {"name": name}, "wa_id": wa_id}]
    meta = {"display_phone_number": "74950000000", "phone_number_id": "555"}
    value = {
        "messaging_product": "whatsapp",
        "metadata": meta,
        "contacts": contacts,
        "messages": list(messages),
    } | value
    return {
        "object": "whatsapp_business_account",
        "entry": [{"id": "1", "changes": [{"field": "messages", "value": value}]}],
    }


def text(body="Добрый день", number="wamid.1", wa_id="79161234567", **more):
    return {"from": wa_id, "id": number, "timestamp": "1700000000", "type": "text", "text": {"body": body}, **more}


def expected(name):
    """What a real delivery to an empty base becomes."""
    file, case = name.split("/")
    if file in {"message", "callback_button", "callback_selection"}:
        return ("rejected", "not_enquiry") if case in WEAK else ("lead", "")
    if file == "message_status":
        return ("rejected", "not_enquiry") if case == "group" else ("rejected", "unknown_thread")
    if file == "outgoing_message":
        return ("rejected", "unknown_thread") if case == "delete" else ("rejected", "own")
    return "rejected", "not_enquiry"


@pytest.mark.parametrize("name", sorted(cases("whatsapp_cloud")))
def test_a_real_delivery_ends_in_its_state(name, tell):
    raw = cases("whatsapp_cloud")[name]
    assert [tell(raw).status_code for _n in range(2)] == [200, 200]
    first = expected(name)
    assert states() == [first, ("merged", "") if first[0] == "lead" else first]
    assert Lead.objects.count() == ChatLine.objects.count() == (first[0] == "lead")
    if first[0] == "lead":
        assert sorted(Identity.objects.values_list("kind", "value")) == [
            ("phone", "+972987654321"), ("whatsapp", "+972987654321"), ("whatsapp", "US.13491208655302741918"),
        ]  # fmt: skip


def test_the_handshake_answers_the_right_token_alone(number, client):
    ask = {"hub.mode": "subscribe", "hub.challenge": "<b>1158201444</b>"}
    right = client.get("/capture/wa/", ask | {"hub.verify_token": "слово-1"})
    assert (right.status_code, right.content) == (200, b"<b>1158201444</b>")
    assert right.headers["Content-Type"].startswith("text/plain")
    wrong = client.get("/capture/wa/", ask | {"hub.verify_token": "<script>"})
    assert (wrong.status_code, wrong.content) == (403, b"")
    assert not Submission.objects.exists()


def test_the_signature_is_over_the_raw_bytes(number, post, judged):
    raw = json.dumps(delivery(text()), indent=3).encode()
    codes = [
        post("wa", raw=raw, type_="application/json", headers=headers).status_code
        for headers in (signed(raw), signed(raw, "other"), {}, signed(raw.replace(b"   ", b" ")))
    ]
    judged()
    assert codes == [200, 401, 401, 401]
    assert [reason for _state, reason in states()] == ["", "bad_signature", "unsigned", "bad_signature"]


def test_half_a_body_is_400(tell):
    raw = json.dumps(delivery(text())).encode()
    assert tell(raw[:100]).status_code == 400
    assert states() == [("rejected", "unparseable")]


def test_one_delivery_may_hold_two_people(tell):
    other = text("Я другой", "wamid.2", wa_id="79160000001")
    tell(delivery(text(), other))
    assert states() == [("lead", "")]
    assert sorted(Lead.objects.values_list("phone", "need", "name")) == [
        ("+79160000001", "Я другой", ""), ("+79161234567", "Добрый день", "Анна"),
    ]  # fmt: skip


def test_a_person_known_by_phone_is_not_made_again(tell, rep, post, judged):
    make_source(key="site")
    post("site", {"name": "Анна", "phone": "8 916 123-45-67"})
    judged()
    Lead.objects.update(owner=rep)
    tell(delivery(text("Пишу сюда")))
    lead = Lead.objects.get()
    assert states() == [("lead", ""), ("merged", "")]
    assert Conversation.objects.get().lead == lead
    assert list(lead.interactions.filter(kind="message_in").values_list("text", flat=True)) == ["Пишу сюда"]
    assert lead.person.identities.filter(kind="whatsapp", value="+79161234567").count() == 1


def test_an_ad_that_led_here_is_a_mark(tell):
    given = {"source_url": "https://fb.me/1", "source_id": "ad7", "headline": "Осень", "ctwa_clid": "CLID"}
    tell(delivery(text(referral=given)))
    assert Lead.objects.get().touches.get().marks == {
        "ctwa_clid": "CLID", "referrer": "https://fb.me/1", "utm_content": "ad7", "utm_campaign": "Осень",
        "utm_source": "whatsapp_ads", "utm_medium": "cpc",
    }  # fmt: skip


def test_edits_and_deletions(tell):
    tell(delivery(text()))
    edit = {"original_message_id": "wamid.1", "message": {"type": "text", "text": {"body": "Добрый вечер"}}}
    tell(delivery({"from": "79161234567", "id": "wamid.9", "timestamp": "1700000060", "type": "edit", "edit": edit}))
    tell(delivery({"from": "79161234567", "id": "wamid.10", "timestamp": "1700000070", "type": "revoke",
                   "revoke": {"original_message_id": "wamid.1"}}))  # fmt: skip
    line = ChatLine.objects.get()
    assert (line.text, line.edited_at.timestamp(), line.deleted_at.timestamp()) == (
        "Добрый вечер", 1700000060, 1700000070,
    )  # fmt: skip
    assert [state for state, _reason in states()] == ["lead", "merged", "merged"]


@pytest.mark.parametrize("order", [("sent", "delivered", "read"), ("read", "sent", "delivered")])
def test_statuses_in_any_order_end_the_same(order, tell):
    tell(delivery(text()))
    message = Message.objects.create(
        channel="whatsapp", kind="talk", conversation=Conversation.objects.get(), lead=Lead.objects.get(), text="!",
        state="sent", provider_id="wamid.out", to="79161234567", sender="",
    )  # fmt: skip
    for status in order:
        said = {"id": "wamid.out", "status": status, "timestamp": "1700000100", "recipient_id": "79161234567"}
        tell(delivery(messages=[], statuses=[said]))
    message.refresh_from_db()
    assert message.delivery == "read"
    assert [state for state, _reason in states()] == ["lead", "merged", "merged", "merged"]


def test_a_failure_says_why_and_tells_the_author(tell, rep):
    tell(delivery(text()))
    message = Message.objects.create(
        channel="whatsapp", kind="talk", conversation=Conversation.objects.get(), lead=Lead.objects.get(), text="!",
        state="unsure", to="79161234567", sender="", by=rep, reason="no_answer",
    )  # fmt: skip
    error = {"code": 131026, "title": "Undeliverable", "error_data": {"details": "No WhatsApp there"}}
    said = {"id": "wamid.new", "status": "failed", "timestamp": "1700000100", "recipient_id": "79161234567",
            "biz_opaque_callback_data": message.token, "errors": [error]}  # fmt: skip
    tell(delivery(messages=[], statuses=[said]))
    message.refresh_from_db()
    assert (message.delivery, message.provider_id) == ("failed", "wamid.new")
    assert rep.notices.filter(kind="undelivered").count() == 1


def test_media_wait_to_be_fetched(tell):
    tell(delivery({"from": "79161234567", "id": "wamid.3", "timestamp": "1700000000", "type": "document",
                   "document": {"id": "M1", "filename": "смета.xlsx", "mime_type": "application/x", "caption": "вот"}}))  # fmt: skip
    assert list(ChatFile.objects.values_list("kind", "ref", "name")) == [("document", "M1", "смета.xlsx")]
    assert ChatLine.objects.get().text == "вот"


NAMES = ["entry", "changes", "value", "messages", "contacts", "statuses", "message_echoes", "from", "id", "type", "text",
         "body", "image", "document", "interactive", "order", "errors", "edit", "revoke", "referral", "metadata", "wa_id",
         "status", "to", "contacts", "phones"]  # fmt: skip
LEAF = st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.sampled_from(["text", "edit", "contacts"])
JSONS = st.recursive(
    LEAF,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
    max_leaves=30,
)


@settings(max_examples=150, deadline=None)
@given(value=st.dictionaries(st.sampled_from(NAMES), JSONS))
def test_no_json_makes_the_parser_stumble(value):
    whatsapp.parse(base.Body({}, payload={"entry": [{"changes": [{"value": value}]}]}), None, headers={})


def test_one_erased_person_holds_up_nobody_else_of_the_delivery(tell, admin):
    def writes(number, text):
        return {
            "from": number,
            "id": f"wamid.{text}",
            "timestamp": "1760000000",
            "type": "text",
            "text": {"body": text},
        }

    tell(delivery(writes("79160000001", "one"), wa_id="79160000001"))
    erasing.erase(Lead.objects.get().person, by=admin)
    both = delivery(writes("79160000001", "late"), writes("79160000002", "two"), wa_id="79160000002", name="Борис")
    tell(both)
    lead = Lead.objects.get(phone="+79160000002")
    assert (lead.need, states()[1]) == ("two", ("lead", ""))
    row = Submission.objects.order_by("id").last()
    assert (row.lead, [event["text"] for event in row.parsed["events"]]) == (lead, ["two"])
    assert not ChatLine.objects.filter(text="late").exists()
    tell(delivery(writes("79160000001", "again"), wa_id="79160000001"))
    assert (states()[2], Lead.objects.count()) == (("rejected", "erased"), 2)
    tell(both)
    assert (states()[3][0], ChatLine.objects.filter(text="two").count()) == ("merged", 1)
