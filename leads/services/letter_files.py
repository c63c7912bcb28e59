"""Files of letters: laid down once under opaque names, never opened or unpacked; gone when their client is erased."""

from django.core.files.base import ContentFile
from django.db import transaction

from crm.core import antivirus
from leads.capture.base import Refused
from leads.capture.letter import Letter
from leads.models import IncomingLetter, LetterFile, MailNews, Submission
from leads.services.judging import read
from leads.services.mailroom import BLANK

State = LetterFile.State


def keep(pk):
    """Lay down the files of a letter, read again from its receipt; what is there already stays."""
    rows = list(LetterFile.objects.filter(letter=pk, state=State.WAITING).order_by("position"))
    receipt = Submission.objects.select_related("source").filter(letters=pk).first() if rows else None
    if receipt is None:
        return
    try:
        parsed = read(receipt)
    except Refused:  # the reading became stricter since
        return
    found = next((event for event in parsed.events if isinstance(event, Letter)), None)
    for row in rows if found else []:
        if row.position < len(found.attachments):
            _lay_down(row, found.attachments[row.position].content)


def _lay_down(row, content):
    """A row says that its file is there only after it is; a file whose row could not be written is taken away.

    What carries a virus is never laid down. Raises NotChecked where the scanner is away: it is tried again.
    """
    file = ContentFile(content)
    if found := antivirus.found_in(file):
        LetterFile.objects.filter(pk=row.pk).update(state=State.INFECTED, reason=found, size=len(content))
        return
    row.file.save("file", file, save=False)
    try:
        LetterFile.objects.filter(pk=row.pk).update(file=row.file.name, state=State.KEPT, size=len(content))
    except Exception:
        row.file.storage.delete(row.file.name)
        raise


def forget(person):
    """Of the letters of somebody who is erased the keys alone stay: they lie on the server and must not come again."""
    letters = IncomingLetter.objects.filter(person=person)
    files = LetterFile.objects.filter(letter__in=letters)
    names = list(files.exclude(file="").values_list("file", flat=True))
    files.delete()
    letters.update(**BLANK)
    MailNews.objects.filter(message__person=person).update(recipient="", said="")
    storage = LetterFile._meta.get_field("file").storage
    transaction.on_commit(lambda: [storage.delete(name) for name in names])
