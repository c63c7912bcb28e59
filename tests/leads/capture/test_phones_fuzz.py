"""Whatever is sent to an exchange's address: read as news of calls, as nothing, or refused in words; never a crash."""

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leads.capture import asterisk, mango, twilio, uis, zadarma
from leads.capture.base import Refused, parse_body
from leads.telephony import CallEvent, fold

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SOURCE = SimpleNamespace(settings={}, secret="", key="x")
NAMES = {
    mango: ("entry_id", "call_id", "timestamp", "call_state", "location", "from", "to", "call_direction", "entry_result",
            "talk_time", "end_time", "create_time", "recording_id", "line_number", "extension", "number"),
    zadarma: ("event", "call_start", "pbx_call_id", "caller_id", "called_did", "internal", "duration", "disposition"),
    uis: ("call_session_id", "notification_name", "contact_phone_number", "talk_time_duration", "direction", "start_time"),
    twilio: ("CallSid", "ParentCallSid", "CallStatus", "From", "To", "Direction", "Timestamp", "CallDuration", "RecordingUrl"),
    asterisk: ("event", "uniqueid", "src", "dst", "disposition", "start", "channel", "dstchannel", "calleridnum", "cause"),
}  # fmt: skip
WORDS = st.one_of(
    st.text(max_size=20), st.integers(-10, 10**20).map(str), st.none(), st.booleans(), st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["Connected", "NOTIFY_END", "completed", "ANSWERED", "Hangup", "in", "2026-01-01 12:00:00", "+79161234567"]),
)  # fmt: skip


def read(adapter, kind, raw):
    try:
        body = getattr(adapter, "read", parse_body)(kind, raw)
        return adapter.parse(body, SOURCE, headers={}, region="RU", path="/capture/x/events/call", received_at=NOW)
    except Refused as refused:
        assert refused.status in {400, 415, 422}
        return None


@pytest.mark.parametrize("adapter", NAMES, ids=lambda adapter: adapter.__name__.rpartition(".")[2])
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_nothing_makes_it_fall(adapter, data):
    values = st.recursive(
        WORDS, lambda inner: st.dictionaries(st.sampled_from(NAMES[adapter]), inner, max_size=3), max_leaves=4
    )
    said = data.draw(st.dictionaries(st.sampled_from(NAMES[adapter]), values, max_size=8))
    text = json.dumps(said)
    flat = {name: value for name, value in said.items() if not isinstance(value, dict)}
    for kind, raw in (
        ("application/json", text.encode()), ("application/x-www-form-urlencoded", urlencode(flat).encode("utf-8", "replace")),
        ("application/x-www-form-urlencoded", urlencode({"json": text}).encode()),
    ):  # fmt: skip
        parsed = read(adapter, kind, raw)
        if parsed and parsed.events:
            assert all(
                isinstance(event, CallEvent) and event.call and len(event.call) <= 128 for event in parsed.events
            )
            facts = fold(parsed.events)
            assert len(facts.client) <= 40 and len(facts.ours) <= 64 and len(facts.extension) <= 64
            json.dumps(parsed.as_json())


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_bytes_that_are_nothing_are_refused_or_nothing(raw):
    for adapter in NAMES:
        for kind in ("application/json", "application/x-www-form-urlencoded", "text/csv", "text/plain", ""):
            read(adapter, kind, raw)
