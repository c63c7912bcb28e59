"""Tables out: CSV and XLSX, streamed row by row, so that a million rows take no more memory than ten.

No cell is ever a formula: in CSV a text that a spreadsheet could take for one gets an apostrophe in front; in XLSX
every text is an inline string, which no program evaluates. Numbers and dates stay what they are.
"""

import csv
import datetime as dt
import io
import re
import zipfile
from decimal import Decimal
from xml.sax.saxutils import escape, quoteattr

from asgiref.sync import sync_to_async
from django.http import StreamingHttpResponse
from django.utils import timezone
from django.utils.http import content_disposition_header

DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")  # XML 1.0 cannot hold them
XLSX_ROWS = 1_048_576  # the format's own limit
CELL = 32_767  # characters in a cell, likewise
CHUNK = 64 * 1024  # bytes gathered before they are sent
CSV_TYPE = "text/csv; charset=utf-8"
XLSX_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def safe_text(text):
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(DANGEROUS) else text


def _plain(value, zone):
    if isinstance(value, dt.datetime):
        return timezone.localtime(value, zone).replace(tzinfo=None, microsecond=0)
    return value


def _csv_cell(value, zone):
    value = _plain(value, zone)
    if value is None:
        return ""
    if isinstance(value, bool | int | float | Decimal):
        return value
    if isinstance(value, dt.datetime):
        return value.isoformat(" ")
    if isinstance(value, dt.date):
        return value.isoformat()
    return safe_text(str(value).replace("\x00", ""))


def csv_bytes(header, rows, *, zone):
    """The file in pieces: UTF-8 with a mark that Excel needs, semicolons, which Excel expects in most of Europe."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter=";", lineterminator="\r\n")
    buffer.write("\ufeff")
    writer.writerow([safe_text(str(cell)) for cell in header])
    for row in rows:
        writer.writerow([_csv_cell(value, zone) for value in row])
        if buffer.tell() > CHUNK:
            yield buffer.getvalue().encode("utf-8", "replace")
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue().encode("utf-8", "replace")


class _Pipe(io.RawIOBase):
    """Takes what zipfile writes and gives it away piece by piece; cannot seek, so sizes follow the data."""

    def __init__(self):
        self.pieces, self.size = [], 0

    def writable(self):
        return True

    def write(self, data):
        self.pieces.append(bytes(data))
        self.size += len(data)
        return len(data)

    def take(self):
        taken, self.pieces, self.size = b"".join(self.pieces), [], 0
        return taken


_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_OOXML = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_STYLES = (  # plain, bold, date and time, date: the numbers of the cells' styles
    (0, 0, ""),
    (0, 1, ' applyFont="1"'),
    (164, 0, ' applyNumberFormat="1"'),
    (14, 0, ' applyNumberFormat="1"'),
)
_PARTS = {
    "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{_OOXML}.sheet.main+xml"/>'
    f'<Override PartName="/xl/styles.xml" ContentType="{_OOXML}.styles+xml"/>'
    f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_OOXML}.worksheet+xml"/></Types>',
    "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="r1" Type="{_RELS}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="r1" Type="{_RELS}/worksheet" Target="worksheets/sheet1.xml"/>'
    f'<Relationship Id="r2" Type="{_RELS}/styles" Target="styles.xml"/></Relationships>',
    "xl/styles.xml": f'<styleSheet xmlns="{_MAIN}"><numFmts count="1">'
    '<numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd\\ hh:mm"/></numFmts>'
    '<fonts count="2"><font><sz val="11"/><name val="Calibri"/></font>'
    '<font><b/><sz val="11"/><name val="Calibri"/></font></fonts>'
    '<fills count="2"><fill><patternFill patternType="none"/></fill>'
    '<fill><patternFill patternType="gray125"/></fill></fills>'
    '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
    '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs><cellXfs count="4">'
    + "".join(f'<xf numFmtId="{n}" fontId="{f}" fillId="0" borderId="0" xfId="0"{a}/>' for n, f, a in _STYLES)
    + '</cellXfs><cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>',
}
_DAY_ZERO = dt.datetime(1899, 12, 30)  # noqa: DTZ001 - a spreadsheet's days have no zone


def _xlsx_cell(value, zone):
    value = _plain(value, zone)
    if value is None or value == "":
        return "<c/>"
    if isinstance(value, bool):
        return f'<c t="b"><v>{int(value)}</v></c>'
    if isinstance(value, int | float | Decimal):
        return f"<c><v>{value}</v></c>"
    if isinstance(value, dt.datetime):
        return f'<c s="2"><v>{(value - _DAY_ZERO) / dt.timedelta(days=1):.9f}</v></c>'
    if isinstance(value, dt.date):
        return f'<c s="3"><v>{(dt.datetime.combine(value, dt.time()) - _DAY_ZERO).days}</v></c>'  # noqa: DTZ001
    return _text_cell(str(value))


def _text_cell(text, style=""):
    text = escape(CONTROL.sub("", text)[:CELL], {"\r": "&#13;"})
    return f'<c t="inlineStr"{style}><is><t xml:space="preserve">{text}</t></is></c>'


def _sheet(header, rows, zone):
    yield f'{_HEAD}<worksheet xmlns="{_MAIN}"><sheetViews><sheetView workbookViewId="0">'
    yield '<pane ySplit="1" topLeftCell="A2" state="frozen"/></sheetView></sheetViews>'
    yield '<sheetFormatPr defaultColWidth="18" defaultRowHeight="15"/><sheetData><row>'
    yield "".join(_text_cell(str(cell), ' s="1"') for cell in header) + "</row>"
    for count, row in enumerate(rows, start=2):
        if count > XLSX_ROWS:
            break
        yield f"<row>{''.join(_xlsx_cell(value, zone) for value in row)}</row>"
    yield "</sheetData></worksheet>"


def xlsx_bytes(header, rows, *, zone, title="Sheet1"):
    """The file in pieces; one sheet with a frozen header row."""
    pipe = _Pipe()
    name = quoteattr(re.sub(r"[\[\]:*?/\\']", " ", CONTROL.sub("", title))[:31] or "Sheet1")
    sheets = f'<sheets><sheet name={name} sheetId="1" r:id="r1"/></sheets>'
    workbook = f'<workbook xmlns="{_MAIN}" xmlns:r="{_RELS}">{sheets}</workbook>'
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as book:
        for path, text in {**_PARTS, "xl/workbook.xml": workbook}.items():
            book.writestr(path, _HEAD + text)
        with book.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as sheet:
            for piece in _sheet(header, rows, zone):
                sheet.write(piece.encode())
                if pipe.size > CHUNK:
                    yield pipe.take()
    yield pipe.take()


FORMATS = {"csv": (csv_bytes, CSV_TYPE), "xlsx": (xlsx_bytes, XLSX_TYPE)}


async def _in_threads(pieces):
    """The pieces of a database cursor for an event loop; each is fetched in the thread of the request's connection."""
    fetch = sync_to_async(lambda: next(pieces, None))
    while (piece := await fetch()) is not None:
        yield piece


def response(request, header, rows, *, form, name):
    """Stream ``rows`` (an iterator of sequences) as a file ``name``.``form``; ``form`` is a key of FORMATS.

    The rows are read after the view has returned, when the language of the request is no longer active: they must
    hold plain values, no lazy texts.
    """
    write, content_type = FORMATS[form]
    pieces = write([str(cell) for cell in header], rows, zone=timezone.get_current_timezone())
    body = _in_threads(pieces) if hasattr(request, "scope") else pieces
    disposition = content_disposition_header(True, f"{name}.{form}")
    return StreamingHttpResponse(body, content_type=content_type, headers={"Content-Disposition": disposition})
