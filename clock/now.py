"""The time by which orders and runs live: ``Now`` in queries, ``now`` in Python, ``clock_now()`` in SQL.

Use these for everything that a row about an order or a run is dated with, or compared with. What
belongs to processes and logins keeps the real time: heartbeats, latencies, sessions, tokens.
"""

from datetime import datetime

from django.db import connection
from django.db.models import DateTimeField, Func


class Now(Func):
    """The time of the statement, like Django's ``Now``, by the clock that a sandbox may move."""

    function = "clock_now"
    arity = 0
    output_field = DateTimeField()


def now() -> datetime:
    """Read the time from the database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_now()")
        found: datetime = cursor.fetchone()[0]
        return found
