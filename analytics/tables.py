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
