"""Files of letters: laid down once under opaque names, never opened or unpacked; and what is left of a letter's end."""

from django.core.files.base import ContentFile
from django.db import transaction

from leads.capture.base import Refused
from leads.capture.letter import Letter
from leads.models import IncomingLetter, LetterFile
from leads.services.judging import read

State = LetterFile.State


def keep(pk):
    """Lay down the files of a letter, read again from its receipt; what is there already stays."""
    letter = IncomingLetter.objects.select_related("submission__source").filter(pk=pk).first()
    if letter is None or letter.submission is None:
        return
    try:
        parsed = read(letter.submission)
    except Refused:  # the reading became stricter since
        return
    found = next((event for event in parsed.events if isinstance(event, Letter)), None)
    for row in letter.files.filter(state=State.WAITING).order_by("position") if found else []:
        if row.position < len(found.attachments):
            _lay_down(row, found.attachments[row.position].content)


@transaction.atomic
def _lay_down(row, content):
    """A row says that its file is there only after it is; a file whose row could not be written is taken away."""
    row.file.save("file", ContentFile(content), save=False)
    try:
        LetterFile.objects.filter(pk=row.pk).update(file=row.file.name, state=State.KEPT, size=len(content))
    except Exception:
        row.file.storage.delete(row.file.name)
        raise
