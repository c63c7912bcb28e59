"""MANGO OFFICE Virtual PBX: events of calls, recordings, and calls placed from the card.

Follows "API MANGO OFFICE" (events/call, events/summary, events/recording, events/record/added, commands/callback,
queries/recording/post): every request either way is a form with ``vpbx_api_key``, ``sign`` = SHA-256 of key + json +
salt, and ``json``. The source's secret is the salt ("key for the signature"). All events of one call share ``entry_id``.
"""

import hashlib
import json
from urllib.parse import urlencode

from django.utils.translation import gettext_lazy

from leads import telephony
from leads.capture import base, calling
from leads.capture.base import Body, Reply, Setting
from leads.capture.canary import MARK, Canary
from leads.telephony import ANSWERED, ENDED, IN, INTERNAL, LEFT, OUT, PICKED_UP, RECORDED, RINGING, STARTED, CallEvent

LABEL = "MANGO OFFICE"
NEEDS_SECRET, GIVEN_SECRET = True, True
SECRET_HELP = gettext_lazy("The key for the signature, from the API connector of MANGO OFFICE.")
CHANNEL = "phone"
API = "https://app.mango-office.ru/vpbx"
SETTINGS = {
    "api_key": Setting(
        gettext_lazy("Unique code of your PBX"), help=gettext_lazy("It is called vpbx_api_key in their account.")
    ),
    "base_url": calling.base_setting(API),
    "line": Setting(gettext_lazy("Line for outgoing calls"), help=gettext_lazy("Empty: the employee's own.")),
    **calling.COMMON,
}
DIRECTIONS = {"0": INTERNAL, "1": IN, "2": OUT}


def read(content_type, raw):
    """The form, with its ``json`` read; JSON by itself is taken as well."""
    body = base.parse_body(content_type, raw)
    if body.payload is not None or "json" not in body.fields:
        return body
    payload, _warnings = base.read_json(body.fields["json"][0].encode())
    return Body(body.fields, warnings=body.warnings, payload=payload)


def signature(key, text, salt):
    return hashlib.sha256(f"{key}{text}{salt}".encode()).hexdigest()


def verify(envelope, source, body):
    salts = base.secrets_of(source)
    if not salts or body is None:
        return
    if "sign" not in body.fields and "json" not in body.fields:
        base.check_secret(envelope, source)
        return
    key, sign, text = (body.fields.get(name, [""])[0] for name in ("vpbx_api_key", "sign", "json"))
    if not sign:
        raise base.unsigned()
    own = source.settings.get("api_key")
    right = any(base.same(sign.lower(), signature(key, text, salt)) for salt in salts)
    if not right or (own and not base.same(key, own)):
        raise base.wrong_proof()


def canary(source, mark, url):
    key, text = str(source.settings.get("api_key") or ""), json.dumps({MARK: mark})
    form = {"vpbx_api_key": key, "sign": signature(key, text, source.secret), "json": text}
    return Canary(base.FORM, urlencode(form).encode())


def parse(body, source, *, headers, region, path, received_at):
    payload = body.payload if isinstance(body.payload, dict) else {}
    entry = calling.plain(payload.get("entry_id"))[:128]
    kind = path.rstrip("/")
    reader = (
        _summary if kind.endswith("events/summary") or "entry_result" in payload
        else _recording if "/record" in kind or "recording_id" in payload
        else _call if "call_state" in payload
        else None
    )  # fmt: skip
    event = reader(payload, entry or calling.plain(payload.get("call_id"))[:128], region) if reader else None
    return calling.said([event] if event and event.call else [], body.warnings)


def _ends(payload):
    return calling.inner(payload, "from"), calling.inner(payload, "to")


def _extension(end):
    """The extension of a colleague's end; a SIP address stands for one where there is none."""
    own, number = calling.plain(end.get("extension")), calling.plain(end.get("number"))
    return own[:64] or (telephony.party(number) if number.lower().startswith("sip:") else "")


def _sides(payload, direction, region):
    """client, ours, extension by the direction of the call."""
    caller, called = _ends(payload)
    line = calling.plain(payload.get("line_number")) or calling.plain(called.get("line_number"))
    client, colleague = (called, caller) if direction == OUT else (caller, called)
    ours = telephony.party(line) if line else ""
    return {
        "client": "" if direction == INTERNAL else telephony.number(calling.plain(client.get("number")), region),
        "ours": ours, "extension": _extension(colleague),
    }  # fmt: skip


def _call(payload, call, region):
    """One state of one leg (events/call)."""
    caller, called = _ends(payload)
    direction = IN if not caller.get("extension") else INTERNAL if called.get("extension") else OUT
    human = payload.get("location") == "abonent" or (direction == OUT and not payload.get("location"))
    stage = {
        "Appeared": RINGING if human else STARTED,
        "Connected": ANSWERED if human else PICKED_UP,
        "Disconnected": LEFT,
    }.get(calling.plain(payload.get("call_state")), STARTED)
    at = telephony.moment(calling.plain(payload.get("timestamp")), calling.ZoneInfo("UTC"))
    leg = calling.plain(payload.get("call_id"))[:128]
    return CallEvent(call, stage, at, direction=direction, leg=leg, **_sides(payload, direction, region))


def _summary(payload, call, region):
    """How the whole call went (events/summary)."""
    direction = DIRECTIONS.get(calling.plain(payload.get("call_direction")), "")
    times = {}
    for name in ("create_time", "talk_time", "end_time"):
        stated = calling.plain(payload.get(name))
        times[name] = telephony.moment(stated, calling.ZoneInfo("UTC")) if stated not in {"", "0"} else None
    answered = calling.plain(payload.get("entry_result")) == "1"
    talked = answered and times["talk_time"] and times["end_time"]
    talk = max(0, int((times["end_time"] - times["talk_time"]).total_seconds())) if talked else None
    return CallEvent(
        call, ENDED, times["end_time"], direction=direction, weight=5, started_at=times["create_time"],
        answered_at=times["talk_time"] if answered else None, ended_at=times["end_time"], talk=talk,
        result="answered" if answered else "no_answer", **_sides(payload, direction, region),
    )  # fmt: skip


def _recording(payload, call, region):
    """A recording is ready (events/recording with "Completed", events/record/added)."""
    if calling.plain(payload.get("recording_state")) not in {"", "Completed"}:
        return None
    at = telephony.moment(calling.plain(payload.get("timestamp")), calling.ZoneInfo("UTC"))
    ref = calling.plain(payload.get("recording_id"))[:500]
    return CallEvent(call, RECORDED, at, recording=ref) if ref else None


def reply(envelope, source):
    return Reply(200, "")


# --- What is asked of the provider ------------------------------------------------------------------------------------


def _command(source, path, payload):
    api, text = calling.base_url(source, API), json.dumps(payload, ensure_ascii=False)
    key = source.settings.get("api_key") or ""
    form = {"vpbx_api_key": key, "sign": signature(key, text, source.secret), "json": text}
    return calling.Ask("POST", f"{api}/{path}", data=form, trusted=api)


def can_dial(source):
    return bool(source.secret and source.settings.get("api_key"))


def dial(source, *, own, number, token):
    """commands/callback: the employee's phone rings first, then the client's."""
    payload = {"command_id": token, "from": {"extension": own.number}, "to_number": number.lstrip("+")}
    if line := source.settings.get("line"):
        payload["line_number"] = line
    return _command(source, "commands/callback", payload)


def dialled(answer):
    """The provider's id of the call, where it says one; raises Failed. 1000 is "taken"."""
    result = calling.plain(answer.json().get("result"))
    if answer.status != 200 or result not in {"1000", "1"}:
        raise calling.Failed(f"HTTP {answer.status}, {result or '—'}")
    return ""


def recording(source, call, ref):
    """queries/recording/post: the answer leads to a link that lives for a moment."""
    return _command(source, "queries/recording/post", {"recording_id": ref, "action": "download"})


def recording_link(answer):
    """Where the file is; raises Failed."""
    if link := answer.headers.get("location"):
        return link
    raise calling.Failed(f"HTTP {answer.status}")
