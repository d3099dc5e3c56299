"""Records events steadily, kills relays, readers and brokers meanwhile, and compares what arrived."""

import random
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

from django.db import connection, transaction

from events.event_types import Event
from events.models import OutboxEvent
from events.services import record
from orders.events import OrderConfirmed
from tests.support.production_processes import OWNED, Program
from tests.support.threads import start_thread
from tests.support.waits import wait_until

KEYS: Final = 40
WRITERS: Final = 3
_EVENT: Final = re.compile(r"([0-9a-f-]{36}) ([0-9a-f-]{36}) order\.confirmed \{.*\}$")


@dataclass
class Arrived:
    """What one reader has printed: the ids of events by key, in the order of their first arrival."""

    by_key: dict[str, list[str]] = field(default_factory=dict)
    repeated: int = 0

    @classmethod
    def read(cls, log: Path) -> "Arrived":
        found, seen = cls(), set()
        for line in log.read_text(errors="replace").splitlines():
            event = _EVENT.match(line)  # not for tracebacks, and a half line of a killed reader
            if event is None:
                continue
            event_id, key = event.groups()
            if event_id in seen:
                found.repeated += 1
                continue
            seen.add(event_id)
            found.by_key.setdefault(key, []).append(event_id)
        return found

    @property
    def count(self) -> int:
        return sum(map(len, self.by_key.values()))


def relay(log: Path, environment: Mapping[str, str]) -> Program:
    """Start a relay."""
    return Program(log, environment, *OWNED, "manage.py", "events", "relay")


def reader(log: Path, environment: Mapping[str, str], example: str) -> Program:
    """Start a reader, which is killed with this process. Its log is what it prints."""
    return Program(log, environment, *OWNED, f"examples/{example}.py")


def record_steadily(count: int, per_second: float, meanwhile: Callable[[int], None]) -> None:
    """Record ``count`` events of KEYS orders from several threads; call ``meanwhile`` with each hundred.

    Transactions have one to three events, of one order each. Some are rolled back.
    """
    keys = [[UUID(int=number) for number in range(w, KEYS, WRITERS)] for w in range(WRITERS)]
    left = threading.Semaphore(0)
    recorded = [0] * WRITERS

    def write(writer: int) -> None:
        chance = random.Random(writer)  # noqa: S311
        while recorded[writer] < count // WRITERS:
            left.acquire()
            size = chance.randint(1, 3)
            with transaction.atomic():
                key = chance.choice(keys[writer])
                data = OrderConfirmed(total_minor=recorded[writer], currency="eur")
                record([Event(key, uuid4(), data)] * size)
                if chance.random() < 0.05:
                    transaction.set_rollback(True)
                    size = 0
            recorded[writer] += size

    threads = [start_thread(write, writer) for writer in range(WRITERS)]
    hundreds = 0
    while not all(thread.done() for thread in threads):
        left.release()
        threading.Event().wait(2 / per_second)
        while hundreds < sum(recorded) // 100:
            hundreds += 1
            meanwhile(hundreds)
    for thread in threads:
        thread.result()
    connection.close()


def expected() -> dict[str, list[str]]:
    """Return the ids of all committed events by key, in order."""
    found: dict[str, list[str]] = {}
    rows = OutboxEvent.objects.order_by("number").values_list("key", "id")
    for key, event_id in rows:
        found.setdefault(str(key), []).append(str(event_id))
    return found


def wait_for_all(log: Path, count: int) -> Arrived:
    """Wait until ``count`` different events have arrived; return what has."""
    wait_until(lambda: Arrived.read(log).count >= count, f"{count} events in {log.name}")
    return Arrived.read(log)


def in_turn(*disruptions: Callable[[], None]) -> Callable[[int], None]:
    """Return a function that performs one of these at each call, in turn."""

    def disrupt(number: int) -> None:
        disruptions[number % len(disruptions)]()

    return disrupt


def restart(program: Program) -> Callable[[], None]:
    """Return a function that kills a program, and starts it again."""

    def kill_and_start() -> None:
        program.kill()
        program.start()

    return kill_and_start
