"""Strangers' files before anybody can have them: shown to a ClamAV daemon where the company runs one.

The setting ``CLAMD`` is its address: ``unix:/run/clamav/clamd.ctl`` or ``tcp://host:3310``; empty means that nothing is
checked. The command is INSTREAM of clamd's manual (clamd(8)): ``zINSTREAM\\0``, pieces of four bytes of length in
network order and so many bytes, four zero bytes at the end; the answer is ``stream: OK``, ``stream: NAME FOUND`` or an
error. The client is our own thirty lines because the kept library of it is under the GPL and the other is not kept.
"""

import socket
import struct
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

PIECE = 64 * 1024  # bytes
TIMEOUT = 20  # seconds for each step
LONGEST = 4096  # bytes of an answer


class NotChecked(Exception):
    """The scanner is away, or would not look at the file."""


def found_in(stream):
    """The name of what the scanner found in a binary file from its beginning; "" where there is nothing, or no scanner.

    The file stands at its beginning again afterwards. Raises NotChecked.
    """
    if not settings.CLAMD:
        return ""
    stream.seek(0)
    try:
        with _connected() as link:
            answer = _asked(link, stream)
    except OSError as error:
        raise NotChecked(str(error)) from error
    finally:
        stream.seek(0)
    verdict = answer.rstrip(b"\0\n").decode(errors="replace").removeprefix("stream: ")
    if verdict == "OK":
        return ""
    if not verdict.endswith(" FOUND"):
        raise NotChecked(verdict[:200] or "no answer")
    return verdict.removesuffix(" FOUND")[:100]


def check_upload(file):
    """Raises ValidationError where a colleague's file carries a virus or cannot be checked; for forms."""
    try:
        found = found_in(file)
    except NotChecked:
        raise ValidationError(
            _("The file cannot be checked for viruses just now. Try again in a few minutes.")
        ) from None
    if found:
        raise ValidationError(_("The file carries a virus (%s) and was not taken.") % found)


def _connected():
    address = urlsplit(settings.CLAMD)
    if address.scheme == "tcp":
        return socket.create_connection((address.hostname, address.port or 3310), TIMEOUT)
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    link.settimeout(TIMEOUT)
    try:
        link.connect(address.path)
    except OSError:
        link.close()
        raise
    return link


def _asked(link, stream):
    link.sendall(b"zINSTREAM\0")
    try:
        while piece := stream.read(PIECE):
            link.sendall(struct.pack("!L", len(piece)) + piece)
        link.sendall(struct.pack("!L", 0))
    except (BrokenPipeError, ConnectionResetError):  # it had enough of the file and has said so
        pass
    answer = b""
    while len(answer) < LONGEST and not answer.endswith((b"\0", b"\n")) and (piece := link.recv(LONGEST)):
        answer += piece
    return answer
