"""From the journal to a Celery chain: the only module that queues runs.

A message only names the runs to look at. What a run does next is in its rows. So a duplicated,
late or reordered message repeats no effect, and the sweep replaces a lost one.
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
from functools import partial, update_wrapper
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

PUBLISH_INTERVAL_SECONDS: Final = 0.02
"""The pause between two messages of one process, so that a busy process sends fewer messages."""

MAX_RUNS_IN_A_MESSAGE: Final = 20
"""More runs in a message save nothing: its share in an order's cost is too small to measure."""

BROKER_PAUSE_SECONDS: Final = 1.0
"""The pause after a failed publish. Runs queued meanwhile are dropped, for the sweep."""


def dispatch(run: SagaRun) -> None:
    """Queue one chain for the remaining links of ``run``, after this transaction has committed.

    A thread of this process publishes it. A slow or unreachable broker delays the run until the
    sweep finds it; it does not delay the caller.
    """
    links = remaining_links(run)
    enqueue = publisher.enqueue
    # Django names a robust hook in the log if it fails, and a partial has no name of its own.
    hook = update_wrapper(partial(enqueue, run.pk, links), enqueue)
    transaction.on_commit(hook, robust=True)


def remaining_links(run: SagaRun) -> tuple[Link, ...]:
    """Return the links that remain for ``run``, in its direction. Raises UnknownSaga, UnknownStep."""
    saga = registry.get(run.saga, run.version)
    if run.status == RunStatus.COMPENSATING:
        return (saga.compensation_link,)
    if run.status == RunStatus.RUNNING:
        return saga.links_from(run.step)
    return ()


def publish(run_ids: Sequence[UUID], links: tuple[Link, ...]) -> None:
    """Publish one chain for all these runs. Raises kombu's OperationalError without a broker."""
    ids = [str(run_id) for run_id in run_ids]
    tasks = [signature(link.name, args=(ids,), immutable=True, queue=link.queue) for link in links]
    chain(*tasks).apply_async(retry=False)


class QueuedRun(NamedTuple):
    """A run that waits to be published, with its caller's context, in which its trace continues."""

    run_id: UUID
    links: tuple[Link, ...]
    context: Context


class Publisher:
    """Publishes from a thread of its own, with a pause after each failure. One for each process.

    A single run has a message of its own, at once. Runs that are queued within
    PUBLISH_INTERVAL_SECONDS after it share the next message, because a message costs as much as the
    work that it causes. It is published in the context of the first of them.
    """

    def __init__(self) -> None:
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self._messages: queue.Queue[QueuedRun] = queue.Queue(maxsize=10_000)
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._paused_until = 0.0

    def enqueue(self, run_id: UUID, links: tuple[Link, ...]) -> None:
        """Publish a chain soon; returns at once. A full queue drops it, for the sweep to find."""
        if not links:
            return
        if self._thread is None:
            self._start()
        try:
            self._messages.put_nowait(QueuedRun(run_id, links, copy_context()))
        except queue.Full:
            MESSAGES.labels("dropped").inc()
            log.warning("publisher.full", extra={"run_id": str(run_id)})

    def flush(self, seconds: float = 2.0) -> None:
        """Wait until all queued runs are published or dropped, for ``seconds`` at most."""
        until = time.monotonic() + seconds
        with self._messages.all_tasks_done:
            while self._messages.unfinished_tasks and (left := until - time.monotonic()) > 0:
                self._messages.all_tasks_done.wait(left)

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                thread = threading.Thread(target=self._work, name="saga-publisher", daemon=True)
                thread.start()
                self._thread = thread  # not before it runs: if it cannot start, the next call tries

    def _work(self) -> None:
        pace = threading.Event()  # never set: its wait always lasts the whole time
        while True:
            for links, together in self._take().items():
                run_ids = [queued.run_id for queued in together]
                try:
                    together[0].context.run(self._publish, run_ids, links)
                finally:
                    for _ in together:
                        self._messages.task_done()
            pace.wait(PUBLISH_INTERVAL_SECONDS)

    def _take(self) -> dict[tuple[Link, ...], list[QueuedRun]]:
        """Wait for a run, and take those that wait with it, grouped by their links."""
        first = self._messages.get()
        waiting = {first.links: [first]}
        with suppress(queue.Empty):
            for _ in range(MAX_RUNS_IN_A_MESSAGE - 1):
                queued = self._messages.get_nowait()
                waiting.setdefault(queued.links, []).append(queued)
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
