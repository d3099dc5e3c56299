"""Fault points: the moments of a run at which something can break, and the ways in which it can."""

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from django.db import connection
from psycopg.pq import TransactionStatus

T = TypeVar("T")


class Kind(StrEnum):
    """Which boundary of the process a point is at."""

    COMMIT = "commit"  # of a transaction
    SAVEPOINT = "savepoint"  # its release
    WRITE = "write"  # outside any transaction, so committed at once: there ought to be none
    HOOK = "on-commit"
    HTTP = "http"  # a request to the bank
    PUBLISH = "publish"  # a message to the broker
    ACK = "ack"  # of a message that was worked off


class Mode(StrEnum):
    """How a point breaks."""

    KILL_BEFORE = "kill-before"
    KILL_AFTER = "kill-after"
    ERROR_BEFORE = "error-before"  # it did not happen, and the caller sees that something is wrong
    ERROR_AFTER = "error-after"  # it happened, and the caller sees the same error
    HANG = "hang"  # it stands still until everybody else has brought the order to its end


@dataclass(frozen=True, slots=True)
class Point:
    """One moment of a scenario. Its name stays the same while the code around it changes."""

    actor: str
    task: str  # the Celery task that was being worked off; "-" where there was none
    kind: Kind
    label: str
    nth: int

    def __str__(self) -> str:
        return f"{self.actor}/{self.task}/{self.kind}/{self.label}/{self.nth}"

    @classmethod
    def parse(cls, name: str) -> "Point":
        actor, task, kind, label, nth = name.split("/")
        return cls(actor, task, Kind(kind), label, int(nth))


@dataclass(frozen=True, slots=True)
class Fault:
    """One point, and how it breaks in this run."""

    point: Point
    mode: Mode

    def __str__(self) -> str:
        return f"{self.point}/{self.mode}"


class Tripwire:
    """Knows each point that its process passes, and springs the fault that is set for one.

    What it sees goes out on ``wire`` before anything happens, so that it is known of a process
    that dies of it. ``elapsed`` is how much time of the run has been let pass so far.
    """

    def __init__(
        self,
        actor: str,
        passed: Counter[tuple[str, ...]],
        fault: Fault | None,
        wire: Connection,
        *,
        elapsed: timedelta = timedelta(),
        pause_before: Kind | None = None,
    ) -> None:
        self.task = "-"
        self.elapsed = elapsed
        self._actor = actor
        self._passed = passed
        self._fault = fault
        self._wire = wire
        self._pause_before = pause_before
        self._speaking = threading.Lock()

    def around(
        self, kind: Kind, label: str, act: Callable[[], T], error: Callable[[], Exception]
    ) -> T:
        """Let ``act`` happen at the point that is reached here, unless this is where it breaks."""
        key = (self._actor, self.task, kind.value, label)
        self._passed[key] += 1
        point = Point(self._actor, self.task, kind, label, self._passed[key])
        self.tell("point", point)
        if kind is self._pause_before:
            self._pause_before = None
            self._stand_still("paused")
        if self._fault is None or self._fault.point != point:
            return act()
        return self._spring(self._fault.mode, act, error)

    def tell(self, what: str, *details: Any) -> None:
        """Say something to whoever started this process."""
        with self._speaking:
            self._wire.send((what, *details))

    def _spring(self, mode: Mode, act: Callable[[], T], error: Callable[[], Exception]) -> T:
        self.tell("struck")
        match mode:
            case Mode.KILL_BEFORE:
                _die()
            case Mode.ERROR_BEFORE:
                raise error()
            case Mode.HANG:
                self._stand_still("asleep")
        try:
            result = act()
        finally:  # it is over, also where the world itself made it fail
            if mode is Mode.KILL_AFTER:
                _die()
        if mode is Mode.ERROR_AFTER:
            raise error()
        return result

    def _stand_still(self, how: str) -> None:
        """Say which session of the database stands still with us, and wait to be woken."""
        session = None
        if connection.connection is not None:
            info = connection.connection.info
            if info.transaction_status != TransactionStatus.IDLE:
                session = info.backend_pid
        self.tell(how, session)
        self._wire.recv()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
