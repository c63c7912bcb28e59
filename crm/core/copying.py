"""COPY for sets of rows that are written at once, with keys from the tables' own sequences."""

from collections import defaultdict
from contextlib import contextmanager
from operator import itemgetter

from django.contrib.postgres.fields import ArrayField
from django.core.serializers.json import DjangoJSONEncoder
from django.db import IntegrityError, connection, models
from django.db.models.expressions import DatabaseDefault

_ENCODER = DjangoJSONEncoder(ensure_ascii=False)


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
    return "{}" if value == {} else _ENCODER.encode(value)


def _array(values):
    return "{" + ",".join('"' + v.replace("\\", "\\\\").replace('"', '\\"') + '"' for v in values) + "}"


def _encoders(model, columns):
    """(place, encode) of the columns that the driver cannot write by itself."""
    fields = {field.column: field for field in model._meta.concrete_fields}
    kinds = [(models.JSONField, _document), (ArrayField, _array)]
    return [(n, e) for n, c in enumerate(columns) for kind, e in kinds if isinstance(fields[c], kind)]


def copy_in(model, rows, columns=None):
    """Write rows: dicts by column, all of the same columns, or those ``columns`` of them."""
    if not rows:
        return
    columns = columns or list(rows[0])
    encoders = _encoders(model, columns)
    names = ", ".join(f'"{column}"' for column in columns)
    cells_of = itemgetter(*columns)
    sql = f'copy "{model._meta.db_table}" ({names}) from stdin'
    with connection.cursor() as cursor, cursor.cursor.copy(sql) as copy:
        for row in rows:
            cells = list(cells_of(row))
            for place, encode in encoders:
                if cells[place] is not None:
                    cells[place] = encode(cells[place])
            copy.write_row(cells)


def stage(table, columns, rows):
    """COPY rows of plain values into a temporary table; they stay there until the end of the transaction.

    ``columns``: name → type. Sets are then matched and written by joins with it.
    """
    spec = ", ".join(f"{name} {kind}" for name, kind in columns.items())
    with connection.cursor() as cursor:
        cursor.execute(f"create temporary table if not exists {table} ({spec}) on commit delete rows")
        cursor.execute(f"delete from {table}")  # nosec B608 - a name of our own
        with cursor.cursor.copy(f"copy {table} ({', '.join(columns)}) from stdin") as copy:
            for row in rows:
                copy.write_row(row)


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


@models.AutoField.register_lookup
@models.BigAutoField.register_lookup
@models.ForeignKey.register_lookup
class Among(models.Lookup):
    """``pk__among=keys``: as ``__in``, with all the keys in one parameter; a thousand of them take long to write out."""

    lookup_name, prepare_rhs = "among", False

    def as_sql(self, compiler, connection):
        column, params = self.process_lhs(compiler, connection)
        return f"{column} = any(%s)", [*params, list(self.rhs)]


@contextmanager
def vouched(held):
    """Inside, PostgreSQL checks no foreign key row by row, which takes it longer than to write the row.

    Who calls it is in a transaction and vouches that what is written names only rows made or locked in the same
    transaction, or those ``held`` (model → keys), which are locked here against deletion until the commit. Where the
    role of the database may not switch the checks off, they are made.
    """
    with connection.cursor() as cursor:
        for model, wanted in held.items():
            _hold(cursor, model, sorted({key for key in wanted if key is not None}))
        cursor.execute(MAY_SWITCH)
        may = cursor.fetchone()[0]
        if may:
            cursor.execute("set local session_replication_role = replica")
        yield
        if may:  # not in a finally: after an error the transaction is over, and the setting with it
            cursor.execute("set local session_replication_role = origin")


MAY_SWITCH = """
    select current_setting('session_replication_role') = 'origin'
       and has_parameter_privilege('session_replication_role', 'set')"""


def _hold(cursor, model, wanted):
    if not wanted:
        return
    cursor.execute(f'select id from "{model._meta.db_table}" where id = any(%s) order by id for key share', [wanted])  # nosec B608 - our own table
    if len(cursor.fetchall()) != len(wanted):
        raise IntegrityError(f"a {model._meta.verbose_name} has been deleted meanwhile")
