"""Workers that can be stopped, deafened and killed at the boundaries of their process.

Each is a thread with a database connection of its own, and works only while the test waits for it:
whatever happens, happens in one order. One that is killed has its connection cut, and reaches
neither database nor bank any more, whatever its code still tries on the way out.
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
"""For a worker that the test waits for, on a busy machine."""


class Moment(Enum):
    """Where a worker can be struck."""

    BEFORE_COMMIT = auto()
    AFTER_COMMIT = auto()
    BEFORE_CALL = auto()  # the request to the bank is written, and nothing of it sent
    AFTER_CALL = auto()  # the bank has answered, and nobody has read it


class Fate(Enum):
    """What strikes it."""

    DIES = auto()
    SLEEPS = auto()  # until it is woken; never in a transaction
    HEARS_NOTHING = auto()  # the connection to the bank breaks


@dataclass(frozen=True)
class Blow:
    """The ``nth`` time that a worker comes to ``moment``, ``fate`` strikes."""

    moment: Moment
    nth: int
    fate: Fate


class WorkerDied(BaseException):
    """Unwinds the stack of a worker that is no more. Not an Exception: nobody is to handle it."""


class State(Enum):
    IDLE = auto()
    ASLEEP = auto()
    DEAD = auto()


class Worker:
    """Takes one message at a time, and may fall asleep over it or die of it."""

    def __init__(self) -> None:
        self.state = State.IDLE
        self.error: BaseException | None = None
        self._blow: Blow | None = None
        self._passed = 0
        self._orders: queue.Queue[Callable[[], object] | None] = queue.Queue()
        self._reports: queue.Queue[State] = queue.Queue()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def carry_out(self, message: Message, blow: Blow | None = None) -> State:
        """Have it run the task as Celery does; return when it is done, asleep or dead."""
        self._blow, self._passed = blow, 0
        return self._have_done(Request(
            message,
            app=app,
            task=app.tasks[message.headers["task"]],
            hostname="properties",
            connection_errors=(),
            decoded=False,
        ).execute)  # fmt: skip

    def wake(self) -> State:
        """Let it go on from where it fell asleep."""
        return self._have_done(lambda: None)

    def dismiss(self) -> None:
        """Wake it if it sleeps, let it finish, and end it."""
        if self.state is State.ASLEEP:
            self._orders.put(lambda: None)
        self._orders.put(None)
        self._thread.join(PATIENCE_SECONDS)
        assert not self._thread.is_alive()

    def _have_done(self, act: Callable[[], object]) -> State:
        self._orders.put(act)
        self.state = self._reports.get(timeout=PATIENCE_SECONDS)
        if self.error is not None and self.state is not State.DEAD:
            raise self.error
        return self.state

    def _work(self) -> None:
        _at_work.worker = self
        while (act := self._orders.get()) is not None:
            try:
                act()
            except WorkerDied:
                self.state = State.DEAD
            except BaseException as error:  # noqa: BLE001 - raised where the test waits
                self.error = error
            if self.state is State.DEAD:
                break
            self._reports.put(State.IDLE)
        connections.close_all()
        self._reports.put(State.DEAD)

    def pass_by(self, moment: Moment) -> None:
        """Called by the worker's own thread where it could be struck."""
        if self.state is State.DEAD:
            raise WorkerDied
        if self._blow is None or self._blow.moment is not moment:
            return
        self._passed += 1
        if self._passed != self._blow.nth:
            return
        match self._blow.fate:
            case Fate.DIES:
                self._die()
            case Fate.SLEEPS:
                self._reports.put(State.ASLEEP)
                self._orders.get()
            case Fate.HEARS_NOTHING:
                raise NoAnswer("the connection broke")

    def _die(self) -> None:
        self.state = State.DEAD
        session = connections["default"].connection
        if session is not None:
            session.rollback()  # waits for the server, so that its locks are gone
            session.close()
        raise WorkerDied


class _AtWork(threading.local):
    worker: Worker | None = None


_at_work = _AtWork()


@task_failure.connect
def _keep_error(exception: BaseException | None = None, **_: Any) -> None:
    """Celery logs what a task raises; here it is a finding."""
    if _at_work.worker is not None:
        _at_work.worker.error = exception


def wrap_boundaries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every commit, connection and call of a worker pass by it; others go on as ever."""
    database: Any = postgresql.DatabaseWrapper
    commit, connect, send = database._commit, database.get_new_connection, OutsideService.send

    def pass_by(moment: Moment) -> None:
        if _at_work.worker is not None:
            _at_work.worker.pass_by(moment)

    def commit_and_pass(self: Any) -> None:
        pass_by(Moment.BEFORE_COMMIT)
        commit(self)
        pass_by(Moment.AFTER_COMMIT)

    def connect_unless_dead(self: Any, parameters: Any) -> Any:
        if _at_work.worker is not None and _at_work.worker.state is State.DEAD:
            raise WorkerDied
        return connect(self, parameters)

    def send_and_pass(self: OutsideService, *request: Any) -> Any:
        pass_by(Moment.BEFORE_CALL)
        answer = send(self, *request)
        pass_by(Moment.AFTER_CALL)
        return answer

    monkeypatch.setattr(database, "_commit", commit_and_pass)
    monkeypatch.setattr(database, "get_new_connection", connect_unless_dead)
    monkeypatch.setattr(OutsideService, "send", send_and_pass)
