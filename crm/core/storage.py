"""Files on the disk: whole or not there; and what a disk without room looks like."""

import contextlib
import errno
import os

from django.core.files.storage import FileSystemStorage

FULL = {errno.ENOSPC, errno.EDQUOT}


def is_full(error):
    """Whether an error says that a disk has no room: ours (a file, an upload) or the database's."""
    return (isinstance(error, OSError) and error.errno in FULL) or "No space left" in str(error)


class WholeFiles(FileSystemStorage):
    """A file that could not be written to its end is taken away again; names are ours and never taken before."""

    def _save(self, name, content):
        path = self.path(name)
        is_new = not os.path.lexists(path)
        try:
            return super()._save(name, content)
        except BaseException:
            if is_new:
                with contextlib.suppress(OSError):
                    os.remove(path)
            raise
