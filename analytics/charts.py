"""Geometry of the charts, pure: numbers in, marks for the SVG templates out. Sizes are the units of the viewBox."""

from dataclasses import dataclass
from math import ceil, floor, log10

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 1100, 240, 80, 24, 10
NARROW = 44  # at the left of plain numbers; sums need more
LETTER = 7.5  # how wide one of a label's letters may be, on a phone


@dataclass(frozen=True)
class Bar:
    x: float
    y: float
    width: float
    height: float
    label: str
    value: object
    url: str
    middle: float


@dataclass(frozen=True)
class Chart:
    bars: list
    grid: list  # (y, words of the value)
    labels: list  # (x, words) under the axis
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT


def nice_ceiling(value):
    """The least round number (1, 1.5, 2, 3, 4, 5, 6, 8 × 10ⁿ) that is not below ``value``; 1 for nothing."""
    if value <= 0:
        return 1
    power = 10 ** floor(log10(value))
    return next(step * power for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if step * power >= value)


def bars(points, *, words=str, labels_at_most=12, left=LEFT):
    """A bar chart of ``points``: [(label, value, url)]."""
    top = nice_ceiling(max([float(value) for _l, value, _u in points], default=0))
    room, plot = (WIDTH - left) / max(1, len(points)), HEIGHT - BOTTOM - TOP
    drawn = []
    for place, (label, value, url) in enumerate(points):
        tall = plot * float(value) / top
        x = left + place * room + room * 0.15
        drawn.append(Bar(x, TOP + plot - tall, room * 0.7, tall, label, value, url, x + room * 0.35))
    every = ceil(len(points) / labels_at_most) or 1
    parts = [part for part in (0, 0.5, 1) if top * part == int(top * part)]  # half a lead is no mark on an axis
    grid = [(TOP + plot * (1 - part), words(int(top * part))) for part in parts]
    fits = int(room * every / LETTER)
    return Chart(drawn, grid, [(bar.middle, shortened(bar.label, fits)) for bar in drawn[::every]], left=left)


def shortened(words, letters):
    """The words cut to so many letters, so that neighbours under the axis do not touch."""
    words = str(words)
    return words if len(words) <= letters else f"{words[: max(1, letters - 1)].rstrip()}…"
