"""A paused run goes no step further, and gives back whatever it is asked to."""

from datetime import datetime, timedelta
from importlib import import_module

import pytest
from django.db import connection

from orders.saga import SAGAS
from sagas.batch import Output, Rejection
from sagas.definition import Attempt
from sagas.messages import Stop
from sagas.models import HANDOVER, RunStatus, SagaRun
from sagas.queries.counts import FlaggedCounts, count_flagged
from sagas.queries.subjects import flagged_runs, paused_runs
from sagas.services import CompensationRequest, hold, pause, request_compensation, resume, retry_now
from sagas.sweep import LONGEST_DELAY, sweep
from tests.support.database import database_time
from tests.support.fake_sagas import (
    FOR_EVER,
    Refused,
    Silence,
    Toys,
    WorkerLost,
    die,
    events,
    everything,
    journal,
    start,
    start_many,
)
from tests.support.in_memory_broker import MessageQueue
from tests.support.run_clock import let_time_pass, wake_run

pytestmark = pytest.mark.django_db(transaction=True)

REASON = "M6: 0 held of 4500"
FLAG = (True, f"paused: {REASON}")


def freeze_it(run: SagaRun) -> bool:
    paused = pause(run.subject_id, REASON)
    run.refresh_from_db()
    return paused


def woken(run: SagaRun) -> datetime:
    """When the run is looked at again if nobody does anything about it."""
    run.refresh_from_db()
    assert run.wake_at is not None
    return run.wake_at


def flag(run: SagaRun) -> tuple[bool, str]:
    run.refresh_from_db()
    return run.needs_attention, run.attention_reason


def marks(run: SagaRun) -> tuple[datetime | None, bool, str]:
    """What keeps a run from going on, and what is said of it."""
    run.refresh_from_db()
    return run.paused_at, run.needs_attention, run.attention_reason


NO_MARKS = (None, False, "")


def test_a_frozen_run_takes_no_local_step(toys: Toys, messages: MessageQueue) -> None:
    run = start(toys.parcel())

    assert freeze_it(run)
    before = everything(run)
    next_action = messages.deliver(messages.take())

    assert next_action == Stop()
    assert everything(run) == before
    assert (run.status, run.step) == (RunStatus.RUNNING, "pack")
    assert flag(run) == FLAG


def test_a_frozen_run_claims_no_remote_step(toys: Toys, messages: MessageQueue) -> None:
    run = start(toys.saga(toys.local("pack"), toys.remote("send", queue="settlement")))
    messages.deliver(messages.take())

    freeze_it(run)
    before = everything(run)
    messages.deliver_all()

    assert everything(run) == before
    assert toys.calls == []
    assert run.step == "send"


def test_an_answer_that_is_on_its_way_is_settled_and_nothing_follows(
    toys: Toys, messages: MessageQueue
) -> None:
    run = start(toys.parcel())

    def answer_paused(attempt: Attempt) -> Output:
        freeze_it(run)
        return {"number": "RR 123"}

    toys.answers("send", answer_paused)
    messages.deliver_all()
    wake_run(run, messages)

    assert journal(run) == [("pack", "forward", 1, "done"), ("send", "forward", 1, "done")]
    assert events(run) == ["pack", "intend send", "record send"]
    assert (run.status, run.step, run.leased_until) == (RunStatus.RUNNING, "file", None)
    assert flag(run) == FLAG


def test_what_a_lost_worker_asked_for_is_not_asked_again(
    toys: Toys, messages: MessageQueue
) -> None:
    run = start(toys.parcel())
    toys.answers("send", die)
    with pytest.raises(WorkerLost):
        messages.deliver_all()

    freeze_it(run)
    wake_run(run, messages)
    wake_run(run, messages)

    assert journal(run)[1:] == [("send", "forward", 1, "lost")]
    assert toys.calls == [("send", 1)]


def test_a_frozen_run_is_undone_when_it_is_asked_to_turn_back(
    toys: Toys, messages: MessageQueue
) -> None:
    run = start(toys.parcel())
    toys.answers("send", Silence())
    messages.deliver_all()

    freeze_it(run)
    became = request_compensation(run.subject_id, Rejection("no_longer_wanted"), "alice")
    asked = marks(run)
    messages.deliver_all()

    assert became is CompensationRequest.REQUESTED
    assert asked == NO_MARKS
    assert toys.calls == [("send", 1), ("undo send", 1)]
    assert marks(run) == NO_MARKS
    assert run.status == RunStatus.COMPENSATED


def test_the_wish_to_turn_back_leaves_a_flag_that_no_freeze_raised(
    toys: Toys, messages: MessageQueue
) -> None:
    run = start(toys.parcel())
    SagaRun.objects.update(needs_attention=True, attention_reason="pack: 8 tries")

    request_compensation(run.subject_id, Rejection("no_longer_wanted"), "alice")

    assert flag(run) == (True, "pack: 8 tries")


def test_what_was_asked_to_turn_back_cannot_be_frozen_nor_held(
    toys: Toys, messages: MessageQueue
) -> None:
    run = start(toys.parcel())
    request_compensation(run.subject_id, Rejection("no_longer_wanted"), "alice")
    before = everything(run)

    assert not freeze_it(run)
    assert not hold(run.subject_id, "Waiting for a call.", "grace")

    assert everything(run) == before
    messages.deliver_all()
    assert marks(run) == NO_MARKS
    assert run.status == RunStatus.COMPENSATED


def test_a_refusal_turns_a_frozen_run_back(toys: Toys, messages: MessageQueue) -> None:
    run = start(toys.parcel())

    def refuse_paused(attempt: Attempt) -> Output:
        freeze_it(run)
        raise Refused("no_such_street")

    toys.answers("send", refuse_paused)
    messages.deliver_all()

    assert marks(run) == NO_MARKS
    assert (run.status, run.reason) == (RunStatus.COMPENSATED, "no_such_street")
    assert "file" not in events(run)


def test_no_answer_at_all_turns_a_held_run_back(toys: Toys, messages: MessageQueue) -> None:
    run = start(toys.parcel())

    def stay_silent_held(attempt: Attempt) -> Output:
        assert hold(run.subject_id, "Waiting for a call.", "grace")
        raise Silence

    toys.answers("send", Silence(), Silence(), stay_silent_held)
    toys.answers("undo send", Silence())
    messages.deliver_all()
    wake_run(run, messages)
    wake_run(run, messages)
    turned = marks(run)
    wake_run(run, messages)

    assert turned == NO_MARKS
    assert marks(run) == NO_MARKS
    assert (run.status, run.reason) == (RunStatus.COMPENSATED, "send_unanswered")


def test_the_last_answer_ends_a_held_run(toys: Toys, messages: MessageQueue) -> None:
    run = start(toys.saga(toys.remote("send")))

    def answer_held(attempt: Attempt) -> Output:
        assert hold(run.subject_id, "Waiting for a call.", "grace")
        return {}

    toys.answers("send", answer_held)
    messages.deliver_all()

    assert marks(run) == NO_MARKS
    assert run.status == RunStatus.COMPLETED


def test_the_way_back_cannot_be_paused(toys: Toys, messages: MessageQueue) -> None:
    run = start(toys.parcel())
    toys.answers("send", Refused("no_such_street"))
    messages.deliver(messages.take())
    before = everything(run)

    assert not freeze_it(run)

    assert everything(run) == before
    messages.deliver_all()
    run.refresh_from_db()
    assert run.status == RunStatus.COMPENSATED


def test_a_saga_that_only_gives_back_cannot_be_paused(toys: Toys, messages: MessageQueue) -> None:
    send = toys.remote("send", is_undoable=False, rejected_by=(), retry=FOR_EVER)
    run = start(toys.saga(send, compensating_only=True))
    before = everything(run)

    assert not freeze_it(run)

    assert everything(run) == before
    messages.deliver_all()
    run.refresh_from_db()
    assert run.status == RunStatus.COMPLETED


def test_what_has_ended_or_never_was_cannot_be_paused(toys: Toys, messages: MessageQueue) -> None:
    run = start(toys.parcel())
    messages.deliver_all()
    before = everything(run)

    assert not freeze_it(run)
    assert not pause(run.pk, REASON)

    assert everything(run) == before


def test_freezing_again_keeps_the_first_reason(toys: Toys, messages: MessageQueue) -> None:
    run = start(toys.parcel())
    freeze_it(run)
    before = everything(run)

    assert pause(run.subject_id, "M1: another one")

    assert everything(run) == before


def test_the_sweep_looks_at_a_frozen_run_less_and_less(toys: Toys, messages: MessageQueue) -> None:
    run = start(toys.parcel())
    freeze_it(run)

    for seconds in [5, 10, 20, 40, *[LONGEST_DELAY.total_seconds()] * 8]:
        let_time_pass(run)
        before = database_time()
        sweep()
        after = database_time()
        messages.deliver_all()
        assert before <= woken(run) - timedelta(seconds=seconds) <= after

    assert flag(run) == FLAG


def test_retrying_does_not_thaw(toys: Toys, messages: MessageQueue) -> None:
    run = start(toys.parcel())
    freeze_it(run)

    assert retry_now(run.pk)
    messages.deliver_all()

    assert flag(run) == FLAG
    assert run.paused_at is not None
    assert events(run) == []


def test_a_thawed_run_goes_on_to_its_end(toys: Toys, messages: MessageQueue) -> None:
    run = start(toys.parcel())
    messages.drop_all()
    freeze_it(run)

    before = database_time()
    assert resume(run.subject_id)
    after = database_time()
    wakes_at = woken(run)
    messages.deliver_all()

    assert before <= wakes_at - HANDOVER <= after
    assert flag(run) == (False, "")
    assert (run.status, run.paused_at) == (RunStatus.COMPLETED, None)


def test_what_turned_back_while_it_was_frozen_is_not_there_to_be_thawed(
    toys: Toys, messages: MessageQueue
) -> None:
    run = start(toys.parcel())
    freeze_it(run)
    request_compensation(run.subject_id, Rejection("no_longer_wanted"), "alice")

    asked = resume(run.subject_id)
    messages.deliver_all()
    before = everything(run)
    ended = resume(run.subject_id)

    assert (asked, ended) == (False, False)
    assert everything(run) == before
    assert messages.waiting == []


def test_what_an_earlier_release_left_frozen_at_its_end_is_counted_nowhere_and_set_right(
    toys: Toys, messages: MessageQueue
) -> None:
    ended, turned, held = start_many(toys.parcel(), 3)
    for run in (ended, turned, held):
        freeze_it(run)
    SagaRun.objects.filter(pk=ended.pk).update(
        status=RunStatus.COMPENSATED, step="", wake_at=None, ended_at=database_time()
    )
    SagaRun.objects.filter(pk=turned.pk).update(status=RunStatus.COMPENSATING, step="")

    counted = count_flagged()
    listed = set(flagged_runs()), set(paused_runs())
    with connection.cursor() as cursor:
        cursor.execute(import_module("sagas.migrations.0008_only_what_goes_on_is_paused").LIFT)

    assert counted == FlaggedCounts(flagged=2, paused=1)
    assert listed == ({turned, held}, {held})
    assert marks(ended) == marks(turned) == NO_MARKS
    assert flag(held) == FLAG


def test_thawing_what_is_not_frozen_changes_nothing(toys: Toys, messages: MessageQueue) -> None:
    run = start(toys.parcel())
    before = everything(run)

    assert not resume(run.subject_id)

    assert everything(run) == before
    assert len(messages.waiting) == 1


def test_only_what_gives_back_says_so() -> None:
    assert [each.name for each in SAGAS if each.compensating_only] == ["cancellation"]
