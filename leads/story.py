"""An interaction in words, in the reader's language: what the timeline shows, one row a thing that happened.

Heads are noun phrases with the actor beside them ("Stage: New → Contacted", Anna Petrova): they read the same in
every language and need no grammatical gender.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import groupby

from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext, pgettext_lazy

from crm.core.templatetags.ui import NOTHING, clock, day, long_day, money, num, phone
from leads.models import (
    Assignment,
    Band,
    Conversation,
    Identity,
    IncomingLetter,
    Kind,
    Lead,
    Message,
    Person,
    Qualification,
    StageMove,
    Suppression,
)

# kind → (look, icon); the look is the data-kind that timeline.css colours.
LOOKS = {
    Kind.CAPTURED: ("capture", "inbox"),
    Kind.RECAPTURED: ("capture", "inbox"),
    Kind.IMPORTED: ("capture", "upload"),
    Kind.NOTE: ("note", "note"),
    Kind.CALL: ("call", "phone"),
    Kind.MEETING: ("call", "users"),
    Kind.EMAIL_OUT: ("mail", "mail"),
    Kind.EMAIL_OPENED: ("mail", "mail-open"),
    Kind.EMAIL_CLICKED: ("mail", "link"),
    Kind.REPLIED: ("mail", "message"),
    Kind.UNSUBSCRIBED: ("mail", "ban"),
    Kind.PAGE_VIEW: ("visit", "globe"),
    Kind.STAGE_MOVED: ("stage", "arrow-right"),
    Kind.OWNER_CHANGED: ("owner", "user"),
    Kind.PARKED: ("owner", "clock"),
    Kind.BAND_CHANGED: ("score", "flame"),
    Kind.QUALIFIED: ("score", "target"),
    Kind.EDITED: ("system", "edit"),
    Kind.TAGGED: ("system", "tag"),
    Kind.TASK_SET: ("task", "calendar"),
    Kind.TASK_DONE: ("task", "check"),
    Kind.CONVERTED: ("stage", "deal"),
    Kind.REJECTED: ("stage", "ban"),
    Kind.REOPENED: ("stage", "undo"),
    Kind.DEAL_OPENED: ("stage", "deal"),
    Kind.DEAL_MOVED: ("stage", "arrow-right"),
    Kind.DEAL_WON: ("stage", "trophy"),
    Kind.DEAL_LOST: ("stage", "ban"),
    Kind.DEAL_REOPENED: ("stage", "undo"),
    Kind.SEQUENCE: ("mail", "flow"),
    Kind.MESSAGE_IN: ("mail", "message"),
    Kind.MESSAGE_OUT: ("mail", "message"),
    Kind.CALL_MISSED: ("call", "phone"),
    Kind.EMAIL_IN: ("mail", "mail"),
    Kind.BOUNCED: ("mail", "ban"),
    Kind.AUTO_REPLY: ("mail", "mail"),
    Kind.SUBSCRIBED: ("capture", "mail"),
    Kind.REGISTERED: ("capture", "calendar"),
    Kind.ATTENDED: ("capture", "users"),
    Kind.DOWNLOADED: ("capture", "download"),
    Kind.REFERRED: ("capture", "users"),
    Kind.MERGED: ("system", "link"),
    Kind.UNMERGED: ("system", "undo"),
}
CALL_RESULTS = {
    "reached": pgettext_lazy("call result", "reached"),
    "no_answer": pgettext_lazy("call result", "no answer"),
    "busy": pgettext_lazy("call result", "busy"),
    "callback": pgettext_lazy("call result", "asked to call back"),
    "wrong_number": pgettext_lazy("call result", "wrong number"),
    "missed": pgettext_lazy("call result", "missed"),
}
MOVES = {
    StageMove.Kind.SKIPPED: gettext_lazy("stages skipped"),
    StageMove.Kind.RETURNED: gettext_lazy("back"),
}
MESSAGE_TONES = {"sent": "success", "failed": "danger", "unsure": "warning", "skipped": "warning"}
SIGNS = dict(Identity.Kind.choices)
LABELS = {field.name: field.verbose_name for model in (Person, Lead) for field in model._meta.concrete_fields}
LABELS |= {
    "name": pgettext_lazy("person", "name"),
    "company": gettext_lazy("company"),
    "owner": gettext_lazy("Owner"),
    "amount": gettext_lazy("amount"),
    "expected_close": gettext_lazy("expected close"),
    "currency": gettext_lazy("currency"),
    "title": gettext_lazy("title"),
    "terms": gettext_lazy("terms"),
    "lines": gettext_lazy("products"),
    "referrer": gettext_lazy("came from the page"),
    "landing": gettext_lazy("first page"),
}
SEQUENCE_STATES = {
    "enrolled": pgettext_lazy("enrolment", "entered"),
    "stopped": pgettext_lazy("enrolment", "stopped"),
    "done": pgettext_lazy("enrolment", "finished"),
}
SEQUENCE_STOPS = {
    "replied": gettext_lazy("the client replied"),
    "converted": gettext_lazy("converted to a deal"),
    "rejected": pgettext_lazy("lead state", "rejected"),
    "opted_out": gettext_lazy("opted out"),
    "by_hand": gettext_lazy("by a colleague"),
    "switched_off": gettext_lazy("the sequence was switched off"),
}
TASK_ENDS = {  # why a task was closed without being done
    "rejected": gettext_lazy("not needed any more: the lead was rejected"),
    "converted": gettext_lazy("not needed any more: the lead became a deal"),
    "won": gettext_lazy("not needed any more: the deal is won"),
    "lost": gettext_lazy("not needed any more: the deal is lost"),
}
SHOWN_FIELDS = 30  # of one enquiry


@dataclass
class Entry:
    """One row of the timeline as it is drawn. ``pairs``: (label, text) lines; ``changes``: (label, before, after)."""

    row: object
    look: str
    icon: str
    head: str
    note: str = ""  # beside the head, muted
    badge: str = ""
    tone: str = "neutral"
    text: str = ""
    pairs: list = field(default_factory=list)
    changes: list = field(default_factory=list)
    visits: list = field(default_factory=list)
    letter: int = 0  # the key of a client's letter
    call: object = None  # of the exchange: with a recording, and to be said more of


def tell(rows, names=None, *, deal=None):
    """Entries of interactions that stand in order; page views that follow each other become one.

    ``deal``: the key of the deal on whose own card they are told; its title is not repeated in each.
    """
    entries = []
    for views, run in groupby(rows, key=lambda row: row.kind == Kind.PAGE_VIEW):
        run = list(run)
        entries += [_visits(run)] if views and len(run) > 1 else [_entry(row, names or {}, deal) for row in run]
    return entries


def _entry(row, names, deal):
    look, icon = LOOKS.get(row.kind, ("system", "info"))
    entry = Entry(row, look, icon, row.get_kind_display(), text=row.text)
    own = TELLERS.get(row.kind) is _deal and deal is not None and row.deal_ref == deal
    if teller := TELLERS.get(row.kind):
        teller(entry, row.details | {"title": "", "name": ""} if own else row.details, names)
    return entry


def _arrow(before, after):
    return f"{before} → {after}" if before else str(after)


def _headed(label, text):
    return f"{label}: {text}"


def _clock(seconds):
    """3:05, or 1:03:05, as phones show it."""
    hours, rest = divmod(seconds, 3600)
    words = f"{hours}:{rest // 60:02}" if hours else f"{rest // 60}"
    return f"{words}:{rest % 60:02}" if seconds else ""


def _call(entry, details, names):
    incoming = details.get("direction") == "in"
    entry.call = getattr(entry.row, "phone_call", None)
    entry.head = _("Incoming call") if incoming else _("Outgoing call") if entry.call else _("Call")
    entry.icon = "phone-in" if incoming else "phone"
    if entry.call:
        entry.note = " · ".join(filter(None, (_clock(entry.call.talk), phone(entry.call.client))))
    if result := details.get("result"):
        entry.badge = str(CALL_RESULTS.get(result, result))
        entry.tone = (
            "success" if result == "reached" else "danger" if result in {"missed", "wrong_number"} else "warning"
        )
    if result in {"no_answer", "busy", "wrong_number", "missed"}:
        entry.icon = "phone-off"
    if result == "missed":
        entry.look = "missed"


def _missed(entry, details, names):
    entry.call = getattr(entry.row, "phone_call", None)
    entry.look, entry.icon, entry.tone = "missed", "phone-off", "danger"
    if entry.call:
        entry.note = phone(entry.call.client)
        entry.badge = str(CALL_RESULTS.get(entry.call.outcome, ""))


def _letter(entry, details, names):
    message = entry.row.message
    subject = message.subject if message else details.get("subject", "")
    if message and entry.row.kind == Kind.EMAIL_OUT and message.state != Message.State.SENT:
        entry.head = pgettext("letter", "Email")  # the badge says what became of it
    if subject:
        entry.head = f"{entry.head}: {subject}"
    if entry.text == subject:
        entry.text = ""
    if message and entry.row.kind == Kind.EMAIL_OUT:
        entry.badge, entry.tone = message.get_state_display(), MESSAGE_TONES.get(message.state, "neutral")
        entry.note = "" if message.kind == Message.Kind.LETTER else message.get_kind_display()
        if message.reason:
            entry.pairs.append((_("Reason"), message.reason_text))
        entry.pairs += [(label, _when(at)) for label, at in _reactions(message) if at]
    if url := details.get("url"):
        entry.pairs.append((_("Link"), url))
    if details.get("is_human") is False or details.get("human") is False:
        entry.badge = _("by a machine")


def _letter_in(entry, details, names):
    """What came by mail: its subject, what is odd about it, how many files."""
    subject = details.get("subject", "")
    entry.letter = details.get("letter") or 0
    if subject:
        entry.head = _headed(entry.head, subject)
    odd = [_("from a stranger")] * bool(details.get("mismatch")) + [_("under a colleague's address")] * bool(
        details.get("claimed")
    )
    sort = details.get("sort", "human")
    words = dict(IncomingLetter.Sort.choices)
    entry.badge = ", ".join([*odd, *([str(words[sort])] if sort in {"calendar", "encrypted"} else [])])
    entry.tone = "warning" if odd else "neutral"
    if files := details.get("files"):
        entry.note = ngettext("%d file", "%d files", files) % files


BOUNCES = {
    "hard": (gettext_lazy("no such address"), "danger"),
    "soft": (gettext_lazy("not now"), "warning"),
}


def _bounced(entry, details, names):
    _letter(entry, {}, names)
    entry.letter = details.get("letter") or 0
    entry.badge, entry.tone = BOUNCES.get(details.get("severity"), ("", "warning"))
    if said := details.get("said"):
        entry.pairs.append((_("What the server said"), said))


def _talk(entry, details, names):
    """A message in a messenger: by which, and what became of ours."""
    entry.note = str(dict(Conversation.Channel.choices).get(details.get("channel"), ""))
    if author := details.get("author"):
        entry.note = f"{entry.note} · {author}"
    if message := entry.row.message:
        entry.badge = message.get_delivery_display() if message.delivery else message.get_state_display()
        bad = message.delivery == "failed" or message.state != "sent"
        entry.tone = MESSAGE_TONES.get("failed" if message.delivery == "failed" else message.state, "neutral")
        if bad and message.reason:
            entry.pairs.append((_("Reason"), message.reason_text))
    if files := details.get("files"):
        entry.pairs.append((_("Files"), str(files)))


def _reactions(message):
    return (_("Opened"), message.first_open_at), (_("Link clicked"), message.first_click_at)


def _when(moment):
    """A moment as short as it stays clear: the year only when it is another one."""
    return f"{long_day(moment)}, {clock(moment)}"


def _instant(text):
    try:
        return _when(datetime.fromisoformat(text))
    except (TypeError, ValueError):
        return ""


def _stage(entry, details, names):
    entry.head = _headed(pgettext("funnel", "Stage"), _arrow(details.get("from"), details.get("to", "—")))
    entry.badge = str(MOVES.get(details.get("move"), ""))
    if details.get("title"):
        entry.note = details["title"]


def _owner(entry, details, names):
    former = names.get(details.get("from"))
    entry.head = _headed(_("Owner"), _arrow(former, names.get(details.get("to")) or details.get("name") or "—"))
    how = details.get("how")
    entry.note = str(dict(Assignment.How.choices).get(how, "")) if how else ""


def _parked(entry, details, names):
    until = _instant(details.get("until"))
    entry.note = _("until %s") % until if until else _("nobody is expected at work")


def _band(entry, details, names):
    words = dict(Band.choices)
    before, after = (words.get(details.get(end), details.get(end)) for end in ("from", "to"))
    if after:
        entry.head = f"{entry.head}: {_arrow(before, after)}"
    if details.get("score") is not None:
        entry.note = _("score %s") % details["score"]
    entry.icon = {"hot": "flame", "warm": "sun", "cold": "snow"}.get(details.get("to"), "flame")


def _qualified(entry, details, names):
    level = details.get("to") or details.get("level")
    if level:
        entry.head = f"{entry.head}: {dict(Qualification.choices).get(level, level)}"


def understood(row):
    """(name, value) of what was read in a receipt: the name and the signs of identity first."""
    parsed = dict(row.parsed or {})
    identities = parsed.pop("identities", [])
    signs = [(title(sign["kind"]), _sign(sign)) for sign in identities]
    told = {(sign["kind"], sign["value"]) for sign in identities}
    called = [(title("name"), parsed.pop("name"))] if parsed.get("name") else []
    marks, custom = parsed.pop("marks", {}), parsed.pop("custom", {})
    plain = [
        (title(name), ", ".join(map(_one, v)) if isinstance(v, list) else _("yes") if v is True else said(name, v))
        for name, v in parsed.items()
        if v not in ("", False, None, []) and (isinstance(v, list) or (name, v) not in told)
    ]
    return [*called, *signs, *plain, *custom.items(), *marks.items()]


def _one(value):
    """One of several values; of a message of a talk, what it says."""
    return str(value.get("text") or value.get("kind", "—")) if isinstance(value, dict) else str(value)


def _sign(sign):
    return phone(sign["value"]) if sign["kind"] == "phone" else sign["value"]


def title(name):
    """What people call a field or a sign of identity; what only the sender calls so (utm_source) stays as it came."""
    known = LABELS.get(name) or {"consent": _("consent"), "events": _("messages"), **SIGNS}.get(name)
    return capfirst(str(known)) if known else str(name)


def said(name, value):
    """A field's kept value as people read it."""
    word = WORDS.get(name)
    shown = word(value) if word and value not in (None, "") else value
    return value if shown == NOTHING else shown


def _day(value):
    """A date, or what is kept of one in JSON."""
    try:
        return day(date.fromisoformat(str(value)))
    except ValueError:
        return value


def _contacts(value):
    """Addresses and numbers of a list, each as it is read."""
    return ", ".join(phone(one) for one in value.split(", ")) if isinstance(value, str) else value


WORDS = {
    "budget": money, "amount": num, "company_size": num, "phone": phone, "contacts": _contacts,
    "decision_date": _day, "birthday": _day,
}  # fmt: skip


def _edited(entry, details, names):
    fields = details.get("fields")
    for name, pair in fields.items() if isinstance(fields, dict) else ():
        before, after = pair if isinstance(pair, list) and len(pair) == 2 else ("", pair)
        entry.changes.append((title(name), said(name, before), said(name, after)))


def _tagged(entry, details, names):
    put = [f"+ {word}" for word in details.get("add", [])]
    gone = [f"− {word}" for word in details.get("remove", [])]
    entry.note = ", ".join(put + gone)


def _task_set(entry, details, names):
    moved = "from" in details
    entry.head = _("Task moved") if moved else _("Task")
    entry.head, entry.text = f"{entry.head}: {entry.text}", ""
    entry.note = _("due %s") % _instant(details.get("due"))


def _task_done(entry, details, names):
    why = TASK_ENDS.get(details.get("because"), "")
    head = _("Task closed") if why else entry.head  # not inside the braces: strings there are not collected
    entry.head = f"{head}: {details.get('title', '')}"
    entry.note = str(why)


def _rejected(entry, details, names):
    entry.head = f"{entry.head}: {details.get('reason', '')}"
    entry.tone = "danger"


def _deal(entry, details, names):
    title = details.get("title") or details.get("name") or ""
    if entry.row.kind == Kind.DEAL_MOVED:
        entry.head = f"{entry.head}: {_arrow(details.get('from'), details.get('to', '—'))}"
        entry.badge, entry.note = str(MOVES.get(details.get("move"), "")), title
    else:
        reason = details.get("reason")
        entry.head = f"{entry.head}: {title}" if title else entry.head
        entry.note = reason or ""


SEQUENCE_WORDS = {
    "enrolled": pgettext_lazy("sequence", "the lead was enrolled"),
    "done": pgettext_lazy("sequence", "all steps are taken"),
    "stopped": pgettext_lazy("sequence", "stopped"),
    "replied": pgettext_lazy("sequence", "stopped: the client replied"),
    "converted": pgettext_lazy("sequence", "stopped: converted to a deal"),
    "rejected": pgettext_lazy("sequence", "stopped: the lead was rejected"),
    "opted_out": pgettext_lazy("sequence", "stopped: the client opted out of emails"),
    "by_hand": pgettext_lazy("sequence", "stopped by hand"),
    "switched_off": pgettext_lazy("sequence", "stopped: the sequence was switched off"),
}


def _sequence(entry, details, names):
    entry.head, entry.text = f"{entry.head}: {entry.text}", ""
    what, why = SEQUENCE_STATES.get(details.get("what"), ""), SEQUENCE_STOPS.get(details.get("why"), "")
    entry.note = f"{what}: {why}" if what and why else str(what or why)


def _unsubscribed(entry, details, names):
    entry.note = str(dict(Suppression.Reason.choices).get(details.get("reason"), ""))


def _enquiry(entry, details, names):
    submission = entry.row.submission
    parsed = submission.parsed if submission and isinstance(submission.parsed, dict) else {}
    entry.note, entry.letter = (
        str(details.get("source") or (submission.source if submission else "")),
        details.get("letter", 0),
    )
    if details.get("returning"):
        entry.badge, entry.tone = _("came back"), "success"
    fields = {name: value for name, value in parsed.items() if name not in {"identities", "marks", "consent", "events"}}
    entry.pairs = [*_plain(fields), *_plain(parsed.get("marks"))]
    for label, values in (
        (_("Said otherwise"), details.get("conflicts")),
        (_("Not understood"), details.get("warnings")),
    ):
        if values:
            entry.pairs.append((label, _joined(values)))


def _plain(values):
    """(label, text) of the simple values of a dict, nested own fields included."""
    if not isinstance(values, dict):
        return []
    pairs = []
    for name, value in list(values.items())[:SHOWN_FIELDS]:
        if isinstance(value, dict):
            pairs += _plain(value)
        elif value not in (None, "", []):
            pairs.append((title(name), str(said(name, value))[:1000]))
    return pairs


def _joined(values):
    items = values.items() if isinstance(values, dict) else values
    words = [f"{title(i[0])}: {i[1]}" if isinstance(i, tuple) else str(i) for i in items]
    return "; ".join(words)[:1000]


def _view(entry, details, names):
    entry.text = ""
    entry.visits = [
        (entry.row.at, details.get("title") or entry.row.text or details.get("url", ""), details.get("url", ""))
    ]


def _visits(run):
    entry = Entry(run[0], *LOOKS[Kind.PAGE_VIEW], "")
    entry.head = ngettext("%s page seen on the site", "%s pages seen on the site", len(run)) % len(run)
    for row in run:
        url = row.details.get("url", "")
        entry.visits.append((row.at, row.details.get("title") or row.text or url, url))
    return entry


def _merged(entry, details, names):
    entry.head = _headed(entry.head, details.get("name", ""))


TELLERS = {
    Kind.MERGED: _merged,
    Kind.UNMERGED: _merged,
    Kind.CAPTURED: _enquiry,
    Kind.RECAPTURED: _enquiry,
    Kind.IMPORTED: _enquiry,
    Kind.CALL: _call,
    Kind.CALL_MISSED: _missed,
    Kind.EMAIL_OUT: _letter,
    Kind.EMAIL_OPENED: _letter,
    Kind.EMAIL_CLICKED: _letter,
    Kind.EMAIL_IN: _letter_in,
    Kind.REPLIED: _letter_in,
    Kind.AUTO_REPLY: _letter_in,
    Kind.BOUNCED: _bounced,
    Kind.MESSAGE_IN: _talk,
    Kind.MESSAGE_OUT: _talk,
    Kind.PAGE_VIEW: _view,
    Kind.STAGE_MOVED: _stage,
    Kind.OWNER_CHANGED: _owner,
    Kind.PARKED: _parked,
    Kind.BAND_CHANGED: _band,
    Kind.QUALIFIED: _qualified,
    Kind.EDITED: _edited,
    Kind.TAGGED: _tagged,
    Kind.TASK_SET: _task_set,
    Kind.TASK_DONE: _task_done,
    Kind.REJECTED: _rejected,
    Kind.CONVERTED: _deal,
    Kind.DEAL_OPENED: _deal,
    Kind.DEAL_MOVED: _deal,
    Kind.DEAL_WON: _deal,
    Kind.DEAL_LOST: _deal,
    Kind.DEAL_REOPENED: _deal,
    Kind.SEQUENCE: _sequence,
    Kind.UNSUBSCRIBED: _unsubscribed,
}
