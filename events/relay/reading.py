"""Reading the outbox in order, without skipping events whose transaction commits late.

Events are numbered by a sequence when they are inserted. What writes an event of an order holds that
order's lock until it commits. So the numbers of one order's events are in the order in which they
happened. But a transaction may take a number, and commit after one that took a higher number.

A relay therefore reads up to a number S that is settled: every transaction that took a number up to
S has ended. It reads S from the sequence, and then takes a transaction id X of its own. Every
transaction that took a number up to S had its own id before, so a lower one than X: the function
``events_next_number`` sees to that. Once no transaction below X runs any more, S is settled.
"""

from collections import deque
from dataclasses import dataclass

from django.db import connection

from events.models import OutboxEvent


@dataclass(frozen=True, slots=True)
class Mark:
    """A number of the sequence, settled once no transaction with an id below ``transaction`` runs."""

    number: int
    transaction: int


class SettledNumber:
    """Follows the highest number up to which the outbox is settled. For one thread.

    After a restart it begins anew: one look at the database suffices if no transaction runs long.
    """

    def __init__(self) -> None:
        self._marks: deque[Mark] = deque()
        self._last_seen = 0
        self.number = 0

    def look(self) -> int:
        """Return the highest number that is known to be settled. Needs autocommit."""
        newest = _last_number()
        if newest > self._last_seen:
            self._last_seen = newest
            self._marks.append(Mark(newest, _own_transaction()))
        if self._marks:
            oldest_running = _oldest_running_transaction()
            while self._marks and self._marks[0].transaction <= oldest_running:
                self.number = self._marks.popleft().number
        return self.number


def events_between(after: int, up_to: int, limit: int) -> list[OutboxEvent]:
    """Return the first ``limit`` events with numbers above ``after``, up to ``up_to``, in order."""
    found = OutboxEvent.objects.filter(number__gt=after, number__lte=up_to)
    return list(found.order_by("number")[:limit])


def _last_number() -> int:
    # Before its first number a sequence shows 1 as its last one.
    return _number("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM events_number")


def _own_transaction() -> int:
    return _number("SELECT pg_current_xact_id()::text::bigint")


def _oldest_running_transaction() -> int:
    return _number("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")


def _number(query: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return int(cursor.fetchone()[0])
