"""Failing transactions: they leave nothing, and no result of a call is lost."""

import pytest
from django.db import DatabaseError, DataError, IntegrityError

from sagas.messages import RetryAfter, WorkItem
from sagas.models import MESSAGE_GRACE, RunStatus
from sagas.phase import Phase
from sagas.run_state import ATTENTION_AFTER_TRIES
from tests.support.clock import wake_run
from tests.support.fake_sagas import (
    Bug,
    Busy,
    FakeSagas,
    Rejected,
    events,
    journal,
    start,
    start_many,
    stored_rows,
)
from tests.support.in_memory_broker import Message, MessageQueue

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_local_step_that_raises_leaves_only_a_failed_attempt_and_is_repeated(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.parcel())
    fakes.raises("pack", Bug("no tape"))

    messages.deliver_all()
    run.refresh_from_db()

    assert events(run) == []
    assert (run.status, run.step, run.needs_attention) == (RunStatus.RUNNING, "pack", False)
    assert run.not_before is not None
    assert journal(run, "step", "number", "outcome", "error", "detail") == [
        ("pack", 1, "failed", "Bug", "no tape")
    ]
    assert messages.came_back != []

    wake_run(run, messages)

    assert run.status == RunStatus.COMPLETED
    assert journal(run, "step", "number", "outcome") == [
        ("pack", 1, "failed"),
        ("pack", 2, "done"),
        ("send", 1, "done"),
        ("file", 1, "done"),
    ]
    assert events(run) == ["pack", "prepare send", "record send", "file"]


def test_a_local_step_that_keeps_raising_is_flagged_and_still_retried(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.parcel())
    fakes.raises("pack", *[Bug("no tape")] * ATTENTION_AFTER_TRIES)

    messages.deliver_all()
    for _ in range(ATTENTION_AFTER_TRIES - 2):
        wake_run(run, messages)
        assert not run.needs_attention
    wake_run(run, messages)
    assert run.needs_attention
    assert run.attention_reason == "pack: 8 attempts, last failed Bug"
    wake_run(run, messages)

    assert (run.status, run.needs_attention) == (RunStatus.COMPLETED, False)


def test_a_local_step_that_raises_rolls_back_the_one_before_it_too(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.saga(fakes.local("pack"), fakes.local("file")))
    fakes.raises("file", Bug())

    messages.deliver_all()

    run.refresh_from_db()
    assert run.step == "file"
    assert events(run) == ["pack"]
    assert journal(run) == [("pack", "forward", 1, "done"), ("file", "forward", 1, "failed")]


def test_one_run_that_raises_in_a_group_does_not_stop_the_others(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    saga = fakes.saga(fakes.local("pack"))
    runs = start_many(saga, 3)
    fakes.raises("pack", Bug("together"))

    with pytest.raises(Bug):
        Phase(saga, saga.links[0], [WorkItem(run.pk) for run in runs]).perform()

    assert [events(run) for run in runs] == [[], [], []]
    messages.deliver_all()
    for run in runs:
        run.refresh_from_db()
    assert [run.status for run in runs] == [RunStatus.COMPLETED] * 3


def test_a_step_that_raises_after_a_call_does_not_lose_the_result(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.parcel())
    fakes.answers("send", {"number": "RR 123"})
    fakes.raises("file", Bug("no folder"))

    messages.deliver_all()
    run.refresh_from_db()

    assert (run.status, run.step) == (RunStatus.RUNNING, "file")
    assert journal(run, "step", "number", "outcome", "output") == [
        ("pack", 1, "done", {}),
        ("send", 1, "done", {"number": "RR 123"}),
        ("file", 1, "failed", {}),
    ]
    assert events(run) == ["pack", "prepare send", "record send"]

    wake_run(run, messages)

    assert run.status == RunStatus.COMPLETED
    assert events(run) == ["pack", "prepare send", "record send", "file"]
    assert fakes.calls == [("send", 1)]


def test_a_database_error_after_a_call_does_not_lose_the_result(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.parcel())
    fakes.raises("file", DatabaseError("deadlock detected"))

    with pytest.raises(DatabaseError, match="deadlock detected"):
        messages.deliver_all()
    run.refresh_from_db()

    assert (run.step, run.leased_until) == ("file", None)
    assert journal(run)[1:] == [("send", "forward", 1, "done")]

    wake_run(run, messages)

    assert run.status == RunStatus.COMPLETED
    assert fakes.calls == [("send", 1)]


def test_a_database_error_before_any_call_writes_nothing(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.parcel())
    before = stored_rows(run)
    fakes.raises("pack", DatabaseError("the connection is closed"))

    with pytest.raises(DatabaseError):
        messages.deliver_all()

    assert stored_rows(run) == before


@pytest.mark.parametrize("error", [IntegrityError("twice"), DataError("out of range")])
def test_a_row_that_the_database_refuses_is_a_failure_of_the_step(
    fakes: FakeSagas, messages: MessageQueue, error: DatabaseError
) -> None:
    run = start(fakes.parcel())
    fakes.raises("pack", error)

    messages.deliver_all()
    run.refresh_from_db()

    assert events(run) == []
    assert (run.status, run.step) == (RunStatus.RUNNING, "pack")
    assert journal(run, "step", "number", "outcome", "error", "detail") == [
        ("pack", 1, "failed", type(error).__name__, str(error))
    ]

    wake_run(run, messages)

    assert run.status == RunStatus.COMPLETED


def test_a_result_that_the_database_refuses_is_a_failed_attempt_that_keeps_it(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.parcel())
    fakes.answers("send", {"number": "RR 123"})
    fakes.raises("record send", *[IntegrityError("twice")] * 2)

    with pytest.raises(IntegrityError):
        messages.deliver_all()
    run.refresh_from_db()

    assert (run.step, run.leased_until) == ("send", None)
    assert journal(run, "step", "outcome", "error", "output")[1:] == [
        ("send", "failed", "IntegrityError", {"number": "RR 123"})
    ]


def test_a_prepare_that_raises_is_a_failed_attempt_without_a_call(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.parcel())
    fakes.raises("prepare send", Bug("no stamps"))

    messages.deliver_all()

    assert fakes.calls == []
    assert events(run) == ["pack"]
    assert journal(run, "step", "number", "outcome", "detail")[1:] == [
        ("send", 1, "failed", "no stamps")
    ]

    wake_run(run, messages)

    assert run.status == RunStatus.COMPLETED
    assert fakes.calls == [("send", 2)]


def test_a_result_that_cannot_be_recorded_is_a_failed_attempt_that_keeps_it(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.parcel())
    fakes.answers("send", {"number": "RR 123"})
    fakes.raises("record send", Bug("first"), Bug("second"))

    with pytest.raises(Bug, match="first"):
        messages.deliver_all()
    run.refresh_from_db()

    assert (run.status, run.step, run.leased_until) == (RunStatus.RUNNING, "send", None)
    assert run.not_before is not None
    assert events(run) == ["pack", "prepare send"]
    assert journal(run, "step", "outcome", "error", "detail", "output")[1:] == [
        ("send", "failed", "Bug", "second", {"number": "RR 123"})
    ]

    wake_run(run, messages)

    assert run.status == RunStatus.COMPLETED
    assert fakes.calls == [("send", 1), ("send", 2)]


def test_a_call_is_not_repeated_if_its_result_can_be_recorded_the_second_time(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.parcel())
    fakes.raises("record send", Bug("once"))

    with pytest.raises(Bug, match="once"):
        messages.deliver_all()
    run.refresh_from_db()
    assert run.step == "file"
    wake_run(run, messages)

    assert run.status == RunStatus.COMPLETED
    assert fakes.calls == [("send", 1)]
    assert events(run).count("record send") == 1


def test_a_compensation_that_raises_after_another_one_does_not_lose_its_result(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.parcel())
    fakes.answers("send", Rejected("no"))
    fakes.answers("compensate send", {"returned": True})
    fakes.raises("compensate pack", Bug("glued"))

    messages.deliver_all()
    run.refresh_from_db()

    assert run.status == RunStatus.COMPENSATING
    assert journal(run, "step", "number", "outcome", "output")[2:] == [
        ("send", 1, "done", {"returned": True}),
        ("pack", 1, "failed", {}),
    ]

    wake_run(run, messages)

    assert run.status == RunStatus.COMPENSATED
    assert fakes.calls == [("send", 1), ("compensate send", 1)]
    assert events(run).count("compensate pack") == 1


def test_a_compensation_that_was_not_reached_does_not_wait_for_the_back_off_of_another(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.parcel())
    fakes.answers("send", Rejected("no"))
    fakes.answers("compensate send", Busy())
    fakes.raises("compensate pack", DatabaseError("deadlock detected"))

    with pytest.raises(DatabaseError):
        messages.deliver_all()

    run.refresh_from_db()
    backing_off = run.attempts.get(step="send", direction="compensating")
    assert backing_off.outcome == "transient"
    assert backing_off.ended_at is not None
    assert run.wake_at == backing_off.ended_at + MESSAGE_GRACE


def test_the_message_of_a_failed_run_is_retried(fakes: FakeSagas, messages: MessageQueue) -> None:
    saga = fakes.saga(fakes.local("pack"))
    run = start(saga)
    fakes.raises("pack", Bug())

    next_action = messages.deliver(Message(run.pk, saga.links))

    assert isinstance(next_action, RetryAfter)
