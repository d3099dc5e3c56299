"""Whether this process can do its work now, as far as others are needed for it."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from enum import StrEnum
from functools import cache
from typing import Final

from django.conf import settings
from django.db import Error, close_old_connections, connection
from django.db.migrations.loader import MigrationLoader
from kombu import Connection
from kombu.exceptions import OperationalError

PATIENCE_SECONDS: Final = 1.0
"""Who asks waits for no longer. What is slower than this is not there for our customers either."""


class Finding(StrEnum):
    """What was found of something that we need."""

    OK = "ok"
    DOWN = "down"
    NOT_MIGRATED = "not migrated"


class Look:
    """Looks in a thread of its own, and at nothing twice at the same time.

    A look that hangs makes nobody else hang: all who ask meanwhile hear DOWN after the patience of
    one. The thread keeps its connection.
    """

    def __init__(self, look: Callable[[], Finding]) -> None:
        self._look = look
        self._asking = threading.Lock()
        self._thread: ThreadPoolExecutor | None = None
        self._under_way: Future[Finding] | None = None

    def find(self) -> Finding:
        with self._asking:
            if self._thread is None:
                self._thread = ThreadPoolExecutor(1, thread_name_prefix="readiness")
            if self._under_way is None or self._under_way.done():
                self._under_way = self._thread.submit(self._look)
            under_way = self._under_way
        try:
            return under_way.result(PATIENCE_SECONDS)
        except Late:
            return Finding.DOWN


def _look_at_database() -> Finding:
    """Ask for the newest migrations of this code: it answers, and has the tables that we need."""
    close_old_connections()
    needed = _newest_migrations()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT app, name FROM django_migrations")
            applied = set(cursor.fetchall())
    except Error as error:
        is_empty = getattr(error.__cause__, "sqlstate", "") == "42P01"  # undefined_table
        return Finding.NOT_MIGRATED if is_empty else Finding.DOWN
    return Finding.OK if needed <= applied else Finding.NOT_MIGRATED


@cache
def _newest_migrations() -> frozenset[tuple[str, str]]:
    """Return the last migration of each app, as the files of this code have them."""
    return frozenset(MigrationLoader(None).graph.leaf_nodes())


def _look_at_broker() -> Finding:
    options = {
        "socket_timeout": PATIENCE_SECONDS,
        "socket_connect_timeout": PATIENCE_SECONDS,
        "max_retries": 0,
    }
    broker = Connection(
        settings.CELERY_BROKER_URL, connect_timeout=PATIENCE_SECONDS, transport_options=options
    )
    try:
        with broker:
            broker.ensure_connection(max_retries=1, interval_start=0, timeout=1)
            broker.default_channel  # noqa: B018 - asks Redis, which connecting alone does not
    except (OperationalError, OSError):
        return Finding.DOWN
    return Finding.OK


database: Final = Look(_look_at_database)
broker: Final = Look(_look_at_broker)
