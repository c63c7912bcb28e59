"""Files of talks: those of clients are fetched from the provider by a job, through the guarded client, up to a size;
those of colleagues are kept until they are sent, and for the card. All go when their client is erased."""

import tempfile

from django.core.files import File
from django.db import transaction
from django.utils.translation import override

from crm.core import antivirus, outbound
from crm.core.jobs import ATTEMPTS
from leads.capture.letter import file_name
from leads.identity import line
from leads.models import ChatFile, Message, SentFile
from leads.outbound import SENDERS
from leads.services.talk_news import refresh

MAX_FILE = 20 * 1024 * 1024  # bytes; as much as Telegram lets a bot have
State = ChatFile.State
ANY = "application/octet-stream"


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
    except (outbound.Unreachable, antivirus.NotChecked) as error:
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
        if found := antivirus.found_in(held):
            return State.INFECTED, found
        held.seek(0)
        row.file.save("file", File(held), save=False)
        ChatFile.objects.filter(pk=row.pk).update(file=row.file.name, size=size)
    return State.KEPT, ""


def keep_sent(message, upload):
    """Lay down a file that goes with a message; a file whose row could not be written is taken away."""
    name = file_name(upload.name) or "file"
    row = SentFile(message=message, name=name, mime=line(upload.content_type, 100) or ANY, size=upload.size)
    row.file.save("file", upload, save=False)
    try:
        row.save(force_insert=True)
    except Exception:
        row.file.storage.delete(row.file.name)
        raise
    return row


def forget(person):
    """Take away the files of somebody who is erased, theirs and ours; their rows go with what they hang on."""
    theirs = ChatFile.objects.filter(line__conversation__person=person).exclude(file="")
    ours = SentFile.objects.filter(message__person=person)
    names = [*theirs.values_list("file", flat=True), *ours.values_list("file", flat=True)]
    ours.delete()
    storage = ChatFile._meta.get_field("file").storage
    transaction.on_commit(lambda: [storage.delete(name) for name in names])


def of_visitor(source, token):
    """The file that a visitor of the chat was sent, by its message's token; None where there is none."""
    rows = SentFile.objects.filter(message__token=token, message__state=Message.State.SENT)
    return rows.filter(message__conversation__source=source, message__channel="chat").first()
