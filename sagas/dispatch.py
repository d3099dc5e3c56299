"""From the journal to a Celery chain: the only place that puts a saga on a queue.

A message says "look at these runs" and nothing else. Lost, doubled, late or reordered, it changes
when something happens, never what: the sweep rebuilds it from the same rows.
"""

import atexit
import logging
import os
import queue
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from contextvars import Context, copy_context
from functools import partial
from typing import Final, NamedTuple
from uuid import UUID

from celery import chain, signature
from django.db import transaction
from kombu.exceptions import OperationalError

from sagas import registry
from sagas.definition import Link
from sagas.metrics import MESSAGES
from sagas.models import RunStatus, SagaRun

log = logging.getLogger(__name__)

PACE_SECONDS: Final = 0.02
"""Between two messages of one process: a busy one sends fewer, and nobody waits for longer."""

MOST_RUNS_IN_A_MESSAGE: Final = 20
"""More save nothing: by then a message's share in an order's cost is too small to see."""

BROKER_PAUSE_SECONDS: Final = 1.0
"""After a failed publish the broker is left alone for so long; what comes meanwhile is dropped."""


def dispatch(run: SagaRun) -> None:
    """Queue, once this transaction has committed, one chain for what remains of ``run``.

    Costs the caller nothing but the hand-over to a thread: a broker that is slow or gone delays
    the run until the sweep finds it, and never the request that started it.
    """
    links = remaining_links(run)
    transaction.on_commit(partial(publisher.hand_over, run.pk, links), robust=True)


def remaining_links(run: SagaRun) -> tuple[Link, ...]:
    """Return the links that ``run`` still has to pass, in the direction in which it goes."""
    saga = registry.get(run.saga, run.version)
    if run.status == RunStatus.COMPENSATING:
        return (saga.compensation_link,)
    if run.status == RunStatus.RUNNING:
        return saga.links_from(run.step)
    return ()


def publish(run_ids: Sequence[UUID], links: tuple[Link, ...]) -> None:
    """Put one chain on the broker, for all these runs. Raises kombu's OperationalError without one."""
    named = [str(each) for each in run_ids]
    tasks = [
        signature(link.name, args=(named,), immutable=True, queue=link.queue) for link in links
    ]
    chain(*tasks).apply_async(retry=False)


class Handed(NamedTuple):
    """A run that waits to be published, and what its caller worked on: its trace goes on from there."""

    run_id: UUID
    links: tuple[Link, ...]
    context: Context


class Publisher:
    """Publishes from a thread of its own, one to a process, behind a breaker.

    A run that comes alone has a message of its own, at once. Those that come within PACE_SECONDS
    of it share the next one, since a message costs as much as the work that it asks for. It is
    published in the context of the first.
    """

    def __init__(self) -> None:
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self._messages: queue.Queue[Handed] = queue.Queue(maxsize=10_000)
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._paused_until = 0.0

    def hand_over(self, run_id: UUID, links: tuple[Link, ...]) -> None:
        """Have a chain published soon; returns at once. A full queue drops it, for the sweep."""
        if not links:
            return
        if self._thread is None:
            self._start()
        try:
            self._messages.put_nowait(Handed(run_id, links, copy_context()))
        except queue.Full:
            MESSAGES.labels("dropped").inc()
            log.warning("publisher.full", extra={"run_id": str(run_id)})

    def flush(self, seconds: float = 2.0) -> None:
        """Wait until everything handed over is published or dropped, for ``seconds`` at most."""
        until = time.monotonic() + seconds
        with self._messages.all_tasks_done:
            while self._messages.unfinished_tasks and (left := until - time.monotonic()) > 0:
                self._messages.all_tasks_done.wait(left)

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, name="saga-publisher", daemon=True
                )
                self._thread.start()

    def _work(self) -> None:
        pace = threading.Event()  # never set: a pause that nothing cuts short
        while True:
            for links, together in self._take().items():
                run_ids = [each.run_id for each in together]
                try:
                    together[0].context.run(self._publish, run_ids, links)
                finally:
                    for _ in together:
                        self._messages.task_done()
            pace.wait(PACE_SECONDS)

    def _take(self) -> dict[tuple[Link, ...], list[Handed]]:
        """Wait for a run, and take those that wait with it, by the way that they have to go."""
        first = self._messages.get()
        waiting = {first.links: [first]}
        with suppress(queue.Empty):
            for _ in range(MOST_RUNS_IN_A_MESSAGE - 1):
                handed = self._messages.get_nowait()
                waiting.setdefault(handed.links, []).append(handed)
        return waiting

    def _publish(self, run_ids: Sequence[UUID], links: tuple[Link, ...]) -> None:
        outcome = "dropped"
        try:
            if time.monotonic() >= self._paused_until:
                publish(run_ids, links)
                outcome = "published"
        except OperationalError as error:
            self._paused_until = time.monotonic() + BROKER_PAUSE_SECONDS
            log.warning("broker.unreachable", extra={"error": type(error).__name__})
        except Exception:
            log.exception("publisher.failed", extra={"runs": len(run_ids)})
        MESSAGES.labels(outcome).inc(len(run_ids))


publisher = Publisher()
# A command that ends right after its commit still gets its messages out.
atexit.register(publisher.flush)
