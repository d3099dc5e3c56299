"""Where a process of ours meets the world: wrapped here from outside, once for each process.

Business code is not touched, so a step that is added tomorrow has its points at once.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import redis
from django.db import OperationalError, connection
from django.db.backends.postgresql import base as postgresql
from django.db.backends.utils import CursorWrapper
from kombu import message, messaging
from kombu.transport import redis as transport
from kombu.utils.json import dumps

from outbound import service
from outbound.errors import NoAnswer
from proof.points import Kind, Tripwire
from sagas.dispatch import publisher

# What is replaced here is private, and typed for those who only call it.
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


def wrap_all(tripwire: Tripwire) -> None:
    """Make every boundary of this process report to ``tripwire``; for the rest of its life."""
    wrap_database(tripwire)
    wrap_hooks(tripwire)
    wrap_outside_services(tripwire)
    wrap_broker(tripwire)


def wrap_database(tripwire: Tripwire) -> None:
    """Commits are named by the tables that their transaction wrote."""
    written: dict[Any, set[str]] = {}
    commit = Database._commit
    release_savepoint = Database._savepoint_commit
    rollback = Database._rollback
    execute = Cursor._execute_with_wrappers

    def execute_and_note(self: Any, sql: Any, *rest: Any, **options: Any) -> Any:
        tables = set(_WRITTEN.findall(str(sql)))
        run = partial(execute, self, sql, *rest, **options)
        if tables and not self.db.in_atomic_block:
            return tripwire.around(Kind.WRITE, _label(tables), run, partial(_cut, self.db))
        written.setdefault(self.db, set()).update(tables)
        return run()

    def commit_at_point(self: Any) -> None:
        label = _label(written.pop(self, set()))
        tripwire.around(Kind.COMMIT, label, partial(commit, self), partial(_cut, self))

    def release_at_point(self: Any, sid: str) -> None:
        label = _label(written.get(self, set()))
        release = partial(release_savepoint, self, sid)
        tripwire.around(Kind.SAVEPOINT, label, release, partial(_cut, self))

    def rollback_and_forget(self: Any) -> None:
        written.pop(self, None)
        rollback(self)

    Cursor._execute_with_wrappers = execute_and_note
    Database._commit = commit_at_point
    Database._savepoint_commit = release_at_point
    Database._rollback = rollback_and_forget


def _label(tables: set[str]) -> str:
    return "+".join(sorted(tables)) or "nothing"


def _cut(database: Any) -> OperationalError:
    """Lose the connection, as it is lost when a server goes down in the middle of a statement."""
    if database.connection is not None:
        database.connection.close()
    return OperationalError("the connection was lost")


def wrap_hooks(tripwire: Tripwire) -> None:
    """Every on-commit hook; what it hands to the publisher's thread has left when it returns.

    But for those that count for the metrics: what they do is known to their own process alone.
    """
    run_hooks = Database.run_and_clear_commit_hooks

    def run_hooks_at_points(self: Any) -> None:
        self.run_on_commit = [
            (sids, hook if counts(hook) else partial(run_at_point, hook), robust)
            for sids, hook, robust in self.run_on_commit
        ]
        run_hooks(self)

    def counts(hook: Callable[[], Any]) -> bool:
        return str(getattr(hook, "func", hook).__module__).endswith(".metrics")

    def run_at_point(hook: Callable[[], Any]) -> None:
        def run_and_publish() -> None:
            hook()
            publish_what_waits()

        label = getattr(getattr(hook, "func", hook), "__qualname__", "hook")
        tripwire.around(Kind.HOOK, label, run_and_publish, lambda: RuntimeError("the hook broke"))

    Database.run_and_clear_commit_hooks = run_hooks_at_points


ELAPSED = "proof-elapsed"
"""The header that says how much time of its run had been let pass when a message was sent."""


def publish_what_waits() -> None:
    """Return once the publisher's thread has nothing to do; it may stand still at a point."""
    publisher.flush(PATIENCE_SECONDS)


PATIENCE_SECONDS = 600.0
"""As long as the proof wants a process to stand still."""


def wrap_outside_services(tripwire: Tripwire) -> None:
    """Each request to an outside service, with the error of a connection that gives no answer."""
    send = OutsideService.send

    def send_at_point(self: Any, *request: Any) -> Any:
        label = f"{self.name}.{service.current_call().operation}"
        return tripwire.around(
            Kind.HTTP, label, partial(send, self, *request), lambda: NoAnswer("lost")
        )

    OutsideService.send = send_at_point


def wrap_broker(tripwire: Tripwire) -> None:
    """Every message that is published, and every one that is acknowledged."""
    publish, ack, put = Producer.publish, Message.ack, Channel._put

    def publish_at_point(self: Any, body: Any, *args: Any, **options: Any) -> Any:
        headers = options.pop("headers", None) or {}
        label = headers.get("task", "message")
        # A countdown begins at the time of the run, of which the wall clock knows nothing.
        dated = {**headers, ELAPSED: tripwire.elapsed.total_seconds()}
        send = partial(publish, self, body, *args, headers=dated, **options)
        if connection.in_atomic_block:
            tripwire.tell("broken", f"{label} was published within a transaction")
        return tripwire.around(Kind.PUBLISH, label, send, _broker_gone)

    def ack_at_point(self: Any, *args: Any, **options: Any) -> Any:
        acknowledge = partial(ack, self, *args, **options)
        return tripwire.around(Kind.ACK, "message", acknowledge, _broker_gone)

    def put_and_tell(self: Any, queue: str, message: Any, **options: Any) -> None:
        put(self, queue, message, **options)
        tripwire.tell("queued", queue, dumps(message))

    Producer.publish = publish_at_point
    Message.ack = ack_at_point
    Channel._put = put_and_tell


def _broker_gone() -> Exception:
    return redis.ConnectionError("the broker is gone")
