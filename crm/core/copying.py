"""COPY for sets of rows that are written at once, with keys from the tables' own sequences."""

import json
from collections import defaultdict

from django.contrib.postgres.fields import ArrayField
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, models
from django.db.models.expressions import DatabaseDefault


def keys(model, count):
    """New primary keys of the model's table; nobody else will get them."""
    if not count:
        return []
    with connection.cursor() as cursor:
        sql = "select nextval(pg_get_serial_sequence(%s, 'id')) from generate_series(1, %s)"
        cursor.execute(sql, [model._meta.db_table, count])
        return [row[0] for row in cursor.fetchall()]


def blank(model):
    """A row of the model's defaults by column; what the database fills in by itself is left to it."""
    row = {}
    for field in model._meta.concrete_fields:
        if field.generated or field.primary_key or field.has_db_default():
            continue
        value = field.get_default() if field.has_default() else None
        if value is None and not field.null and field.empty_strings_allowed:
            value = ""
        row[field.column] = value
    return row


def _document(value):
    return "{}" if value == {} else json.dumps(value, ensure_ascii=False, cls=DjangoJSONEncoder)


def _array(values):
    return "{" + ",".join('"' + v.replace("\\", "\\\\").replace('"', '\\"') + '"' for v in values) + "}"


def _encoders(model, columns):
    """(place, encode) of the columns that the driver cannot write by itself."""
    fields = {field.column: field for field in model._meta.concrete_fields}
    kinds = [(models.JSONField, _document), (ArrayField, _array)]
    return [(n, e) for n, c in enumerate(columns) for kind, e in kinds if isinstance(fields[c], kind)]


def copy_in(model, rows):
    """Write rows (dicts by column, all of the same columns)."""
    if not rows:
        return
    columns = list(rows[0])
    encoders = _encoders(model, columns)
    names = ", ".join(f'"{column}"' for column in columns)
    sql = f'copy "{model._meta.db_table}" ({names}) from stdin'
    with connection.cursor() as cursor, cursor.cursor.copy(sql) as copy:
        for row in rows:
            cells = [row[column] for column in columns]
            for place, encode in encoders:
                if cells[place] is not None:
                    cells[place] = encode(cells[place])
            copy.write_row(cells)


def copy_objects(objects):
    """Write unsaved objects of one model, giving keys to those that have none; what is a default of the database's is
    left to it. Returns the objects."""
    if not objects:
        return objects
    model = type(objects[0])
    fields = [field for field in model._meta.concrete_fields if not field.generated]
    kinds = defaultdict(list)  # columns left to the database → rows
    keyless = [made for made in objects if made.pk is None]
    for made, pk in zip(keyless, keys(model, len(keyless)), strict=True):
        made.pk = pk
    for made in objects:
        row = {field.column: getattr(made, field.attname) for field in fields}
        left = frozenset(column for column, value in row.items() if isinstance(value, DatabaseDefault))
        kinds[left].append({column: value for column, value in row.items() if column not in left} if left else row)
    for rows in kinds.values():
        copy_in(model, rows)
    return objects
