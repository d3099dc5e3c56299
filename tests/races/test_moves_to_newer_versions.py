"""A run that is moved to another version while a worker, a nudge, a cancellation or a move has it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial

import pytest

from sagas import moving
from sagas.batch import Rejection
from sagas.models import RunStatus, SagaRun, VersionMove
from sagas.services import move_to_newest, nudge, request_compensation
from sagas.sweep import sweep
from sagas.takeover import Candidate, Takeover, takeover_of
from tests.support.fake_sagas import FakeSagas, journal, start
from tests.support.in_memory_broker import MessageQueue, deliver_as_separate_worker
from tests.support.removed_guards import without_row_locks
from tests.support.threads import (
    KEPT_APART_SECONDS,
    LEFT_TO_MEET_SECONDS,
    in_background,
    run_at_once,
)
from tests.support.waits import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS = 24


@pytest.fixture
def fakes() -> Iterator[FakeSagas]:
    fakes = FakeSagas()
    fakes.saga(fakes.local("pack"), fakes.remote("send"), fakes.wait("pickup"))
    fakes.saga(
        fakes.local("pack"),
        fakes.remote("ship"),
        fakes.wait("collection"),
        version=2,
        takes_over={1: {"send": "ship", "pickup": "collection"}},
    )
    yield fakes
    fakes.unregister_all()


def waiting_run(fakes: FakeSagas, messages: MessageQueue) -> SagaRun:
    """Return a run of version 1 that waits for its pickup, which has already happened."""
    run = start(fakes.first_saga)
    messages.deliver_all()
    for wait in ("pickup", "collection"):
        fakes.facts[wait].add(run.subject_id)
    return run


def move_while(
    run: SagaRun, act: Callable[[], object], monkeypatch: pytest.MonkeyPatch, *, kept_apart: bool
) -> None:
    """Move the run, and do ``act`` after the move has read it and before it writes.

    If the lock on the run prevents that, the move continues after a while.
    """
    has_read, has_acted = threading.Event(), threading.Event()
    seconds = KEPT_APART_SECONDS if kept_apart else LEFT_TO_MEET_SECONDS

    def wait_and_decide(candidate: Candidate, new: object) -> Takeover | str:
        if not has_read.is_set():
            has_read.set()
            has_acted.wait(seconds)
        return takeover_of(candidate, new)  # type: ignore[arg-type]

    monkeypatch.setattr(moving, "takeover_of", wait_and_decide)
    with in_background(partial(move_to_newest, [run.pk])):
        wait_until(has_read.is_set)
        act()
        has_acted.set()


def test_a_worker_that_begins_during_a_move_finds_the_new_version(
    fakes: FakeSagas, messages: MessageQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = start(fakes.first_saga)

    move_while(
        run, partial(deliver_as_separate_worker, messages.take()), monkeypatch, kept_apart=True
    )
    messages.deliver_all()

    run.refresh_from_db()
    assert (run.version, run.waits_for) == (2, "collection")
    assert fakes.calls == [("ship", 1)]
    assert journal(run) == [("pack", "forward", 1, "done"), ("ship", "forward", 1, "done")]


def test_without_the_lock_a_worker_loses_the_result_of_its_call(
    fakes: FakeSagas, messages: MessageQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_row_locks(monkeypatch, SagaRun)
    run = start(fakes.first_saga)
    message = messages.take()
    has_called, may_return = threading.Event(), threading.Event()
    workers = ExitStack()

    def call(_: object) -> dict[str, object]:
        has_called.set()
        may_return.wait(LEFT_TO_MEET_SECONDS)
        return {}

    def begin() -> None:
        workers.enter_context(in_background(partial(deliver_as_separate_worker, message)))
        wait_until(has_called.is_set)

    fakes.answers("send", call)
    with workers:
        move_while(run, begin, monkeypatch, kept_apart=False)
        may_return.set()

    run.refresh_from_db()
    assert run.version == 2
    assert journal(run)[-1] == ("ship", "forward", 1, "started")


def test_a_nudge_during_a_move_is_looked_at_without_a_sweep(
    fakes: FakeSagas, messages: MessageQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = waiting_run(fakes, messages)

    move_while(run, partial(nudge, run_ids=[run.pk]), monkeypatch, kept_apart=True)
    messages.deliver_all()

    run.refresh_from_db()
    assert (run.version, run.status) == (2, RunStatus.COMPLETED)


def test_without_the_lock_a_nudge_during_a_move_needs_the_sweep(
    fakes: FakeSagas, messages: MessageQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_row_locks(monkeypatch, SagaRun)
    run = waiting_run(fakes, messages)

    move_while(run, partial(nudge, run_ids=[run.pk]), monkeypatch, kept_apart=False)
    messages.deliver_all()

    run.refresh_from_db()
    assert (run.version, run.status) == (2, RunStatus.RUNNING)
    assert sweep() == 1


def cancel(run: SagaRun) -> None:
    request_compensation(run.subject_id, Rejection("changed_mind"), "alice")


def cancel_and_compensate(run: SagaRun, messages: MessageQueue) -> None:
    cancel(run)
    messages.deliver_all()


def test_a_cancellation_during_a_move_compensates_in_the_new_version(
    fakes: FakeSagas, messages: MessageQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = waiting_run(fakes, messages)

    move_while(run, partial(cancel_and_compensate, run, messages), monkeypatch, kept_apart=True)
    messages.deliver_all()

    run.refresh_from_db()
    assert (run.version, run.status, run.step) == (2, RunStatus.COMPENSATED, "")
    assert fakes.calls == [("send", 1), ("compensate ship", 1)]


def test_without_the_lock_a_run_that_has_compensated_is_put_back_to_its_step(
    fakes: FakeSagas, messages: MessageQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_row_locks(monkeypatch, SagaRun)
    run = waiting_run(fakes, messages)

    with pytest.raises(Exception, match="sagas_wait_has_a_deadline"):
        move_while(
            run, partial(cancel_and_compensate, run, messages), monkeypatch, kept_apart=False
        )


def test_of_two_moves_at_once_one_moves_the_run(
    fakes: FakeSagas, messages: MessageQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = waiting_run(fakes, messages)

    move_while(run, partial(move_to_newest, [run.pk]), monkeypatch, kept_apart=True)

    assert VersionMove.objects.get().to_version == 2


def test_without_the_lock_two_moves_move_the_run_twice(
    fakes: FakeSagas, messages: MessageQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_row_locks(monkeypatch, SagaRun)
    run = waiting_run(fakes, messages)

    move_while(run, partial(move_to_newest, [run.pk]), monkeypatch, kept_apart=False)

    assert VersionMove.objects.count() == 2


def test_moves_nudges_cancellations_and_workers_at_once_leave_one_outcome(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    runs = []
    for number in range(ROUNDS):
        run = start(fakes.first_saga)
        runs.append(run)
        if number % 2:
            messages.deliver_all()
        for wait in ("pickup", "collection"):
            fakes.facts[wait].add(run.subject_id)
        nudge(run_ids=[run.pk])

        results = run_at_once(
            *(partial(deliver_as_separate_worker, message) for message in messages.waiting[:1]),
            partial(move_to_newest, [run.pk]),
            partial(move_to_newest, [run.pk]),
            *([partial(cancel, run)] if number % 3 == 0 else [partial(nudge, run_ids=[run.pk])]),
        )
        messages.deliver_all()

        assert [result for result in results if isinstance(result, Exception)] == []

    sweep()
    messages.deliver_all()
    for run in runs:
        run.refresh_from_db()
        assert run.status in {RunStatus.COMPLETED, RunStatus.COMPENSATED}
        done = [
            step for step, way, _, outcome in journal(run) if (way, outcome) == ("forward", "done")
        ]
        assert len(set(done)) == len(done)
        own_name, other_name = ("send", "ship") if run.version == 1 else ("ship", "send")
        assert other_name not in done
        assert (own_name in done) or run.status == RunStatus.COMPENSATED
        assert VersionMove.objects.filter(run=run).count() == run.version - 1
