"""Pending calls: the system has accepted, and its answer comes later."""

from datetime import timedelta

import pytest
from django.db import transaction

from sagas.batch import Output, Rejection
from sagas.dispatch import dispatch
from sagas.errors import UnknownWait
from sagas.models import RunStatus, SagaRun
from sagas.pause_reasons import PauseReason
from sagas.queries.counts import waiting_runs
from sagas.queries.waits import escalated_runs
from sagas.services import (
    lock_run,
    move_deadline,
    nudge,
    pause,
    request_compensation,
    resume,
    retry_now,
)
from sagas.sweep import sweep
from sagas.work import Attempt, Escalate, Overdue, Proceed
from tests.support.clock import advance, database_time, wake_run
from tests.support.database import wait_until_blocking
from tests.support.fake_sagas import (
    DAY,
    HOUR,
    REJECT_LATE,
    Accepted,
    Bug,
    Busy,
    FakeSagas,
    Silence,
    WorkerLost,
    events,
    journal,
    lose_worker,
    start,
)
from tests.support.in_memory_broker import MessageQueue
from tests.support.threads import start_thread

pytestmark = pytest.mark.django_db(transaction=True)

FIND_OUT = "Find out why, or extend the deadline."


def pending(
    fakes: FakeSagas, messages: MessageQueue, *answers: object, **options: object
) -> SagaRun:
    """Start a run of pack, send and file whose calls get these answers."""
    send = fakes.remote("send", **options)  # type: ignore[arg-type]
    run = start(fakes.saga(fakes.local("pack"), send, fakes.local("file")))
    fakes.answers("send", *answers)  # type: ignore[arg-type]
    messages.deliver_all()
    run.refresh_from_db()
    return run


def look(messages: MessageQueue, run: SagaRun) -> None:
    """Advance two hours: the run's next look is due."""
    advance(2 * HOUR)
    sweep()
    messages.deliver_all()
    run.refresh_from_db()


def test_a_run_waits_for_an_answer_and_goes_on_with_it(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = pending(fakes, messages, Accepted("on its way"), {"parcel": 7})

    assert (run.status, run.step, run.waits_for) == (RunStatus.RUNNING, "send", "Accepted")
    assert run.waiting_since is not None
    assert run.waiting_until == run.waiting_since + DAY
    assert run.not_before is not None
    assert run.wake_at == run.not_before
    assert HOUR <= run.not_before - run.waiting_since <= 2 * HOUR
    assert messages.came_back == []
    assert journal(run, "step", "outcome", "error", "detail")[1:] == [
        ("send", "pending", "Accepted", "on its way")
    ]

    look(messages, run)

    assert (run.status, run.waits_for) == (RunStatus.COMPLETED, "")
    assert journal(run, "step", "number", "outcome", "output")[1:] == [
        ("send", 1, "pending", {}),
        ("send", 2, "done", {"parcel": 7}),
        ("file", 1, "done", {}),
    ]
    assert events(run) == ["pack", "prepare send", "prepare send", "record send", "file"]


def test_a_nudge_makes_the_call_again_at_once(fakes: FakeSagas, messages: MessageQueue) -> None:
    run = pending(fakes, messages, Accepted())

    assert nudge(subject_ids=[run.subject_id]) == 1
    messages.deliver_all()

    run.refresh_from_db()
    assert run.status == RunStatus.COMPLETED
    assert fakes.calls == [("send", 1), ("send", 2)]


def test_a_nudge_during_the_call_makes_it_again_at_once(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    def nudged_after_it_has_looked(attempt: Attempt) -> Output:
        assert nudge(subject_ids=[attempt.subject_id]) == 0
        raise Accepted

    run = pending(fakes, messages, nudged_after_it_has_looked)

    assert run.status == RunStatus.COMPLETED
    assert fakes.calls == [("send", 1), ("send", 2)]
    assert (run.nudge_count, run.nudges_seen) == (1, 1)


def test_a_nudge_before_the_call_is_no_reason_for_a_second_one(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.saga(fakes.remote("send")))
    fakes.answers("send", Accepted())
    nudge(run_ids=[run.pk])

    messages.deliver_all()

    run.refresh_from_db()
    assert run.waits_for == "Accepted"
    assert fakes.calls == [("send", 1)]


def test_a_nudge_during_a_look_wakes_no_other_worker(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    seen = []

    def nudged_while_it_looks(attempt: Attempt) -> Output:
        seen.append((nudge(subject_ids=[attempt.subject_id]), SagaRun.objects.get()))
        return {}

    run = pending(fakes, messages, Accepted(), nudged_while_it_looks)
    look(messages, run)

    [(woken, looking)] = seen
    assert woken == 0
    assert looking.wake_at == looking.leased_until is not None
    assert run.status == RunStatus.COMPLETED
    assert fakes.calls == [("send", 1), ("send", 2)]


def test_a_nudge_waits_for_a_run_that_begins_to_wait(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.saga(fakes.wait("pickup")))
    at = database_time()

    with transaction.atomic():
        lock_run(run.subject_id)
        nudged = start_thread(nudge, run_ids=[run.pk])
        wait_until_blocking()
        SagaRun.objects.update(waits_for="pickup", waiting_since=at, waiting_until=at + DAY)

    assert nudged.result() == 1


def test_the_deadline_of_a_wait_that_the_saga_does_not_have_is_not_moved(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = pending(fakes, messages, Accepted())

    with pytest.raises(UnknownWait, match="saga parcel version 1 has no wait pickup"):
        move_deadline(run.subject_id, "pickup", database_time() + 3 * DAY)

    assert SagaRun.objects.get().waiting_until == run.waiting_until


def test_a_later_deadline_delays_no_look(fakes: FakeSagas, messages: MessageQueue) -> None:
    run = pending(fakes, messages, Accepted())

    assert move_deadline(run.subject_id, "Accepted", database_time() + 3 * DAY)

    assert SagaRun.objects.get().wake_at == run.not_before is not None


def test_a_later_deadline_takes_back_the_flag_of_a_late_run(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = pending(fakes, messages, Accepted(), Accepted(), overdue=Escalate(DAY))
    advance(DAY)
    sweep()
    messages.deliver_all()
    assert SagaRun.objects.get().needs_attention

    assert move_deadline(run.subject_id, "Accepted", database_time() + 3 * DAY)

    moved = SagaRun.objects.get()
    assert (moved.needs_attention, moved.attention_reason) == (False, "")
    assert (moved.escalations, list(escalated_runs())) == (0, [])


def test_each_deadline_that_passes_counts_and_the_flag_stays_after_a_retry_or_a_pause(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = pending(fakes, messages, *[Accepted()] * 4, {}, overdue=Escalate(DAY))
    text = "Past its deadline, it still waits"

    def flags() -> tuple[bool, str, int, int]:
        found = SagaRun.objects.get()
        [counted] = waiting_runs()
        return found.needs_attention, found.attention_reason, found.escalations, counted.overdue

    assert flags() == (False, "", 0, 0)
    for times in (1, 2):
        advance(DAY + HOUR)
        sweep()
        messages.deliver_all()
        assert flags() == (True, f"{text} for the carrier. {FIND_OUT}", times, 1)

    retry_now(run.pk)
    messages.deliver_all()
    assert flags() == (True, f"{text} for the carrier. {FIND_OUT}", 2, 1)
    pause(run.subject_id, PauseReason.STAFF, "It looks odd.", "olga")
    assert flags() == (True, "paused by olga: It looks odd.", 2, 1)
    resume(run.subject_id)
    assert flags() == (True, f"{text}.", 2, 1)

    look(messages, run)
    ended = SagaRun.objects.get()
    assert (ended.status, ended.needs_attention, ended.escalations) == (
        RunStatus.COMPLETED,
        False,
        0,
    )


def test_another_wait_of_a_compensation_is_not_past_its_deadline(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = compensating(fakes, messages, *[Accepted()] * 2)
    SagaRun.objects.update(waits_for="another_answer", escalations=2, needs_attention=True)

    look(messages, run)

    assert (run.waits_for, run.escalations, run.needs_attention) == ("Accepted", 0, False)


def test_a_later_deadline_takes_back_no_flag_of_a_paused_run(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = pending(fakes, messages, Accepted())
    assert pause(run.subject_id, PauseReason.STAFF, "It looks odd.", "olga")
    paused = SagaRun.objects.get()

    assert move_deadline(run.subject_id, "Accepted", database_time() + 3 * DAY)

    moved = SagaRun.objects.get()
    assert moved.needs_attention
    assert moved.attention_reason == paused.attention_reason


def test_a_deadline_that_is_moved_during_a_look_leaves_the_lease(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    later = database_time() + 3 * DAY
    seen = []

    def moved_while_it_looks(attempt: Attempt) -> Output:
        move_deadline(attempt.subject_id, "Accepted", later)
        seen.append(SagaRun.objects.get())
        raise Accepted

    run = pending(fakes, messages, Accepted(), moved_while_it_looks)
    look(messages, run)

    [looking] = seen
    assert looking.wake_at == looking.leased_until is not None
    assert (run.waits_for, run.waiting_until) == ("Accepted", later)


def test_a_nudge_ends_no_back_off_of_a_run_that_does_not_wait(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = pending(fakes, messages, Busy())

    assert nudge(run_ids=[run.pk]) == 0
    dispatch(run)  # a message that comes twice
    messages.deliver_all()

    assert fakes.calls == [("send", 1)]
    run.refresh_from_db()
    assert (run.nudge_count, run.nudges_seen) == (1, 1)


def test_looks_do_not_count_as_retries(fakes: FakeSagas, messages: MessageQueue) -> None:
    answers = [Accepted() for _ in range(9)]
    run = pending(fakes, messages, Busy(), *answers, Busy(), Silence(), {})
    for _ in range(9):
        look(messages, run)
        assert (run.waits_for, run.retry_count, run.needs_attention) == ("Accepted", 0, False)

    look(messages, run)
    assert (run.waits_for, run.retry_count, run.needs_attention) == ("Accepted", 1, False)
    look(messages, run)
    look(messages, run)

    assert run.status == RunStatus.COMPLETED
    assert [outcome for (outcome,) in journal(run, "outcome")[1:]] == [
        "transient",
        *["pending"] * 9,
        "transient",
        "unknown",
        "done",
        "done",
    ]


def test_retries_are_spent_while_it_waits_if_the_system_does_not_answer(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = pending(fakes, messages, Accepted(), Busy(), Busy(), Busy())
    for _ in range(3):
        look(messages, run)

    assert (run.status, run.reason) == (RunStatus.COMPENSATED, "send_unanswered")


def test_at_the_deadline_it_looks_a_last_time(fakes: FakeSagas, messages: MessageQueue) -> None:
    run = pending(fakes, messages, Accepted(), {"parcel": 7})

    advance(DAY)
    sweep()
    messages.deliver_all()

    run.refresh_from_db()
    assert run.status == RunStatus.COMPLETED


def test_an_answer_that_is_pending_at_the_deadline_makes_the_run_compensate(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = pending(fakes, messages, Accepted(), Accepted())

    advance(DAY)
    sweep()
    messages.deliver_all()

    run.refresh_from_db()
    assert (run.status, run.reason, run.waits_for) == (RunStatus.COMPENSATED, "no", "")
    assert journal(run)[1:] == [
        ("send", "forward", 1, "pending"),
        ("send", "forward", 2, "pending"),
        ("send", "compensating", 1, "done"),
        ("pack", "compensating", 1, "done"),
    ]


def test_past_its_deadline_a_run_proceeds_if_its_step_says_so(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = pending(fakes, messages, Accepted(), Accepted(), overdue=Proceed({"parcel": 0}))

    advance(DAY)
    sweep()
    messages.deliver_all()

    run.refresh_from_db()
    assert run.status == RunStatus.COMPLETED
    assert journal(run, "step", "outcome", "output")[2:3] == [("send", "proceeded", {"parcel": 0})]


def test_past_its_deadline_a_run_is_flagged_and_looks_on_if_its_step_says_so(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = pending(fakes, messages, Accepted(), Accepted(), Accepted(), {}, overdue=Escalate(DAY))

    advance(DAY)
    before = database_time()
    sweep()
    messages.deliver_all()
    run.refresh_from_db()

    assert (run.waits_for, run.needs_attention) == ("Accepted", True)
    assert run.waiting_until is not None
    assert run.waiting_until >= before + DAY
    assert run.not_before is not None
    assert run.not_before < run.waiting_until

    look(messages, run)
    assert (run.waits_for, run.needs_attention) == ("Accepted", True)

    look(messages, run)
    assert (run.status, run.needs_attention) == (RunStatus.COMPLETED, False)


@pytest.mark.parametrize(("overdue", "waits_for"), [(Escalate(DAY), ""), (REJECT_LATE, "Accepted")])
def test_a_call_that_fails_ends_a_wait_whose_deadline_only_calls_staff(
    fakes: FakeSagas, messages: MessageQueue, overdue: Overdue, waits_for: str
) -> None:
    run = pending(fakes, messages, Accepted(), Bug("returned"), {}, overdue=overdue)

    look(messages, run)
    assert (run.status, run.step, run.waits_for) == (RunStatus.RUNNING, "send", waits_for)
    assert run.not_before is not None
    assert run.not_before > database_time()

    look(messages, run)
    assert run.status == RunStatus.COMPLETED


def test_a_call_may_bring_its_own_deadline(fakes: FakeSagas, messages: MessageQueue) -> None:
    until = database_time() + timedelta(minutes=10)

    run = pending(fakes, messages, Accepted(until=until))

    assert (run.waiting_until, run.wake_at) == (until, until)


def test_a_cancelled_run_compensates_at_once_although_an_answer_is_pending(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = pending(fakes, messages, Accepted())

    request_compensation(run.subject_id, Rejection("changed_mind"), "alice")
    messages.deliver_all()

    run.refresh_from_db()
    assert (run.status, run.reason) == (RunStatus.COMPENSATED, "changed_mind")
    assert fakes.calls == [("send", 1), ("compensate send", 1)]


def test_a_worker_that_dies_while_it_looks_changes_no_wait(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = pending(fakes, messages, Accepted(), lose_worker)
    since, until = run.waiting_since, run.waiting_until

    nudge(run_ids=[run.pk])
    with pytest.raises(WorkerLost):
        messages.deliver_all()
    run.refresh_from_db()
    assert (run.waits_for, run.waiting_since, run.waiting_until) == ("Accepted", since, until)

    wake_run(run, messages)
    assert run.status == RunStatus.COMPLETED
    assert [outcome for (outcome,) in journal(run, "outcome")[1:]] == [
        "pending",
        "lost",
        "done",
        "done",
    ]


# -- compensations -------------------------------------------------------------------------------


def compensating(fakes: FakeSagas, messages: MessageQueue, *answers: object) -> SagaRun:
    """Return a run that compensates ``send``, whose compensation gets these answers."""
    run = start(fakes.saga(fakes.local("pack"), fakes.remote("send"), fakes.wait("pickup")))
    messages.deliver_all()
    fakes.answers("compensate send", *answers)  # type: ignore[arg-type]
    request_compensation(run.subject_id, Rejection("changed_mind"), "alice")
    messages.deliver_all()
    run.refresh_from_db()
    return run


def test_a_pending_compensation_is_looked_at_again_while_others_are_done(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = compensating(fakes, messages, Accepted(), Accepted(), {})

    assert (run.status, run.waits_for) == (RunStatus.COMPENSATING, "Accepted")
    assert events(run)[-1] == "compensate pack"
    assert run.waiting_until is not None
    assert run.waiting_since is not None
    assert run.waiting_until - run.waiting_since == DAY
    assert run.wake_at is not None
    assert HOUR <= run.wake_at - run.waiting_since <= 2 * HOUR

    nudge(run_ids=[run.pk])
    messages.deliver_all()
    run.refresh_from_db()
    assert (run.status, run.waits_for) == (RunStatus.COMPENSATING, "Accepted")

    look(messages, run)
    assert (run.status, run.waits_for) == (RunStatus.COMPENSATED, "")
    assert journal(run)[2:] == [
        ("pickup", "forward", 1, "interrupted"),
        ("send", "compensating", 1, "pending"),
        ("pack", "compensating", 1, "done"),
        ("send", "compensating", 2, "pending"),
        ("send", "compensating", 3, "done"),
    ]


def test_a_compensation_that_is_pending_past_its_deadline_is_flagged_and_looked_at_on(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = compensating(fakes, messages, Accepted(), Accepted(), Accepted(), {})
    assert not run.needs_attention

    advance(DAY)
    before = database_time()
    sweep()
    messages.deliver_all()
    run.refresh_from_db()
    flag = (True, f"Past its deadline, it still waits for the carrier. {FIND_OUT}")
    assert run.status == RunStatus.COMPENSATING
    assert (run.needs_attention, run.attention_reason) == flag
    assert run.waiting_until is not None
    assert before + DAY <= run.waiting_until <= database_time() + DAY

    look(messages, run)
    assert run.status == RunStatus.COMPENSATING
    assert (run.needs_attention, run.attention_reason) == flag

    look(messages, run)
    assert (run.status, run.needs_attention) == (RunStatus.COMPENSATED, False)


def test_a_pending_compensation_is_looked_at_at_its_deadline(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    until = database_time() + timedelta(minutes=10)

    run = compensating(fakes, messages, Accepted(until=until))

    assert (run.waiting_until, run.wake_at) == (until, until)


def test_a_later_deadline_of_a_compensation_stays_and_delays_no_look(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = compensating(fakes, messages, Accepted(), Accepted(), Accepted(), {})
    later, look_at = database_time() + 3 * DAY, run.wake_at

    assert move_deadline(run.subject_id, "Accepted", later)
    run.refresh_from_db()
    assert run.wake_at == look_at

    advance(2 * DAY)
    look(messages, run)
    assert (run.waiting_until, run.needs_attention) == (later, False)
    advance(DAY)
    look(messages, run)
    assert run.needs_attention


def test_a_compensation_that_fails_waits_no_longer(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = compensating(fakes, messages, Accepted(), Bug("returned"), {})

    look(messages, run)

    assert (run.status, run.waits_for) == (RunStatus.COMPENSATING, "")
    assert journal(run, "step", "outcome")[-1] == ("send", "failed")
    assert run.wake_at is not None
    assert run.wake_at > database_time()

    look(messages, run)
    assert run.status == RunStatus.COMPENSATED


def test_an_answer_after_an_outage_takes_back_the_flag_of_a_compensation(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = compensating(fakes, messages, *[Busy() for _ in range(8)], Accepted())
    for _ in range(7):
        look(messages, run)
    assert run.needs_attention

    look(messages, run)

    assert (run.waits_for, run.needs_attention, run.attention_reason) == ("Accepted", False, "")


def two_compensating(fakes: FakeSagas, messages: MessageQueue) -> SagaRun:
    """Return a run in which the compensations of ``ship`` and ``send`` wait, in this order."""
    steps = (fakes.remote("send"), fakes.remote("ship"), fakes.wait("pickup"))
    run = start(fakes.saga(*steps))
    messages.deliver_all()
    for name in ("send", "ship"):
        fakes.answers(f"compensate {name}", Accepted())
    request_compensation(run.subject_id, Rejection("changed_mind"), "alice")
    messages.deliver_all()
    run.refresh_from_db()
    fakes.calls.clear()
    return run


def test_a_nudge_makes_every_compensation_that_waits_look(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = two_compensating(fakes, messages)
    for name in ("send", "ship"):
        fakes.answers(f"compensate {name}", Accepted())

    nudge(run_ids=[run.pk])
    messages.deliver_all()

    assert fakes.calls == [("compensate ship", 2), ("compensate send", 2)]
    run.refresh_from_db()
    assert run.waits_for == "Accepted"


@pytest.mark.parametrize("answer", [{}, Bug("returned")], ids=["done", "failed"])
def test_an_answer_makes_the_others_that_wait_for_the_same_look_at_once(
    fakes: FakeSagas, messages: MessageQueue, answer: object
) -> None:
    run = two_compensating(fakes, messages)
    fakes.answers("compensate ship", answer)  # type: ignore[arg-type]
    fakes.answers("compensate send", Accepted())
    others = run.attempts.filter(step="send", direction="compensating")
    others.update(not_before=database_time() + DAY)

    look(messages, run)

    assert fakes.calls == [("compensate ship", 2), ("compensate send", 2)]
    assert run.waits_for == "Accepted"


def test_looks_at_a_pending_compensation_flag_no_run(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = compensating(fakes, messages, *[Accepted() for _ in range(9)], Busy(), {})
    for _ in range(9):
        look(messages, run)
        assert not run.needs_attention

    look(messages, run)
    assert run.status == RunStatus.COMPENSATED
