"""Triggers one fault in a process, at the point and in the mode that the run has chosen."""

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from django.db import connection
from psycopg.pq import TransactionStatus

from proof.points import Fault, Kind, Mode, Point

T = TypeVar("T")


class FaultInjector:
    """Reports each point that its process passes, and triggers the run's fault at its point.

    It sends the report through ``pipe`` before the point's effect happens, so that the parent
    learns of a process that dies there. ``elapsed`` is how much time of the run has passed.
    """

    def __init__(
        self,
        actor: str,
        passed: Counter[tuple[str, ...]],
        fault: Fault | None,
        pipe: Connection,
        *,
        elapsed: timedelta = timedelta(),
        pause_before: Kind | None = None,
    ) -> None:
        self.task = "-"
        self.elapsed = elapsed
        self._actor = actor
        self._passed = passed
        self._fault = fault
        self._pipe = pipe
        self._pause_before = pause_before
        self._reporting = threading.Lock()

    def around(
        self, kind: Kind, label: str, effect: Callable[[], T], error: Callable[[], Exception]
    ) -> T:
        """Report the point that is reached here; then run ``effect`` or trigger the fault.

        Returns what ``effect`` returns. In an error mode raises ``error()``.
        """
        key = (self._actor, self.task, kind.value, label)
        self._passed[key] += 1
        point = Point(self._actor, self.task, kind, label, self._passed[key])
        self.report("point", point)
        if kind is self._pause_before:
            self._pause_before = None
            self._wait_for_parent("paused")
        if self._fault is None or self._fault.point != point:
            return effect()
        return self._trigger(self._fault.mode, effect, error)

    def report(self, subject: str, *details: Any) -> None:
        """Send a message to the process that started this one."""
        with self._reporting:
            self._pipe.send((subject, *details))

    def _trigger(self, mode: Mode, effect: Callable[[], T], error: Callable[[], Exception]) -> T:
        self.report("triggered")
        match mode:
            case Mode.KILL_BEFORE:
                _die()
            case Mode.ERROR_BEFORE:
                raise error()
            case Mode.HANG:
                self._wait_for_parent("hanging")
        try:
            result = effect()
        finally:  # also when the effect itself raised
            if mode is Mode.KILL_AFTER:
                _die()
        if mode is Mode.ERROR_AFTER:
            raise error()
        return result

    def _wait_for_parent(self, state: str) -> None:
        """Report the database session that now waits, and wait for the parent's message."""
        session = None
        if connection.connection is not None:
            info = connection.connection.info
            if info.transaction_status != TransactionStatus.IDLE:
                session = info.backend_pid
        self.report(state, session)
        self._pipe.recv()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
