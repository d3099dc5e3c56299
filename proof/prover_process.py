"""Runs the application in the prover itself, and leaves nothing there that a fork would inherit."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from django.db import connections
from kombu import pools

from config.application import PACKAGES
from config.celery import app
from outbound import service

celery: Any = app  # Any, because the method that is used here is private

KEPT_CACHES = frozenset({"bulk_sql.statements"})
"""Modules whose caches depend on nothing but the models."""


@contextmanager
def application_in_prover() -> Iterator[None]:
    """Allow the application's code within the block. Close its connections after it.

    Also clears the caches of our functions, except those of KEPT_CACHES: seeded bugs and a scenario's
    settings must take effect in the forks.
    """
    try:
        yield
    finally:
        connections.close_all()
        pools.reset()
        celery._after_fork()  # noqa: SLF001 - forgets the closed pools
        service._reset_all()  # noqa: SLF001 - as in a fork
        for clear in _cache_clears():
            clear()


@cache
def _cache_clears() -> list[Callable[[], None]]:
    """Return what clears the caches in the application's modules."""
    return [
        value.cache_clear
        for path, module in sys.modules.copy().items()
        if path.partition(".")[0] in PACKAGES
        for value in vars(module).values()
        if hasattr(value, "cache_clear") and value.__module__ not in KEPT_CACHES
    ]
