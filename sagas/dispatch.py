"""From the journal to a Celery chain: the only place that puts a saga on a queue.

A message says "look at this run" and nothing else. Lost, doubled, late or reordered, it changes
when something happens, never what: the sweep rebuilds it from the same rows.
"""

import atexit
import logging
import os
import queue
import threading
import time
from functools import partial
from uuid import UUID

from celery import chain, signature
from django.db import transaction
from kombu.exceptions import OperationalError

from sagas import registry
from sagas.definition import Link
from sagas.models import RunStatus, SagaRun

log = logging.getLogger(__name__)

BROKER_PAUSE_SECONDS = 1.0
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
        return (saga.way_back,)
    if run.status == RunStatus.RUNNING:
        return saga.links_from(run.step)
    return ()


def publish(run_id: UUID, links: tuple[Link, ...]) -> None:
    """Put one chain on the broker. Raises kombu's OperationalError when there is none."""
    tasks = [
        signature(link.name, args=(str(run_id),), immutable=True, queue=link.queue)
        for link in links
    ]
    chain(*tasks).apply_async(retry=False)


class Publisher:
    """Publishes from a thread of its own, one to a process, behind a breaker."""

    def __init__(self) -> None:
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self._messages: queue.Queue[tuple[UUID, tuple[Link, ...]]] = queue.Queue(maxsize=10_000)
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
            self._messages.put_nowait((run_id, links))
        except queue.Full:
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
        while True:
            run_id, links = self._messages.get()
            try:
                if time.monotonic() >= self._paused_until:
                    publish(run_id, links)
            except OperationalError as error:
                self._paused_until = time.monotonic() + BROKER_PAUSE_SECONDS
                log.warning("broker.unreachable", extra={"error": type(error).__name__})
            except Exception:
                log.exception("publisher.failed", extra={"run_id": str(run_id)})
            finally:
                self._messages.task_done()


publisher = Publisher()
# A command that ends right after its commit still gets its messages out.
atexit.register(publisher.flush)
