"""Files that clients send: fetched from the provider by a job, through the guarded client, up to a size."""

import tempfile

from django.core.files import File
from django.utils.translation import override

from crm.core import outbound
from crm.core.jobs import ATTEMPTS
from leads.models import ChatFile
from leads.outbound import SENDERS
from leads.services.talk_news import refresh

MAX_FILE = 20 * 1024 * 1024  # bytes; as much as Telegram lets a bot have
State = ChatFile.State


def fetch(pk, run):
    """Get one file; what cannot be had now is tried again, what is too large stays with the provider."""
    rows = ChatFile.objects.select_related("line__conversation__source", "line__conversation__lead")
    row = rows.filter(pk=pk, state=State.WAITING).first()
    if row is None:
        run.done()
        return
    with override("en"):
        state, why = _fetched(row)
    if state is None and run.attempts + 1 < ATTEMPTS:
        run.later(why)
        return
    ChatFile.objects.filter(pk=pk).update(state=state or State.FAILED, reason=why[:300])
    refresh(row.line.conversation)
    run.done()


def limit(source):
    return int(source.settings.get("max_file") or MAX_FILE)


def _fetched(row):
    """(state, why); the state is None where it may go better another time."""
    conversation = row.line.conversation
    most, sender = limit(conversation.source), SENDERS.get(conversation.source.adapter)
    if (row.size or 0) > most:
        return State.TOO_LARGE, ""
    if sender is None:
        return State.FAILED, "no_way"
    place = sender.locate(row)
    if (place.size or 0) > most:
        return State.TOO_LARGE, ""
    if not place.url:
        return (State.FAILED if place.problem == "no_token" else None), place.problem
    try:
        return _kept(row, place, most)
    except outbound.Refused as refused:
        return State.FAILED, str(refused)
    except outbound.Unreachable as error:
        return None, str(error)


def _kept(row, place, most):
    """Read into a temporary file, then into the storage under an opaque name: a broken download leaves nothing."""
    with tempfile.TemporaryFile() as held:
        with outbound.stream(place.url, headers=place.headers, max_bytes=most + 1, trusted=place.trusted) as (
            status,
            _headers,
            pieces,
        ):
            if status != 200:
                return (None if status >= 500 or status == 429 else State.FAILED), str(status)
            for piece in pieces:
                held.write(piece)
                if held.tell() > most:
                    return State.TOO_LARGE, ""
        size = held.tell()
        held.seek(0)
        row.file.save("file", File(held), save=False)
        ChatFile.objects.filter(pk=row.pk).update(file=row.file.name, size=size)
    return State.KEPT, ""
