"""Phases: what the journal has, what a call finds committed, and when a run wakes."""

from datetime import timedelta

import pytest
from django.db import IntegrityError
from django.utils import timezone

from sagas.batch import Output
from sagas.messages import CallResult, Claim, Continue, Stop, WorkItem
from sagas.models import MESSAGE_GRACE, Direction, Outcome, RunStatus, SagaRun, StepAttempt
from sagas.phase import LEASE_MARGIN, Phase
from sagas.queries.attempts import attempts_for
from sagas.work import CALL_TIME_LIMIT, Attempt
from tests.support.fake_sagas import (
    FakeSagas,
    Rejected,
    event,
    events,
    journal,
    start,
    start_many,
    stored_rows,
)
from tests.support.in_memory_broker import Message, MessageQueue

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_run_passes_its_steps_in_order_and_completes(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.parcel())

    messages.deliver_all()

    run.refresh_from_db()
    assert run.status == RunStatus.COMPLETED
    assert journal(run, "step", "direction", "number", "fence", "outcome", "error") == [
        ("pack", "forward", 1, 1, "done", ""),
        ("send", "forward", 1, 2, "done", ""),
        ("file", "forward", 1, 3, "done", ""),
    ]
    assert events(run) == ["pack", "prepare send", "record send", "file"]
    assert fakes.calls == [("send", 1)]


def test_a_run_that_has_ended_has_no_time_to_wake(fakes: FakeSagas, messages: MessageQueue) -> None:
    run = start(fakes.parcel())

    messages.deliver_all()

    run.refresh_from_db()
    assert (run.step, run.wake_at, run.leased_until, run.not_before) == ("", None, None, None)
    assert run.ended_at is not None
    assert not run.is_live
    assert not run.needs_attention
    assert not run.attempts.filter(ended_at=None).exists()


def test_a_run_that_has_ended_does_not_change_again(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    saga = fakes.parcel()
    run = start(saga)
    messages.deliver_all()
    before = stored_rows(run)

    next_actions = [
        messages.deliver(Message(run.pk, (link,))) for link in (*saga.links, saga.compensation_link)
    ]

    assert next_actions == [Stop(), Stop()]
    assert stored_rows(run) == before
    assert fakes.calls == [("send", 1)]


def test_during_a_call_its_attempt_is_committed_and_the_run_leased(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.parcel())
    seen: list[SagaRun] = []

    def look(attempt: Attempt) -> Output:
        assert journal(run) == [
            ("pack", "forward", 1, "done"),
            ("send", "forward", 1, "started"),
        ]
        assert events(run) == ["pack", "prepare send"]
        seen.append(SagaRun.objects.get())
        return {}

    fakes.answers("send", look)
    messages.deliver_all()

    (leased,) = seen
    started_at = run.attempts.get(step="send").started_at
    assert leased.step == "send"
    assert leased.leased_until == started_at + CALL_TIME_LIMIT + LEASE_MARGIN
    assert leased.wake_at == leased.leased_until


def test_a_call_receives_its_subject_its_number_and_its_budget(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.parcel())
    known: list[tuple[object, ...]] = []

    def look(attempt: Attempt) -> Output:
        known.append((attempt.subject_id, attempt.number, attempt.time_limit))
        return {}

    fakes.answers("send", look)
    messages.deliver_all()

    assert known == [(run.subject_id, 1, CALL_TIME_LIMIT)]


def test_a_result_is_journalled_and_passed_to_record(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.parcel())
    fakes.answers("send", {"number": "RR 123", "stamps": [90, 10], "insured": None})

    messages.deliver_all()

    answer = {"number": "RR 123", "stamps": [90, 10], "insured": None}
    assert run.attempts.get(step="send").output == answer
    assert event(run, "record send")["answer"] == answer


def test_a_link_ends_where_the_queue_changes(fakes: FakeSagas, messages: MessageQueue) -> None:
    saga = fakes.saga(fakes.local("pack"), fakes.remote("send", queue="settlement"))
    run = start(saga)

    next_action = messages.deliver(messages.take())

    run.refresh_from_db()
    assert next_action == Continue()
    assert (run.status, run.step) == (RunStatus.RUNNING, "send")
    assert fakes.calls == []
    assert messages.waiting == [Message(run.pk, saga.links[1:])]


def test_a_run_between_two_links_wakes_if_its_message_is_lost(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.saga(fakes.local("pack"), fakes.remote("send", queue="settlement")))

    messages.deliver(messages.take())

    run.refresh_from_db()
    assert run.wake_at == run.attempts.get().started_at + MESSAGE_GRACE


def test_attempts_have_the_name_of_the_step_or_the_compensation(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.parcel())
    fakes.answers("send", Rejected("no_such_street", "Elm Street"))

    messages.deliver_all()

    assert [
        (attempt.name, attempt.number, attempt.outcome, attempt.error, attempt.detail)
        for attempt in attempts_for(run.subject_id)
    ] == [
        ("pack", 1, "done", "", ""),
        ("send", 1, "rejected", "no_such_street", "Elm Street"),
        ("compensate send", 1, "done", "", ""),
        ("compensate pack", 1, "done", "", ""),
    ]


# -- several runs at once


def work_items(runs: list[SagaRun]) -> list[WorkItem]:
    return [WorkItem(run.pk) for run in runs]


def test_a_rejected_run_compensates_and_the_others_of_its_batch_go_on(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    saga = fakes.saga(fakes.local("pack"), fakes.local("file", queue="settlement"))
    first, rejected, last = runs = start_many(saga, 3)
    fakes.rejects("pack", rejected.subject_id)

    next_actions = Phase(saga, saga.links[0], work_items(runs)).perform()

    assert fakes.batches["pack"] == [3]
    assert next_actions == [Continue(), Stop(), Continue()]
    for run in runs:
        run.refresh_from_db()
    assert [(run.status, run.step, run.reason, run.reason_detail) for run in runs] == [
        (RunStatus.RUNNING, "file", "", ""),
        (RunStatus.COMPENSATING, "", "pack_rejected", "it does not fit"),
        (RunStatus.RUNNING, "file", "", ""),
    ]
    assert events(first) == events(last) == ["pack"]
    assert events(rejected) == ["compensating"]
    assert journal(rejected) == [("pack", "forward", 1, "rejected")]


def test_a_batch_gets_the_journal_that_its_runs_would_get_one_by_one(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    saga = fakes.parcel()
    together, one_by_one = start_many(saga, 20), start_many(saga, 20)
    for runs in (together, one_by_one):
        fakes.rejects("pack", runs[3].subject_id)
        fakes.rejects("file", runs[7].subject_id)
    messages.drop_all()

    claims = Phase(saga, saga.links[0], work_items(together)).perform()
    results = [
        WorkItem(claim.run.run_id, done(claim)) for claim in claims if isinstance(claim, Claim)
    ]
    Phase(saga, saga.links[0], results).perform()
    for run in one_by_one:
        messages.deliver(Message(run.pk, saga.links))
    messages.deliver_all()

    assert len(results) == 19
    assert fakes.batches["pack"] == [20, *[1] * 20]
    whole = ("step", "direction", "number", "fence", "outcome", "error", "detail", "output")
    assert [journal(run, *whole) for run in together] == [
        journal(run, *whole) for run in one_by_one
    ]
    assert [events(run) for run in together] == [events(run) for run in one_by_one]


def done(claim: Claim) -> CallResult:
    return CallResult(claim, Outcome.DONE, {})


def test_of_two_messages_for_one_run_in_one_group_only_one_claims(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    saga = fakes.parcel()
    run = start(saga)

    claim, nothing = Phase(saga, saga.links[0], work_items([run, run])).perform()

    assert isinstance(claim, Claim)
    assert nothing == Stop()
    assert journal(run) == [("pack", "forward", 1, "done"), ("send", "forward", 1, "started")]


def test_a_message_in_the_same_group_as_the_result_has_nothing_to_do(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    saga = fakes.saga(fakes.remote("send"), fakes.remote("insure"))
    run = start(saga)
    (claim,) = Phase(saga, saga.links[0], work_items([run])).perform()
    assert isinstance(claim, Claim)

    both = [WorkItem(run.pk), WorkItem(run.pk, done(claim))]
    nothing, next_claim = Phase(saga, saga.links[0], both).perform()

    assert nothing == Stop()
    assert isinstance(next_claim, Claim)
    assert next_claim.step.name == "insure"
    assert journal(run) == [("send", "forward", 1, "done"), ("insure", "forward", 1, "started")]


# -- what the database itself refuses


@pytest.mark.parametrize(
    ("status", "wakes", "constraint"),
    [
        (RunStatus.RUNNING, False, "sagas_live_run_always_wakes"),
        (RunStatus.COMPENSATING, False, "sagas_live_run_always_wakes"),
        (RunStatus.COMPLETED, True, "sagas_live_run_always_wakes"),
        (RunStatus.COMPENSATED, True, "sagas_live_run_always_wakes"),
        ("asleep", True, "sagas_"),
    ],
)
def test_a_run_wakes_exactly_while_it_is_live(
    fakes: FakeSagas, messages: MessageQueue, status: str, constraint: str, *, wakes: bool
) -> None:
    run = start(fakes.parcel())
    wake_at = timezone.now() + timedelta(minutes=1) if wakes else None

    with pytest.raises(IntegrityError, match=constraint):
        SagaRun.objects.filter(pk=run.pk).update(status=status, wake_at=wake_at)


def plant(run: SagaRun, step: str, fence: int, outcome: str) -> StepAttempt:
    return StepAttempt.objects.create(
        run=run, step=step, direction=Direction.FORWARD, number=1, fence=fence, outcome=outcome
    )


@pytest.mark.parametrize(
    ("fence", "outcome", "constraint"),
    [
        (1, Outcome.FAILED, "sagas_one_attempt_per_claim"),
        (2, Outcome.DONE, "sagas_step_done_once"),
        (2, "perhaps", "sagas_attempt_outcome_known"),
    ],
)
def test_the_journal_refuses_a_second_row_of_a_claim_a_second_success_and_an_unknown_outcome(
    fakes: FakeSagas, messages: MessageQueue, fence: int, outcome: str, constraint: str
) -> None:
    run = start(fakes.parcel())
    plant(run, "pack", 1, Outcome.DONE)

    with pytest.raises(IntegrityError, match=constraint):
        plant(run, "pack", fence, outcome)
