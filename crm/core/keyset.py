"""Pages by key: the next page starts after a row, so that page 10,000 costs as much as the first.

The order is one NOT NULL column, then the primary key, both descending, and an index holds them. A set that no single
index holds in order (own, pool and teams; several owners) comes as *arms*: one sorted index scan each, merged.
"""

import datetime as dt
import re
from dataclasses import dataclass

from django.db.models import BooleanField, DateTimeField, F, Func, Value

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MICROSECOND = dt.timedelta(microseconds=1)
BIGGEST = 2**63 - 1
CURSOR = re.compile(r"(-?\d{1,19})\.(\d{1,19})", re.ASCII)


class BadCursor(ValueError):
    """The place named in the address was not made by us."""


@dataclass(frozen=True)
class Page:
    keys: list  # primary keys, in order
    after: str  # the cursor of the next page; empty: this was the last

    def in_order(self, queryset):
        """The rows of ``queryset`` in the order of the page."""
        found = queryset.in_bulk(self.keys)
        return [found[key] for key in self.keys if key in found]


def encode(value, pk):
    """A cursor: whole numbers only, so that nothing in it needs quoting."""
    number = (value - EPOCH) // MICROSECOND if isinstance(value, dt.datetime) else int(value)
    return f"{number}.{pk}"


def decode(cursor, field):
    """(value, pk) of a cursor for a model field; raises BadCursor."""
    if not (match := CURSOR.fullmatch(cursor)):
        raise BadCursor(cursor[:40])
    number, pk = int(match[1]), int(match[2])
    if abs(number) > BIGGEST or pk > BIGGEST:
        raise BadCursor(cursor)
    if not isinstance(field, DateTimeField):
        return number, pk
    try:
        return EPOCH + number * MICROSECOND, pk
    except OverflowError as error:
        raise BadCursor(cursor) from error


def _pair(first, second):
    return Func(first, second, template="(%(expressions)s)", output_field=BooleanField())


def before(column, value, pk, field):
    """``(column, id) < (value, pk)`` as a row comparison: one range of an index, where an OR would be a filter."""
    return Func(
        _pair(F(column), F("pk")),
        _pair(Value(value, output_field=field), Value(pk)),
        template="(%(expressions)s)",
        arg_joiner=" < ",
        output_field=BooleanField(),
    )


def page(arms, column, *, after="", size=50):
    """One page of keys. ``arms``: [(queryset, the foreign key constant in it or None)]; overlaps are shown once."""
    model = arms[0][0].model
    field = model._meta.get_field(column)
    bound = before(column, *decode(after, field), field) if after else None
    parts = [_part(queryset, constant, column, bound)[: size + 1] for queryset, constant in arms]
    rows = parts[0]
    if len(parts) > 1:
        rows = parts[0].union(*parts[1:]).order_by(f"-{column}", "-id")[: size + 1]
    rows = list(rows)
    more = len(rows) > size
    return Page([pk for pk, _value in rows[:size]], encode(rows[size - 1][1], rows[size - 1][0]) if more else "")


def _part(queryset, constant, column, bound):
    if bound is not None:
        queryset = queryset.filter(bound)
    # PostgreSQL does not see that "owner is null" leaves the index sorted by what follows: naming the column says so.
    lead = [f"{constant}_id"] if constant else []
    return queryset.order_by(*lead, f"-{column}", "-id").values_list("id", column)


def capped_count(queryset, cap=1000):
    """How many rows there are, but not further than ``cap`` + 1."""
    return queryset.order_by()[: cap + 1].count()
