"""UIS, CoMagic, CallGear: HTTP notifications whose JSON the customer composes of the provider's parameters.

Follows https://www.uiscom.ru (Notifications of events; Call API 4.0, JSON-RPC ``start.employee_call``). The provider's own
page of parameters is not public; their names and the eight notifications are as partners are told to paste them
(https://planfix.com/ru/help, "Integration with UIS" and "with CallGear"). The guide says which JSON to paste; other
compositions are understood as long as the parameters keep their names. What happened is told by ``event`` where the
composition states it, else by the notification's mnemonic or name, else by what is in it.
"""

import re

from django.utils.translation import gettext_lazy

from leads import telephony
from leads.capture import base, calling
from leads.capture.base import Reply, Setting
from leads.telephony import ANSWERED, ENDED, IN, INTERNAL, OUT, RECORDED, RINGING, STARTED, CallEvent

LABEL = "UIS, CoMagic"
NEEDS_SECRET = True
SECRET_HELP = gettext_lazy("Stands in the body of each notification.")
CHANNEL = "phone"
METHODS = ("GET",)
API = "https://callapi.uiscom.ru/v4.0"
SETTINGS = {
    "access_token": Setting(gettext_lazy("Access token of the Call API"), secret=True),
    "virtual_number": Setting(gettext_lazy("Virtual number for outgoing calls")),
    "base_url": calling.base_setting(API),
    "time_zone": calling.ZONE,
    **calling.COMMON,
}
check_settings = calling.check_zone
# Words of mnemonics and names, the more particular first.
WORDS = (
    (RECORDED, r"record|запис"),
    ("lost", r"lost|missed|потерян|пропущ"),
    ("talk_over", r"talk.*(?:finish|end|stop)|заверш\w* разговор|окончан\w* разговор"),
    (ENDED, r"finish|ended|complet|hangup|заверш|окончан"),
    (RINGING, r"wait|ожидан"),  # "Waiting for the answer" is no answer
    (ANSWERED, r"talk|answer(?!_?wait)|connect|accept|начал\w* разговор|ответил"),
    (RINGING, r"ring|leg|звонит"),
    (STARTED, r"call|звон|start|session"),
)


def verify(envelope, source, body):
    if base.secrets_of(source) and body is not None:
        base.check_secret(envelope, source, given=body.fields.get("secret", [""])[0])


def parse(body, source, *, headers, region, path, received_at):
    said = {name.rpartition(".")[2]: values[0].strip() for name, values in body.fields.items()}
    call = said.get("call_session_id", "")[:128]
    what = _what(said) if call else ""
    if not what:
        return calling.said([], body.warnings)
    return calling.said([_event(call, what, said, source, region, received_at)], body.warnings)


def _what(said):
    if said.get("file_link") or said.get("full_record_file_link"):
        return RECORDED
    for name in ("event", "notification_mnemonic", "notification_name"):
        words = said.get(name, "").lower()
        if found := next((stage for stage, pattern in WORDS if words and re.search(pattern, words)), None):
            return found
    if said.get("talk_time_duration") or said.get("total_time_duration"):
        return ENDED
    return STARTED if said.get("contact_phone_number") else ""


def _direction(said):
    if said.get("is_internal", "").lower() in {"true", "1"}:
        return INTERNAL
    stated = said.get("direction", "").lower()
    if stated in {"in", "out"}:
        return stated
    words = (
        f"{said.get('event', '')} {said.get('notification_mnemonic', '')} {said.get('notification_name', '')}".lower()
    )
    return (
        OUT
        if re.search(r"\bout|исходящ", words)
        else IN
        if re.search(r"\bin[_ ]|inbound|входящ|lost|потерян", words)
        else ""
    )


def _event(call, what, said, source, region, received_at):
    stated = said.get("notification_time") or said.get("notification_timestamp") or ""
    at, zone = None, calling.zone(source)
    at = telephony.moment(stated, zone)
    ended = what in {ENDED, "lost"}
    talk = telephony.seconds(said.get("talk_time_duration")) if what in {ENDED, "talk_over"} else None
    if what == RECORDED:
        talk = None
    lost = what == "lost" or said.get("is_lost", "").lower() in {"true", "1"}
    result = "" if not ended else "no_answer" if lost or talk == 0 else "answered" if talk else ""
    return CallEvent(
        call, ENDED if ended else ANSWERED if what == "talk_over" else what, at or received_at, heard=at is None,
        direction=_direction(said), client=telephony.number(_client(said), region),
        ours=said.get("virtual_phone_number", "")[:64], extension=_employee(said), name=said.get("contact_full_name", "")[:200],
        started_at=telephony.moment(said.get("start_time"), zone), talk=talk, result=result,
        duration=telephony.seconds(said.get("total_time_duration")) if ended else None,
        recording=(said.get("file_link") or said.get("full_record_file_link") or "")[:500], weight=3 if ended else 1,
    )  # fmt: skip


def _client(said):
    """The client's number; a composition without it names the caller and the called."""
    other = "called_phone_number" if _direction(said) == OUT else "calling_phone_number"
    return said.get("contact_phone_number") or said.get(other)


def _employee(said):
    """The colleague: an extension where it is stated, else the provider's id of the employee."""
    return (said.get("extension") or said.get("extension_phone_number") or said.get("employee_id") or "")[:64]


def reply(envelope, source):
    return Reply(200, "")


# --- What is asked of the provider ------------------------------------------------------------------------------------


def can_dial(source):
    return bool(source.settings.get("access_token") and source.settings.get("virtual_number"))


def dial(source, *, own, number, token):
    """start.employee_call: the employee's phone rings first."""
    api = calling.base_url(source, API)
    employee = own.account or own.number
    params = {
        "access_token": source.settings.get("access_token"), "first_call": "employee", "direction": "out",
        "virtual_phone_number": source.settings.get("virtual_number"), "contact": number.lstrip("+"),
        "employee": {"id": int(employee) if employee.isdecimal() else employee}, "external_id": token,
    }  # fmt: skip
    request = {"jsonrpc": "2.0", "method": "start.employee_call", "id": token, "params": params}
    return calling.Ask("POST", api, json=request, trusted=api)


def dialled(answer):
    found = answer.json()
    if error := calling.inner(found, "error"):
        raise calling.Failed(calling.plain(error.get("message")) or f"HTTP {answer.status}")
    session = calling.plain(calling.inner(calling.inner(found, "result"), "data").get("call_session_id"))
    if answer.status != 200 or not session:
        raise calling.Failed(f"HTTP {answer.status}")
    return session


def recording(source, call, ref):
    """The notification states the file's own address."""
    return calling.Ask("GET", ref, trusted=calling.base_url(source, API))
