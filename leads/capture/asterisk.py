"""Asterisk (FreePBX, Issabel and others upon it): call detail records and events of the manager interface.

Follows https://docs.asterisk.org ("CDR Specification", cdr_csv's Master.csv, AMI events, ARI channels). Taken alike: rows of
CSV with or without a header, JSON rows and forms by HTTP, the text of AMI events (its keys may repeat), and files in a
folder that is watched. Rows of one call share ``linkedid``, else ``uniqueid``.
"""

import csv
import hashlib
import io
import re
from urllib.parse import quote

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads import telephony
from leads.capture import base, calling
from leads.capture.base import Body, Refused, Reply, Setting
from leads.telephony import ANSWERED, ENDED, IN, INTERNAL, OUT, PICKED_UP, RINGING, STARTED, CallEvent

LABEL = "Asterisk"
NEEDS_SECRET = True
SECRET_HELP = gettext_lazy("Stands in the header “Authorization: Bearer” of what is sent.")
CHANNEL = "phone"
MAX_ROWS = 1000
SETTINGS = {
    "time_zone": calling.ZONE,
    "longest": Setting(gettext_lazy("Digits of the longest extension"), kind="number", default=5),
    "folder": Setting(
        gettext_lazy("Folder of CDR files (*.csv) on this server"),
        help=gettext_lazy("For example: /var/log/asterisk/cdr-csv"),
    ),
    "base_url": Setting(
        gettext_lazy("Address of ARI"), kind="url", help=gettext_lazy("For example: http://192.0.2.10:8088")
    ),
    "ari_user": Setting(gettext_lazy("User of ARI")),
    "ari_password": Setting(gettext_lazy("Password of ARI"), secret=True),
    "context": Setting(gettext_lazy("Context for outgoing calls"), default="from-internal"),
    "technology": Setting(gettext_lazy("Channel technology"), default="PJSIP"),
    "recordings_url": Setting(gettext_lazy("Address of the folder of recordings"), kind="url"),
    "recordings_user": Setting(gettext_lazy("User of the recordings")),
    "recordings_password": Setting(gettext_lazy("Password of the recordings"), secret=True),
    **calling.COMMON,
}
# Master.csv has no header: this is its order; uniqueid and userfield follow where they are switched on.
COLUMNS = (
    "accountcode", "src", "dst", "dcontext", "clid", "channel", "dstchannel", "lastapp", "lastdata", "start", "answer",
    "end", "duration", "billsec", "disposition", "amaflags", "uniqueid", "userfield",
)  # fmt: skip
ALIASES = {
    "calldate": "start", "source": "src", "destination": "dst", "destinationcontext": "dcontext", "callerid": "clid",
    "destinationchannel": "dstchannel", "starttime": "start", "answertime": "answer", "endtime": "end",
    "billableseconds": "billsec", "lastapplication": "lastapp", "recordingfile": "recording", "cnam": "name",
    "unique_id": "uniqueid", "linked_id": "linkedid",
}  # fmt: skip
RESULTS = {"ANSWERED": "answered", "ANSWER": "answered", "BUSY": "busy", "FAILED": "failed", "CONGESTION": "failed"}
UTC = calling.ZoneInfo("UTC")


def check_settings(settings):
    calling.check_zone(settings)
    longest, technology = settings.get("longest"), settings.get("technology") or "PJSIP"
    if longest not in (None, "") and (not str(longest).isdecimal() or not 1 <= int(longest) <= 9):
        raise ValidationError(_("The longest extension has from 1 to 9 digits."))
    if not re.fullmatch(r"[A-Za-z0-9]{2,12}", str(technology)):
        raise ValidationError(_("This is no channel technology: %s") % technology)
    if (folder := settings.get("folder")) and not str(folder).startswith("/"):
        raise ValidationError(_("The folder must be a whole path."))


# --- Reading ----------------------------------------------------------------------------------------------------------


def read(content_type, raw):
    """Rows of whatever form; ``payload`` is a list of dicts with lower-case names."""
    text = _text(content_type, raw)
    start = text.lstrip("\ufeff \r\n\t")
    kind = base.media_type(content_type)
    if re.match(r"(?:Event|Response|Action|Asterisk Call Manager)\b[:/ ]", start):
        return Body({}, payload=_ami(start))
    if kind == base.JSON or start[:1] in ("{", "["):
        return Body({}, payload=_json(raw, content_type))
    if kind in {base.FORM, base.MULTIPART} and not start.startswith('"'):
        body = base.parse_body(content_type, raw)
        return Body(body.fields, warnings=body.warnings, payload=[_named({n: v[0] for n, v in body.fields.items()})])
    return Body({}, payload=_csv(start))


def _text(content_type, raw):
    codec, _warnings = base.decoding([raw], base.charset_of(content_type))
    return base.clean(raw.decode(codec, "replace"))


def _named(row):
    found = {}
    for name, value in row.items():
        key = str(name).strip().lower().removeprefix("cdr_")
        found.setdefault(ALIASES.get(key, key), "" if value is None else base.clean(str(value)).strip()[:500])
    return found


def _json(raw, content_type):
    payload, _warnings = base.read_json(raw, base.charset_of(content_type))
    rows = payload if isinstance(payload, list) else payload.get("rows") if isinstance(payload, dict) else None
    rows = rows if isinstance(rows, list) else [payload]
    if len(rows) > MAX_ROWS or not all(isinstance(row, dict) for row in rows):
        raise Refused(422, "invalid", _("Call records are objects, at most %d at once.") % MAX_ROWS)
    return [_named({n: v for n, v in row.items() if not isinstance(v, dict | list)}) for row in rows]


def _ami(text):
    """Events of the manager interface, each ended by an empty line; of a key that repeats the first value counts."""
    rows = []
    for block in re.split(r"\r?\n\s*\r?\n", text)[: MAX_ROWS + 1]:
        pairs = [line.partition(":") for line in block.splitlines() if ":" in line]
        row = {}
        for name, _colon, value in pairs:
            row.setdefault(name.strip().lower(), value.strip()[:500])
        if "event" in row:
            rows.append(row if row["event"].lower() != "cdr" else _named(row))
    if len(rows) > MAX_ROWS or not rows:
        raise Refused(400, "unparseable", _("No events of the manager interface were found."))
    return rows


def _csv(text):
    try:
        lines = [line for line in csv.reader(io.StringIO(text, newline=""), strict=True) if any(line)]
    except csv.Error as error:
        raise Refused(400, "unparseable", _("The table could not be read: %s") % error) from None
    head = [cell.strip().lower() for cell in lines[0]] if lines else []
    named = {"src", "dst", "disposition"} <= {ALIASES.get(cell, cell) for cell in head}
    columns, lines = (head, lines[1:]) if named else (COLUMNS, lines)
    if len(lines) > MAX_ROWS or any(len(line) < (3 if named else 15) for line in lines) or not (lines or named):
        raise Refused(400, "unparseable", _("These are no call detail records: %d or more columns are needed.") % 15)
    return [_named(dict(zip(columns, line, strict=False))) for line in lines]


def verify(envelope, source, body):
    if base.secrets_of(source) and body is not None:
        base.check_secret(envelope, source, given=body.fields.get("secret", [""])[0])


def parse(body, source, *, headers, region, path, received_at):
    rows = body.payload if isinstance(body.payload, list) else []
    context = {"source": source, "region": region, "received_at": received_at, "zone": calling.zone(source)}
    events = [event for row in rows for event in (_event if "disposition" not in row else _record)(row, **context)]
    return calling.said([event for event in events if event.call], body.warnings)


# --- Call detail records ----------------------------------------------------------------------------------------------


def _longest(source):
    stated = str(source.settings.get("longest") or 5)
    return int(stated) if stated.isdecimal() else 5


def _sides(src, dst, channel, dstchannel, longest):
    """(direction, client, ours, extension)."""
    caller = telephony.party(channel) if telephony.is_internal(channel, longest) else ""
    called = telephony.party(dstchannel) if telephony.is_internal(dstchannel, longest) else ""
    if telephony.is_internal(src, longest) or (caller and not telephony.is_internal(dst, longest) and not called):
        extension = caller or src
        if telephony.is_internal(dst, longest) or not dst:
            return INTERNAL, "", "", extension
        return OUT, dst, "", extension
    extension = called or (dst if telephony.is_internal(dst, longest) else "")
    return IN, src, "" if extension == dst else dst, extension


def _record(row, *, source, region, received_at, zone):
    """One row of the CDR: a whole call, or one attempt to reach a colleague for it."""
    direction, client, ours, extension = _sides(
        row.get("src", ""), row.get("dst", ""), row.get("channel", ""), row.get("dstchannel", ""), _longest(source)
    )
    start, answer, end = (telephony.moment(row.get(name), zone) for name in ("start", "answer", "end"))
    result = RESULTS.get(row["disposition"].upper(), "no_answer")
    talk = telephony.seconds(row.get("billsec"))
    # Told apart from a queue or a menu that "answers": a human has a channel of their own.
    alone = direction == IN and not row.get("dstchannel")
    shared = {
        "direction": direction, "client": telephony.number(client, region), "ours": ours[:64],
        "extension": extension[:64], "name": _name(row), "started_at": start, "leg": row.get("dstchannel", "")[:128],
    }  # fmt: skip
    events = [CallEvent(
        _call_id(row), ENDED, end or start or received_at, heard=not (end or start), ended_at=end,
        result="" if alone and result == "answered" else result, duration=telephony.seconds(row.get("duration")),
        talk=talk if result == "answered" and not alone else None,
        recording=_recording(row), weight=3 if result == "answered" else 2, **shared,  # of several phones one answered
    )]  # fmt: skip
    if direction != OUT:
        stage = (PICKED_UP if alone else ANSWERED) if result == "answered" else STARTED if alone else RINGING
        at = (answer if result == "answered" else start) or start or received_at
        events.append(CallEvent(_call_id(row), stage, at, heard=not (answer or start), answered_at=answer, **shared))
    return events


def _call_id(row):
    stated = row.get("linkedid") or row.get("uniqueid")
    if stated:
        return stated[:128]
    facts = "|".join(row.get(name, "") for name in ("start", "src", "dst", "channel", "end"))
    return "cdr-" + hashlib.sha256(facts.encode()).hexdigest()[:40] if facts.strip("|") else ""


def _name(row):
    """The caller's name of ``"Anna" <79990000000>``, where it is no number."""
    match = re.match(r'\s*"?([^"<]*)"?\s*<', row.get("clid", ""))
    name = (match[1] if match else row.get("name", "")).strip()[:200]
    return "" if re.fullmatch(r"[+\d\s()-]*", name) or telephony.HIDDEN.fullmatch(name) else name


def _recording(row):
    stated = row.get("recording") or row.get("userfield", "")
    return stated[:500] if re.search(r"\.(?:wav|mp3|gsm|ogg|opus|m4a|WAV)$", stated) else ""


# --- Events of the manager interface ----------------------------------------------------------------------------------


def _event(row, *, source, region, received_at, zone):
    """DialBegin rings, DialEnd with ANSWER is answered, the Hangup of the first channel is the end."""
    teller = AMI.get(row.get("event", "").lower())
    call = (row.get("linkedid") or row.get("uniqueid") or row.get("destuniqueid") or "")[:128]
    at = telephony.moment(row.get("timestamp"), UTC)
    shared = {"at": at or received_at, "heard": at is None}
    return teller(row, call, source, region, shared) if teller and call else []


def _caller(row, source, region):
    number, exten, longest = row.get("calleridnum", ""), row.get("exten", ""), _longest(source)
    direction, client, ours, extension = _sides(number, exten, row.get("channel", ""), "", longest)
    name = row.get("calleridname", "")
    known = "" if telephony.HIDDEN.fullmatch(name or "-") or direction != IN else name[:200]
    return {
        "direction": direction, "client": telephony.number(client, region), "ours": ours[:64],
        "extension": extension[:64], "name": known,
    }  # fmt: skip


def _new(row, call, source, region, shared):
    if row.get("linkedid", call) != row.get("uniqueid", call):
        return []  # the channel of a leg
    return [CallEvent(call, STARTED, **_caller(row, source, region), **shared)]


def _dial(row, call, source, region, shared):
    longest = _longest(source)
    channel = row.get("destchannel") or row.get("destination", "")
    number = row.get("destcalleridnum") or row.get("destexten") or row.get("dialstring", "")
    sides = _sides(row.get("calleridnum", ""), number, row.get("channel", ""), channel, longest)
    direction, client, ours, extension = sides
    return {"direction": direction, "client": telephony.number(client, region), "extension": extension[:64]}


def _rings(row, call, source, region, shared):
    if row.get("subevent", "Begin").lower() == "end":
        return _rung(row, call, source, region, shared)
    return [
        CallEvent(
            call, RINGING, leg=row.get("destuniqueid", "")[:128], **_dial(row, call, source, region, shared), **shared
        )
    ]


def _rung(row, call, source, region, shared):
    if row.get("dialstatus", "").upper() != "ANSWER":
        return []
    return [CallEvent(call, ANSWERED, weight=2, **_dial(row, call, source, region, shared), **shared)]


def _hangs_up(row, call, source, region, shared):
    if row.get("linkedid", call) != row.get("uniqueid", call):
        return []
    result = {"17": "busy"}.get(row.get("cause", ""), "")
    return [CallEvent(call, ENDED, result=result, **_caller(row, source, region), **shared)]


AMI = {
    "newchannel": _new, "dialbegin": _rings, "dial": _rings, "dialend": _rung, "hangup": _hangs_up,
}  # fmt: skip


def reply(envelope, source):
    return Reply(200, "OK")


# --- What is asked of the exchange ------------------------------------------------------------------------------------


def can_dial(source):
    return all(source.settings.get(name) for name in ("base_url", "ari_user", "ari_password"))


def dial(source, *, own, number, token):
    """ARI: the colleague's phone is called first and put into the dial plan with the client's number."""
    api, settings = calling.base_url(source, ""), source.settings
    endpoint = own.number if "/" in own.number else f"{settings.get('technology') or 'PJSIP'}/{own.number}"
    query = {
        "endpoint": endpoint, "extension": number.lstrip("+"), "priority": 1, "timeout": 30,
        "context": settings.get("context") or "from-internal", "callerId": number, "channelId": token,
    }  # fmt: skip
    proof = calling.basic(settings.get("ari_user", ""), settings.get("ari_password", ""))
    return calling.Ask("POST", f"{api}/ari/channels", proof, params=query, trusted=api)


def dialled(answer):
    if answer.status not in {200, 201}:
        raise calling.Failed(f"HTTP {answer.status}")
    return calling.plain(answer.json().get("id"))


def recording(source, call, ref):
    """A file below the stated address; a whole address counts only where it lies there too."""
    settings, root = source.settings, (source.settings.get("recordings_url") or "").rstrip("/")
    path = ref.removeprefix(root).lstrip("/") if root else ""
    if not root or "://" in path or ".." in path.split("/"):
        raise calling.Failed(_("The source does not state where recordings are."))
    user = settings.get("recordings_user")
    proof = calling.basic(user, settings.get("recordings_password", "")) if user else {}
    return calling.Ask("GET", f"{root}/{quote(path)}", proof, trusted=root)
