"""What one order takes with the system to itself, set against the budget of the happy path."""

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
from benchmarks.outcomes import fates
from benchmarks.statements import Statement, StatementLog, commits, counted

UNCOUNTED: Final = 5  # orders; each process opens what it keeps open
COUNTED: Final = 10
END_SECONDS: Final = 60

UP_TO_CONFIRMED: Final = "up to confirmed"
CAPTURE: Final = "the capture after it"
BUDGET: Final = {"commits": 4, "Celery messages": 1, "SQL statements": 20}
"""Of a two-line card order up to confirmed; see docs/performance.md."""

# Whose statements and messages belong to which part of an order's way.
_PROGRAMS: Final = {
    UP_TO_CONFIRMED: frozenset({"web", "worker-checkout"}),
    CAPTURE: frozenset({"worker-settlement"}),
}
_QUEUES: Final = {UP_TO_CONFIRMED: "checkout", CAPTURE: "settlement"}

_ENDED: Final = """
SELECT 1 FROM sagas_sagarun WHERE subject_id = %s AND status IN ('completed', 'compensated')
"""


class OrderStuck(Exception):
    """An order that had the system to itself was refused, or did not end."""


class Alone(NamedTuple):
    """Costs of one order by part of its way, and the statements behind them."""

    orders: int
    to_confirmed_ms: float  # the median
    costs: dict[str, dict[str, float]]
    statements: list[tuple[str, str, float]]  # program, text, times per order

    @property
    def over_budget(self) -> list[str]:
        spent = self.costs[UP_TO_CONFIRMED]
        return [
            f"{name}: {spent[name]:g}, and {most} is the budget"
            for name, most in BUDGET.items()
            if spent[name] > most
        ]


async def alone(load: Load, meter: Meter, log: StatementLog) -> Alone:
    """Place orders one after the other, each when the one before has ended, and count."""
    session = meter.session
    for _ in range(UNCOUNTED):
        await _order(load, session)
    with pushes(meter.broker) as pushed:
        calls = meter.stripe_calls()
        log.start()
        placed = [await _order(load, session) for _ in range(COUNTED)]
        sent = log.stop()
        operations = meter.stripe_operations(since=calls)
    captures = sum(operation.endswith(".capture") for operation in operations)
    bank = {UP_TO_CONFIRMED: len(operations) - captures, CAPTURE: captures}
    found = fates(session)
    waits = [confirmed - due for due, order in placed if (confirmed := found[order].confirmed_at)]
    of_orders = [each for each in sent if each.program in frozenset().union(*_PROGRAMS.values())]
    return Alone(
        orders=COUNTED,
        to_confirmed_ms=statistics.median(waits) * 1000,
        costs={part: _costs(part, sent, pushed, bank) for part in _PROGRAMS},
        statements=counted(of_orders, COUNTED),
    )


def _costs(
    part: str, sent: list[Statement], pushed: Counter[str], bank: dict[str, int]
) -> dict[str, float]:
    ours = [each for each in sent if each.program in _PROGRAMS[part]]
    return {
        "commits": commits(ours) / COUNTED,
        "Celery messages": pushed[_QUEUES[part]] / COUNTED,
        "SQL statements": sum(not each.is_control for each in ours) / COUNTED,
        "transaction control": sum(each.is_control for each in ours) / COUNTED,
        "Stripe calls": bank[part] / COUNTED,
    }


async def _order(load: Load, session: psycopg.Connection) -> tuple[float, str]:
    """Place an order and wait until its run has ended. Return when it was due, and its id.

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
def pushes(broker: redis.Redis) -> Iterator[Counter[str]]:
    """Count what is pushed onto each queue, as the broker itself sees it; complete at the end."""
    counts: Counter[str] = Counter()
    ready, end = threading.Event(), "the benchmark has counted"

    def listen() -> None:
        monitoring: Any = redis.Redis.monitor  # which has no types
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
