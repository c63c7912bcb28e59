"""Twilio: signed by address and parameters, legs of one call, recordings, TwiML."""

import pytest

from leads.capture import twilio
from leads.models import Call, Interaction, Lead
from tests.leads.capture.telephony import exchange, phone_of, states, the_call
from tests.leads.capture.test_real_bodies import FORM, body_of

TOKEN, URL = "12345", "http://testserver/capture/twilio/"
IN = {"CallSid": "CA1", "From": "+79161234567", "To": "+14155550000", "Direction": "inbound", "CallStatus": "ringing",
      "AccountSid": "AC1"}  # fmt: skip
LEG = {"CallSid": "CA2", "ParentCallSid": "CA1", "From": "+79161234567", "To": "sip:101@office.example", "AccountSid": "AC1",
       "Direction": "outbound-dial"}  # fmt: skip
RECORDED = {"CallSid": "CA1", "RecordingSid": "RE1", "RecordingStatus": "completed", "RecordingDuration": "40",
            "RecordingUrl": "https://api.twilio.com/2010-04-01/Accounts/AC1/Recordings/RE1"}  # fmt: skip


@pytest.fixture
def source(funnels):
    return exchange("twilio", secret=TOKEN, settings={"account_sid": "AC1"})


@pytest.fixture
def tell(post, source):
    def send(fields, token=TOKEN, url=URL, path=""):
        sign = twilio.signature(url + path, fields.items(), token)
        return post("twilio", fields, path="/capture/{}/" + path, headers={"X-Twilio-Signature": sign})

    return send


def test_the_signature_is_that_of_the_documentation():
    fields = {"CallSid": "CA1234567890ABCDE", "From": "+12349013030", "To": "+18005551212", "Caller": "+12349013030", "Digits": "1234"}  # fmt: skip
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    assert twilio.signature(url, fields.items(), "12345") == "0/KCTR6DLpKmkAf8muzZqo1nDgQ="


def test_the_real_status_counts_seconds_not_minutes(source, post, judged):
    raw = body_of("twilio", "status_completed_br.txt")
    source.settings = source.settings | {"strangers": "lead"}
    source.save()
    from leads.capture.base import parse_body

    pairs = [(name, values[0]) for name, values in parse_body(FORM, raw).fields.items()]
    sign = twilio.signature(URL, pairs, TOKEN)
    answers = [post("twilio", raw=raw, type_=FORM, headers={"X-Twilio-Signature": sign}) for _n in range(2)]
    judged()
    assert [(a.status_code, a.content, a["Content-Type"]) for a in answers] == [
        (200, b"<Response/>", "text/xml; charset=utf-8")
    ] * 2
    assert states() == [("lead", ""), ("merged", "")]
    assert the_call("direction", "client", "ours", "duration", "talk", "result") == (
        "out", "+551100000112", "+16460000895", 49, 49, "answered",
    )  # fmt: skip


def test_behind_a_proxy_the_public_address_is_what_was_signed(tell, source, settings, judged):
    settings.PUBLIC_URL = "https://crm.example.com"
    assert tell(IN, url="https://crm.example.com/capture/twilio/").status_code == 200
    assert tell(IN, url="https://crm.example.com:443/capture/twilio/").status_code == 200
    assert tell(IN, url="https://other.example.com/capture/twilio/").status_code == 401


@pytest.mark.parametrize("fields", [IN, LEG | {"CallStatus": "in-progress"}, RECORDED])
def test_a_wrong_signature_is_refused(tell, judged, fields):
    assert tell(fields, token="other").status_code == 401
    judged()
    assert (states(), Call.objects.count()) == ([("rejected", "bad_signature")], 0)


def test_cut_in_half_it_is_refused(source, post):
    raw = body_of("twilio", "status_completed_br.txt")
    assert post("twilio", raw=raw[:300], type_=FORM, headers={"X-Twilio-Signature": "x"}).status_code == 401


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4, 5), (5, 4, 3, 2, 1, 0), (4, 0, 3, 5, 1, 2)])
def test_the_legs_of_an_answered_call_are_one(source, tell, judged, rep, order):
    phone_of(rep, source, "101")
    said = [
        IN, LEG | {"CallStatus": "ringing"}, LEG | {"CallStatus": "in-progress"},
        LEG | {"CallStatus": "completed", "CallDuration": "40"}, IN | {"CallStatus": "completed", "CallDuration": "55"}, RECORDED,
    ]  # fmt: skip
    for place in order:
        assert tell(said[place], path="status/").status_code == 200
    judged()
    assert the_call("direction", "client", "colleague", "result", "talk", "duration", "recording") == (
        "in", "+79161234567", rep, "answered", 40, 55, RECORDED["RecordingUrl"],
    )  # fmt: skip
    assert Lead.objects.get().owner == rep
    assert list(Interaction.objects.filter(kind__startswith="call").values_list("kind", "by")) == [("call", rep.pk)]


def test_picked_up_by_the_menu_and_by_nobody_else_it_is_missed(source, tell, judged):
    for fields in (IN | {"CallStatus": "in-progress"}, LEG | {"CallStatus": "ringing"}, LEG | {"CallStatus": "no-answer"},
                   IN | {"CallStatus": "completed", "CallDuration": "20"}):  # fmt: skip
        tell(fields)
    judged()
    assert the_call("result", "talk") == ("missed", 0)


def test_an_incoming_call_is_put_through_to_whom_the_source_names(source, tell):
    source.settings = source.settings | {"forward": "+79990000001, sip:101@office.example"}
    source.save()
    text = tell(IN).content.decode()
    assert (
        "<Number statusCallback=" in text
        and ">+79990000001</Number>" in text
        and ">sip:101@office.example</Sip>" in text
    )
    assert tell(IN | {"CallStatus": "completed"}).content == b"<Response/>"


def test_other_kinds_are_stored_and_answered(tell, judged):
    assert tell({"SmsSid": "SM1", "Body": "hi", "From": "+1"}).content == b"<Response/>"
    judged()
    assert states() == [("rejected", "not_enquiry")]
