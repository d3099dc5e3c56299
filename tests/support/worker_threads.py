"""Workers as threads that a test can pause, kill, or cut off from the provider's response.

Each worker has its own database connection. It works only while the test waits for it, so that all
events have one order. A killed worker loses its connection: its code reaches neither the database
nor the provider while the stack unwinds. Workers as processes are in ``worker_processes``.
"""

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final

import pytest
from celery.signals import task_failure
from celery.worker.request import Request
from django.db import connections
from django.db.backends.postgresql import base as postgresql
from kombu.message import Message

from config.celery import app
from outbound.errors import NoAnswer
from outbound.service import OutsideService

PATIENCE_SECONDS: Final = 60.0
"""How long a test waits for a worker on a busy machine."""


class Moment(Enum):
    """Where a fault can be injected."""

    BEFORE_COMMIT = auto()
    AFTER_COMMIT = auto()
    BEFORE_CALL = auto()  # the request is composed, and no byte of it is sent
    AFTER_CALL = auto()  # the service has answered, and the worker has not read the answer


class Outcome(Enum):
    """What a fault does to the worker."""

    DIES = auto()
    SLEEPS = auto()  # until it is woken; never in a transaction
    LOSES_ANSWER = auto()  # the connection to the service breaks


@dataclass(frozen=True)
class Fault:
    """Happens when a worker reaches ``moment`` for the ``nth`` time."""

    moment: Moment
    nth: int
    outcome: Outcome


class WorkerDied(BaseException):
    """Unwinds the stack of a killed worker. Not an Exception, so that no code handles it."""


class State(Enum):
    """What a worker is doing while the test continues."""

    IDLE = auto()
    ASLEEP = auto()
    DEAD = auto()


class Worker:
    """Takes one message at a time, and may be paused or killed while it works on it."""

    def __init__(self) -> None:
        self.state = State.IDLE
        self.error: BaseException | None = None
        self._fault: Fault | None = None
        self._passed = 0
        self._tasks: queue.Queue[Callable[[], object] | None] = queue.Queue()
        self._states: queue.Queue[State] = queue.Queue()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def carry_out(self, message: Message, fault: Fault | None = None) -> State:
        """Run the message's task as Celery does. Returns when the worker is idle, asleep or dead."""
        self._fault, self._passed = fault, 0
        return self._run(Request(
            message,
            app=app,
            task=app.tasks[message.headers["task"]],
            hostname="properties",
            connection_errors=(),
            decoded=False,
        ).execute)  # fmt: skip

    def wake(self) -> State:
        """Continue from where the worker fell asleep."""
        return self._run(lambda: None)

    def dismiss(self) -> None:
        """Wake the worker if it sleeps, let it finish, and end its thread."""
        if self.state is State.ASLEEP:
            self._tasks.put(lambda: None)
        self._tasks.put(None)
        self._thread.join(PATIENCE_SECONDS)
        assert not self._thread.is_alive()

    def _run(self, task: Callable[[], object]) -> State:
        self._tasks.put(task)
        self.state = self._states.get(timeout=PATIENCE_SECONDS)
        if self.error is not None and self.state is not State.DEAD:
            raise self.error
        return self.state

    def _work(self) -> None:
        _at_work.worker = self
        while (task := self._tasks.get()) is not None:
            try:
                task()
            except WorkerDied:
                self.state = State.DEAD
            except BaseException as error:  # noqa: BLE001 - raised where the test waits
                self.error = error
            if self.state is State.DEAD:
                break
            self._states.put(State.IDLE)
        connections.close_all()
        self._states.put(State.DEAD)

    def reach(self, moment: Moment) -> None:
        """Apply the fault when it is due. Called by the worker's thread at each moment."""
        if self.state is State.DEAD:
            raise WorkerDied
        if self._fault is None or self._fault.moment is not moment:
            return
        self._passed += 1
        if self._passed != self._fault.nth:
            return
        match self._fault.outcome:
            case Outcome.DIES:
                self._die()
            case Outcome.SLEEPS:
                self._states.put(State.ASLEEP)
                self._tasks.get()
            case Outcome.LOSES_ANSWER:
                raise NoAnswer("the connection broke")

    def _die(self) -> None:
        self.state = State.DEAD
        session = connections["default"].connection
        if session is not None:
            session.rollback()  # waits for the server, so that its locks are released
            session.close()
        raise WorkerDied


class _AtWork(threading.local):
    worker: Worker | None = None


_at_work = _AtWork()


@task_failure.connect
def _keep_error(exception: BaseException | None = None, **_: Any) -> None:
    """Keep the error of a task for the test; Celery would only log it."""
    if _at_work.worker is not None:
        _at_work.worker.error = exception


def wrap_boundaries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make workers ``reach`` a moment at each commit and call. Other threads are unaffected."""
    database: Any = postgresql.DatabaseWrapper
    commit, connect, send = database._commit, database.get_new_connection, OutsideService.send

    def reach(moment: Moment) -> None:
        if _at_work.worker is not None:
            _at_work.worker.reach(moment)

    def commit_between_moments(self: Any) -> None:
        reach(Moment.BEFORE_COMMIT)
        commit(self)
        reach(Moment.AFTER_COMMIT)

    def connect_unless_dead(self: Any, parameters: Any) -> Any:
        if _at_work.worker is not None and _at_work.worker.state is State.DEAD:
            raise WorkerDied
        return connect(self, parameters)

    def send_between_moments(self: OutsideService, *request: Any) -> Any:
        reach(Moment.BEFORE_CALL)
        response = send(self, *request)
        reach(Moment.AFTER_CALL)
        return response

    monkeypatch.setattr(database, "_commit", commit_between_moments)
    monkeypatch.setattr(database, "get_new_connection", connect_unless_dead)
    monkeypatch.setattr(OutsideService, "send", send_between_moments)
