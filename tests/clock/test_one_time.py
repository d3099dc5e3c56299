"""All that is stored about an order has the clock's time, so that what is shown fits together."""

from typing import Any, Final

import pytest
from django.db import connection

from tests.support import clock
from tests.support.shop import Shop

pytestmark = pytest.mark.django_db(transaction=True)

PROCESSES: Final = {("sagas_lastsweep", "at")}
"""The columns that keep the real time, because they are about processes."""


def times() -> dict[tuple[str, str], set[Any]]:
    """Return the times in each column of each of our tables, without empty columns."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, column_name FROM information_schema.columns"
            " WHERE table_schema = 'public' AND data_type = 'timestamp with time zone'"
            " AND table_name <> 'django_migrations'"
        )
        columns = cursor.fetchall()
        found = {}
        for table, column in columns:
            cursor.execute(
                f'SELECT DISTINCT "{column}" FROM "{table}" WHERE "{column}" IS NOT NULL'  # noqa: S608 - our own names
            )
            found[table, column] = {value for (value,) in cursor.fetchall()}
    return {column: values for column, values in found.items() if values}


def test_all_rows_about_an_order_have_the_clocks_time(shop: Shop) -> None:
    stocked = times()
    clock.advance(days=14)
    at = clock.stop()
    _, cancelled = shop.place(), shop.place()
    shop.messages.deliver_all()
    shop.cancel(cancelled)
    shop.messages.deliver_all()
    shop.recover()

    found = {column: values - stocked.get(column, set()) for column, values in times().items()}

    assert {("orders_order", "created_at"), ("sagas_stepattempt", "ended_at")} <= found.keys()
    assert {column for column, values in found.items() if min(values, default=at) < at} == PROCESSES
