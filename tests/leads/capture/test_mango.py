"""MANGO OFFICE: its real events, signed and not, in any order."""

import json

import pytest

from leads.capture import mango
from leads.models import Call, Interaction, Lead, Submission, Task
from tests.leads.capture.telephony import exchange, phone_of, states, the_call
from tests.leads.capture.test_real_bodies import FORM, body_of

KEY, SALT = "TESTKEY", "TESTSALT"
CALL = {
    "entry_id": "E1", "call_id": "leg1", "timestamp": 1700000000, "seq": 1, "call_state": "Appeared", "location": "ivr",
    "from": {"number": "79161234567"}, "to": {"number": "74951112233", "line_number": "74951112233"},
}  # fmt: skip
RINGS = CALL | {"call_id": "leg2", "location": "abonent", "to": {"extension": "101", "number": "sip:a@b"}, "seq": 2}
TALKS = RINGS | {"call_state": "Connected", "timestamp": 1700000010, "seq": 3}
SUMMARY = {
    "entry_id": "E1", "call_direction": 1, "from": {"number": "79161234567"}, "to": {"extension": "101"},
    "line_number": "74951112233", "create_time": 1700000000, "forward_time": 1700000004, "talk_time": 1700000010,
    "end_time": 1700000070, "entry_result": 1, "disconnect_reason": 1110,
}  # fmt: skip
ADDED = {"entry_id": "E1", "recording_id": "REC1", "user_id": 5, "product_id": 1}


@pytest.fixture
def source(funnels):
    return exchange("mango", secret=SALT, settings={"api_key": KEY})


@pytest.fixture
def tell(post, source):
    def send(kind, payload, *, salt=SALT, cut=None):
        text = payload if isinstance(payload, str) else json.dumps(payload)
        form = {"vpbx_api_key": KEY, "sign": mango.signature(KEY, text, salt), "json": text[:cut]}
        return post("mango", form, path="/capture/{}/events/" + kind)

    return send


def test_the_signature_is_the_published_one():
    text = '{"entry_id":"test-entry","call_state":"Appeared"}'
    assert mango.signature(KEY, text, SALT) == "ae3e59192839802714af421992c4c7a516b59eba60052d69ad7a7ff6c2120df6"


def test_the_real_form_is_taken_twice_and_done_once(source, post, judged):
    raw = body_of("mango", "form_envelope.txt")
    answers = [post("mango", raw=raw, type_=FORM, path="/capture/{}/events/call") for _n in range(2)]
    judged()
    assert [(answer.status_code, answer.content) for answer in answers] == [(200, b"")] * 2
    assert states() == [("lead", ""), ("merged", "")]
    assert the_call("client", "direction", "state") == ("+79000000000", "in", "ringing")
    assert Lead.objects.get().phone == "+79000000000"


def test_a_real_call_at_the_menu_makes_the_card(source, tell, judged):
    assert tell("call", body_of("mango", "events_call_appeared_ivr.json").decode()).status_code == 200
    judged()
    assert the_call("client", "ours", "state") == ("+79990006761", "74990009495", "ringing")
    assert list(Lead.objects.values_list("phone", flat=True)) == ["+79990006761"]


def test_a_real_summary_is_a_call_with_its_colleague(source, tell, judged, rep):
    phone_of(rep, source, "222")
    tell("summary", body_of("mango", "events_summary_sip_line.json").decode())
    judged()
    assert the_call("direction", "client", "colleague", "result", "talk", "duration") == (
        "in", "+79600004646", rep, "answered", 119, 134,
    )  # fmt: skip
    lead = Lead.objects.get()
    assert (lead.phone, lead.owner) == ("+79600004646", rep)
    row = Interaction.objects.get(kind="call")
    assert (row.by, row.details["result"], row.details["direction"]) == (rep, "reached", "in")
    assert lead.waiting_since is None


@pytest.mark.parametrize(
    ("payload", "salt", "cut", "status", "reason"),
    [(CALL, "WRONG", None, 401, "bad_signature"), (CALL, SALT, 40, 400, "unparseable")],
)
def test_a_wrong_or_broken_delivery_is_kept_and_refused(tell, judged, payload, salt, cut, status, reason):
    assert tell("call", payload, salt=salt, cut=cut).status_code == status
    judged()
    assert (states(), Call.objects.count()) == ([("rejected", reason)], 0)


def test_without_its_signature_it_is_refused(source, post):
    response = post("mango", {"json": json.dumps(CALL)}, path="/capture/{}/events/call")
    assert (response.status_code, response.json()["error"]) == (401, "unsigned")


def test_the_salt_before_the_change_still_counts(source, tell):
    source.secret, source.settings = "NEW", {"api_key": KEY, "old_secret": SALT}
    source.save()
    assert tell("call", CALL).status_code == 200


@pytest.mark.parametrize("kind", ["dtmf", "sms", "whatever"])
def test_other_kinds_are_stored_and_answered(tell, judged, kind):
    assert tell(kind, {"seq": 1, "dtmf": "5", "location": "ivr"}).status_code == 200
    judged()
    assert states() == [("rejected", "not_enquiry")]


def test_events_in_any_order_are_one_call(tell, judged, source, rep):
    phone_of(rep, source, "101")
    for kind, payload in [
        ("record/added", ADDED),
        ("summary", SUMMARY),
        ("call", TALKS),
        ("call", RINGS),
        ("call", CALL),
    ]:
        assert tell(kind, payload).status_code == 200
    judged()
    assert the_call("direction", "client", "ours", "extension", "colleague", "result", "talk", "recording", "state") == (
        "in", "+79161234567", "74951112233", "101", rep, "answered", 60, "REC1", "ended",
    )  # fmt: skip
    assert states() == [("merged", ""), ("lead", ""), ("merged", ""), ("merged", ""), ("merged", "")]
    assert list(Interaction.objects.filter(kind__in=["call", "call_missed"]).values_list("kind", "by")) == [
        ("call", rep.pk)
    ]


def test_a_missed_call_is_a_task_to_call_back(tell, judged, rep, source):
    phone_of(rep, source, "101")
    tell("call", RINGS)
    tell("summary", SUMMARY | {"entry_result": 0, "talk_time": 0})
    judged()
    assert the_call("result", "talk", "answered_at") == ("missed", 0, None)
    lead = Lead.objects.get()
    assert list(Task.objects.values_list("lead", "kind", "assignee", "done_at")) == [(lead.pk, "call", rep.pk, None)]
    assert lead.waiting_since is not None
    assert Interaction.objects.filter(lead=lead, kind="call_missed").count() == 1


def test_a_hidden_number_is_an_unknown_caller_or_left_out(tell, judged, source):
    tell("summary", {n: v for n, v in SUMMARY.items() if n != "from"} | {"from": {}})
    judged()
    source.settings = source.settings | {"hidden": "reject"}
    source.save()
    tell("summary", {n: v for n, v in SUMMARY.items() if n != "from"} | {"from": {}, "entry_id": "E2"})
    judged()
    assert states() == [("lead", ""), ("rejected", "no_contact")]
    assert list(Lead.objects.values_list("name", "phone")) == [("Неизвестный абонент, 15.11 01:13", "")]


def test_calls_between_colleagues_and_to_strangers_make_no_card(tell, judged):
    tell("summary", SUMMARY | {"call_direction": 0, "from": {"extension": "101"}, "to": {"extension": "102"}})
    tell(
        "summary",
        SUMMARY
        | {"entry_id": "E2", "call_direction": 2, "from": {"extension": "101"}, "to": {"number": "79160000001"}},
    )
    judged()
    assert (states(), Lead.objects.count()) == ([("rejected", "internal"), ("rejected", "own")], 0)


def test_no_json_makes_it_fall(source, post):
    for text in ("[]", "null", "5", '"x"', "{}", '{"entry_id": {"a": 1}, "from": [], "to": 5, "call_state": []}'):
        form = {"vpbx_api_key": KEY, "sign": mango.signature(KEY, text, SALT), "json": text}
        assert post("mango", form, path="/capture/{}/events/call").status_code == 200
    assert set(Submission.objects.values_list("state", flat=True)) == {"waiting"}


def test_what_a_database_cannot_keep_is_left_out(tell, judged):
    strange = SUMMARY | {
        "from": {"number": "79161234567\u0000"}, "to": {"extension": "1\u00001"}, "talk_time": 1, "create_time": 1,
        "end_time": 7_000_000_000, "line_number": "\ud800",
    }  # fmt: skip
    assert tell("summary", strange).status_code == 200
    judged()
    assert (states(), the_call("client", "talk")) == ([("lead", "")], ("+79161234567", None))
