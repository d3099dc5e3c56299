"""Threads beside a test: start one, run calls at the same moment, or make two meet at a function.

To wait for what another thread does, see ``waits``. Threads that work as Celery workers and can be
killed are in ``worker_threads``.
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from typing import Final, ParamSpec, TypeVar

from django.db import connections

P = ParamSpec("P")
T = TypeVar("T")

START_SECONDS: Final = 60
KEPT_APART_SECONDS: Final = 0.3
"""How long a thread waits for others that a lock keeps away."""
LEFT_TO_MEET_SECONDS: Final = 60
"""How long it waits when no lock keeps them away: the machine may be busy."""


def start_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
    """Run ``work`` in a thread, which closes its database connections at the end.

    The thread is a daemon: unlike a pool's, it cannot keep a failed session from ending.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            result = work(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001 - raised where the result is asked for
            connections.close_all()
            future.set_exception(error)
        else:
            connections.close_all()
            future.set_result(result)

    threading.Thread(target=run, daemon=True).start()
    return future


def run_at_once(*calls: Callable[[], T]) -> list[T | Exception]:
    """Run all calls at once, each in its own thread. Returns what each returned or raised."""
    barrier = threading.Barrier(len(calls))

    def call_with_the_others(call: Callable[[], T]) -> T:
        barrier.wait(START_SECONDS)
        return call()

    results: list[T | Exception] = []
    for future in [start_thread(call_with_the_others, call) for call in calls]:
        error = future.exception()
        assert error is None or isinstance(error, Exception)
        results.append(error or future.result())
    return results


@contextmanager
def in_background(call: Callable[[], T]) -> Iterator[Future[T]]:
    """Run ``call`` in a thread beside the block. Raises at the block's end what ``call`` raised."""
    future = start_thread(call)
    try:
        yield future
    finally:
        wait([future])
    future.result()


def meet_before(function: Callable[P, T], parties: int, *, kept_apart: bool) -> Callable[P, T]:
    """Make all callers of ``function`` wait for each other before it runs: the worst moment.

    When a guard keeps them apart, the caller that got through continues after a while.
    """
    seconds = KEPT_APART_SECONDS if kept_apart else LEFT_TO_MEET_SECONDS
    barrier = threading.Barrier(parties, timeout=seconds)

    def meet_and_call(*args: P.args, **kwargs: P.kwargs) -> T:
        with suppress(threading.BrokenBarrierError):  # the other callers do not come: continue
            barrier.wait()
        return function(*args, **kwargs)

    return meet_and_call
