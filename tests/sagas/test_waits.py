"""Wait steps: a condition over rows, with a deadline."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from importlib import import_module
from uuid import UUID

import pytest
from django.db import connection, transaction

from sagas.batch import Batch, Rejection
from sagas.definition import Saga, timer_step
from sagas.descriptions import StepText, WaitText
from sagas.messages import Stop
from sagas.models import RunStatus, SagaRun
from sagas.pause_reasons import PauseReason
from sagas.queries.runs import runs_of
from sagas.queries.waits import waits_of
from sagas.services import (
    move_deadline,
    nudge,
    pause,
    request_compensation,
    resume,
    retry_now,
)
from sagas.sweep import sweep
from sagas.work import Escalate, Proceed, Reject, Wait
from tests.support.clock import advance, database_time, wake_run
from tests.support.fake_sagas import (
    DAY,
    HOUR,
    Bug,
    FakeSagas,
    event,
    events,
    journal,
    start,
    start_many,
    stored_rows,
)
from tests.support.in_memory_broker import MessageQueue

pytestmark = pytest.mark.django_db(transaction=True)


def waiting(fakes: FakeSagas, **options: object) -> Saga:
    """Return a saga of pack, pickup (a wait) and file."""
    return fakes.saga(fakes.local("pack"), fakes.wait("pickup", **options), fakes.local("file"))  # type: ignore[arg-type]


def started(saga: Saga, messages: MessageQueue) -> SagaRun:
    """Start a run, and deliver messages until none is left."""
    run = start(saga)
    messages.deliver_all()
    run.refresh_from_db()
    return run


def nudge_with_fact(fakes: FakeSagas, name: str, run: SagaRun) -> None:
    fakes.facts[name].add(run.subject_id)
    nudge(subject_ids=[run.subject_id])


def test_a_run_waits_until_its_condition_is_met(fakes: FakeSagas, messages: MessageQueue) -> None:
    before = database_time()
    run = started(waiting(fakes), messages)

    assert (run.status, run.step, run.waits_for) == (RunStatus.RUNNING, "pickup", "pickup")
    assert run.waiting_since is not None
    assert run.waiting_since >= before
    assert run.waiting_until == run.waiting_since + DAY
    assert (run.wake_at, run.leased_until, run.not_before) == (run.waiting_until, None, None)
    assert journal(run) == [("pack", "forward", 1, "done")]
    assert fakes.looks == ["pickup"]

    nudge_with_fact(fakes, "pickup", run)
    messages.deliver_all()

    since = run.waiting_since
    run.refresh_from_db()
    assert (run.status, run.waits_for) == (RunStatus.COMPLETED, "")
    assert {run.waiting_since, run.waiting_until} == {None}
    assert journal(run, "step", "outcome", "output")[1:] == [
        ("pickup", "done", {"over": "pickup"}),
        ("file", "done", {}),
    ]
    attempt = run.attempts.get(step="pickup")
    assert attempt.started_at == since
    assert attempt.ended_at is not None
    assert attempt.ended_at > attempt.started_at


def test_a_condition_that_is_met_already_costs_no_wait(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(waiting(fakes))
    fakes.facts["pickup"].add(run.subject_id)

    messages.deliver(messages.take())

    run.refresh_from_db()
    assert run.status == RunStatus.COMPLETED
    assert fakes.looks == ["pickup"]
    assert journal(run)[1:] == [("pickup", "forward", 1, "done"), ("file", "forward", 1, "done")]


def test_a_waiting_run_has_no_message_and_is_not_swept(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = started(waiting(fakes), messages)
    before = stored_rows(run)

    advance(DAY - timedelta(minutes=1))
    assert sweep() == 0

    assert messages.waiting == []
    assert messages.came_back == []
    assert stored_rows(run) == before


def test_a_rejection_by_the_condition_makes_the_run_compensate(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = started(waiting(fakes), messages)
    fakes.rejects("pickup", run.subject_id)

    nudge(run_ids=[run.pk])
    messages.deliver_all()

    run.refresh_from_db()
    assert (run.status, run.reason, run.waits_for) == (
        RunStatus.COMPENSATED,
        "pickup_rejected",
        "",
    )
    assert journal(run)[1:] == [
        ("pickup", "forward", 1, "rejected"),
        ("pack", "compensating", 1, "done"),
    ]


def test_past_its_deadline_a_run_compensates(fakes: FakeSagas, messages: MessageQueue) -> None:
    run = started(waiting(fakes, overdue=Reject("no_pickup")), messages)

    advance(DAY)
    assert sweep() == 1
    messages.deliver_all()

    run.refresh_from_db()
    assert (run.status, run.reason, run.needs_attention) == (
        RunStatus.COMPENSATED,
        "no_pickup",
        False,
    )
    assert journal(run, "step", "outcome", "error")[1:] == [
        ("pickup", "rejected", "no_pickup"),
        ("pack", "done", ""),
    ]
    assert event(run, "compensate pack")["reason"] == "no_pickup"


def test_past_its_deadline_a_run_proceeds_if_its_step_says_so(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = started(waiting(fakes, overdue=Proceed({"by": "deadline"})), messages)

    advance(DAY)
    sweep()
    messages.deliver_all()

    run.refresh_from_db()
    assert (run.status, run.reason) == (RunStatus.COMPLETED, "")
    assert journal(run, "step", "outcome", "output", "error")[1:2] == [
        ("pickup", "proceeded", {"by": "deadline"}, "overdue"),
    ]


def test_past_its_deadline_a_run_is_flagged_and_waits_longer_if_its_step_says_so(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = started(waiting(fakes, overdue=Escalate(HOUR, "Call the carrier.")), messages)

    advance(DAY)
    before = database_time()
    sweep()
    messages.deliver_all()

    run.refresh_from_db()
    assert (run.status, run.waits_for, run.needs_attention) == (RunStatus.RUNNING, "pickup", True)
    assert run.attention_reason == (
        "Past its deadline, it still waits for pickup by staff. Call the carrier."
    )
    assert run.escalations == 1
    assert run.waiting_until is not None
    assert before + HOUR <= run.waiting_until <= database_time() + HOUR
    assert run.wake_at == run.waiting_until
    assert journal(run)[1:] == []

    nudge_with_fact(fakes, "pickup", run)
    messages.deliver_all()
    run.refresh_from_db()
    assert (run.status, run.needs_attention) == (RunStatus.COMPLETED, False)
    assert run.escalations == 0


def test_the_migration_finds_the_runs_that_an_earlier_release_has_flagged(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    late, stuck, at_work = start_many(waiting(fakes), 3)
    messages.deliver_all()
    flagged = SagaRun.objects.filter(pk__in=[late.pk, at_work.pk])
    flagged.update(needs_attention=True, attention_reason="pickup: waits past its deadline")
    SagaRun.objects.filter(pk=at_work.pk).update(
        waits_for="", waiting_since=None, waiting_until=None
    )
    SagaRun.objects.filter(pk=stuck.pk).update(
        needs_attention=True, attention_reason="pickup: 8 attempts, last failed Bug"
    )

    with connection.cursor() as cursor:
        cursor.execute(import_module("sagas.migrations.0007_escalations").ESCALATED)

    assert list(SagaRun.objects.filter(escalations=1)) == [late]
    assert SagaRun.objects.filter(escalations=0).count() == 2


def test_a_fact_that_came_before_the_deadline_wins_although_it_is_seen_after_it(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = started(waiting(fakes), messages)
    fakes.facts["pickup"].add(run.subject_id)

    advance(DAY)
    sweep()
    messages.deliver_all()

    run.refresh_from_db()
    assert run.status == RunStatus.COMPLETED


def test_a_fact_that_comes_after_the_end_changes_nothing(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = started(waiting(fakes), messages)
    advance(DAY)
    sweep()
    messages.deliver_all()
    before = stored_rows(run)

    nudge_with_fact(fakes, "pickup", run)

    assert messages.waiting == []
    assert stored_rows(run) == before


def test_a_deadline_may_depend_on_the_subject(fakes: FakeSagas, messages: MessageQueue) -> None:
    ends: dict[UUID, datetime] = {}

    def deadline(batch: Batch) -> Mapping[UUID, datetime]:
        ends.update(
            {
                subject_id: database_time() + HOUR * (number + 1)
                for number, subject_id in enumerate(batch.subject_ids)
            }
        )
        return ends

    runs = start_many(waiting(fakes, deadline=deadline), 2)
    messages.deliver_all()

    assert dict(SagaRun.objects.values_list("subject_id", "waiting_until")) == ends
    assert len(set(ends.values())) == len(runs)


@pytest.mark.parametrize("each_its_own", [True, False])
def test_what_a_wait_begins_with_gets_the_deadline_of_each_run(
    fakes: FakeSagas, messages: MessageQueue, *, each_its_own: bool
) -> None:
    seen: dict[UUID, datetime] = {}

    def deadline(batch: Batch) -> Mapping[UUID, datetime]:
        return {
            subject_id: database_time() + HOUR * (number + 1)
            for number, subject_id in enumerate(batch.subject_ids)
        }

    step = fakes.wait("pickup", begins=True, deadline=deadline if each_its_own else DAY)
    assert isinstance(step.action, Wait)
    step.action = replace(step.action, begin=lambda batch: seen.update(batch.deadlines))
    start_many(fakes.saga(step), 2)
    messages.deliver_all()

    assert len(seen) == 2
    assert dict(SagaRun.objects.values_list("subject_id", "waiting_until")) == seen


def test_what_a_wait_promises_when_it_begins_is_shown_until_it_is_over(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    by_air: list[UUID] = []

    def promise(batch: Batch) -> None:
        batch.then |= dict.fromkeys(batch.runs.keys() & set(by_air), "it is sent back by air")

    first, second = fakes.wait("pickup", begins=True), fakes.wait("payment")
    assert isinstance(first.action, Wait)
    first.action = replace(first.action, begin=promise)
    runs = start_many(fakes.saga(first, second), 2)
    by_air.append(runs[0].subject_id)
    messages.deliver_all()

    def shown() -> list[str]:
        found = waits_of([run.subject_id for run in runs])
        return [found[run.subject_id].text.then for run in runs]

    assert shown() == ["it is sent back by air", "it is sent back"]
    nudge_with_fact(fakes, "pickup", runs[0])
    messages.deliver_all()

    assert shown() == ["it is sent back", "it is sent back"]
    assert set(SagaRun.objects.values_list("waiting_then", flat=True)) == {""}


def test_what_a_wait_has_promised_is_forgotten_when_its_run_compensates(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = started(waiting(fakes, begins=True), messages)
    SagaRun.objects.update(waiting_then="it is sent back by air")

    request_compensation(run.subject_id, Rejection("changed_mind"), "alice")
    messages.deliver_all()

    run.refresh_from_db()
    assert (run.status, run.waiting_then) == (RunStatus.COMPENSATED, "")


def test_the_deadline_of_a_later_wait_is_not_moved(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = started(fakes.saga(fakes.wait("pickup"), fakes.wait("payment")), messages)
    before = stored_rows(run)

    assert not move_deadline(run.subject_id, "payment", database_time() + 3 * DAY)
    assert not move_deadline(run.subject_id, "", database_time() + 3 * DAY)
    assert stored_rows(run) == before


def test_a_condition_knows_which_runs_have_just_arrived(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    looks: list[frozenset[UUID]] = []
    step = fakes.wait("pickup")
    assert isinstance(step.action, Wait)
    step.action = replace(step.action, until=lambda batch: looks.append(batch.arrived_ids))
    run = started(fakes.saga(step), messages)

    nudge(run_ids=[run.pk])
    messages.deliver_all()
    advance(DAY)
    sweep()
    messages.deliver_all()

    assert looks == [{run.subject_id}, set(), set()]


def test_a_wait_begins_once_and_what_it_began_is_compensated(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = started(waiting(fakes, begins=True), messages)
    nudge(run_ids=[run.pk])
    messages.deliver_all()
    assert events(run) == ["pack", "begin pickup"]

    request_compensation(run.subject_id, Rejection("changed_mind"), "alice")
    messages.deliver_all()

    run.refresh_from_db()
    assert run.status == RunStatus.COMPENSATED
    assert events(run)[2:] == [
        "compensating",
        "compensate pickup",
        "compensate pack",
        "compensated",
    ]
    assert journal(run)[1:] == [
        ("pickup", "forward", 1, "interrupted"),
        ("pickup", "compensating", 1, "done"),
        ("pack", "compensating", 1, "done"),
    ]


def test_a_cancelled_run_compensates_at_once_although_it_waits(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = started(waiting(fakes), messages)

    request_compensation(run.subject_id, Rejection("changed_mind"), "alice")
    messages.deliver_all()

    run.refresh_from_db()
    assert (run.status, run.reason, run.waits_for) == (
        RunStatus.COMPENSATED,
        "changed_mind",
        "",
    )
    assert fakes.looks == ["pickup"]
    assert journal(run)[1:2] == [("pickup", "forward", 1, "interrupted")]


def test_a_nudge_without_a_fact_leaves_the_run_waiting_until_the_same_time(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = started(waiting(fakes), messages)
    until = run.waiting_until

    assert nudge(run_ids=[run.pk]) == 1
    messages.deliver_all()

    run.refresh_from_db()
    assert fakes.looks == ["pickup", "pickup"]
    assert (run.waits_for, run.waiting_until, run.wake_at) == ("pickup", until, until)
    assert journal(run)[1:] == []


def test_a_nudge_whose_message_is_lost_wakes_the_run_by_the_sweep(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = started(waiting(fakes), messages)
    nudge_with_fact(fakes, "pickup", run)
    messages.drop_all()

    assert sweep() == 1
    messages.deliver_all()

    run.refresh_from_db()
    assert run.status == RunStatus.COMPLETED


def test_a_nudge_and_its_fact_commit_together(fakes: FakeSagas, messages: MessageQueue) -> None:
    run = started(waiting(fakes), messages)
    before = stored_rows(run)

    with transaction.atomic():
        nudge_with_fact(fakes, "pickup", run)
        transaction.set_rollback(True)

    assert stored_rows(run) == before
    assert messages.waiting == []


def test_a_nudge_of_a_run_that_does_not_wait_changes_nothing(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(waiting(fakes))
    message = messages.take()
    run.refresh_from_db()
    wake_at = run.wake_at

    assert nudge(run_ids=[run.pk]) == 0
    assert messages.waiting == []
    run.refresh_from_db()
    assert run.wake_at == wake_at
    messages.deliver(message)

    run.refresh_from_db()
    assert (run.waits_for, run.wake_at) == ("pickup", run.waiting_until)
    assert fakes.looks == ["pickup"]


def test_a_paused_run_keeps_its_deadline_and_decides_when_it_is_resumed(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = started(waiting(fakes), messages)
    until = run.waiting_until
    pause(run.subject_id, PauseReason.STAFF, "a look", "olga")

    nudge_with_fact(fakes, "pickup", run)
    assert messages.waiting == []
    run.refresh_from_db()
    assert (run.waits_for, run.waiting_until) == ("pickup", until)
    [detail] = runs_of(run.subject_id)
    assert detail.wait is not None
    assert (detail.is_paused, detail.wait.until) == (True, until)

    resume(run.subject_id)
    messages.deliver_all()
    run.refresh_from_db()
    assert run.status == RunStatus.COMPLETED


def test_a_paused_run_is_not_ended_by_its_deadline(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = started(waiting(fakes), messages)
    pause(run.subject_id, PauseReason.STAFF, "a look", "olga")

    wake_run(run, messages)
    assert (run.status, run.waits_for) == (RunStatus.RUNNING, "pickup")

    resume(run.subject_id)
    messages.deliver_all()
    run.refresh_from_db()
    assert (run.status, run.reason) == (RunStatus.COMPENSATED, "no_pickup")


def test_a_condition_that_raises_is_journalled_and_tried_again(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = started(waiting(fakes), messages)
    fakes.raises("pickup", Bug("no such table"))
    nudge_with_fact(fakes, "pickup", run)
    messages.deliver_all()

    run.refresh_from_db()
    assert (run.waits_for, run.not_before is None) == ("pickup", False)
    assert journal(run, "step", "outcome", "error")[1:] == [("pickup", "failed", "Bug")]

    wake_run(run, messages)
    assert run.status == RunStatus.COMPLETED


def test_a_condition_that_raised_and_is_then_not_met_waits_until_its_deadline(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = started(waiting(fakes), messages)
    until = run.waiting_until
    fakes.raises("pickup", Bug("no such table"))
    nudge(run_ids=[run.pk])
    messages.deliver_all()
    SagaRun.objects.update(not_before=database_time(), wake_at=database_time())

    sweep()
    messages.deliver_all()

    run.refresh_from_db()
    assert (run.waits_for, run.not_before, run.wake_at) == ("pickup", None, until)


def test_a_retry_by_hand_tries_the_condition_and_waits_on(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = started(waiting(fakes), messages)
    until = run.waiting_until

    retry_now(run.pk)
    messages.deliver_all()

    run.refresh_from_db()
    assert fakes.looks == ["pickup", "pickup"]
    assert (run.waits_for, run.wake_at, run.redispatch_count) == ("pickup", until, 0)


def test_runs_that_wait_are_tried_together(fakes: FakeSagas, messages: MessageQueue) -> None:
    saga = waiting(fakes)
    runs = start_many(saga, 2)
    messages.deliver_all()
    fakes.facts["pickup"].add(runs[0].subject_id)

    nudge(subject_ids=[run.subject_id for run in runs])
    messages.deliver_all()

    assert [SagaRun.objects.get(pk=run.pk).status for run in runs] == [
        RunStatus.COMPLETED,
        RunStatus.RUNNING,
    ]


def test_a_timer_waits_until_its_time_and_is_done(fakes: FakeSagas, messages: MessageQueue) -> None:
    @timer_step(
        queue="checkout",
        describe=StepText("cooling", "Cooling"),
        waits_for=WaitText("the cake to cool", "your cake to cool", "it is packed"),
    )
    def cool(batch: Batch) -> Mapping[UUID, datetime]:
        return dict.fromkeys(batch.runs, database_time() + HOUR)

    run = started(fakes.saga(cool), messages)
    assert run.waits_for == "cool"
    nudge(run_ids=[run.pk])
    messages.deliver_all()
    run.refresh_from_db()
    assert run.waits_for == "cool"

    advance(HOUR)
    sweep()
    messages.deliver_all()

    run.refresh_from_db()
    assert run.status == RunStatus.COMPLETED
    assert journal(run) == [("cool", "forward", 1, "done")]


def test_a_timer_whose_time_has_passed_does_not_wait(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    @timer_step(
        queue="checkout",
        describe=StepText("cooling", "Cooling"),
        waits_for=WaitText("the cake to cool", "your cake to cool", "it is packed"),
    )
    def cool(batch: Batch) -> Mapping[UUID, datetime]:
        return dict.fromkeys(batch.runs, database_time() - HOUR)

    run = started(fakes.saga(cool), messages)

    assert run.status == RunStatus.COMPLETED


def test_what_a_run_waits_for_is_shown(fakes: FakeSagas, messages: MessageQueue) -> None:
    run = started(waiting(fakes), messages)

    [detail] = runs_of(run.subject_id)

    assert detail.wait is not None
    assert (detail.wait.code, detail.wait.since, detail.wait.until) == (
        "pickup",
        run.waiting_since,
        run.waiting_until,
    )
    assert detail.wait.text == WaitText("pickup by staff", "pickup by customers", "it is sent back")


def test_a_stale_message_for_a_waiting_run_ends_at_once(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(waiting(fakes))
    message = messages.waiting[0]

    assert messages.deliver(messages.take()) == Stop()
    assert messages.deliver(message) == Stop()

    run.refresh_from_db()
    assert run.waits_for == "pickup"
