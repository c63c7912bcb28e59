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
        for row in [*self.rows, *([self.total] if self.total else [])]:
            for cell, column in zip(row, self.columns, strict=True):
                cell.kind, cell.label = column.kind, column.name
                if cell.cell and cell.value:
                    extra = urlencode({**query, **{k: v for k, v in cell.args.items() if v is not None}})
                    cell.url = f"{reverse('analytics:rows', args=[cell.cell])}?{extra}"
        return self


def ratio(part, whole):
    """part ÷ whole as a fraction; None where there is nothing to divide by."""
    return part / whole if whole else None
