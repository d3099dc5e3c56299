"""Threads with their own database connections that start together or meet at one function."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from typing import ParamSpec, TypeVar

from django.db import connections

from tests.support.in_memory_broker import Message, MessageQueue

P = ParamSpec("P")
T = TypeVar("T")

START_SECONDS = 60
KEPT_APART_SECONDS = 0.3
"""How long a thread waits for others that a lock keeps away."""
LEFT_TO_MEET_SECONDS = 60
"""How long it waits when no lock keeps them away: the machine may be busy."""


def at_once(*acts: Callable[[], T]) -> list[T | Exception]:
    """Run all acts at once, each in its own thread. Returns what each returned or raised."""
    barrier = threading.Barrier(len(acts))

    def act_with_the_others(act: Callable[[], T]) -> T:
        barrier.wait(START_SECONDS)
        return act()

    outcomes: list[T | Exception] = []
    with ThreadPoolExecutor(len(acts)) as threads:
        running = [
            threads.submit(_with_own_connection, partial(act_with_the_others, act)) for act in acts
        ]
        for each in running:
            error = each.exception()
            assert error is None or isinstance(error, Exception)
            outcomes.append(error or each.result())
    return outcomes


@contextmanager
def meanwhile(act: Callable[[], T]) -> Iterator["Future[T]"]:
    """Run ``act`` in a thread beside the block, which raises at its end what ``act`` raised."""
    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(_with_own_connection, act)
        yield running
        running.result()


def carry(message: Message) -> None:
    """Deliver a message, and the rest of its chain, as a separate worker process would."""
    worker = MessageQueue()
    worker.waiting.append(message)
    worker.deliver_all()


def meeting_first(function: Callable[P, T], parties: int, *, kept_apart: bool) -> Callable[P, T]:
    """Make all callers of ``function`` wait for each other before it runs: the worst moment.

    When a guard keeps them apart, the caller that got through continues after a while.
    """
    seconds = KEPT_APART_SECONDS if kept_apart else LEFT_TO_MEET_SECONDS
    barrier = threading.Barrier(parties, timeout=seconds)

    def meet_and_call(*args: P.args, **kwargs: P.kwargs) -> T:
        with suppress(threading.BrokenBarrierError):  # the others do not come: go on
            barrier.wait()
        return function(*args, **kwargs)

    return meet_and_call


def _with_own_connection(act: Callable[[], T]) -> T:
    try:
        return act()
    finally:
        connections.close_all()
