"""Zadarma: the check of the address, its real notifications, each event's own signature."""

import pytest

from leads.capture import zadarma
from leads.models import Call, Interaction, Lead, Task
from tests.leads.capture.telephony import exchange, phone_of, states, the_call
from tests.leads.capture.test_real_bodies import FORM, body_of

SECRET = "s3cr3t"
START = {
    "event": "NOTIFY_START", "call_start": "2026-01-01 12:00:00", "pbx_call_id": "in_1", "caller_id": "+79161234567",
    "called_did": "+74951112233",
}  # fmt: skip
RINGS = START | {"event": "NOTIFY_INTERNAL", "internal": "101"}
ANSWER = {
    "event": "NOTIFY_ANSWER", "caller_id": "+79161234567", "destination": "101", "call_start": "2026-01-01 12:00:00",
    "pbx_call_id": "in_1", "internal": "101",
}  # fmt: skip
END = START | {"event": "NOTIFY_END", "internal": "101", "duration": "42", "disposition": "answered", "is_recorded": "1",
               "call_id_with_rec": "1519.123"}  # fmt: skip
RECORD = {"event": "NOTIFY_RECORD", "call_id_with_rec": "1519.123", "pbx_call_id": "in_1"}
OUT = {"event": "NOTIFY_OUT_END", "internal": "101", "destination": "+79161234567", "call_start": "2026-01-01 13:00:00",
       "pbx_call_id": "out_1", "caller_id": "+74951112233", "duration": "30", "disposition": "answered"}  # fmt: skip


@pytest.fixture
def source(funnels):
    return exchange("zadarma", secret=SECRET)


@pytest.fixture
def tell(post, source):
    def send(fields, secret=SECRET):
        text = "".join(fields.get(name, "") for name in zadarma.SIGNED[fields["event"]])
        return post("zadarma", fields, headers={"Signature": zadarma.sign(text, secret)})

    return send


def test_the_signature_is_base64_of_the_hexadecimal_text():
    expected = "MmZiN2FkOWVkOTI4ZTEzYWZlZDliNjg4N2UxNzZjYWNjNTEwNWY1Yg=="
    assert zadarma.sign("+48123456789+489876543212026-01-01 12:00:00", SECRET) == expected


def test_the_check_of_the_address_is_echoed(source, client):
    response = client.get("/capture/zadarma/?zd_echo=1234567890")
    assert (response.status_code, response.content, states()) == (200, b"1234567890", [])


def test_the_real_start_with_its_bare_plus_is_verified_and_makes_the_card(source, post, judged):
    raw = body_of("zadarma", "notify_start.txt")
    sign = zadarma.sign("+48123456789+489876543212026-01-01 12:00:00", SECRET)
    answers = [post("zadarma", raw=raw, type_=FORM, headers={"Signature": sign}) for _n in range(2)]
    judged()
    assert [(answer.status_code, answer.content) for answer in answers] == [(200, b"")] * 2
    assert states() == [("lead", ""), ("merged", "")]
    assert the_call("client", "ours", "direction") == ("+48123456789", "+48987654321", "in")


def test_the_real_outgoing_call_to_a_client_is_the_colleagues_touch(source, post, judged, rep):
    phone_of(rep, source, "100")
    raw = body_of("zadarma", "notify_out_end.txt")
    sign = zadarma.sign("100519305553092026-10-05 09:15:07", SECRET)
    source.settings = {"strangers": "lead"}
    source.save()
    assert post("zadarma", raw=raw, type_=FORM, headers={"Signature": sign}).status_code == 200
    judged()
    assert the_call("client", "direction", "colleague", "result", "talk") == (
        "+51930555309",
        "out",
        rep,
        "answered",
        42,
    )
    row = Interaction.objects.get(kind="call")
    assert (row.by, row.details["direction"], row.details["result"]) == (rep, "out", "reached")
    assert Lead.objects.get().waiting_since is None


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (4, 3, 2, 1, 0), (3, 0, 4, 2, 1)])
def test_a_call_is_one_whatever_the_order(source, tell, judged, rep, order):
    phone_of(rep, source, "101")
    for place in order:
        assert tell([START, RINGS, ANSWER, END, RECORD][place]).status_code == 200
    judged()
    assert the_call("direction", "client", "colleague", "result", "talk", "recording", "state") == (
        "in", "+79161234567", rep, "answered", 42, "1519.123", "ended",
    )  # fmt: skip
    assert list(Interaction.objects.filter(kind__startswith="call").values_list("kind", "by")) == [("call", rep.pk)]
    assert (Lead.objects.get().owner, Call.objects.get().made_lead) == (rep, True)


def test_missed_then_called_back_and_reached(source, tell, judged, rep):
    phone_of(rep, source, "101")
    tell(START)
    tell(RINGS)
    tell(END | {"disposition": "no answer", "duration": "0", "is_recorded": "0", "call_id_with_rec": ""})
    judged()
    task = Task.objects.get()
    assert (task.kind, task.assignee, task.done_at) == ("call", rep, None)
    tell(OUT)
    judged()
    task.refresh_from_db()
    assert (task.done_at is not None, task.done_by) == (True, rep)
    assert Lead.objects.get().waiting_since is None
    assert list(Interaction.objects.filter(kind__startswith="call").order_by("id").values_list("kind", "details__result")) == [
        ("call_missed", "missed"), ("call", "reached"),
    ]  # fmt: skip


@pytest.mark.parametrize("fields", [START, ANSWER, OUT, RECORD])
def test_a_wrong_signature_is_refused(source, tell, judged, fields):
    assert tell(fields, secret="other").status_code == 401
    judged()
    assert (states(), Call.objects.count()) == ([("rejected", "bad_signature")], 0)


def test_without_a_signature_it_is_refused_and_without_a_secret_taken_locally(source, post, judged, settings):
    assert post("zadarma", START).status_code == 401
    source.secret = ""
    source.save()
    settings.LOCAL = True
    assert post("zadarma", START).status_code == 200


def test_cut_in_half_it_is_refused(source, post):
    raw = body_of("zadarma", "notify_start.txt")
    sign = zadarma.sign("+48123456789+489876543212026-01-01 12:00:00", SECRET)
    assert post("zadarma", raw=raw[: len(raw) // 2], type_=FORM, headers={"Signature": sign}).status_code == 401


def test_other_kinds_are_stored_and_answered(source, post, judged):
    text = "+79161234567+749511122332026-01-01 12:00:00"
    fields = START | {"event": "SPEECH_RECOGNITION"}
    assert post("zadarma", fields, headers={"Signature": zadarma.sign(text, SECRET)}).status_code == 200
    judged()
    assert states() == [("rejected", "not_enquiry")]


def test_an_internal_call_is_no_enquiry(source, tell, judged):
    tell(OUT | {"event": "NOTIFY_OUT_START", "destination": "102"})
    judged()
    assert (states(), Lead.objects.count()) == ([("rejected", "internal")], 0)
