"""Leases and fences: one writer for a run, and what happens to slow and dead workers."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from events.models import OutboxEvent
from sagas.batch import Output, Rejection
from sagas.errors import LeaseLost
from sagas.group_commit import GroupCommit
from sagas.messages import CallResult, Claim, Stop, WorkItem
from sagas.models import Outcome, RunStatus, SagaRun
from sagas.phase import Phase
from sagas.runner import ActiveAttempt, Checkpoint, write_alone, write_together
from sagas.services import request_compensation
from sagas.sweep import sweep
from sagas.work import Attempt
from tests.support.clock import let_time_pass, wake_run
from tests.support.fake_sagas import (
    FakeSagas,
    Rejected,
    Silence,
    WorkerLost,
    events,
    journal,
    lose_worker,
    start,
    start_many,
    stored_rows,
)
from tests.support.in_memory_broker import Message, MessageQueue
from tests.support.waits import PATIENCE_SECONDS

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_lease_in_force_makes_a_second_message_return_at_once(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    saga = fakes.parcel()
    run = start(saga)

    def come_again(attempt: Attempt) -> Output:
        before = stored_rows(run)
        assert messages.deliver(Message(run.pk, saga.links)) == Stop()
        assert stored_rows(run) == before
        return {}

    fakes.answers("send", come_again)
    messages.deliver_all()

    run.refresh_from_db()
    assert run.status == RunStatus.COMPLETED
    assert fakes.calls == [("send", 1)]


def test_a_lease_in_force_is_not_due_for_the_sweep(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    def look(attempt: Attempt) -> Output:
        assert sweep() == 0
        return {}

    start(fakes.parcel())
    fakes.answers("send", look)
    messages.deliver_all()

    assert fakes.calls == [("send", 1)]


def test_a_dead_workers_attempt_is_lost_when_its_lease_has_run_out(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    saga = fakes.parcel()
    run = start(saga)
    fakes.answers("send", lose_worker)
    with pytest.raises(WorkerLost):
        messages.deliver_all()
    assert messages.deliver(Message(run.pk, saga.links)) == Stop()

    wake_run(run, messages)

    assert run.status == RunStatus.COMPLETED
    assert journal(run, "step", "number", "fence", "outcome") == [
        ("pack", 1, 1, "done"),
        ("send", 1, 2, "lost"),
        ("send", 2, 3, "done"),
        ("file", 1, 4, "done"),
    ]
    lost = run.attempts.get(outcome="lost")
    assert lost.ended_at is not None
    assert fakes.calls == [("send", 1), ("send", 2)]


def test_a_step_that_kills_its_workers_compensates_when_the_retries_are_spent(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.parcel())
    fakes.answers("send", lose_worker, lose_worker, lose_worker)

    with pytest.raises(WorkerLost):
        messages.deliver_all()
    with pytest.raises(WorkerLost):
        wake_run(run, messages)  # the first loss is made good at once
    wake_run(run, messages)  # the second one waits for its back-off
    assert fakes.calls == [("send", 1), ("send", 2)]
    with pytest.raises(WorkerLost):
        wake_run(run, messages)
    wake_run(run, messages)
    wake_run(run, messages)

    assert run.status == RunStatus.COMPENSATED
    assert (run.reason, run.reason_detail) == ("send_unanswered", "lost")
    assert fakes.calls == [("send", 1), ("send", 2), ("send", 3), ("compensate send", 1)]


def test_a_worker_that_outlasts_its_lease_settles_if_no_other_worker_came(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.parcel())

    def be_slow(attempt: Attempt) -> Output:
        let_time_pass(run)
        return {"number": "RR 123"}

    fakes.answers("send", be_slow)
    messages.deliver_all()

    run.refresh_from_db()
    assert run.status == RunStatus.COMPLETED
    assert run.attempts.get(step="send").output == {"number": "RR 123"}


def test_a_worker_that_returns_after_another_ones_claim_leaves_only_a_note(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.parcel())
    after_the_other: list[tuple[object, ...]] = []

    def sleep_past_the_lease(attempt: Attempt) -> Output:
        wake_run(run, messages)
        assert run.status == RunStatus.COMPLETED
        after_the_other.append(without_output_and_detail(run))
        return {"number": "late"}

    fakes.answers("send", sleep_past_the_lease, {"number": "in time"})
    next_action = messages.deliver(messages.take())

    assert next_action == Stop()
    assert after_the_other == [without_output_and_detail(run)]
    assert journal(run, "step", "number", "outcome", "output", "detail")[1:3] == [
        ("send", 1, "lost", {"number": "late"}, "answered too late: done"),
        ("send", 2, "done", {"number": "in time"}, ""),
    ]
    assert events(run).count("record send") == 1
    assert events(run).count("file") == 1


def without_output_and_detail(run: SagaRun) -> tuple[object, ...]:
    row, rows, written = stored_rows(run)
    assert isinstance(rows, list)
    kept = [{k: v for k, v in row.items() if k not in {"output", "detail"}} for row in rows]
    return row, kept, written


def test_a_worker_that_returns_during_another_ones_call_changes_nothing(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    saga = fakes.parcel()
    run = start(saga)
    second_called, second_may_answer = threading.Event(), threading.Event()
    second: list[Future[None]] = []

    def be_overtaken(attempt: Attempt) -> Output:
        let_time_pass(run)
        second.append(pool.submit(deliver_in_thread, messages, Message(run.pk, saga.links)))
        assert second_called.wait(PATIENCE_SECONDS)
        raise Rejected("too late to say no")

    def answer_when_allowed(attempt: Attempt) -> Output:
        second_called.set()
        assert second_may_answer.wait(PATIENCE_SECONDS)
        return {}

    fakes.answers("send", be_overtaken, answer_when_allowed)
    with ThreadPoolExecutor(1) as pool:
        next_action = messages.deliver(messages.take())
        leased = SagaRun.objects.get()
        second_may_answer.set()
        second[0].result()

    assert next_action == Stop()
    assert leased.leased_until is not None
    assert (leased.status, leased.reason) == (RunStatus.RUNNING, "")
    run.refresh_from_db()
    assert run.status == RunStatus.COMPLETED
    assert journal(run)[1:3] == [("send", "forward", 1, "lost"), ("send", "forward", 2, "done")]


def deliver_in_thread(messages: MessageQueue, message: Message) -> None:
    try:
        messages.deliver(message)
    finally:
        connection.close()


def test_a_rejection_that_comes_too_late_compensates_nothing(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.saga(fakes.remote("send"), fakes.remote("insure")))

    def reject_late(attempt: Attempt) -> Output:
        let_time_pass(run)
        sweep()
        messages.deliver_all()
        raise Rejected("no_such_street", "Elm Street")

    fakes.answers("send", reject_late, {})
    fakes.answers("insure", Silence())
    messages.deliver(messages.take())

    run.refresh_from_db()
    assert (run.status, run.step, run.reason) == (RunStatus.RUNNING, "insure", "")
    assert journal(run, "step", "number", "outcome", "detail")[0] == (
        "send",
        1,
        "lost",
        "answered too late: rejected no_such_street Elm Street",
    )


def test_a_result_after_the_run_was_compensated_is_only_noted(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.parcel())

    def answer_after_compensation(attempt: Attempt) -> Output:
        request_compensation(run.subject_id, Rejection("no_longer_wanted"), "alice")
        wake_run(run, messages)
        assert run.status == RunStatus.COMPENSATED
        return {"number": "late"}

    fakes.answers("send", answer_after_compensation)
    messages.deliver(messages.take())

    run.refresh_from_db()
    assert run.status == RunStatus.COMPENSATED
    assert "record send" not in events(run)
    assert run.attempts.get(step="send", direction="forward").output == {"number": "late"}


@pytest.mark.parametrize("settle_only", [True, False], ids=["alone", "with what follows"])
def test_a_result_that_is_settled_is_not_settled_again(
    fakes: FakeSagas, messages: MessageQueue, *, settle_only: bool
) -> None:
    saga = fakes.parcel()
    run = start(saga)
    (claim,) = Phase(saga, saga.links[0], [WorkItem(run.pk)]).perform()
    assert isinstance(claim, Claim)
    answer = WorkItem(run.pk, CallResult(claim, Outcome.DONE, {"number": "RR 123"}))
    Phase(saga, saga.links[0], [answer], settle_only=settle_only).perform()
    before = stored_rows(run)

    next_actions = Phase(saga, saga.links[0], [answer]).perform()

    assert next_actions == [Stop()]
    assert stored_rows(run) == before


# -- checkpoints


def write_fact(attempt: Attempt) -> OutboxEvent:
    return OutboxEvent.objects.create(
        name="stamp",
        version=1,
        key=attempt.subject_id,
        correlation_id=attempt.subject_id,
        payload={},
    )


def test_a_checkpoint_writes_while_the_attempt_has_its_lease(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.parcel())

    def stamp(attempt: Attempt) -> Output:
        written = attempt.checkpoint(lambda: write_fact(attempt))
        assert not connection.in_atomic_block
        return {"stamp": str(written.pk)}

    fakes.answers("send", stamp)
    messages.deliver_all()

    assert events(run) == ["pack", "prepare send", "stamp", "record send", "file"]


def test_a_checkpoint_is_one_transaction(fakes: FakeSagas, messages: MessageQueue) -> None:
    run = start(fakes.parcel())

    def stamp_and_fail(attempt: Attempt) -> Output:
        def write() -> None:
            write_fact(attempt)
            raise Silence

        attempt.checkpoint(write)
        return {}

    fakes.answers("send", stamp_and_fail)
    messages.deliver_all()

    assert "stamp" not in events(run)
    assert journal(run)[1:] == [("send", "forward", 1, "unknown")]


def test_a_checkpoint_after_a_takeover_writes_nothing_and_ends_the_worker(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.parcel())
    after_the_other: list[tuple[object, ...]] = []

    def stamp_late(attempt: Attempt) -> Output:
        wake_run(run, messages)
        after_the_other.append(stored_rows(run))
        with pytest.raises(LeaseLost):
            attempt.checkpoint(lambda: write_fact(attempt))
        attempt.checkpoint(lambda: write_fact(attempt))
        raise AssertionError

    fakes.answers("send", stamp_late)
    next_action = messages.deliver(messages.take())

    assert next_action == Stop()
    assert after_the_other == [stored_rows(run)]
    assert "stamp" not in events(run)


def test_a_checkpoint_during_another_workers_call_writes_nothing(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    saga = fakes.parcel()
    run = start(saga)

    def be_overtaken(first: Attempt) -> Output:
        def during_the_second_call(second: Attempt) -> Output:
            with pytest.raises(LeaseLost):
                first.checkpoint(lambda: write_fact(first))
            return {}

        fakes.answers("send", during_the_second_call)
        let_time_pass(run)
        messages.deliver(Message(run.pk, saga.links))
        return {}

    fakes.answers("send", be_overtaken)
    messages.deliver(messages.take())

    run.refresh_from_db()
    assert run.status == RunStatus.COMPLETED
    assert fakes.calls == [("send", 1), ("send", 2)]
    assert "stamp" not in events(run)


def test_a_checkpoint_that_shares_a_transaction_with_its_successors_writes_nothing(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    saga = fakes.parcel()
    run = start(saga)
    shared = GroupCommit[Checkpoint, object](write_together, write_alone)

    def be_overtaken(first: Attempt) -> Output:
        def during_the_second_call(second: Attempt) -> Output:
            both = [checkpoint(first), checkpoint(second)]
            with pytest.raises(LeaseLost):
                write_together(both)
            assert "stamp" not in events(run)
            shared.submit(both[1])
            return {}

        fakes.answers("send", during_the_second_call)
        let_time_pass(run)
        messages.deliver(Message(run.pk, saga.links))
        return {}

    fakes.answers("send", be_overtaken)
    messages.deliver(messages.take())

    assert events(run).count("stamp") == 1


def test_checkpoints_of_several_runs_share_a_transaction(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    first_run, second_run = start_many(fakes.parcel(), 2)

    def during_both_calls(first: Attempt) -> Output:
        def write_both(second: Attempt) -> Output:
            with CaptureQueriesContext(connection) as queries:
                write_together([checkpoint(first), checkpoint(second)])
            assert [query["sql"] for query in queries].count("COMMIT") == 1
            return {}

        fakes.answers("send", write_both)
        messages.deliver(messages.take())
        return {}

    fakes.answers("send", during_both_calls)
    messages.deliver_all()

    assert [events(run).count("stamp") for run in (first_run, second_run)] == [1, 1]


def checkpoint(attempt: Attempt) -> Checkpoint:
    assert isinstance(attempt, ActiveAttempt)
    return Checkpoint(attempt._claim, lambda: write_fact(attempt))


def test_a_checkpoint_is_refused_after_the_attempt_was_lost_without_a_new_claim(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.saga(fakes.remote("send"), fakes.local("file")))

    def stamp_late(attempt: Attempt) -> Output:
        request_compensation(run.subject_id, Rejection("no_longer_wanted"), "alice")
        let_time_pass(run)
        messages.deliver(messages.take())
        run.refresh_from_db()
        assert run.status == RunStatus.COMPENSATING
        attempt.checkpoint(lambda: write_fact(attempt))
        raise AssertionError

    fakes.answers("send", stamp_late)
    next_action = messages.deliver(messages.take())

    assert next_action == Stop()
    assert "stamp" not in events(run)
