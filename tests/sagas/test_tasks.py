"""The Celery tasks: they advance the runs of a message and decide nothing."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

import pytest
from django.conf import settings
from django.db import OperationalError, connections
from structlog.contextvars import clear_contextvars

from config.celery import app
from config.logging import LineFormatter
from sagas import registry, tasks
from sagas.batch import Output
from sagas.decision import RETRY_MESSAGE_LEAD
from sagas.definition import Saga
from sagas.messages import NextAction
from sagas.models import RunStatus, SagaRun
from sagas.retry_policy import RetryPolicy
from sagas.runner import Runner
from sagas.work import Attempt
from tests.support.celery_queues import CeleryQueues
from tests.support.clock import let_time_pass
from tests.support.fake_sagas import Bug, Busy, FakeSagas, journal, start, start_many
from tests.support.in_memory_broker import MessageQueue

pytestmark = pytest.mark.django_db(transaction=True)

RUN_ID = UUID(int=7)


@pytest.fixture
def parcel(fakes: FakeSagas) -> Iterator[Saga]:
    """Yield a saga with tasks, like the sagas that are registered when Celery starts."""
    saga = fakes.saga(
        fakes.local("pack"),
        fakes.remote("send", queue="settlement"),
        fakes.local("file", queue="compensation"),
    )
    links = (*saga.links, saga.compensation_link)
    for link in links:
        tasks._declare(saga, link)
    yield saga
    for link in links:
        app.tasks.unregister(link.name)


@pytest.fixture(autouse=True)
def threads_disconnect(monkeypatch: pytest.MonkeyPatch) -> None:
    """Close the database connections that the threads of a worker would keep."""
    advance = Runner._advance_in_thread

    def advance_and_disconnect(self: Runner, run_id: UUID) -> NextAction:
        try:
            return advance(self, run_id)
        finally:
            connections.close_all()

    monkeypatch.setattr(Runner, "_advance_in_thread", advance_and_disconnect)


def receive(task_name: str, *runs: SagaRun) -> object:
    """Run a task as a worker does, and return what is left of its chain."""
    task, run_ids = app.tasks[task_name], [str(run.pk) for run in runs]
    task.push_request(
        id="0",
        args=[run_ids],
        kwargs={},
        called_directly=False,
        delivery_info={},
        chain=["the rest"],
    )
    try:
        task.run(run_ids)
        rest: object = task.request.chain
    finally:
        task.pop_request()
        clear_contextvars()
    return rest


def lines_of_a_task_that(
    raises: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> list[dict[str, object]]:
    """Run a task with Celery around it, and return its log lines without their times."""

    def fail(*_: object) -> NextAction:
        raise raises

    monkeypatch.setattr(Runner, "advance", fail)
    caplog.handler.setFormatter(LineFormatter())
    caplog.set_level("WARNING", "celery.app.trace")  # as the settings have it

    app.tasks["parcel.v1.pack"].apply(args=([str(RUN_ID)],))

    lines = [json.loads(line) for line in caplog.text.splitlines()]
    return [{name: line.get(name) for name in ("level", "event", "run_id")} for line in lines]


def test_an_unreachable_database_is_a_warning_that_names_the_run(
    parcel: Saga, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert lines_of_a_task_that(OperationalError("gone"), monkeypatch, caplog) == [
        {"level": "warning", "event": "advance.interrupted", "run_id": str(RUN_ID)}
    ]


def test_a_bug_is_an_error_that_names_the_run(
    parcel: Saga, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    [line] = lines_of_a_task_that(Bug("oops"), monkeypatch, caplog)

    assert (line["level"], line["run_id"]) == ("error", str(RUN_ID))
    assert "raised unexpected: Bug('oops')" in str(line["event"])


def test_every_link_of_every_saga_has_a_task_and_a_queue_that_exists() -> None:
    queues = {queue.name for queue in settings.CELERY_TASK_QUEUES}

    for saga in registry.all_sagas():
        for link in (*saga.links, saga.compensation_link):
            assert link.name in app.tasks
            assert link.queue in queues
    assert "sagas.sweep" in app.tasks


def test_a_task_that_finishes_its_link_lets_the_chain_go_on(
    parcel: Saga, messages: MessageQueue
) -> None:
    run = start(parcel)

    assert receive("parcel.v1.pack", run) == ["the rest"]

    run.refresh_from_db()
    assert (run.status, run.step) == (RunStatus.RUNNING, "send")


def test_a_task_with_nothing_to_do_ends_its_chain(parcel: Saga, messages: MessageQueue) -> None:
    run = start(parcel)

    assert receive("parcel.v1.send", run) is None

    assert journal(run) == []


def test_a_task_whose_run_backs_off_for_long_leaves_it_to_the_sweep(
    parcel: Saga, fakes: FakeSagas, messages: MessageQueue, broker: CeleryQueues
) -> None:
    run = start(parcel)
    receive("parcel.v1.pack", run)
    fakes.answers("send", Busy())

    assert receive("parcel.v1.send", run) is None

    run.refresh_from_db()
    assert run.wake_at is not None
    assert run.wake_at > datetime.now(UTC) + timedelta(minutes=29) + RETRY_MESSAGE_LEAD
    assert broker.everywhere() == []


def test_a_task_whose_run_backs_off_comes_back_within_a_minute(
    parcel: Saga,
    fakes: FakeSagas,
    messages: MessageQueue,
    broker: CeleryQueues,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = start(parcel)
    receive("parcel.v1.pack", run)
    fakes.answers("send", Busy())
    monkeypatch.setattr(RetryPolicy, "delay", lambda *_: timedelta(seconds=40))

    assert receive("parcel.v1.send", run) is None

    (retried,) = broker.everywhere()
    comes_back = datetime.fromisoformat(retried["headers"]["eta"])
    assert retried["headers"]["task"] == "parcel.v1.send"
    assert broker.run_ids("sweeps") == [str(run.pk)]
    assert comes_back <= datetime.now(UTC) + timedelta(minutes=1)


def test_each_of_several_runs_goes_its_own_way(
    parcel: Saga,
    fakes: FakeSagas,
    messages: MessageQueue,
    broker: CeleryQueues,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(RetryPolicy, "delay", lambda *_: timedelta(seconds=40))
    done, busy, elsewhere, absent = start_many(parcel, 4)
    receive("parcel.v1.pack", done, busy)
    SagaRun.objects.filter(pk=absent.pk).delete()
    answer = partial(answer_all_but, busy)
    fakes.answers("send", answer, answer)

    assert receive("parcel.v1.send", done, busy, elsewhere, absent) == ["the rest"]

    assert broker.run_ids("sweeps") == [str(busy.pk)]
    assert steps_of(done, busy, elsewhere) == ["file", "send", "pack"]


def test_one_run_that_raises_does_not_affect_the_others(
    parcel: Saga, messages: MessageQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad, worse = start_many(parcel, 3)
    advance = Runner.advance

    def advance_or_raise(self: Runner, run_id: UUID) -> NextAction:
        if run_id != good.pk:
            raise OperationalError
        return advance(self, run_id)

    monkeypatch.setattr(Runner, "advance", advance_or_raise)

    assert receive("parcel.v1.pack", good, bad, worse) == ["the rest"]
    with pytest.raises(OperationalError):
        receive("parcel.v1.pack", bad, worse)

    assert steps_of(good, bad, worse) == ["send", "pack", "pack"]


def answer_all_but(busy: SagaRun, attempt: Attempt) -> Output:
    if attempt.subject_id == busy.subject_id:
        raise Busy
    return {}


def steps_of(*runs: SagaRun) -> list[str]:
    return [SagaRun.objects.get(pk=run.pk).step for run in runs]


def test_the_sweep_is_a_task(parcel: Saga, messages: MessageQueue) -> None:
    run = start(parcel)
    messages.drop_all()
    let_time_pass(run)

    app.tasks["sagas.sweep"].run()

    assert [message.run_id for message in messages.waiting] == [run.pk]
