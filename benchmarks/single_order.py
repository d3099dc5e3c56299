"""Measures what one order costs when the system has no other order, and compares the budget."""

import asyncio
import statistics
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import psycopg
import redis

from benchmarks.load import Load
from benchmarks.meter import Meter
from benchmarks.outcomes import order_outcomes
from benchmarks.statements import Statement, StatementLog, count_commits, count_per_order

UNCOUNTED: Final = 5  # orders that warm up: each process opens its connections
COUNTED: Final = 10
END_SECONDS: Final = 60

UP_TO_CONFIRMED: Final = "up to confirmed"
CAPTURE: Final = "the capture after it"
BUDGET: Final = {"commits": 4, "Celery messages": 1, "SQL statements": 20}
"""The budget of a two-line card order up to confirmed; see docs/performance.md."""

# The processes and the queue of each part of an order's way.
_PROGRAMS: Final = {
    UP_TO_CONFIRMED: frozenset({"web", "worker-checkout"}),
    CAPTURE: frozenset({"worker-settlement"}),
}
_QUEUES: Final = {UP_TO_CONFIRMED: "checkout", CAPTURE: "settlement"}

_ENDED: Final = """
SELECT 1 FROM sagas_sagarun WHERE subject_id = %s AND status IN ('completed', 'compensated')
"""


class OrderStuck(Exception):
    """An order was rejected or did not end, although the system had no other order."""


class SingleOrderCosts(NamedTuple):
    """The costs of one order by part of its way, and its SQL statements."""

    orders: int
    to_confirmed_ms: float  # the median
    costs: dict[str, dict[str, float]]
    statements: list[tuple[str, str, float]]  # program, text, times per order

    @property
    def over_budget(self) -> list[str]:
        """Return a sentence for each cost that exceeds its budget."""
        spent = self.costs[UP_TO_CONFIRMED]
        return [
            f"{name}: {spent[name]:g}, budget {limit}"
            for name, limit in BUDGET.items()
            if spent[name] > limit
        ]


async def measure_single_orders(load: Load, meter: Meter, log: StatementLog) -> SingleOrderCosts:
    """Place each order after the previous one has ended, and count what they cost.

    Raises OrderStuck.
    """
    session = meter.session
    for _ in range(UNCOUNTED):
        await _place_and_wait(load, session)
    with counted_pushes(meter.broker) as pushed:
        calls = meter.stripe_calls()
        log.start()
        placed = [await _place_and_wait(load, session) for _ in range(COUNTED)]
        sent = log.stop()
        operations = meter.stripe_operations(since=calls)
    captures = sum(operation.endswith(".capture") for operation in operations)
    stripe_calls = {UP_TO_CONFIRMED: len(operations) - captures, CAPTURE: captures}
    outcomes = order_outcomes(session)
    waits = [
        confirmed - due
        for due, order_id in placed
        if (confirmed := outcomes[order_id].confirmed_at)
    ]
    programs = frozenset().union(*_PROGRAMS.values())
    of_orders = [statement for statement in sent if statement.program in programs]
    return SingleOrderCosts(
        orders=COUNTED,
        to_confirmed_ms=statistics.median(waits) * 1000,
        costs={part: _costs(part, sent, pushed, stripe_calls) for part in _PROGRAMS},
        statements=count_per_order(of_orders, COUNTED),
    )


def _costs(
    part: str, sent: list[Statement], pushed: Counter[str], stripe_calls: dict[str, int]
) -> dict[str, float]:
    of_part = [statement for statement in sent if statement.program in _PROGRAMS[part]]
    return {
        "commits": count_commits(of_part) / COUNTED,
        "Celery messages": pushed[_QUEUES[part]] / COUNTED,
        "SQL statements": sum(not statement.is_control for statement in of_part) / COUNTED,
        "transaction control": sum(statement.is_control for statement in of_part) / COUNTED,
        "Stripe calls": stripe_calls[part] / COUNTED,
    }


async def _place_and_wait(load: Load, session: psycopg.Connection) -> tuple[float, str]:
    """Place an order and wait until its run has ended. Return the time it was due, and its id.

    Raises OrderStuck.
    """
    placement = await load.place(time.time())
    if not placement.order_id:
        raise OrderStuck(placement.failure)
    deadline = time.monotonic() + END_SECONDS
    while session.execute(_ENDED, (placement.order_id,)).fetchone() is None:
        if time.monotonic() > deadline:
            raise OrderStuck(placement.order_id)
        await asyncio.sleep(0.02)
    return placement.due, placement.order_id


@contextmanager
def counted_pushes(broker: redis.Redis) -> Iterator[Counter[str]]:
    """Count the pushes onto each queue, as the broker sees them; complete when the block ends."""
    counts: Counter[str] = Counter()
    ready, end = threading.Event(), "the benchmark has counted"

    def listen() -> None:
        monitoring: Any = redis.Redis.monitor  # has no types
        with monitoring(broker) as monitor:
            ready.set()
            while True:
                command: dict[str, Any] = monitor.next_command()
                name, *words = command["command"].split(" ", 2)
                if name.upper() == "LPUSH":
                    counts[words[0].rpartition(":")[2]] += 1
                if end in command["command"]:
                    return

    listener = threading.Thread(target=listen, name="broker-monitor", daemon=True)
    listener.start()
    ready.wait(END_SECONDS)
    try:
        yield counts
    finally:
        broker.echo(end)
        listener.join(END_SECONDS)
