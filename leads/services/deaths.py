"""Work that kills its process: its transaction dies with it, so that what counts the deaths is a file."""

from contextlib import contextmanager

from django.conf import settings

MOST = 3  # deaths after which a piece of work is not tried again


@contextmanager
def survived(name):
    """``with survived("letter 7") as may_go_on``: marks the work as begun and, however it ends but by death, as ended."""
    mark = settings.STATE_DIR / "at_work" / name
    begun = _begun(mark)
    try:
        yield begun <= MOST
    finally:
        mark.unlink(missing_ok=True)


def _begun(mark):
    """How often it was begun and not ended, this time too; where nothing can be written nothing is counted."""
    try:
        mark.parent.mkdir(exist_ok=True)
        with mark.open("ab") as file:
            file.write(b".")
            return file.tell()
    except OSError:
        return 1
