"""A decision is final, wakes the run that waits for it, and races with others and with the deadline."""

from collections import Counter
from collections.abc import Iterator
from copy import copy
from functools import partial

import pytest
from django.db import transaction

from approvals.models import Approval
from approvals.services import Decided, extend
from approvals.states import ApprovalStatus, Decision
from events.models import OutboxEvent
from sagas import registry
from sagas.batch import Rejection
from sagas.definition import Saga
from sagas.errors import UnknownWait
from sagas.identifiers import new_id
from sagas.models import RunStatus, SagaRun
from sagas.services import lock_run, move_to_newest, request_compensation, start
from sagas.sweep import sweep
from tests.support.approval_helpers import (
    A_DAY,
    REVIEW,
    answer_of,
    approval_events,
    decide,
    open_approval,
)
from tests.support.clock import advance
from tests.support.database import all_rows, wait_until_blocking
from tests.support.in_memory_broker import MessageQueue
from tests.support.threads import run_at_once, start_thread

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def waiting(reviewed: Saga, messages: MessageQueue) -> SagaRun:
    """A run that waits for its review."""
    run = start(reviewed, new_id(), new_id())
    messages.deliver_all()
    run.refresh_from_db()
    assert run.waits_for == "await_review"
    return run


def ended(run: SagaRun, messages: MessageQueue) -> tuple[str, str, str]:
    """Deliver all messages, and return the run's status, reason and its detail."""
    messages.deliver_all()
    run.refresh_from_db()
    return run.status, run.reason, run.reason_detail


def test_a_decision_is_recorded_with_an_event() -> None:
    approval = open_approval()

    decided = decide(approval, Decision.REJECT, comment="Unknown address.")

    assert decided.decided_now
    assert decided.approval.status == ApprovalStatus.REJECTED
    assert decided.approval.decided_at is not None
    assert answer_of(approval) == ("rejected", "grace", "desk", "Unknown address.")
    event = OutboxEvent.objects.get(name="approval.decided")
    assert (event.key, event.correlation_id) == (approval.subject_id, approval.correlation_id)
    assert event.payload == {
        "approval_id": str(approval.pk),
        "name": REVIEW,
        "status": "rejected",
        "via": "desk",
    }


@pytest.mark.parametrize("second", Decision)
def test_a_later_decision_returns_the_first_and_changes_nothing(second: Decision) -> None:
    approval = open_approval()
    first = decide(approval, Decision.APPROVE, comment="Fine.").approval
    before = all_rows()

    later = decide(approval, second, actor="mallory", comment="No.")

    assert not later.decided_now
    assert (later.approval.status, later.approval.decided_at) == ("approved", first.decided_at)
    assert (later.approval.decided_by, later.approval.comment) == ("grace", "Fine.")
    assert all_rows() == before


def test_an_approved_run_goes_on(waiting: SagaRun, messages: MessageQueue) -> None:
    decide(Approval.objects.get())

    assert len(messages.waiting) == 1
    assert ended(waiting, messages) == (RunStatus.COMPLETED, "", "")
    assert waiting.attempts.get().output == {"reviewed_by": "grace"}


def test_a_rejected_run_compensates(waiting: SagaRun, messages: MessageQueue) -> None:
    decide(Approval.objects.get(), Decision.REJECT, comment="Too large.")

    assert ended(waiting, messages) == (RunStatus.COMPENSATED, "refused", "Too large.")


@pytest.fixture
def renamed(reviewed: Saga, waiting: SagaRun) -> Iterator[Saga]:
    """The version that follows, to which the run has moved: its wait has another name."""
    step = copy(reviewed.steps[0])
    step.name = "await_check"
    saga = registry.register(
        Saga(
            *("reviewed", 2, (step,)),
            compensation_queue="compensation",
            takes_over={1: {"await_review": "await_check"}},
        )
    )
    assert move_to_newest([waiting.pk]).moved == [waiting.pk]
    yield saga
    registry.unregister(saga)


@pytest.mark.parametrize(
    ("decision", "status"),
    [(Decision.APPROVE, RunStatus.COMPLETED), (Decision.REJECT, RunStatus.COMPENSATED)],
)
def test_a_decision_ends_a_wait_that_was_renamed_meanwhile(
    waiting: SagaRun,
    renamed: Saga,
    messages: MessageQueue,
    decision: Decision,
    status: RunStatus,
) -> None:
    approval = Approval.objects.get()
    assert approval.wait == "await_review"

    decide(approval, decision)

    assert ended(waiting, messages)[0] == status
    assert (waiting.version, waiting.waits_for) == (renamed.version, "")


def test_the_approval_of_a_renamed_wait_expires_at_its_deadline(
    waiting: SagaRun, renamed: Saga, messages: MessageQueue
) -> None:
    advance(A_DAY)
    sweep()

    assert ended(waiting, messages) == (RunStatus.COMPENSATED, "not_reviewed", "")
    assert Approval.objects.get().status == ApprovalStatus.EXPIRED
    assert waiting.version == renamed.version


def test_a_decision_before_the_wait_ends_it_at_once(reviewed: Saga, messages: MessageQueue) -> None:
    subject_id = new_id()
    decide(open_approval(subject_id))

    run = start(reviewed, subject_id, new_id())

    assert ended(run, messages) == (RunStatus.COMPLETED, "", "")
    assert approval_events(subject_id) == ["approval.opened", "approval.decided"]


def test_past_the_deadline_it_is_expired_and_a_late_decision_changes_nothing(
    waiting: SagaRun, messages: MessageQueue
) -> None:
    advance(A_DAY)
    assert sweep() == 1

    assert ended(waiting, messages) == (RunStatus.COMPENSATED, "not_reviewed", "")
    approval = Approval.objects.get()
    assert answer_of(approval) == ("expired", "", "deadline", "")
    before = all_rows()
    late = decide(approval)
    assert (late.decided_now, late.approval.status) == (False, ApprovalStatus.EXPIRED)
    assert all_rows() == before
    assert messages.waiting == []


def test_a_decision_past_the_deadline_counts_while_the_run_still_waits(
    waiting: SagaRun, messages: MessageQueue
) -> None:
    advance(A_DAY)

    assert decide(Approval.objects.get()).decided_now

    assert ended(waiting, messages) == (RunStatus.COMPLETED, "", "")


def test_a_cancelled_order_needs_no_decision(waiting: SagaRun, messages: MessageQueue) -> None:
    request_compensation(waiting.subject_id, Rejection("changed_mind"), "alice")

    assert ended(waiting, messages) == (RunStatus.COMPENSATED, "changed_mind", "")
    approval = Approval.objects.get()
    assert answer_of(approval) == ("expired", "", "deadline", "The order was cancelled.")


def test_twenty_concurrent_decisions_have_one_outcome(
    waiting: SagaRun, messages: MessageQueue
) -> None:
    approval = Approval.objects.get()
    choices = [Decision.APPROVE, Decision.REJECT] * 10

    results = run_at_once(
        *[
            partial(decide, approval, choice, actor=f"actor-{number}")
            for number, choice in enumerate(choices)
        ]
    )

    answers = [result for result in results if isinstance(result, Decided)]
    assert len(answers) == 20
    assert Counter(answer.decided_now for answer in answers) == {True: 1, False: 19}
    assert len({(a.approval.status, a.approval.decided_by) for a in answers}) == 1
    winner = next(answer.approval for answer in answers if answer.decided_now)
    assert answer_of(approval)[:2] == (winner.status, winner.decided_by)
    assert approval_events(waiting.subject_id) == ["approval.opened", "approval.decided"]
    assert len(messages.waiting) == 1
    status = RunStatus.COMPLETED if winner.is_approved else RunStatus.COMPENSATED
    assert ended(waiting, messages)[0] == status


@pytest.mark.parametrize("_", range(4))
def test_a_decision_and_the_deadline_that_race_have_one_winner(
    waiting: SagaRun, messages: MessageQueue, _: int
) -> None:
    advance(A_DAY)
    sweep()
    overdue = messages.take()
    approval = Approval.objects.get()

    decided, delivered = run_at_once(partial(decide, approval), partial(messages.deliver, overdue))

    assert isinstance(decided, Decided)
    assert not isinstance(delivered, Exception)
    outcome = ended(waiting, messages)
    won = (RunStatus.COMPLETED, "", ""), "approved"
    lost = (RunStatus.COMPENSATED, "not_reviewed", ""), "expired"
    assert (outcome, answer_of(approval)[0]) == (won if decided.decided_now else lost)
    assert approval_events(waiting.subject_id) == ["approval.opened", "approval.decided"]


def test_a_decision_locks_the_run_before_the_approval(waiting: SagaRun) -> None:
    approval = Approval.objects.get()
    with transaction.atomic():
        lock_run(waiting.subject_id)
        decided = start_thread(decide, approval)
        wait_until_blocking()
        assert Approval.objects.select_for_update(nowait=True).get().is_open

    assert decided.result().decided_now


def test_extending_locks_the_run_before_the_approval(waiting: SagaRun) -> None:
    approval = Approval.objects.get()
    with transaction.atomic():
        lock_run(waiting.subject_id)
        extended = start_thread(extend, approval.pk, approval.deadline + A_DAY, "olga")
        wait_until_blocking()
        assert Approval.objects.select_for_update(nowait=True).get().is_open

    assert extended.result()


def test_a_decided_approval_is_not_extended(waiting: SagaRun) -> None:
    approval = Approval.objects.get()
    decide(approval)
    until = SagaRun.objects.get().waiting_until

    assert not extend(approval.pk, approval.deadline + A_DAY, "olga")

    assert Approval.objects.get().deadline == approval.deadline
    assert SagaRun.objects.get().waiting_until == until
    assert approval_events(waiting.subject_id) == ["approval.opened", "approval.decided"]


def test_a_later_deadline_is_that_of_the_run(waiting: SagaRun) -> None:
    approval = Approval.objects.get()
    later = approval.deadline + A_DAY

    assert extend(approval.pk, later, "olga")

    assert Approval.objects.get().deadline == later
    assert SagaRun.objects.get().waiting_until == later


def test_a_decision_that_rolls_back_wakes_no_run(waiting: SagaRun, messages: MessageQueue) -> None:
    with transaction.atomic():
        decide(Approval.objects.get())
        transaction.set_rollback(True)

    assert Approval.objects.get().is_open
    assert messages.waiting == []
    assert approval_events(waiting.subject_id) == ["approval.opened"]


def test_an_approval_without_a_run_is_decided() -> None:
    approval = open_approval()
    other = open_approval(approval.subject_id, key="2")

    assert decide(approval).decided_now
    assert answer_of(other)[0] == "open"


def test_an_approval_whose_wait_was_renamed_moves_neither_deadline(waiting: SagaRun) -> None:
    approval = Approval.objects.get()
    Approval.objects.update(wait="await_the_review")
    before = all_rows()

    with pytest.raises(UnknownWait, match="saga reviewed version 1 has no wait await_the_review"):
        extend(approval.pk, approval.deadline + A_DAY, "olga")

    assert all_rows() == before
