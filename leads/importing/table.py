"""One kind of table for every kind of file: columns, then rows as lists of texts."""

import codecs
import io
import re
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import NamedTuple

from django.utils.translation import gettext as _

from leads import identity
from leads.importing import delimited, detecting, spreadsheet, vcard
from leads.importing.errors import Unreadable

COLUMNS = 200
PEEK = 20  # rows looked at for the header


class Row(NamedTuple):
    line: int  # of the file, from 1
    cells: list | None
    problem: str = ""  # code of REASONS


@dataclass
class Table:
    """``rows`` is read once, as the file streams by; memory does not grow with the file."""

    kind: str
    columns: list
    rows: object = field(repr=False)
    encoding: str = ""
    delimiter: str = ""
    has_header: bool = True

    @property
    def options(self):
        return {"kind": self.kind, "encoding": self.encoding, "delimiter": self.delimiter, "header": self.has_header}


def open_table(stream, *, encoding=None, delimiter=None, header=None):
    """The Table of a binary file that can seek; what is not said is found out. Raises Unreadable."""
    kind = detecting.kind_of(stream)
    if kind == "xlsx":
        return _headed("xlsx", spreadsheet.records(stream), header)
    encoding = _codec(encoding) or detecting.encoding_of(stream)
    stream.seek(0)
    text = io.TextIOWrapper(_Kept(stream), encoding, errors="replace", newline="")
    if kind == "vcard":
        rows = (Row(*row) for row in vcard.records(text))
        return Table("vcard", list(vcard.COLUMNS), rows, encoding)
    sample = text.read(detecting.SAMPLE)
    delimiter = delimiter or detecting.delimiter_of(sample)
    stream.seek(0)
    text = io.TextIOWrapper(_Kept(stream), encoding, errors="replace", newline="")
    records = delimited.Records(text, delimiter)
    if re.match(r"\ufeff?sep=.\r?\n", sample):
        text.readline()
        records.line = 1
    return _headed("text", iter(records), header, encoding=encoding, delimiter=delimiter)


class _Kept(io.RawIOBase):
    """The stream under a TextIOWrapper that may be thrown away without closing it."""

    def __init__(self, stream):
        self.stream = stream

    def readable(self):
        return True

    def readinto(self, buffer):
        data = self.stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _codec(name):
    if not name:
        return None
    try:
        return codecs.lookup(name).name
    except LookupError:
        raise Unreadable("encoding", _("There is no encoding “%s”.") % name) from None


def _headed(kind, records, header, **options):
    """The first row that is filled to more than half names the columns, unless it holds contacts itself."""
    records = (Row(*record) for record in records)
    first = list(islice(records, PEEK))
    if not first:
        raise Unreadable("empty", _("The file is empty."))
    width = max((len(row.cells) for row in first if row.cells), default=0)
    if not width:
        raise Unreadable("unreadable", _("The file could not be read as a table."))
    place = next((n for n, row in enumerate(first) if row.cells and _filled(row.cells) * 2 > width), 0)
    stated = header if header is not None else bool(first[place].cells) and not _holds_contacts(first[place].cells)
    if not stated:
        columns, rest = [f"#{n}" for n in range(1, width + 1)], first
    elif not first[place].cells:
        raise Unreadable("unreadable", _("The line with the names of the columns could not be read."))
    else:
        columns, rest = names(first[place].cells), first[place + 1 :]
    return Table(kind, columns[:COLUMNS], chain(rest, records), has_header=stated, **options)


def _filled(cells):
    return sum(bool(cell.strip()) for cell in cells)


def _holds_contacts(cells):
    return any(identity.email(cell) or (re.search(r"\d{5}", cell) and identity.phone(cell)) for cell in cells if cell)


def names(cells):
    """Names of columns, each once; an unnamed one is called by its place."""
    found = {}
    for place, cell in enumerate(cells, start=1):
        name = base = identity.line(cell, 120) or f"#{place}"
        number = 2
        while name in found:
            name, number = f"{base} ({number})", number + 1
        found[name] = place
    return list(found)
