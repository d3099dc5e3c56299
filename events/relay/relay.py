"""One transport's loop: read what is settled, publish it, record it."""

import logging
import random
import threading
import time
from collections import deque
from typing import Final

from django.db import Error, close_old_connections

from events.relay.positions import Lease, LeaseLost, acquire, advance, go_back, release, renew
from events.relay.reading import SettledNumber, events_between
from events.relay.transport import ServerRestarted, Transport, TransportUnavailable

log = logging.getLogger(__name__)

POLL_SECONDS: Final = 0.02
"""Between two looks at the outbox while there is nothing to publish: half of it is added latency."""

BATCH: Final = 500
"""Events of one call of a transport."""

SAFE_AFTER_SECONDS: Final = 5.0
"""What was published this long ago survives a restart of the server: Valkey writes its file each second."""

RENEW_SECONDS: Final = 3.0
LONGEST_BACK_OFF_SECONDS: Final = 5.0
"""Shorter than a lease."""


class Relay:
    """Publishes the outbox to one transport until it is stopped. For one thread.

    Every committed event is published at least once, and events of one key in order; a repeated
    event comes with those after it, again in order. What is published is recorded afterwards, so a
    relay that dies between the two repeats at most one batch.
    """

    def __init__(
        self,
        transport: Transport,
        name: str,
        *,
        from_first: bool,
        events_per_second: int = 0,
        stop: threading.Event,
    ) -> None:
        self.transport = transport
        self.name = name
        self.from_first = from_first
        self.events_per_second = events_per_second
        self._stop = stop
        self._settled = SettledNumber()
        # A batch of a limited relay takes a second.
        self._batch = min(BATCH, events_per_second or BATCH)
        self._published: deque[tuple[float, int]] = deque()
        self._failures = 0

    def run(self) -> None:
        """Publish until stopped. A failure of the database or the transport costs time only."""
        while not self._stop.is_set():
            try:
                self._run_once()
            except LeaseLost:
                log.warning("events.lease_lost", extra={"transport": self.transport.name})
            except Error as error:
                log.warning("events.database_failed", extra={"error": str(error)})
                close_old_connections()
                self._wait(1.0)
        self.transport.close()

    def _run_once(self) -> None:
        settled = self._settled.look()
        lease = acquire(
            self.transport.name, self.name, begin_after=0 if self.from_first else settled
        )
        if lease is None:
            self._wait(1.0)
            return
        self._published.clear()
        try:
            self._publish_while_leased(lease)
        finally:
            release(lease)

    def _publish_while_leased(self, lease: Lease) -> None:
        renewed = time.monotonic()
        while not self._stop.is_set():
            before = lease
            lease = self.step(lease)
            if lease is not before:
                renewed = time.monotonic()
            elif time.monotonic() - renewed > RENEW_SECONDS:
                renew(lease)
                renewed = time.monotonic()

    def step(self, lease: Lease) -> Lease:
        """Publish one batch, or wait a moment without one. Returns the lease as it is then.

        Raises LeaseLost.
        """
        began = time.monotonic()
        events = events_between(lease.number, self._settled.look(), self._batch)
        if not events:
            self._wait(POLL_SECONDS)
            return lease
        try:
            server = self.transport.publish(events, lease.server)
        except ServerRestarted as restarted:
            log.warning("events.server_restarted", extra={"transport": self.transport.name})
            self._published.clear()
            return go_back(lease, restarted.server)
        except TransportUnavailable as error:
            self._failures += 1
            renew(lease, str(error))
            self._wait(self._back_off())
            return lease
        self._failures = 0
        number = events[-1].number
        lease = advance(lease, number, self._safe_number(lease, number), server)
        if self.events_per_second:
            self._wait(len(events) / self.events_per_second - (time.monotonic() - began))
        return lease

    def _safe_number(self, lease: Lease, number: int) -> int:
        """Return the last number that was published long enough ago; note that of now."""
        now = time.monotonic()
        self._published.append((now, number))
        safe = lease.safe_number
        while self._published[0][0] <= now - SAFE_AFTER_SECONDS:
            safe = self._published.popleft()[1]
        return safe

    def _back_off(self) -> float:
        longest = min(0.25 * 2**self._failures, LONGEST_BACK_OFF_SECONDS)
        return random.uniform(longest / 2, longest)  # noqa: S311 - no secret

    def _wait(self, seconds: float) -> None:
        if seconds > 0:
            self._stop.wait(seconds)
