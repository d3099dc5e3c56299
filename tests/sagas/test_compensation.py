"""Compensation: every step that may have an effect is compensated once, however long it takes."""

import pytest
from structlog.contextvars import get_contextvars

from sagas.batch import Output, Rejection
from sagas.decision import RETRY_MESSAGE_LEAD
from sagas.messages import RetryAfter, Stop
from sagas.models import Direction, RunStatus, SagaRun
from sagas.run_state import ATTENTION_AFTER_TRIES
from sagas.services import request_compensation, retry_now
from sagas.work import Attempt
from tests.support.clock import wake_run
from tests.support.fake_sagas import (
    HOUR,
    Bug,
    Busy,
    FakeSagas,
    Rejected,
    Silence,
    WorkerLost,
    event,
    events,
    journal,
    lose_worker,
    start,
    stored_rows,
)
from tests.support.in_memory_broker import Message, MessageQueue

pytestmark = pytest.mark.django_db(transaction=True)


def test_done_steps_are_compensated_in_reverse(fakes: FakeSagas, messages: MessageQueue) -> None:
    run = start(fakes.saga(fakes.local("pack"), fakes.remote("send"), fakes.local("file")))
    fakes.rejects("file", run.subject_id)

    messages.deliver_all()

    run.refresh_from_db()
    assert run.status == RunStatus.COMPENSATED
    assert (run.step, run.wake_at, run.leased_until) == ("", None, None)
    assert run.ended_at is not None
    assert journal(run, "step", "direction", "number", "fence", "outcome") == [
        ("pack", "forward", 1, 1, "done"),
        ("send", "forward", 1, 2, "done"),
        ("file", "forward", 1, 3, "rejected"),
        ("send", "compensating", 1, 4, "done"),
        ("pack", "compensating", 1, 5, "done"),
    ]
    assert events(run) == [
        "pack",
        "prepare send",
        "record send",
        "compensating",
        "prepare compensate send",
        "record compensate send",
        "compensate pack",
        "compensated",
    ]


def test_a_rejected_call_is_compensated_too(fakes: FakeSagas, messages: MessageQueue) -> None:
    run = start(fakes.saga(fakes.remote("send")))
    fakes.answers("send", Rejected("no"))

    messages.deliver_all()

    assert fakes.calls == [("send", 1), ("compensate send", 1)]
    assert journal(run) == [("send", "forward", 1, "rejected"), ("send", "compensating", 1, "done")]


def test_log_lines_name_a_compensation_by_its_own_name(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    named: list[object] = []

    def answer(_: Attempt) -> Output:
        named.append(get_contextvars()["step"])
        return {}

    run = start(fakes.saga(fakes.remote("send"), fakes.local("file")))
    fakes.answers("send", answer)
    fakes.answers("compensate send", answer)
    fakes.rejects("file", run.subject_id)

    messages.deliver_all()

    assert named == ["send", "compensate send"]


def test_a_rejected_local_step_is_not_compensated(fakes: FakeSagas, messages: MessageQueue) -> None:
    run = start(fakes.saga(fakes.local("pack")))
    fakes.rejects("pack", run.subject_id)

    messages.deliver_all()

    run.refresh_from_db()
    assert run.status == RunStatus.COMPENSATED
    assert journal(run) == [("pack", "forward", 1, "rejected")]
    assert events(run) == ["compensating", "compensated"]


def test_a_step_that_was_not_reached_is_not_compensated(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.saga(fakes.local("pack"), fakes.remote("send"), fakes.local("file")))
    fakes.rejects("pack", run.subject_id)

    messages.deliver_all()

    assert fakes.calls == []
    assert events(run) == ["compensating", "compensated"]


def test_a_call_whose_worker_was_lost_is_compensated(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    saga = fakes.saga(fakes.remote("send"))
    run = start(saga)
    fakes.answers("send", lose_worker)
    with pytest.raises(WorkerLost):
        messages.deliver_all()
    request_compensation(run.subject_id, Rejection("no_longer_wanted"), "alice")

    wake_run(run, messages)

    assert run.status == RunStatus.COMPENSATED
    assert journal(run) == [("send", "forward", 1, "lost"), ("send", "compensating", 1, "done")]
    assert fakes.calls == [("send", 1), ("compensate send", 1)]


def test_hooks_and_compensations_know_the_reason_and_the_actor(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.saga(fakes.local("pack"), fakes.local("file", queue="settlement")))
    messages.deliver(messages.take())

    request_compensation(run.subject_id, Rejection("no_longer_wanted"), "alice")
    messages.deliver_all()

    for name in ("compensating", "compensate pack", "compensated"):
        assert event(run, name)["reason"] == "no_longer_wanted"
        assert event(run, name)["actor"] == "alice"


def test_a_compensation_that_backs_off_lets_the_next_one_start_and_is_not_dropped(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.saga(fakes.local("pack"), fakes.remote("send"), fakes.remote("insure")))
    fakes.answers("insure", Rejected("no"))
    fakes.answers("compensate insure", Busy("later"))

    messages.deliver_all()
    run.refresh_from_db()

    assert run.status == RunStatus.COMPENSATING
    assert journal(run)[3:] == [
        ("insure", "compensating", 1, "transient"),
        ("send", "compensating", 1, "done"),
        ("pack", "compensating", 1, "done"),
    ]
    assert "compensated" not in events(run)

    wake_run(run, messages)

    assert run.status == RunStatus.COMPENSATED
    assert journal(run)[6:] == [("insure", "compensating", 2, "done")]
    assert fakes.calls[2:] == [
        ("compensate insure", 1),
        ("compensate send", 1),
        ("compensate insure", 2),
    ]


def two_compensations_backing_off(fakes: FakeSagas, messages: MessageQueue) -> SagaRun:
    run = start(fakes.saga(fakes.remote("send"), fakes.remote("insure")))
    fakes.answers("insure", Rejected("no"))
    fakes.answers("compensate insure", Busy())
    fakes.answers("compensate send", Silence())
    messages.deliver_all()
    run.refresh_from_db()
    return run


def test_each_compensation_has_a_back_off_of_its_own(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = two_compensations_backing_off(fakes, messages)
    compensations = run.attempts.filter(direction=Direction.COMPENSATING)

    for attempt in compensations:
        assert attempt.ended_at is not None
        assert attempt.not_before is not None
        assert HOUR / 2 <= attempt.not_before - attempt.ended_at <= HOUR
    assert run.not_before is None

    compensations.filter(step="send").update(not_before=None)
    SagaRun.objects.filter(pk=run.pk).update(leased_until=None)
    messages.deliver(compensation_message(fakes, run))

    assert fakes.calls[-1] == ("compensate send", 2)
    assert journal(run)[-1] == ("send", "compensating", 2, "done")
    assert ("compensate insure", 2) not in fakes.calls


def test_a_run_wakes_for_the_first_due_compensation(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = two_compensations_backing_off(fakes, messages)

    waits = run.attempts.filter(direction=Direction.COMPENSATING).values_list(
        "not_before", flat=True
    )
    assert len(waits) == 2
    assert run.wake_at == min(filter(None, waits)) + RETRY_MESSAGE_LEAD
    (comes_back,) = messages.came_back
    assert isinstance(comes_back, RetryAfter)


def test_a_message_while_every_compensation_backs_off_changes_nothing(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = two_compensations_backing_off(fakes, messages)
    before = stored_rows(run)

    next_action = messages.deliver(compensation_message(fakes, run))

    assert next_action == Stop()
    assert stored_rows(run) == before


def test_retry_now_ends_the_back_off_of_every_compensation(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = two_compensations_backing_off(fakes, messages)

    assert retry_now(run.pk)
    messages.deliver_all()

    run.refresh_from_db()
    assert run.status == RunStatus.COMPENSATED
    assert fakes.calls[-2:] == [("compensate insure", 2), ("compensate send", 2)]


def compensation_message(fakes: FakeSagas, run: SagaRun) -> Message:
    return Message(run.pk, (fakes.last_saga.compensation_link,))


def test_a_compensation_that_is_done_is_never_repeated(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.saga(fakes.local("pack"), fakes.remote("send"), fakes.remote("insure")))
    fakes.answers("insure", Rejected("no"))
    fakes.answers("compensate insure", Busy(), Silence(), Busy())

    messages.deliver_all()
    for _ in range(3):
        wake_run(run, messages)

    assert run.status == RunStatus.COMPENSATED
    assert fakes.calls.count(("compensate send", 1)) == 1
    assert ("compensate send", 2) not in fakes.calls
    assert events(run).count("compensate pack") == 1
    assert events(run).count("compensated") == 1


def test_a_compensation_that_stays_unfinished_is_flagged_and_still_retried(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.saga(fakes.remote("send")))
    fakes.answers("send", Rejected("no"))
    fakes.answers(
        "compensate send",
        *[Busy()] * (ATTENTION_AFTER_TRIES - 1),
        Bug("typing error"),
        Silence(),
    )

    messages.deliver_all()
    for _ in range(ATTENTION_AFTER_TRIES - 2):
        wake_run(run, messages)
        assert not run.needs_attention
    wake_run(run, messages)

    assert run.needs_attention
    assert run.attention_reason == "compensate send: 8 attempts, last failed Bug"
    assert run.status == RunStatus.COMPENSATING

    wake_run(run, messages)
    assert run.attention_reason == "compensate send: 9 attempts, last unknown Silence"
    wake_run(run, messages)

    assert (run.status, run.needs_attention) == (RunStatus.COMPENSATED, False)
    assert fakes.calls[-1] == ("compensate send", ATTENTION_AFTER_TRIES + 2)


def test_a_compensation_whose_worker_was_lost_is_repeated(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.saga(fakes.remote("send")))

    fakes.answers("send", Rejected("no"))
    fakes.answers("compensate send", lose_worker)
    with pytest.raises(WorkerLost):
        messages.deliver_all()

    wake_run(run, messages)

    assert run.status == RunStatus.COMPENSATED
    assert journal(run)[1:] == [
        ("send", "compensating", 1, "lost"),
        ("send", "compensating", 2, "done"),
    ]


def test_a_local_compensation_that_raises_writes_nothing_and_is_repeated(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.saga(fakes.local("pack"), fakes.local("file")))
    fakes.rejects("file", run.subject_id)
    fakes.raises("compensate pack", Bug("glued"))

    messages.deliver_all()
    assert events(run) == ["pack", "compensating"]
    wake_run(run, messages)

    assert run.status == RunStatus.COMPENSATED
    assert journal(run, "step", "direction", "number", "outcome", "error")[2:] == [
        ("pack", "compensating", 1, "failed", "Bug"),
        ("pack", "compensating", 2, "done", ""),
    ]
    assert events(run) == ["pack", "compensating", "compensate pack", "compensated"]


def test_a_compensation_that_rejects_is_a_bug(fakes: FakeSagas, messages: MessageQueue) -> None:
    run = start(fakes.saga(fakes.local("pack"), fakes.local("file")))
    fakes.rejects("file", run.subject_id)
    fakes.rejects("compensate pack", run.subject_id)

    messages.deliver_all()

    run.refresh_from_db()
    assert run.status == RunStatus.COMPENSATING
    assert run.reason == "file_rejected"
    assert journal(run, "step", "direction", "outcome", "error", "detail")[2:] == [
        (
            "pack",
            "compensating",
            "failed",
            "DefinitionError",
            "compensate pack: a compensation cannot be rejected",
        )
    ]
    assert events(run).count("compensating") == 1
    assert messages.waiting == []


def test_a_local_step_that_rejects_where_the_run_cannot_compensate_is_a_bug(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.saga(fakes.local("pack"), fakes.local("file", is_compensable=False)))
    fakes.rejects("file", run.subject_id)

    messages.deliver_all()

    run.refresh_from_db()
    assert (run.status, run.step, run.reason) == (RunStatus.RUNNING, "file", "")
    assert journal(run, "step", "outcome", "error")[1:] == [("file", "failed", "DefinitionError")]


def test_a_hook_that_raises_delays_the_compensation(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.saga(fakes.local("pack"), fakes.local("file")))
    fakes.rejects("file", run.subject_id)
    fakes.raises("compensating", Bug("no ink"))
    before = stored_rows(run)

    with pytest.raises(Bug, match="no ink"):
        messages.deliver_all()

    assert stored_rows(run) == before
    wake_run(run, messages)
    assert run.status == RunStatus.COMPENSATED
