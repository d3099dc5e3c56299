"""One pool of threads for each process: it bounds the calls in flight and the database connections."""

import os
import threading
from collections.abc import Callable, Iterator

import pytest
from django.conf import settings
from django.db import connection

from config.celery import app
from sagas import tasks
from sagas.batch import Output
from sagas.definition import Link, Saga
from sagas.models import RunStatus, SagaRun
from sagas.run_threads import RunThreads, run_threads
from sagas.runner import Runner
from sagas.work import Attempt
from tests.support.database import end_other_sessions
from tests.support.fake_sagas import FakeSagas, start_many
from tests.support.in_memory_broker import MessageQueue
from tests.support.threads import start_thread
from tests.support.waits import PATIENCE_SECONDS

SIZE = 4
RUNS_EACH = 12
"""More than the threads of both runners together."""

_SESSIONS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend'
"""


def sessions() -> int:
    """Return how many connections there are to the test database."""
    with connection.cursor() as cursor:
        cursor.execute(_SESSIONS)
        (count,) = cursor.fetchone()
    return int(count)


class CallsInFlight:
    """Calls that wait until ``awaited`` are in flight, and count the connections meanwhile."""

    def __init__(self, awaited: int) -> None:
        self.all_are_here = threading.Barrier(awaited)
        self.most_sessions = 0
        self._lock = threading.Lock()
        self._started = 0
        self._awaited = awaited

    def __call__(self, attempt: Attempt) -> Output:
        with self._lock:
            self._started += 1
            is_awaited = self._started <= self._awaited
        if is_awaited:
            self.all_are_here.wait(PATIENCE_SECONDS)
        count = sessions()
        with self._lock:
            self.most_sessions = max(self.most_sessions, count)
        return {}


@pytest.fixture
def before(transactional_db: None) -> Iterator[int]:
    """Return how many connections there are before the test, and end its own afterwards."""
    end_other_sessions()
    yield sessions()
    end_other_sessions()


def one_pool() -> Callable[[], RunThreads]:
    shared = RunThreads(SIZE)
    return lambda: shared


def a_pool_for_each() -> Callable[[], RunThreads]:
    return lambda: RunThreads(SIZE)


@pytest.mark.parametrize(
    ("pools", "connections"),
    [(one_pool, SIZE), (a_pool_for_each, 2 * SIZE)],
    ids=["one pool", "control: a pool for each runner"],
)
def test_two_links_in_one_process_open_no_more_connections_than_the_pool_has_threads(
    fakes: FakeSagas,
    messages: MessageQueue,
    before: int,
    pools: Callable[[], Callable[[], RunThreads]],
    connections: int,
) -> None:
    sagas = [fakes.saga(fakes.remote(name), name=name) for name in ("capture", "refund")]
    runs = {saga.name: start_many(saga, RUNS_EACH) for saga in sagas}
    calls = CallsInFlight(awaited=connections)
    for saga in sagas:
        fakes.answers(saga.name, *[calls] * RUNS_EACH)
    pool = pools()
    runners = [Runner(saga, saga.links[0], pool()) for saga in sagas]

    carried = [
        start_thread(runner.advance_all, [run.pk for run in runs[runner.saga.name]])
        for runner in runners
    ]
    for future in carried:
        future.result(PATIENCE_SECONDS)

    assert calls.most_sessions - before == connections
    assert sessions() - before == connections
    assert SagaRun.objects.filter(status=RunStatus.COMPLETED).count() == 2 * RUNS_EACH


def test_the_tasks_of_all_links_share_the_pool_of_the_process(
    fakes: FakeSagas, monkeypatch: pytest.MonkeyPatch
) -> None:
    saga = fakes.saga(fakes.local("pack"), fakes.remote("send", queue="settlement"))
    links = (*saga.links, saga.compensation_link)
    made: list[Runner] = []

    class RecordedRunner(Runner):
        def __init__(self, saga: Saga, link: Link) -> None:
            super().__init__(saga, link)
            made.append(self)

    monkeypatch.setattr(tasks, "Runner", RecordedRunner)
    for link in links:
        tasks._declare(saga, link)
        app.tasks.unregister(link.name)

    assert [runner._threads for runner in made] == [run_threads] * 3
    assert run_threads._pool._max_workers == settings.SAGAS_RUN_THREADS


def test_a_thread_of_the_pool_cannot_wait_for_another_one() -> None:
    threads = RunThreads(1)

    nested = threads.submit(threads.submit, int, "7")

    with pytest.raises(RuntimeError, match="must not wait"):
        nested.result(PATIENCE_SECONDS)
    assert threads.submit(int, "7").result(PATIENCE_SECONDS) == 7


def test_a_forked_process_has_threads_of_its_own() -> None:
    threads = RunThreads(1)
    threads.submit(int, "7").result(PATIENCE_SECONDS)

    if (child := os.fork()) == 0:
        try:
            found = threads.submit(int, "7").result(PATIENCE_SECONDS)
        except BaseException:  # noqa: BLE001 - the exit status says so
            found = None
        os._exit(0 if found == 7 else 1)
    _, status = os.waitpid(child, 0)

    assert status == 0
