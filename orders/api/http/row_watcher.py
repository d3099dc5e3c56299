"""Waits until rows change, without one query loop per waiting request.

One thread per process reads all watched rows of a kind in one statement, and only while there are any.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Generic, TypeVar
from uuid import UUID

from django.db import InterfaceError, OperationalError, close_old_connections

log = logging.getLogger(__name__)

R = TypeVar("R")

WAITER_POLL_SECONDS: Final = 0.02
"""Between two reads while a request waits for its answer."""
STREAM_POLL_SECONDS: Final = 0.2
"""Between two reads while there are event streams only."""
DATABASE_RETRY_SECONDS: Final = 1.0
"""Before the next read after the database did not answer."""


@dataclass(frozen=True, slots=True)
class RowWatch(Generic[R]):
    """What one request waits for: a row, and a condition on it."""

    row_id: UUID
    is_met: Callable[[R], bool]
    is_urgent: bool


class RowWatcher(Generic[R]):
    """Wakes waiting requests when their rows change. Safe to use from many threads.

    ``read`` returns the rows that exist, by id, in one statement. The thread has ``name``.
    """

    def __init__(self, name: str, read: Callable[[set[UUID]], Mapping[UUID, R]]) -> None:
        self._name = name
        self._read = read
        self._changed = threading.Condition()
        self._watches: dict[threading.Event, RowWatch[R]] = {}
        self._thread: threading.Thread | None = None

    def wait(self, watch: RowWatch[R], seconds: float) -> bool:
        """Return whether the condition was met within ``seconds``."""
        is_met = threading.Event()
        with self._changed:
            self._watches[is_met] = watch
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(
                    target=self._poll_forever, name=self._name, daemon=True
                )
                self._thread.start()
            self._changed.notify()
        try:
            return is_met.wait(seconds)
        finally:
            with self._changed:
                self._watches.pop(is_met, None)

    def _poll_forever(self) -> None:
        while True:
            with self._changed:
                while not self._watches:
                    self._changed.wait()
                watches = dict(self._watches)
            close_old_connections()
            try:
                self._poll(watches)
            except (OperationalError, InterfaceError):
                log.exception("row_watcher.database_unavailable")
                time.sleep(DATABASE_RETRY_SECONDS)  # noqa: TID251 - as below
                continue
            time.sleep(WAITER_POLL_SECONDS)  # noqa: TID251 - the watcher's own thread, not a request's
            with self._changed:
                # An urgent watch that arrives meanwhile ends the longer pause.
                pause = STREAM_POLL_SECONDS - WAITER_POLL_SECONDS
                self._changed.wait_for(self._has_urgent_watch, pause)

    def _has_urgent_watch(self) -> bool:
        return any(watch.is_urgent for watch in self._watches.values())

    def _poll(self, watches: dict[threading.Event, RowWatch[R]]) -> None:
        rows = self._read({watch.row_id for watch in watches.values()})
        for is_met, watch in watches.items():
            if watch.row_id in rows and watch.is_met(rows[watch.row_id]):
                is_met.set()
