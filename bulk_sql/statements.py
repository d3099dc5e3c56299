"""Statements over sets of rows: several changes in one statement, and reads with a condition in SQL.

The ORM needs longer to build a statement than PostgreSQL needs to run it. The text of these
statements does not depend on the number of rows, so it is built once for each shape, and PostgreSQL
keeps its plan. Rows are sent as JSON, one text for each change: psycopg needs twice as long to make
an array of each column.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

from django.db import connection, models
from django.db.models.expressions import DatabaseDefault
from django.db.transaction import TransactionManagementError

M = TypeVar("M", bound=models.Model)
Field = models.Field[Any, Any]

_PLAIN = models.Value(None)  # the column's own value, not an expression


@dataclass(frozen=True, slots=True)
class Insert:
    """Rows to insert. Values that the database assigns (ids, defaults) are not read back."""

    rows: Sequence[models.Model]
    on_conflict: str = ""  # SQL, for rows that exist already

    def fields(self) -> tuple[Field, ...]:
        first = self.rows[0]
        return tuple(
            field
            for field in _fields(type(first)).values()
            if not _is_left_to_the_database(field, getattr(first, field.attname))
        )

    def text(self, fields: tuple[Field, ...]) -> str:
        return _insert(type(self.rows[0]), fields, self.on_conflict)


@dataclass(frozen=True, slots=True)
class Update:
    """Values to write to existing rows, which are found by the fields named in ``by``."""

    rows: Sequence[models.Model]
    names: Sequence[str]
    by: tuple[str, ...] = ("id",)
    only_if: str = ""  # SQL, a condition on the row as it is

    def fields(self) -> tuple[Field, ...]:
        known = _fields(type(self.rows[0]))
        return tuple(known[name] for name in (*self.by, *self.names))

    def text(self, fields: tuple[Field, ...]) -> str:
        return _update(type(self.rows[0]), fields, len(self.by), self.only_if)


Change = Insert | Update


def write(*changes: Change) -> int:
    """Execute ``changes`` as one statement, except those without rows.

    Returns how many rows the last one wrote. Each change sees the tables as they were before the
    statement. So no change may depend on another one, and no row may be in two changes. Texts that
    are too long for their column are cut.
    """
    texts: list[str] = []
    values: list[str] = []
    for change in changes:
        if change.rows:
            fields = change.fields()
            texts.append(change.text(fields))
            values.append(_as_json(change.rows, fields))
    if not texts:
        return 0
    named = ", ".join(f"change{number} AS ({text})" for number, text in enumerate(texts[:-1]))
    with connection.cursor() as cursor:
        cursor.execute(f"WITH {named} {texts[-1]}" if named else texts[-1], values)
        return int(cursor.rowcount)


def select(
    model: type[M], condition: str, values: Sequence[Any], *, lock: bool = False, **also: str
) -> list[M]:
    """Return the rows of ``model`` that match ``condition``, the SQL after the table's name.

    ``lock`` locks them until the transaction ends; raises TransactionManagementError outside of one.
    Each expression in ``also`` becomes an attribute of every row.
    """
    if lock and not connection.in_atomic_block:
        raise TransactionManagementError("rows are locked in a transaction")
    fields = _fields(model)
    names = [field.attname for field in fields.values()]
    with connection.cursor() as cursor:
        cursor.execute(_select(model, condition, lock, tuple(also.values())), values)
        found = cursor.fetchall()
    return [_instance(model, fields, names, list(row), also) for row in found]


def _instance(
    model: type[M],
    fields: dict[str, Field],
    names: list[str],
    values: list[Any],
    also: dict[str, str],
) -> M:
    for position, field in enumerate(fields.values()):
        if isinstance(field, models.JSONField):
            values[position] = field.from_db_value(values[position], _PLAIN, connection)
    row = model.from_db(connection.alias, names, values[: len(names)])
    for name, value in zip(also, values[len(names) :], strict=True):
        setattr(row, name, value)
    return row


def _as_json(rows: Sequence[models.Model], fields: tuple[Field, ...]) -> str:
    """Return rows for PostgreSQL's ``json_to_recordset``: ids and times as texts."""
    names = [(str(field.column), field.attname) for field in fields]
    return json.dumps(
        [{column: getattr(row, name) for column, name in names} for row in rows], default=str
    )


def _is_left_to_the_database(field: Field, value: object) -> bool:
    return isinstance(value, DatabaseDefault) or (field.primary_key and value is None)


@lru_cache
def _fields(model: type[models.Model]) -> dict[str, Field]:
    """Return the columns of a model by the names of their fields."""
    return {field.name: field for field in model._meta.concrete_fields}  # noqa: SLF001 - documented API


@lru_cache
def _insert(model: type[models.Model], fields: tuple[Field, ...], on_conflict: str) -> str:
    columns = ", ".join(map(_column, fields))
    values = ", ".join(map(_value, fields))
    return (
        f"INSERT INTO {_table(model)} ({columns})"  # noqa: S608 - names of our own
        f" SELECT {values} FROM {_new_rows(fields)} {on_conflict}"
    )


@lru_cache
def _update(model: type[models.Model], fields: tuple[Field, ...], keys: int, only_if: str) -> str:
    table = _table(model)
    changes = ", ".join(f"{_column(field)} = {_value(field)}" for field in fields[keys:])
    found = " AND ".join(f"{table}.{_column(field)} = {_value(field)}" for field in fields[:keys])
    return (
        f"UPDATE {table} SET {changes} FROM {_new_rows(fields)}"  # noqa: S608
        f" WHERE {found}{f' AND {only_if}' if only_if else ''}"
    )


@lru_cache
def _select(
    model: type[models.Model],
    condition: str,
    lock: bool,  # noqa: FBT001 - a cache's key
    also: tuple[str, ...],
) -> str:
    table = _table(model)
    columns = [f"{table}.{_column(field)}" for field in _fields(model).values()]
    locked = f" FOR NO KEY UPDATE OF {table}" if lock else ""
    return f"SELECT {', '.join((*columns, *also))} FROM {table} {condition}{locked}"  # noqa: S608


def _table(model: type[models.Model]) -> str:
    return connection.ops.quote_name(model._meta.db_table)  # noqa: SLF001


def _column(field: Field) -> str:
    return connection.ops.quote_name(str(field.column))


def _new_rows(fields: tuple[Field, ...]) -> str:
    columns = ", ".join(f"{_column(field)} {_json_type(field)}" for field in fields)
    return f"json_to_recordset(%s::json) AS new({columns})"


def _json_type(field: Field) -> str:
    return "text" if isinstance(field, models.CharField) else str(field.db_type(connection))


def _value(field: Field) -> str:
    """Return a new value with a cast, which cuts a text to the column's length."""
    return f"new.{_column(field)}::{field.db_type(connection)}"
