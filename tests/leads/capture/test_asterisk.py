"""Asterisk: call detail records as CSV, JSON and forms, events of the manager interface, rows of one call."""

import pytest

from leads.capture.base import Refused
from leads.models import Call, Interaction, Lead
from tests.leads.capture.telephony import exchange, phone_of, states, the_call
from tests.leads.capture.test_real_bodies import body_of

SECRET = "cdr-secret"
KEY = {"headers": {"Authorization": f"Bearer {SECRET}"}}
ANSWERED = (
    '"","79161234567","74951112233","from-trunk","""Анна"" <79161234567>","PJSIP/trunk-0000001a","PJSIP/101-0000001b","Dial",'
    '"PJSIP/101,30","2026-01-01 12:00:00","2026-01-01 12:00:10","2026-01-01 12:01:10",70,60,"ANSWERED","DOCUMENTATION",'
    '"1767258000.26","rec/in-1.wav"\n'
)
MISSED = (
    '"","79161234568","101","from-trunk","79161234568","PJSIP/trunk-0000002a","PJSIP/101-0000002b","Dial","PJSIP/101,30",'
    '"2026-01-01 13:00:00","","2026-01-01 13:00:30",30,0,"NO ANSWER","DOCUMENTATION","1767261600.30",""\n'
)
OUT = (
    '"","101","89161234567","from-internal","101","PJSIP/101-0000003a","PJSIP/trunk-0000003b","Dial","x",'
    '"2026-01-01 14:00:00","2026-01-01 14:00:05","2026-01-01 14:00:35",35,30,"ANSWERED","DOCUMENTATION","1767265200.40",""\n'
)
INNER = OUT.replace("89161234567", "102").replace("trunk-0000003b", "102-0000003b").replace(".40", ".50")


@pytest.fixture
def source(funnels):
    return exchange("asterisk", secret=SECRET, settings={"time_zone": "Europe/Moscow"})


@pytest.fixture
def tell(post, source):
    return lambda raw, type_="text/csv", **more: post("asterisk", raw=raw.encode() if isinstance(raw, str) else raw, type_=type_, **KEY | more)  # fmt: skip


def test_the_real_event_with_repeated_keys_is_a_call(tell, judged, source):
    raw = body_of("asterisk", "ami_newchannel_repeated_keys.txt")
    assert [tell(raw, "text/plain").status_code for _n in range(2)] == [200, 200]
    judged()
    assert states() == [("lead", ""), ("merged", "")]
    assert the_call("external_id", "direction", "client", "state", "name") == (
        "1368479157.3", "in", "657-5309", "ringing", "Miss Piggy",
    )  # fmt: skip
    assert Lead.objects.get().name == "Miss Piggy"


def test_rows_of_the_file_are_calls(tell, judged, source, rep):
    phone_of(rep, source, "101")
    assert tell(ANSWERED + MISSED + INNER).content == b"OK"
    judged()
    calls = Call.objects.exclude(direction="internal").order_by("external_id")
    assert list(calls.values_list("direction", "client", "colleague", "result", "talk", "duration", "recording", "name")) == [
        ("in", "+79161234567", rep.pk, "answered", 60, 70, "rec/in-1.wav", "Анна"),
        ("in", "+79161234568", rep.pk, "missed", 0, 30, "", ""),
    ]  # fmt: skip
    assert calls[0].started_at.isoformat() == "2026-01-01T09:00:00+00:00"
    assert list(Lead.objects.order_by("id").values_list("name", "phone", "owner")) == [
        ("Анна", "+79161234567", rep.pk), ("", "+79161234568", None),
    ]  # fmt: skip
    tell(OUT)
    judged()
    rows = Interaction.objects.filter(kind__startswith="call").order_by("at")
    assert [(row.kind, row.by, row.details["direction"], row.details["result"]) for row in rows] == [
        ("call", rep, "in", "reached"), ("call_missed", None, "in", "missed"), ("call", rep, "out", "reached"),
    ]  # fmt: skip


def test_the_same_rows_again_change_nothing(tell, judged, source):
    tell(ANSWERED)
    tell(ANSWERED + MISSED)
    judged()
    assert (
        Call.objects.count(),
        Lead.objects.count(),
        Interaction.objects.filter(kind__startswith="call").count(),
    ) == (2, 2, 2)


def test_rows_of_one_call_are_one_and_somebody_answered(tell, judged, source, rep, colleague):
    phone_of(rep, source, "101")
    phone_of(colleague, source, "102")
    head = "uniqueid,linkedid,src,dst,channel,dstchannel,start,answer,end,duration,billsec,disposition\n"
    first = "1.1,1.1,79161234567,600,PJSIP/t-1,PJSIP/101-2,2026-01-01 12:00:00,,2026-01-01 12:00:15,15,0,NO ANSWER\n"
    second = "1.1,1.1,79161234567,600,PJSIP/t-1,PJSIP/102-3,2026-01-01 12:00:00,2026-01-01 12:00:16,2026-01-01 12:01:00,60,44,ANSWERED\n"
    tell(head + second)
    tell(head + first)
    judged()
    assert the_call("colleague", "result", "talk") == (colleague, "answered", 44)


@pytest.mark.parametrize("form", ["json", "form", "rows"])
def test_a_row_by_json_or_form(tell, post, judged, source, form):
    row = {"src": "+79161234567", "dst": "74951112233", "calldate": "2026-01-01 12:00:00", "disposition": "NO ANSWER",
           "duration": "12", "billsec": "0", "uniqueid": "9.9", "dstchannel": "SIP/101-1", "channel": "SIP/trunk-2"}  # fmt: skip
    if form == "form":
        assert post("asterisk", row, **KEY).status_code == 200
    else:
        assert post("asterisk", json_={"rows": [row]} if form == "rows" else row, **KEY).status_code == 200
    judged()
    assert the_call("client", "direction", "result", "extension", "duration") == (
        "+79161234567",
        "in",
        "missed",
        "101",
        12,
    )


def test_the_manager_interface_tells_of_a_call_while_it_rings(tell, judged, source, rep):
    phone_of(rep, source, "101")
    start = "Event: Newchannel\r\nChannel: PJSIP/trunk-1\r\nCallerIDNum: 79161234567\r\nExten: 74951112233\r\nUniqueid: 5.1\r\nLinkedid: 5.1\r\n\r\n"
    ring = "Event: DialBegin\r\nChannel: PJSIP/trunk-1\r\nCallerIDNum: 79161234567\r\nDestChannel: PJSIP/101-2\r\nDestUniqueid: 5.2\r\nUniqueid: 5.1\r\nLinkedid: 5.1\r\n\r\n"
    up = ring.replace("DialBegin", "DialEnd").replace("\r\n\r\n", "\r\nDialStatus: ANSWER\r\n\r\n")
    down = "Event: Hangup\r\nChannel: PJSIP/trunk-1\r\nCallerIDNum: 79161234567\r\nUniqueid: 5.1\r\nLinkedid: 5.1\r\nCause: 16\r\n\r\n"
    tell(start + ring, "text/plain")
    judged()
    assert the_call("state", "extension", "colleague") == ("ringing", "101", rep)
    tell(up, "text/plain")
    tell(down, "text/plain")
    judged()
    assert the_call("state", "result", "colleague") == ("ended", "answered", rep)


@pytest.mark.parametrize(
    ("raw", "type_"),
    [
        ("a,b\n1,2\n", "text/csv"),
        ('"unclosed', "text/csv"),
        ("", "text/csv"),
        ("[1,2]", "application/json"),
        ("{", "application/json"),
    ],
)
def test_what_are_no_records_is_refused_with_a_reason(tell, judged, raw, type_):
    assert tell(raw, type_).status_code in {400, 422}
    assert [state for state, _reason in states()] == ["rejected"]


def test_cut_in_half_it_is_refused(tell):
    assert tell(ANSWERED[: len(ANSWERED) // 2]).status_code == 400


def test_a_wrong_secret_is_refused(post, source):
    assert (
        post("asterisk", raw=ANSWERED.encode(), type_="text/csv", headers={"Authorization": "Bearer no"}).status_code
        == 401
    )


def test_other_events_are_stored_and_answered(tell, judged):
    assert tell("Event: PeerStatus\r\nPeer: SIP/101\r\nUniqueid: 1\r\n\r\n", "text/plain").status_code == 200
    judged()
    assert states() == [("rejected", "not_enquiry")]


def test_a_recording_lies_below_its_address_or_nowhere(source):
    from leads.capture import asterisk, calling

    source.settings = {"recordings_url": "http://127.0.0.1:9/rec"}
    assert asterisk.recording(source, None, "2026/a b.wav").url == "http://127.0.0.1:9/rec/2026/a%20b.wav"
    for ref in ("../etc/passwd", "http://elsewhere.example/a.wav"):
        with pytest.raises(calling.Failed):
            asterisk.recording(source, None, ref)
    assert issubclass(Refused, Exception)
