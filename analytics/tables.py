"""A report as values: the page, the chart and the files are drawn from the same rows."""

from dataclasses import dataclass, field
from itertools import chain
from urllib.parse import urlencode

from django.urls import reverse

NAMES = {"text", "day", "month"}
DIGITS = {"money": (1, 2), "percent": (100, 1), "days": (1, 1)}  # kind → written times so much, with so many digits


@dataclass(frozen=True)
class Column:
    """``kind``: text, day or month (a date), number, money, estimate (a sum, shown whole), percent, duration (seconds),
    days."""

    name: str
    kind: str = "number"
    hint: str = ""

    @property
    def names(self):
        """Whether it says what a line is about, and not how much."""
        return self.kind in NAMES


@dataclass
class Cell:
    """A number and the address of exactly its rows; ``cell`` and ``args`` name them (see analytics.cells)."""

    value: object
    cell: str = ""
    args: dict = field(default_factory=dict)
    kind: str = "number"
    label: str = ""  # the column's name: narrow screens show rows as cards
    exact: bool = False  # written to the last digit, as some other of its kind must be
    url: str = ""

    @property
    def names(self):
        return self.kind in NAMES


@dataclass
class Table:
    title: str
    columns: list[Column]
    rows: list[list[Cell]]
    total: list[Cell] | None = None
    notes: list[str] = field(default_factory=list)
    asides: list[Cell] = field(default_factory=list)  # in words: what the report leaves out; they open their rows
    sortable: bool = False  # its lines have no order of their own
    order: str = ""  # the number of the column by which its lines stand, "-3" for the greatest first

    def ordered(self, said):
        """The lines by a column that the reader chose; who has no value there comes last. What names none changes none."""
        place = said.removeprefix("-")
        if not self.sortable or place not in map(str, range(len(self.columns))):
            return self
        place, self.order = int(place), said
        having = [row for row in self.rows if row[place].value is not None]
        having.sort(key=lambda row: row[place].value, reverse=said.startswith("-"))
        self.rows = having + [row for row in self.rows if row[place].value is None]
        return self

    @property
    def heads(self):
        """[(column, what to sort by when it is chosen, how the lines stand by it now)]; numbers begin with the greatest."""
        found = []
        for place, column in enumerate(self.columns):
            up, down = str(place), f"-{place}"
            state = {up: "ascending", down: "descending"}.get(self.order, "")
            first, second = (up, down) if column.names else (down, up)
            found.append((column, (second if self.order == first else first) if self.sortable else "", state))
        return found

    def linked(self, query):
        """Give each cell that has rows its address; ``query``: the report's own parameters."""
        own, addresses, lines = urlencode(query), {}, [*self.rows, *([self.total] if self.total else [])]
        exact = {
            column.kind for row in lines for cell, column in zip(row, self.columns, strict=True)
            if _is_broken(cell.value, column.kind)
        }  # fmt: skip
        for row in lines:
            for cell, column in zip(row, self.columns, strict=True):
                cell.kind, cell.label, cell.exact = column.kind, column.name, column.kind in exact
        for cell in [*chain(*lines), *self.asides]:
            if cell.cell and cell.value:
                if cell.cell not in addresses:
                    addresses[cell.cell] = reverse("analytics:rows", args=[cell.cell])
                args = urlencode({name: value for name, value in cell.args.items() if value is not None})
                cell.url = f"{addresses[cell.cell]}?{'&'.join(filter(None, (own, args)))}"
        return self


def _is_broken(value, kind):
    """Whether the value is written with digits behind the point: kopecks, tenths of a percent or of a day."""
    if value is None or kind not in DIGITS:
        return False
    times, digits = DIGITS[kind]
    shown = round(value * times, digits)
    return shown != int(shown)


def ratio(part, whole):
    """part ÷ whole as a fraction; None where there is nothing to divide by."""
    return part / whole if whole else None
