"""A report as values: the page, the chart and the files are drawn from the same rows."""

from dataclasses import dataclass, field
from urllib.parse import urlencode

from django.urls import reverse


@dataclass(frozen=True)
class Column:
    """``kind``: text, number, money, percent, duration (seconds), days."""

    name: str
    kind: str = "number"
    hint: str = ""


@dataclass
class Cell:
    """A number and the address of exactly its rows; ``cell`` and ``args`` name them (see analytics.cells)."""

    value: object
    cell: str = ""
    args: dict = field(default_factory=dict)
    kind: str = "number"
    label: str = ""  # the column's name: narrow screens show rows as cards
    url: str = ""


@dataclass
class Table:
    title: str
    columns: list[Column]
    rows: list[list[Cell]]
    total: list[Cell] | None = None
    notes: list[str] = field(default_factory=list)
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
            first, second = (up, down) if column.kind == "text" else (down, up)
            found.append((column, (second if self.order == first else first) if self.sortable else "", state))
        return found

    def linked(self, query):
        """Give each cell that has rows its address; ``query``: the report's own parameters."""
        own, addresses = urlencode(query), {}
        for row in [*self.rows, *([self.total] if self.total else [])]:
            for cell, column in zip(row, self.columns, strict=True):
                cell.kind, cell.label = column.kind, column.name
                if cell.cell and cell.value:
                    if cell.cell not in addresses:
                        addresses[cell.cell] = reverse("analytics:rows", args=[cell.cell])
                    args = urlencode({name: value for name, value in cell.args.items() if value is not None})
                    cell.url = f"{addresses[cell.cell]}?{'&'.join(filter(None, (own, args)))}"
        return self


def ratio(part, whole):
    """part ÷ whole as a fraction; None where there is nothing to divide by."""
    return part / whole if whole else None
