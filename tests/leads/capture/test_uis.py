"""UIS and CoMagic: the compositions of the guide, in any order, with the customer's own names of events."""

import json

import pytest

from leads.capture import uis
from leads.models import Call, Interaction, Lead
from tests.leads.capture.telephony import exchange, phone_of, states, the_call

SECRET = "uis-secret"
BASE = {
    "call_session_id": 555001,
    "contact_phone_number": "79161234567",
    "virtual_phone_number": "74951112233",
    "secret": SECRET,
}
IN = BASE | {"notification_mnemonic": "in_call_session", "notification_name": "Входящий звонок", "direction": "in",
             "notification_time": "2026-01-01 12:00:00.125", "contact_full_name": "Анна Смирнова"}  # fmt: skip
WAITS = BASE | {"notification_name": "Ожидание ответа", "employee_id": 77, "direction": "in",
                "notification_time": "2026-01-01 12:00:05"}  # fmt: skip
TALKS = WAITS | {"notification_name": "Начало разговора", "notification_time": "2026-01-01 12:00:10"}
OVER = WAITS | {"notification_name": "Завершение звонка", "talk_time_duration": 42, "total_time_duration": 60,
                "notification_time": "2026-01-01 12:01:00"}  # fmt: skip
FILE = BASE | {
    "notification_name": "Запись разговора",
    "file_link": "https://media.uiscom.example/1.mp3",
    "file_duration": 42,
}
LOST = BASE | {"notification_mnemonic": "lost_call_session", "notification_name": "Потерянный звонок",
               "notification_time": "2026-01-01 12:00:30", "wait_time_duration": 20}  # fmt: skip


@pytest.fixture
def source(funnels):
    return exchange("uis", secret=SECRET)


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (4, 3, 2, 1, 0), (3, 1, 4, 0, 2)])
def test_a_call_is_one_whatever_the_order(source, post, judged, rep, order):
    phone_of(rep, source, "101", account="77")
    for place in order:
        response = post("uis", json_=[IN, WAITS, TALKS, OVER, FILE][place])
        assert (response.status_code, response.content) == (200, b"")
    judged()
    assert the_call("direction", "client", "ours", "colleague", "result", "talk", "duration", "recording", "name") == (
        "in", "+79161234567", "74951112233", rep, "answered", 42, 60, FILE["file_link"], "Анна Смирнова",
    )  # fmt: skip
    assert list(Interaction.objects.filter(kind__startswith="call").values_list("kind", "by")) == [("call", rep.pk)]


def test_a_lost_call_is_missed(source, post, judged):
    post("uis", json_=IN)
    post("uis", json_=LOST)
    judged()
    assert the_call("result", "state") == ("missed", "ended")
    lead = Lead.objects.get()
    assert (lead.name, lead.phone, lead.tasks.count()) == ("Анна Смирнова", "+79161234567", 1)


def test_sent_twice_it_is_done_once(source, post, judged):
    post("uis", json_=LOST)
    post("uis", json_=LOST)
    judged()
    assert (states(), Lead.objects.get().tasks.count()) == ([("lead", ""), ("merged", "")], 1)


@pytest.mark.parametrize(("secret", "status"), [("other", 401), ("", 401), (SECRET, 200)])
def test_the_secret_is_part_of_the_composition(source, post, secret, status):
    assert post("uis", json_=IN | {"secret": secret}).status_code == status


def test_cut_in_half_it_is_refused(source, post):
    raw = json.dumps(IN).encode()
    assert post("uis", raw=raw[: len(raw) // 2], type_="application/json").status_code == 400


def test_by_get_and_by_form_it_is_the_same(source, client, post, judged):
    assert client.get("/capture/uis/", {**IN, "secret": SECRET}).status_code == 200
    assert post("uis", IN).status_code == 200
    judged()
    assert (states(), Call.objects.count()) == ([("lead", ""), ("merged", "")], 1)


def test_what_is_no_call_is_stored_and_answered(source, post, judged):
    assert post("uis", json_={"secret": SECRET, "notification_name": "Обращение по чату"}).status_code == 200
    judged()
    assert states() == [("rejected", "not_enquiry")]


def test_an_outgoing_and_an_internal_call(source, post, judged):
    out = BASE | {
        "notification_name": "Исходящий звонок",
        "employee_id": 77,
        "notification_time": "2026-01-01 12:00:00",
    }
    post("uis", json_=out)
    post("uis", json_=IN | {"call_session_id": 6, "is_internal": True})
    judged()
    assert (states(), Lead.objects.count()) == ([("rejected", "own"), ("rejected", "internal")], 0)


# What the notifications are called in the English account (CallGear), and in the Russian one.
NAMES = [
    ("Inbound call on a virtual phone number", "started", "in"), ("Outbound call", "started", "out"),
    ("Waiting for the answer", "ringing", ""), ("Talk started", "answered", ""), ("Talk finished", "talk_over", ""),
    ("Call finished", "ended", ""), ("Lost call", "lost", "in"), ("Call recording completed", "recorded", ""),
    ("Входящий звонок на виртуальный номер", "started", "in"), ("Ожидание ответа", "ringing", ""),
    ("Завершение разговора", "talk_over", ""), ("Завершение звонка", "ended", ""),
]  # fmt: skip


@pytest.mark.parametrize(("name", "stage", "direction"), NAMES)
def test_a_notification_is_known_by_its_name(name, stage, direction):
    said = {"notification_name": name}
    assert (uis._what(said), uis._direction(said)) == (stage, direction)


def test_a_composition_without_the_contact_names_caller_and_called(source, post, judged):
    ends = {"calling_phone_number": "79161234567", "called_phone_number": "74951112233"}
    post("uis", json_={n: v for n, v in LOST.items() if n != "contact_phone_number"} | ends)
    judged()
    assert the_call("client", "direction") == ("+79161234567", "in")
