"""Wraps every effect outside the process: commits, hooks, outside services and the broker.

Application code does not know the wrappers, so a new step or service has its points at once.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial, update_wrapper
from typing import Any
from uuid import UUID

import redis
from django.db import OperationalError, connection
from django.db.backends.postgresql import base as postgresql
from django.db.backends.utils import CursorWrapper
from kombu import message, messaging
from kombu.transport import redis as transport
from kombu.utils.json import dumps

from outbound import service
from outbound.errors import NoAnswer
from proof.fault_injector import FaultInjector
from proof.points import Kind
from sagas.definition import Link
from sagas.dispatch import publish, publisher

# Typed as Any, because the methods that are replaced here are private.
Database: Any = postgresql.DatabaseWrapper
Cursor: Any = CursorWrapper
OutsideService: Any = service.OutsideService
Producer: Any = messaging.Producer
Message: Any = message.Message
Channel: Any = transport.Channel

_WRITTEN = re.compile(
    r"(?<!FOR )(?<!KEY )(?<!DO )\b(?:INSERT INTO|UPDATE|DELETE FROM)\s+(?:ONLY\s+)?\"?(\w+)",
    re.IGNORECASE,
)


def wrap_all(injector: FaultInjector) -> None:
    """Send every effect of this process through ``injector``, until the process ends."""
    wrap_database(injector)
    wrap_hooks(injector)
    wrap_outside_services(injector)
    wrap_broker(injector)


def wrap_database(injector: FaultInjector) -> None:
    """Wrap commits, savepoint releases and writes; a label is the tables that were written."""
    written: dict[Any, set[str]] = {}
    commit = Database._commit
    release_savepoint = Database._savepoint_commit
    rollback = Database._rollback
    execute = Cursor._execute_with_wrappers

    def execute_and_remember(self: Any, sql: Any, *rest: Any, **options: Any) -> Any:
        tables = set(_WRITTEN.findall(str(sql)))
        run = partial(execute, self, sql, *rest, **options)
        if tables and not self.db.in_atomic_block:
            error = partial(_close_connection, self.db)
            return injector.around(Kind.WRITE, _label(tables), run, error)
        written.setdefault(self.db, set()).update(tables)
        return run()

    def commit_at_point(self: Any) -> None:
        label = _label(written.pop(self, set()))
        error = partial(_close_connection, self)
        injector.around(Kind.COMMIT, label, partial(commit, self), error)

    def release_at_point(self: Any, sid: str) -> None:
        label = _label(written.get(self, set()))
        release = partial(release_savepoint, self, sid)
        injector.around(Kind.SAVEPOINT, label, release, partial(_close_connection, self))

    def rollback_and_forget(self: Any) -> None:
        written.pop(self, None)
        rollback(self)

    Cursor._execute_with_wrappers = execute_and_remember
    Database._commit = commit_at_point
    Database._savepoint_commit = release_at_point
    Database._rollback = rollback_and_forget


def _label(tables: set[str]) -> str:
    return "+".join(sorted(tables)) or "nothing"


def _close_connection(database: Any) -> OperationalError:
    """Close the connection, and return the error of a server that stops during a statement."""
    if database.connection is not None:
        database.connection.close()
    return OperationalError("the connection was lost")


def wrap_hooks(injector: FaultInjector) -> None:
    """Wrap every on-commit hook. Messages for the publisher's thread are sent before it returns.

    Hooks of the metrics have no point, because their effect stays in their process.
    """
    run_hooks = Database.run_and_clear_commit_hooks

    def run_hooks_at_points(self: Any) -> None:
        self.run_on_commit = [
            (sids, hook if is_metrics_hook(hook) else at_point(hook), robust)
            for sids, hook, robust in self.run_on_commit
        ]
        run_hooks(self)

    def is_metrics_hook(hook: Callable[[], Any]) -> bool:
        return str(getattr(hook, "func", hook).__module__).endswith(".metrics")

    def at_point(hook: Callable[[], Any]) -> Callable[[], None]:
        """Return the hook at its point. It has a name for Django's log only if the hook has one."""
        return update_wrapper(partial(run_at_point, hook), hook)

    def run_at_point(hook: Callable[[], Any]) -> None:
        def run_and_publish() -> None:
            hook()
            publish_pending()

        label = getattr(getattr(hook, "func", hook), "__qualname__", "hook")
        injector.around(Kind.HOOK, label, run_and_publish, lambda: RuntimeError("the hook broke"))

    Database.run_and_clear_commit_hooks = run_hooks_at_points


ELAPSED = "proof-elapsed"
"""Header of a message: how many seconds of the run's time had passed when it was sent."""


def publish_pending() -> None:
    """Return once the publisher's thread has nothing to do; it may hang at a point."""
    publisher.flush(FLUSH_SECONDS)


FLUSH_SECONDS = 600.0
"""Longer than any process hangs."""


@contextmanager
def publishing_without_thread() -> Iterator[None]:
    """Publish runs in the thread that queues them: a fork does not inherit the publisher's thread."""

    def publish_now(run_id: UUID, links: tuple[Link, ...]) -> None:
        if links:
            publish([run_id], links)

    publisher.enqueue = publish_now  # type: ignore[method-assign]  # within this block only
    try:
        yield
    finally:
        del publisher.enqueue


def wrap_outside_services(injector: FaultInjector) -> None:
    """Wrap each request to an outside service; its error is a connection without an answer."""
    send = OutsideService.send

    def send_at_point(self: Any, *request: Any) -> Any:
        label = f"{self.name}.{service.current_call().operation}"
        return injector.around(
            Kind.HTTP, label, partial(send, self, *request), lambda: NoAnswer("lost")
        )

    OutsideService.send = send_at_point


def wrap_broker(injector: FaultInjector) -> None:
    """Wrap every message that is published, and each acknowledgement."""
    publish, ack, put = Producer.publish, Message.ack, Channel._put

    def publish_at_point(self: Any, body: Any, *args: Any, **options: Any) -> Any:
        headers = options.pop("headers", None) or {}
        label = headers.get("task", "message")
        # The eta of a countdown is wall-clock time; the run's time advances without it.
        dated = {**headers, ELAPSED: injector.elapsed.total_seconds()}
        send = partial(publish, self, body, *args, headers=dated, **options)
        if connection.in_atomic_block:
            injector.report("broken", f"{label} was published within a transaction")
        return injector.around(Kind.PUBLISH, label, send, _broker_error)

    def ack_at_point(self: Any, *args: Any, **options: Any) -> Any:
        acknowledge = partial(ack, self, *args, **options)
        return injector.around(Kind.ACK, "message", acknowledge, _broker_error)

    def put_and_report(self: Any, queue: str, message: Any, **options: Any) -> None:
        put(self, queue, message, **options)
        injector.report("queued", queue, dumps(message))

    Producer.publish = publish_at_point
    Message.ack = ack_at_point
    Channel._put = put_and_report


def _broker_error() -> Exception:
    return redis.ConnectionError("the broker is gone")
