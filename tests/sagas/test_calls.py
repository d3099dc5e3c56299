"""How calls end, and how they are retried."""

from collections.abc import Callable

import pytest

from sagas.batch import Output, Rejection
from sagas.decision import RETRY_MESSAGE_LEAD
from sagas.definition import remote_step
from sagas.descriptions import FailureText, StepText
from sagas.messages import RetryAfter, Stop
from sagas.models import RunStatus, SagaRun
from sagas.queries.attempts import attempts_for
from sagas.retry_policy import RetryPolicy
from sagas.run_state import ATTENTION_AFTER_TRIES
from sagas.services import CompensationRequest, request_compensation, retry_now
from sagas.work import Attempt
from tests.support.clock import wake_run
from tests.support.fake_sagas import (
    HOUR,
    UNLIMITED_TRIES,
    Bug,
    Busy,
    CallBehaviour,
    FakeSagas,
    Rejected,
    Silence,
    event,
    events,
    journal,
    start,
    stored_rows,
)
from tests.support.in_memory_broker import Message, MessageQueue

pytestmark = pytest.mark.django_db(transaction=True)

WITHOUT_ANSWER = {
    "busy": (Busy("later"), ("transient", "Busy", "later")),
    "silent": (Silence("who knows"), ("unknown", "Silence", "who knows")),
    "a bug": (Bug("division by zero"), ("failed", "Bug", "division by zero")),
}


@pytest.mark.parametrize(("answer", "ended"), WITHOUT_ANSWER.values(), ids=WITHOUT_ANSWER)
def test_a_call_without_an_answer_is_journalled_and_repeated(
    fakes: FakeSagas, messages: MessageQueue, answer: CallBehaviour, ended: tuple[str, ...]
) -> None:
    run = start(fakes.parcel())
    fakes.answers("send", answer)

    messages.deliver_all()
    run.refresh_from_db()

    assert (run.status, run.step, run.leased_until) == (RunStatus.RUNNING, "send", None)
    assert not run.needs_attention
    assert journal(run, "step", "number", "outcome", "error", "detail")[1:] == [("send", 1, *ended)]
    assert events(run) == ["pack", "prepare send"]

    wake_run(run, messages)

    assert run.status == RunStatus.COMPLETED
    assert journal(run, "step", "number", "outcome")[1:] == [
        ("send", 1, ended[0]),
        ("send", 2, "done"),
        ("file", 1, "done"),
    ]
    assert fakes.calls == [("send", 1), ("send", 2)]


class BadKey(Exception):
    """The outside system refuses our key, which a person has to correct."""


class ExpiredKey(BadKey):
    """A declared failure by its base."""


KEY_TEXT = FailureText("The carrier refuses our key.", "Correct the key.", "The call is repeated.")


def raising(error: Exception) -> Callable[[Attempt], Output]:
    def send(attempt: Attempt) -> Output:
        raise error

    return send


@pytest.mark.parametrize(
    ("error", "ended"),
    [
        (ExpiredKey("since May"), ("failed", "BadKey", "since May")),
        (Bug("division by zero"), ("failed", "Bug", "division by zero")),
    ],
)
def test_a_declared_failure_has_the_name_that_its_step_declares_and_is_no_bug_in_the_log(
    fakes: FakeSagas,
    messages: MessageQueue,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    ended: tuple[str, ...],
) -> None:
    is_declared = isinstance(error, BadKey)
    step = remote_step(
        queue="checkout",
        system="parcels",
        describe=StepText("sending", "Sending", "Send it."),
        failures={BadKey: KEY_TEXT},
        retry=UNLIMITED_TRIES,
    )(raising(error))
    run = start(fakes.saga(step))

    messages.deliver_all()

    assert journal(run, "outcome", "error", "detail") == [ended]
    errors = [record.message for record in caplog.records if record.levelname == "ERROR"]
    assert errors == ([] if is_declared else ["call.failed"])
    [attempt] = attempts_for(run.subject_id)
    assert attempt.failure == (KEY_TEXT if is_declared else None)
    # Staff are called for a declared failure at once: only they can end it.
    run.refresh_from_db()
    called = f"{KEY_TEXT.happened} {KEY_TEXT.remedy}" if is_declared else ""
    assert (run.needs_attention, run.attention_reason) == (is_declared, called)


def test_a_rejected_call_makes_the_run_compensate_with_its_reason(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.parcel())
    fakes.answers("send", Rejected("no_such_street", "Elm Street"))

    messages.deliver(messages.take())

    run.refresh_from_db()
    assert (run.status, run.step) == (RunStatus.COMPENSATING, "")
    assert (run.reason, run.reason_detail, run.actor) == ("no_such_street", "Elm Street", "")
    assert event(run, "compensating")["reason"] == "no_such_street"
    assert journal(run, "step", "outcome", "error", "detail")[1:] == [
        ("send", "rejected", "no_such_street", "Elm Street")
    ]
    assert fakes.calls == [("send", 1)]


def test_a_message_before_the_back_off_is_over_changes_nothing(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    saga = fakes.parcel()
    run = start(saga)
    fakes.answers("send", Busy())
    messages.deliver_all()
    before = stored_rows(run)

    next_action = messages.deliver(Message(run.pk, saga.links))

    assert next_action == Stop()
    assert stored_rows(run) == before
    assert fakes.calls == [("send", 1)]


def test_a_back_off_has_a_time_to_retry_and_a_little_later_a_time_to_wake(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.parcel())
    fakes.answers("send", Busy())

    messages.deliver_all()

    run.refresh_from_db()
    ended_at = run.attempts.get(step="send").ended_at
    assert ended_at is not None
    assert run.not_before is not None
    assert HOUR / 2 <= run.not_before - ended_at <= HOUR
    assert run.wake_at == run.not_before + RETRY_MESSAGE_LEAD
    assert messages.came_back == [RetryAfter(run.not_before - ended_at)]


def test_a_back_off_grows_with_the_attempts(fakes: FakeSagas, messages: MessageQueue) -> None:
    growing = RetryPolicy(initial_delay=HOUR / 16, max_delay=HOUR)
    run = start(fakes.saga(fakes.remote("send", retry=growing)))
    fakes.answers("send", *[Busy()] * 6)

    messages.deliver_all()
    for _ in range(5):
        wake_run(run, messages)

    waits = [retry.after for retry in messages.came_back]
    wholes = [HOUR / 16 * factor for factor in (1, 2, 4, 8, 16, 16)]
    assert len(waits) == 6
    for wait, whole in zip(waits, wholes, strict=True):
        assert whole / 2 <= wait <= whole


@pytest.mark.parametrize(
    ("answer", "error"), [(Busy(), "Busy"), (Silence(), "Silence")], ids=["busy", "silent"]
)
def test_a_run_compensates_when_the_retries_are_spent(
    fakes: FakeSagas, messages: MessageQueue, answer: CallBehaviour, error: str
) -> None:
    run = start(fakes.parcel())
    fakes.answers("send", answer, answer, answer)

    messages.deliver_all()
    wake_run(run, messages)
    assert run.status == RunStatus.RUNNING
    wake_run(run, messages)

    assert run.status == RunStatus.COMPENSATED
    assert (run.reason, run.reason_detail) == ("send_unanswered", error)
    assert not run.needs_attention
    assert fakes.calls == [("send", 1), ("send", 2), ("send", 3), ("compensate send", 1)]
    assert "file" not in events(run)


def test_retries_are_counted_separately_for_each_step(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.saga(fakes.remote("send"), fakes.remote("insure")))
    fakes.answers("send", Busy(), Busy())
    fakes.answers("insure", Busy(), Busy())

    messages.deliver_all()
    for _ in range(4):
        wake_run(run, messages)

    assert run.status == RunStatus.COMPLETED
    assert fakes.calls == [(step, number) for step in ("send", "insure") for number in (1, 2, 3)]


# -- flags


def test_a_call_that_stays_without_an_answer_is_flagged_and_still_retried(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.saga(fakes.remote("send", retry=UNLIMITED_TRIES)))
    fakes.answers("send", *[Silence()] * (ATTENTION_AFTER_TRIES + 1))

    messages.deliver_all()
    for _ in range(ATTENTION_AFTER_TRIES - 2):
        wake_run(run, messages)
        assert not run.needs_attention
    wake_run(run, messages)

    assert run.needs_attention
    assert run.attention_reason == "send: 8 attempts, last unknown Silence"
    assert run.status == RunStatus.RUNNING

    wake_run(run, messages)
    wake_run(run, messages)

    assert run.status == RunStatus.COMPLETED
    assert (run.needs_attention, run.attention_reason) == (False, "")
    assert len(fakes.calls) == ATTENTION_AFTER_TRIES + 2


def flagged_for_a_bug(fakes: FakeSagas, messages: MessageQueue) -> SagaRun:
    run = start(fakes.parcel())
    fakes.answers("send", *[Bug("a typing error")] * 3)
    messages.deliver_all()
    wake_run(run, messages)
    assert not run.needs_attention
    wake_run(run, messages)
    return run


def test_a_bug_is_flagged_after_as_many_attempts_and_never_counts_as_an_answer(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = flagged_for_a_bug(fakes, messages)

    assert run.needs_attention
    assert run.attention_reason == "send: 3 attempts, last failed Bug"
    assert (run.status, run.step) == (RunStatus.RUNNING, "send")

    wake_run(run, messages)

    assert (run.status, run.needs_attention) == (RunStatus.COMPLETED, False)
    assert fakes.calls[-1] == ("send", 4)


def test_a_flagged_run_can_still_be_cancelled(fakes: FakeSagas, messages: MessageQueue) -> None:
    run = flagged_for_a_bug(fakes, messages)

    result = request_compensation(run.subject_id, Rejection("no_longer_wanted"), "alice")
    messages.deliver_all()

    run.refresh_from_db()
    assert result is CompensationRequest.REQUESTED
    assert (run.status, run.needs_attention) == (RunStatus.COMPENSATED, False)
    assert fakes.calls[-1] == ("compensate send", 1)


def test_retry_now_clears_the_flag_and_the_back_off_and_queues_the_run(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = flagged_for_a_bug(fakes, messages)

    assert retry_now(run.pk)
    run.refresh_from_db()

    assert (run.needs_attention, run.attention_reason) == (False, "")
    assert (run.retry_count, run.not_before, run.redispatch_count) == (0, None, 0)
    assert len(messages.waiting) == 1

    messages.deliver_all()

    run.refresh_from_db()
    assert run.status == RunStatus.COMPLETED
    # The number goes on: the call must know that an earlier attempt may have taken effect.
    assert fakes.calls[-1] == ("send", 4)


def test_retry_now_of_a_run_that_is_not_live_does_nothing(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.parcel())
    messages.deliver_all()
    before = stored_rows(run)

    assert not retry_now(run.pk)
    assert not retry_now(run.subject_id)

    assert stored_rows(run) == before
    assert messages.waiting == []


def test_retry_now_does_not_touch_a_call_in_flight(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.parcel())

    def retry(_: object) -> dict[str, object]:
        assert retry_now(run.pk)
        leased = SagaRun.objects.get()
        assert leased.leased_until is not None
        assert leased.wake_at == leased.leased_until
        assert messages.deliver(messages.take()) == Stop()
        return {}

    fakes.answers("send", retry)
    messages.deliver_all()

    run.refresh_from_db()
    assert run.status == RunStatus.COMPLETED
    assert fakes.calls == [("send", 1)]
