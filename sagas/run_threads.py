"""The threads that advance the runs of a message: one pool for each process, shared by all links.

A thread keeps its database connection, so the size of the pool bounds the connections as well.
"""

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Final, ParamSpec, TypeVar

from django.conf import settings

P = ParamSpec("P")
T = TypeVar("T")

_this_thread = threading.local()


class RunThreads:
    """A pool of at most ``size`` threads, which start when they are needed and stay.

    A child process starts with a fresh pool, because threads are not inherited.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self._pool = ThreadPoolExecutor(
            self._size, thread_name_prefix="saga-run", initializer=_mark_this_thread
        )

    def submit(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run ``work`` in a thread of the pool, with the log context of the caller.

        Raises RuntimeError in a thread of a pool: it would wait for threads that wait for it.
        """
        if getattr(_this_thread, "advances_runs", False):
            raise RuntimeError("a thread that advances a run must not wait for another one")
        context = copy_context()
        return self._pool.submit(lambda: context.run(work, *args, **kwargs))


def _mark_this_thread() -> None:
    _this_thread.advances_runs = True


run_threads: Final = RunThreads(settings.SAGAS_RUN_THREADS)
