"""Checks the services that a web process needs: PostgreSQL and the broker."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from enum import StrEnum
from functools import cache
from typing import Final

from django.conf import settings
from django.db import Error, close_old_connections, connection
from django.db.migrations.loader import MigrationLoader
from kombu import Connection
from kombu.exceptions import OperationalError

CHECK_TIMEOUT_SECONDS: Final = 1.0
"""A health check waits no longer. A slower service is as good as down for customers."""


class Status(StrEnum):
    """The result of a check of a service."""

    OK = "ok"
    DOWN = "down"
    NOT_MIGRATED = "not migrated"


class ServiceCheck:
    """Checks a service in a thread of its own, which keeps its connection.

    Concurrent callers share one check. If it hangs, each caller gets DOWN after
    CHECK_TIMEOUT_SECONDS.
    """

    def __init__(self, check: Callable[[], Status]) -> None:
        self._check = check
        self._lock = threading.Lock()
        self._thread: ThreadPoolExecutor | None = None
        self._running: Future[Status] | None = None

    def status(self) -> Status:
        with self._lock:
            if self._thread is None:
                self._thread = ThreadPoolExecutor(1, thread_name_prefix="readiness")
            if self._running is None or self._running.done():
                self._running = self._thread.submit(self._check)
            running = self._running
        try:
            return running.result(CHECK_TIMEOUT_SECONDS)
        except FutureTimeout:
            return Status.DOWN


def _check_database() -> Status:
    """Return OK if the database answers and has all migrations of this code."""
    close_old_connections()
    needed = _newest_migrations()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT app, name FROM django_migrations")
            applied = set(cursor.fetchall())
    except Error as error:
        is_empty = getattr(error.__cause__, "sqlstate", "") == "42P01"  # undefined_table
        return Status.NOT_MIGRATED if is_empty else Status.DOWN
    return Status.OK if needed <= applied else Status.NOT_MIGRATED


@cache
def _newest_migrations() -> frozenset[tuple[str, str]]:
    """Return the last migration of each app in this code."""
    return frozenset(MigrationLoader(None).graph.leaf_nodes())


def _check_broker() -> Status:
    options = {
        "socket_timeout": CHECK_TIMEOUT_SECONDS,
        "socket_connect_timeout": CHECK_TIMEOUT_SECONDS,
        "max_retries": 0,
    }
    broker = Connection(
        settings.CELERY_BROKER_URL, connect_timeout=CHECK_TIMEOUT_SECONDS, transport_options=options
    )
    try:
        with broker:
            broker.ensure_connection(max_retries=1, interval_start=0, timeout=1)
            broker.default_channel  # noqa: B018 - sends a command to Redis; connecting alone sends none
    except (OperationalError, OSError):
        return Status.DOWN
    return Status.OK


database: Final = ServiceCheck(_check_database)
broker: Final = ServiceCheck(_check_broker)
