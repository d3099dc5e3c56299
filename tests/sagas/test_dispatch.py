"""From a commit to the broker: never before it, and without delay for the caller."""

import base64
import json
import logging
import queue
import socket
import threading
from collections.abc import Iterator

import pytest
from django.db import transaction
from kombu import pools
from kombu.exceptions import OperationalError

from config.celery import app
from sagas import dispatch
from sagas.dispatch import Publisher, remaining_links
from sagas.models import RunStatus, SagaRun
from sagas.sweep import sweep
from tests.support.celery_queues import CeleryQueues
from tests.support.clock import let_time_pass
from tests.support.fake_sagas import FakeSagas, start, start_many
from tests.support.in_memory_broker import MessageQueue
from tests.support.waits import PATIENCE_SECONDS

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def publisher(monkeypatch: pytest.MonkeyPatch) -> Publisher:
    """Return a publisher without a failure so far."""
    publisher = Publisher()
    monkeypatch.setattr(dispatch, "publisher", publisher)
    return publisher


def move_the_broker(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make Celery connect to a broker at another port."""
    elsewhere = app.connection_for_write(f"redis://127.0.0.1:{port}/0")
    monkeypatch.setattr(app.amqp, "_producer_pool", pools.producers[elsewhere])


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Yield a port that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def test_nothing_is_published_before_the_commit(
    fakes: FakeSagas, broker: CeleryQueues, publisher: Publisher
) -> None:
    saga = fakes.parcel()

    with transaction.atomic():
        start(saga)
        publisher.flush(PATIENCE_SECONDS)
        assert broker.count() == 0
    publisher.flush(PATIENCE_SECONDS)

    assert broker.count() == 1


def test_nothing_is_published_after_a_rollback(
    fakes: FakeSagas, broker: CeleryQueues, publisher: Publisher
) -> None:
    saga = fakes.parcel()

    with transaction.atomic():
        start(saga)
        transaction.set_rollback(True)
    publisher.flush(PATIENCE_SECONDS)

    assert broker.count() == 0


def test_a_message_is_a_chain_of_the_links_and_carries_nothing_but_ids(
    fakes: FakeSagas, broker: CeleryQueues, publisher: Publisher
) -> None:
    run = start(fakes.saga(fakes.local("pack"), fakes.remote("send", queue="settlement")))
    publisher.flush(PATIENCE_SECONDS)

    (message,) = broker.messages("checkout")
    args, kwargs, embedded = json.loads(base64.b64decode(message["body"]))
    (then,) = embedded["chain"]

    assert broker.count() == 1
    assert message["headers"]["task"] == "parcel.v1.pack"
    assert (args, kwargs) == ([[str(run.pk)]], {})
    assert (then["task"], then["args"], then["kwargs"]) == (
        "parcel.v1.send",
        [[str(run.pk)]],
        {},
    )
    assert (then["options"]["queue"], then["immutable"]) == ("settlement", True)


def test_runs_that_are_queued_together_share_messages_of_limited_size(
    fakes: FakeSagas, broker: CeleryQueues, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "MAX_RUNS_IN_A_MESSAGE", 2)
    saga, other = fakes.parcel(), fakes.saga(fakes.local("pack"), name="other")

    with transaction.atomic():
        runs = [*start_many(saga, 3), start(other)]
    publisher.flush(PATIENCE_SECONDS)

    sent = [json.loads(base64.b64decode(message["body"]))[0][0] for message in broker.everywhere()]
    assert sorted(map(len, sent)) in ([1, 1, 2], [1, 1, 1, 1])  # the first may leave alone
    assert {run_id for ids in sent for run_id in ids} == {str(run.pk) for run in runs}


def test_the_remaining_links_begin_at_the_current_step(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    saga = fakes.saga(
        fakes.local("pack"), fakes.remote("send", queue="settlement"), fakes.local("file")
    )
    run = start(saga)

    for step, links in {"pack": saga.links, "send": saga.links[1:], "file": saga.links[2:]}.items():
        run.step = step
        assert remaining_links(run) == links
    run.step = ""
    for status, back in {
        RunStatus.COMPENSATING: (saga.compensation_link,),
        RunStatus.COMPLETED: (),
        RunStatus.COMPENSATED: (),
    }.items():
        run.status = status
        assert remaining_links(run) == back


def test_a_broker_that_is_down_does_not_delay_the_caller(
    fakes: FakeSagas,
    publisher: Publisher,
    closed_port: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    move_the_broker(closed_port, monkeypatch)

    run = start(fakes.parcel())
    assert SagaRun.objects.get().pk == run.pk
    assert caplog.records == []
    publisher.flush(seconds=120)

    assert [line.getMessage() for line in caplog.records] == ["broker.unreachable"]
    assert publisher._messages.unfinished_tasks == 0


def test_a_broker_that_does_not_answer_does_not_delay_the_caller(
    fakes: FakeSagas, publisher: Publisher, silent_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    move_the_broker(silent_port, monkeypatch)

    run = start(fakes.parcel())

    assert publisher._messages.unfinished_tasks == 1
    assert SagaRun.objects.get().pk == run.pk


def of_this_test(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """Return the log lines, except those of the publisher that waits for its silent broker."""
    return [line for line in caplog.records if line.getMessage() != "broker.unreachable"]


def no_broker(*_: object) -> None:
    raise OperationalError


def test_after_a_failure_the_publisher_pauses_and_then_tries_again(
    fakes: FakeSagas, broker: CeleryQueues, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "BROKER_PAUSE_SECONDS", 3600.0)
    saga = fakes.parcel()
    with monkeypatch.context() as while_it_is_down:
        while_it_is_down.setattr(dispatch, "publish", no_broker)
        start(saga)
        publisher.flush(PATIENCE_SECONDS)

    start(saga)
    publisher.flush(PATIENCE_SECONDS)
    assert broker.count() == 0
    publisher._paused_until = 0.0
    sent = start(saga)
    publisher.flush(PATIENCE_SECONDS)

    assert broker.run_ids("checkout") == [str(sent.pk)]


def test_the_sweep_finds_a_dropped_run(
    fakes: FakeSagas, broker: CeleryQueues, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as while_it_is_down:
        while_it_is_down.setattr(dispatch, "publish", no_broker)
        run = start(fakes.parcel())
        publisher.flush(PATIENCE_SECONDS)
    publisher._paused_until = 0.0
    let_time_pass(run)

    sweep()
    publisher.flush(PATIENCE_SECONDS)

    assert broker.count() == 1


def test_a_full_queue_drops_the_message_without_an_error(
    fakes: FakeSagas, publisher: Publisher, caplog: pytest.LogCaptureFixture
) -> None:
    publisher._thread = threading.current_thread()  # no thread empties the queue
    publisher._messages = queue.Queue(maxsize=1)
    saga = fakes.parcel()

    kept, dropped = start(saga), start(saga)

    assert publisher._messages.qsize() == 1
    assert [(line.getMessage(), line.__dict__["run_id"]) for line in of_this_test(caplog)] == [
        ("publisher.full", str(dropped.pk))
    ]
    assert SagaRun.objects.filter(pk__in=[kept.pk, dropped.pk]).count() == 2


def test_a_thread_that_cannot_start_does_not_fail_the_caller(
    fakes: FakeSagas,
    broker: CeleryQueues,
    publisher: Publisher,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    saga = fakes.parcel()
    with monkeypatch.context() as once:
        once.setattr(threading.Thread, "start", refuse)
        run = start(saga)

    assert SagaRun.objects.get(pk=run.pk).status == RunStatus.RUNNING
    assert "Publisher.enqueue" in of_this_test(caplog)[0].getMessage()

    let_time_pass(run)
    sweep()
    publisher.flush(PATIENCE_SECONDS)

    assert broker.count() == 1


def test_flush_has_a_time_limit(fakes: FakeSagas, publisher: Publisher) -> None:
    publisher._thread = threading.current_thread()
    start(fakes.parcel())

    publisher.flush(seconds=0.01)

    assert publisher._messages.unfinished_tasks == 1


def test_an_unexpected_error_does_not_end_the_publisher(
    fakes: FakeSagas,
    broker: CeleryQueues,
    publisher: Publisher,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    saga = fakes.parcel()
    with monkeypatch.context() as once:
        once.setattr(dispatch, "publish", fail)
        start(saga)
        publisher.flush(PATIENCE_SECONDS)

    start(saga)
    publisher.flush(PATIENCE_SECONDS)

    assert [line.getMessage() for line in of_this_test(caplog)] == ["publisher.failed"]
    assert broker.count() == 1
