"""XLSX by calamine, after a look into the archive: what would swell beyond measure is refused before it is opened."""

import datetime as dt
import re
import zipfile

from django.utils.translation import gettext as _
from python_calamine import CalamineError, load_workbook

from leads.importing.errors import Unreadable

UNPACKED = 100 * 1024 * 1024  # bytes of all parts together
RATIO = 100  # unpacked to packed, of what is larger than a megabyte
PARTS = 200
CELLS = 20_000_000  # of the rectangle that holds all cells: it is what a reader lays out in memory
COLUMNS = 200
_DECLARES = re.compile(rb"<!(?:DOCTYPE|ENTITY)")
_CELL = re.compile(rb'<c\b[^>]*?\br="([A-Z]{1,3})(\d{1,7})"')


def check(stream):
    """Raise Unreadable for what is no plain workbook or would not fit in memory."""
    stream.seek(0)
    try:
        with zipfile.ZipFile(stream) as archive:
            _check_parts(archive)
            left = UNPACKED
            for part in archive.infolist():
                left -= _check_part(archive, part, left)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise Unreadable("damaged", _("The workbook is damaged or protected and cannot be opened.")) from error
    stream.seek(0)


def _check_parts(archive):
    parts = archive.infolist()
    names = {part.filename for part in parts}
    size = sum(part.file_size for part in parts)
    packed = sum(part.compress_size for part in parts) or 1
    if len(parts) > PARTS or size > UNPACKED or (size > 1024 * 1024 and size > packed * RATIO):
        raise _too_large()
    if "xl/vbaProject.bin" in names:
        raise Unreadable("macros", _("The workbook holds macros (.xlsm); save it as .xlsx without them."))
    if "mimetype" in names or "content.xml" in names:
        raise Unreadable("ods", _("This is an OpenDocument file; save it as .xlsx or CSV."))
    if not {"xl/workbook.xml", "[Content_Types].xml"} <= names:
        raise Unreadable("archive", _("This is an archive, not a workbook; unpack it first."))
    if b"macroEnabled" in archive.read("[Content_Types].xml"):
        raise Unreadable("macros", _("The workbook holds macros (.xlsm); save it as .xlsx without them."))


def _check_part(archive, part, most):
    """Read a part through to its end, so that a declared size cannot lie; returns its size.

    Of a sheet, the rectangle from its first to its last cell must fit in memory. Nothing that Excel writes declares
    entities, which may swell without end.
    """
    sheet = re.fullmatch(r"xl/worksheets/[^/]+\.xml", part.filename)
    width = height = read = 0
    tail = b""
    with archive.open(part) as content:
        while block := content.read(1024 * 1024):
            read += len(block)
            if read > most:
                raise _too_large()
            if _DECLARES.search(tail + block):
                raise Unreadable(
                    "entities", _("The workbook declares entities; save it anew from a spreadsheet program.")
                )
            for column, row in _CELL.findall(tail + block) if sheet else ():
                width, height = max(width, _number(column)), max(height, int(row))
            tail = block[-200:]
    if width * height > CELLS:
        raise Unreadable("too_wide", _("The sheet's cells lie too far apart; delete the stray ones or save it as CSV."))
    return read


def _too_large():
    return Unreadable("too_large_unpacked", _("Unpacked, this workbook is larger than allowed; save the list as CSV."))


def _number(letters):
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number


def records(stream, sheet=None):
    """Iterate over ``(row number, cells, "")`` of the first sheet that holds something."""
    check(stream)
    try:
        book = load_workbook(stream)
        for name in [sheet] if sheet else book.sheet_names:
            found = book.get_sheet_by_name(name)
            if found.height:
                break
        rows = found.iter_rows() if found.height else iter([])
        yield from _rows(rows, found.start[0] if found.start else 0)
    except (CalamineError, UnboundLocalError) as error:
        raise Unreadable("damaged", _("The workbook is damaged or protected and cannot be opened.")) from error


def _rows(rows, first):
    for number, row in enumerate(rows, start=first + 1):
        cells = [text(value) for value in row[:COLUMNS]]
        if any(cells):
            yield number, cells, ""


def text(value):
    """A cell as it would stand in a CSV; whole numbers without a point, formulas by their stored value."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 10**16 else repr(value)
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat(" ") if isinstance(value, dt.datetime) else value.isoformat()
    return str(value).replace("\x00", "").strip()
