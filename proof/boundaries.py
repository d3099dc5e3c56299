"""Where a process of ours meets the world: wrapped here from outside, once for each process.

Business code is not touched, so a step that is added tomorrow has its points at once.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import redis
from celery import Celery
from django.db import OperationalError
from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.backends.utils import CursorWrapper
from kombu.message import Message
from kombu.messaging import Producer
from kombu.transport.redis import Channel
from kombu.utils.json import dumps

from payments.bank_connections import BankConnections, NoAnswer, current_exchange
from proof.points import Kind, Tripwire
from sagas.dispatch import publisher

_WRITTEN = re.compile(
    r"(?<!FOR )(?<!KEY )(?<!DO )\b(?:INSERT INTO|UPDATE|DELETE FROM)\s+(?:ONLY\s+)?\"?(\w+)", re.IGNORECASE
)


def wrap_all(tripwire: Tripwire) -> None:
    """Make every boundary of this process report to ``tripwire``; for the rest of its life."""
    wrap_database(tripwire)
    wrap_hooks(tripwire)
    wrap_bank(tripwire)
    wrap_broker(tripwire)


def wrap_database(tripwire: Tripwire) -> None:
    """Commits are named by the tables that their transaction wrote."""
    written: dict[DatabaseWrapper, set[str]] = {}
    commit = DatabaseWrapper._commit
    release_savepoint = DatabaseWrapper._savepoint_commit
    rollback = DatabaseWrapper._rollback
    execute = CursorWrapper._execute_with_wrappers

    def execute_and_note(
        self: CursorWrapper, sql: Any, params: Any, many: bool, executor: Callable[..., Any]
    ) -> Any:
        tables = set(_WRITTEN.findall(str(sql)))
        run = partial(execute, self, sql, params, many=many, executor=executor)
        if tables and not self.db.in_atomic_block:
            return tripwire.around(Kind.WRITE, _label(tables), run, partial(_cut, self.db))
        written.setdefault(self.db, set()).update(tables)
        return run()

    def commit_at_point(self: DatabaseWrapper) -> None:
        label = _label(written.pop(self, set()))
        tripwire.around(Kind.COMMIT, label, partial(commit, self), partial(_cut, self))

    def release_at_point(self: DatabaseWrapper, sid: str) -> None:
        label = _label(written.get(self, set()))
        release = partial(release_savepoint, self, sid)
        tripwire.around(Kind.SAVEPOINT, label, release, partial(_cut, self))

    def rollback_and_forget(self: DatabaseWrapper) -> None:
        written.pop(self, None)
        rollback(self)

    CursorWrapper._execute_with_wrappers = execute_and_note
    DatabaseWrapper._commit = commit_at_point
    DatabaseWrapper._savepoint_commit = release_at_point
    DatabaseWrapper._rollback = rollback_and_forget


def _label(tables: set[str]) -> str:
    return "+".join(sorted(tables)) or "nothing"


def _cut(database: DatabaseWrapper) -> OperationalError:
    """Lose the connection, as it is lost when a server goes down in the middle of a statement."""
    if database.connection is not None:
        database.connection.close()
    return OperationalError("the connection was lost")


def wrap_hooks(tripwire: Tripwire) -> None:
    """Every on-commit hook; what it hands to the publisher's thread has left when it returns."""
    run_hooks = DatabaseWrapper.run_and_clear_commit_hooks

    def run_hooks_at_points(self: DatabaseWrapper) -> None:
        self.run_on_commit = [
            (sids, partial(run_at_point, hook), robust) for sids, hook, robust in self.run_on_commit
        ]
        run_hooks(self)

    def run_at_point(hook: Callable[[], Any]) -> None:
        def run_and_publish() -> None:
            hook()
            publisher.flush(PATIENCE_SECONDS)

        label = getattr(getattr(hook, "func", hook), "__qualname__", "hook")
        tripwire.around(Kind.HOOK, label, run_and_publish, lambda: RuntimeError("the hook broke"))

    DatabaseWrapper.run_and_clear_commit_hooks = run_hooks_at_points


PATIENCE_SECONDS = 600.0
"""For the publisher's thread, which may stand still as long as the proof wants it to."""


def wrap_bank(tripwire: Tripwire) -> None:
    """Every request to the bank, with the error of a connection that gives no answer."""
    send = BankConnections.send

    def send_at_point(self: BankConnections, *request: Any) -> Any:
        operation = current_exchange.get().operation
        return tripwire.around(
            Kind.HTTP, operation, partial(send, self, *request), lambda: NoAnswer("lost")
        )

    BankConnections.send = send_at_point  # type: ignore[method-assign]


def wrap_broker(tripwire: Tripwire) -> None:
    """Every message that is published, and every one that is acknowledged."""
    publish, ack, put = Producer.publish, Message.ack, Channel._put

    def publish_at_point(self: Producer, body: Any, *args: Any, **options: Any) -> Any:
        label = (options.get("headers") or {}).get("task", "message")
        send = partial(publish, self, body, *args, **options)
        return tripwire.around(Kind.PUBLISH, label, send, _broker_gone)

    def ack_at_point(self: Message, *args: Any, **options: Any) -> Any:
        acknowledge = partial(ack, self, *args, **options)
        return tripwire.around(Kind.ACK, "message", acknowledge, _broker_gone)

    def put_and_tell(self: Channel, queue: str, message: Any, **options: Any) -> None:
        put(self, queue, message, **options)
        tripwire.tell("queued", queue, dumps(message))

    Producer.publish = publish_at_point
    Message.ack = ack_at_point
    Channel._put = put_and_tell


def _broker_gone() -> Exception:
    return redis.ConnectionError("the broker is gone")
