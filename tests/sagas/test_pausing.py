"""A paused run starts no further step, and can still be compensated."""

import logging
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from django.db import IntegrityError

from orders.saga import SAGAS
from sagas.batch import Output, Rejection
from sagas.messages import Stop
from sagas.models import MESSAGE_GRACE, RunStatus, SagaRun
from sagas.pause_reasons import PauseReason
from sagas.queries.counts import FlaggedCounts, count_flagged
from sagas.queries.subjects import flagged_runs, paused_runs
from sagas.services import CompensationRequest, pause, request_compensation, resume, retry_now
from sagas.sweep import LONGEST_DELAY, sweep
from sagas.work import Attempt
from tests.support.clock import database_time, let_time_pass, wake_run
from tests.support.fake_sagas import (
    UNLIMITED_TRIES,
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
from tests.support.in_memory_broker import MessageQueue

pytestmark = pytest.mark.django_db(transaction=True)

pause_for_money = partial(
    pause, reason=PauseReason.MONEY_IN_DOUBT, detail="0 held of 4500", actor="M6"
)
pause_for_staff = partial(
    pause, reason=PauseReason.STAFF, detail="Waiting for a call.", actor="grace"
)
FLAG = (True, "paused by M6: 0 held of 4500")


def pause_run(run: SagaRun) -> bool:
    """Pause a run because its money is in doubt, and read it again."""
    is_paused = pause_for_money(run.subject_id)
    run.refresh_from_db()
    return is_paused


def wakes_at(run: SagaRun) -> datetime:
    """Return when the sweep looks at the run."""
    run.refresh_from_db()
    assert run.wake_at is not None
    return run.wake_at


def flag(run: SagaRun) -> tuple[bool, str]:
    run.refresh_from_db()
    return run.needs_attention, run.attention_reason


def is_marked(run: SagaRun) -> bool:
    """Return whether anything is left of a pause."""
    run.refresh_from_db()
    marks = (run.paused_at, run.pause_reason, run.needs_attention, run.attention_reason)
    return marks != (None, "", False, "")


def test_a_paused_run_takes_no_local_step(fakes: FakeSagas, messages: MessageQueue) -> None:
    run = start(fakes.parcel())

    assert pause_run(run)
    before = stored_rows(run)
    next_action = messages.deliver(messages.take())

    assert next_action == Stop()
    assert stored_rows(run) == before
    assert (run.status, run.step) == (RunStatus.RUNNING, "pack")
    assert flag(run) == FLAG


def test_a_paused_run_claims_no_remote_step(fakes: FakeSagas, messages: MessageQueue) -> None:
    run = start(fakes.saga(fakes.local("pack"), fakes.remote("send", queue="settlement")))
    messages.deliver(messages.take())

    pause_run(run)
    before = stored_rows(run)
    messages.deliver_all()

    assert stored_rows(run) == before
    assert fakes.calls == []
    assert run.step == "send"


def test_a_call_in_flight_is_settled_and_no_step_follows(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.parcel())

    def answer_while_paused(attempt: Attempt) -> Output:
        pause_run(run)
        return {"number": "RR 123"}

    fakes.answers("send", answer_while_paused)
    messages.deliver_all()
    wake_run(run, messages)

    assert journal(run) == [("pack", "forward", 1, "done"), ("send", "forward", 1, "done")]
    assert events(run) == ["pack", "prepare send", "record send"]
    assert (run.status, run.step, run.leased_until) == (RunStatus.RUNNING, "file", None)
    assert flag(run) == FLAG


def test_the_call_of_a_lost_worker_is_not_repeated(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.parcel())
    fakes.answers("send", lose_worker)
    with pytest.raises(WorkerLost):
        messages.deliver_all()

    pause_run(run)
    wake_run(run, messages)
    wake_run(run, messages)

    assert journal(run)[1:] == [("send", "forward", 1, "lost")]
    assert fakes.calls == [("send", 1)]


def test_a_paused_run_compensates_when_it_is_requested(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.parcel())
    fakes.answers("send", Silence())
    messages.deliver_all()

    pause_run(run)
    result = request_compensation(run.subject_id, Rejection("no_longer_wanted"), "alice")
    was_marked = is_marked(run)
    messages.deliver_all()

    assert result is CompensationRequest.REQUESTED
    assert not was_marked
    assert fakes.calls == [("send", 1), ("compensate send", 1)]
    assert not is_marked(run)
    assert run.status == RunStatus.COMPENSATED


def test_a_request_to_compensate_keeps_a_flag_that_no_pause_raised(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.parcel())
    SagaRun.objects.update(needs_attention=True, attention_reason="pack: 8 attempts")

    request_compensation(run.subject_id, Rejection("no_longer_wanted"), "alice")

    assert flag(run) == (True, "pack: 8 attempts")


def test_a_run_that_was_requested_to_compensate_cannot_be_paused(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.parcel())
    request_compensation(run.subject_id, Rejection("no_longer_wanted"), "alice")
    before = stored_rows(run)

    assert not pause_for_money(run.subject_id)
    assert not pause_for_staff(run.subject_id)

    assert stored_rows(run) == before
    messages.deliver_all()
    assert not is_marked(run)
    assert run.status == RunStatus.COMPENSATED


def test_a_rejection_makes_a_paused_run_compensate(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.parcel())

    def reject_while_paused(attempt: Attempt) -> Output:
        pause_run(run)
        raise Rejected("no_such_street")

    fakes.answers("send", reject_while_paused)
    messages.deliver_all()

    assert not is_marked(run)
    assert (run.status, run.reason) == (RunStatus.COMPENSATED, "no_such_street")
    assert "file" not in events(run)


def test_spent_retries_make_a_paused_run_compensate(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.parcel())

    def stay_silent_while_paused(attempt: Attempt) -> Output:
        assert pause_for_staff(run.subject_id)
        raise Silence

    fakes.answers("send", Silence(), Silence(), stay_silent_while_paused)
    fakes.answers("compensate send", Silence())
    messages.deliver_all()
    wake_run(run, messages)
    wake_run(run, messages)
    was_marked = is_marked(run)
    wake_run(run, messages)

    assert not was_marked
    assert not is_marked(run)
    assert (run.status, run.reason) == (RunStatus.COMPENSATED, "send_unanswered")


def test_the_result_of_the_last_step_ends_a_paused_run(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.saga(fakes.remote("send")))

    def answer_while_paused(attempt: Attempt) -> Output:
        assert pause_for_staff(run.subject_id)
        return {}

    fakes.answers("send", answer_while_paused)
    messages.deliver_all()

    assert not is_marked(run)
    assert run.status == RunStatus.COMPLETED


def test_a_compensating_run_cannot_be_paused(fakes: FakeSagas, messages: MessageQueue) -> None:
    run = start(fakes.parcel())
    fakes.answers("send", Rejected("no_such_street"))
    messages.deliver(messages.take())
    before = stored_rows(run)

    assert not pause_run(run)

    assert stored_rows(run) == before
    messages.deliver_all()
    run.refresh_from_db()
    assert run.status == RunStatus.COMPENSATED


def test_a_run_of_a_compensating_only_saga_cannot_be_paused(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    send = fakes.remote("send", is_compensable=False, rejected_by=(), retry=UNLIMITED_TRIES)
    run = start(fakes.saga(send, compensating_only=True))
    before = stored_rows(run)

    assert not pause_run(run)

    assert stored_rows(run) == before
    messages.deliver_all()
    run.refresh_from_db()
    assert run.status == RunStatus.COMPLETED


def test_a_run_that_has_ended_or_does_not_exist_cannot_be_paused(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.parcel())
    messages.deliver_all()
    before = stored_rows(run)

    assert not pause_run(run)
    assert not pause_for_money(run.pk)

    assert stored_rows(run) == before


@pytest.mark.parametrize(
    ("pause_with", "reason", "text", "level"),
    [
        (pause_for_money, "money_in_doubt", "paused by M6: 0 held of 4500", logging.ERROR),
        (pause_for_staff, "staff", "paused by grace: Waiting for a call.", logging.WARNING),
    ],
    ids=["money in doubt", "staff"],
)
def test_a_pause_keeps_its_reason_and_logs_the_code_but_not_the_text(
    fakes: FakeSagas,
    messages: MessageQueue,
    caplog: pytest.LogCaptureFixture,
    *,
    pause_with: "partial[bool]",
    reason: str,
    text: str,
    level: int,
) -> None:
    run = start(fakes.parcel())
    caplog.set_level(logging.INFO, "sagas.services")

    assert pause_with(run.subject_id)
    run.refresh_from_db()
    kept = (run.pause_reason, run.attention_reason)
    assert resume(run.subject_id)

    assert kept == (reason, text)
    logged = [
        (line.levelno, line.getMessage(), vars(line)["subject_id"], vars(line)["reason"])
        for line in caplog.records
    ]
    assert logged == [
        (level, "run.paused", str(run.subject_id), reason),
        (logging.WARNING, "run.resumed", str(run.subject_id), reason),
    ]
    assert "0 held" not in str([vars(line) for line in caplog.records])
    assert "a call" not in str([vars(line) for line in caplog.records])


def test_pausing_again_keeps_the_first_reason(fakes: FakeSagas, messages: MessageQueue) -> None:
    run = start(fakes.parcel())
    pause_run(run)
    before = stored_rows(run)

    assert pause_for_staff(run.subject_id)

    assert stored_rows(run) == before


@pytest.mark.parametrize(
    "marks",
    [
        {"paused_at": None, "pause_reason": "staff"},
        {"paused_at": datetime(2026, 1, 1, tzinfo=UTC), "pause_reason": ""},
        {"paused_at": datetime(2026, 1, 1, tzinfo=UTC), "pause_reason": "other"},
    ],
    ids=["a reason without a pause", "a pause without a reason", "an unknown reason"],
)
def test_the_database_refuses_a_pause_without_a_known_reason(
    fakes: FakeSagas, messages: MessageQueue, marks: dict[str, object]
) -> None:
    run = start(fakes.parcel())

    with pytest.raises(IntegrityError, match="sagas_paused_run_has_a_reason"):
        SagaRun.objects.filter(pk=run.pk).update(**marks)


def test_the_sweep_looks_at_a_paused_run_at_growing_intervals(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.parcel())
    pause_run(run)

    for seconds in [5, 10, 20, 40, *[LONGEST_DELAY.total_seconds()] * 8]:
        let_time_pass(run)
        before = database_time()
        sweep()
        after = database_time()
        messages.deliver_all()
        assert before <= wakes_at(run) - timedelta(seconds=seconds) <= after

    assert flag(run) == FLAG


def test_retry_now_does_not_resume(fakes: FakeSagas, messages: MessageQueue) -> None:
    run = start(fakes.parcel())
    pause_run(run)

    assert retry_now(run.pk)
    messages.deliver_all()

    assert flag(run) == FLAG
    assert run.paused_at is not None
    assert events(run) == []


def test_a_resumed_run_goes_on_to_its_end(fakes: FakeSagas, messages: MessageQueue) -> None:
    run = start(fakes.parcel())
    messages.drop_all()
    pause_run(run)

    before = database_time()
    assert resume(run.subject_id)
    after = database_time()
    wakes = wakes_at(run)
    messages.deliver_all()

    assert before <= wakes - MESSAGE_GRACE <= after
    assert not is_marked(run)
    assert run.status == RunStatus.COMPLETED


def test_a_run_that_compensated_while_paused_cannot_be_resumed(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.parcel())
    pause_run(run)
    request_compensation(run.subject_id, Rejection("no_longer_wanted"), "alice")

    while_requested = resume(run.subject_id)
    messages.deliver_all()
    before = stored_rows(run)
    once_ended = resume(run.subject_id)

    assert (while_requested, once_ended) == (False, False)
    assert stored_rows(run) == before
    assert messages.waiting == []


def test_resuming_a_run_that_is_not_paused_changes_nothing(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.parcel())
    before = stored_rows(run)

    assert not resume(run.subject_id)

    assert stored_rows(run) == before
    assert len(messages.waiting) == 1


def test_only_the_cancellation_is_compensating_only() -> None:
    assert {saga.name for saga in SAGAS if saga.compensating_only} == {"cancellation"}


def test_a_pause_left_on_a_run_that_goes_nowhere_is_not_counted(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    ended, compensating, paused = start_many(fakes.parcel(), 3)
    for run in (ended, compensating, paused):
        pause_run(run)
    SagaRun.objects.filter(pk=ended.pk).update(
        status=RunStatus.COMPENSATED, step="", wake_at=None, ended_at=database_time()
    )
    SagaRun.objects.filter(pk=compensating.pk).update(status=RunStatus.COMPENSATING, step="")

    counted = count_flagged()
    listed = set(flagged_runs()), set(paused_runs())

    assert counted == FlaggedCounts(flagged=2, paused=1)
    assert listed == ({compensating, paused}, {paused})
