"""One UPDATE for many rows, each with values of its own.

Django's ``bulk_update`` writes a CASE for every row and column; this writes one short statement
whose text does not depend on the number of rows, so that PostgreSQL can keep its plan.
"""

from collections.abc import Sequence
from typing import cast

from django.db import connection, models


def update_rows(rows: Sequence[models.Model], fields: Sequence[str]) -> int:
    """Write ``fields`` of every row by primary key, and return how many rows were there."""
    if not rows:
        return 0
    meta = rows[0]._meta  # noqa: SLF001 - Django's documented model API
    key, *columns = [
        cast("models.Field[object, object]", meta.get_field(name))
        for name in (meta.pk.attname, *fields)
    ]
    every = [key, *columns]

    def quote(field: models.Field[object, object]) -> str:
        return connection.ops.quote_name(str(field.column))

    names = ", ".join(quote(each) for each in every)
    arrays = ", ".join(f"%s::{each.db_type(connection)}[]" for each in every)
    changes = ", ".join(f"{quote(each)} = new.{quote(each)}" for each in columns)
    table = connection.ops.quote_name(meta.db_table)
    values = [
        [each.get_db_prep_save(getattr(row, each.attname), connection) for row in rows]
        for each in every
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {table} SET {changes} FROM unnest({arrays}) AS new({names})"  # noqa: S608 - names of our own
            f" WHERE {table}.{quote(key)} = new.{quote(key)}",
            values,
        )
        return int(cursor.rowcount)
