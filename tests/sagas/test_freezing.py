"""A frozen run goes no step further, and gives back whatever it is asked to."""

from datetime import datetime, timedelta

import pytest

from orders.saga import SAGAS
from sagas.definition import Attempt, Output, Refusal
from sagas.models import HANDOVER, RunStatus, SagaRun
from sagas.services import TurnBack, freeze, request_turn_back, retry_now, thaw
from sagas.sweep import LONGEST_DELAY, sweep
from sagas.verdicts import Stop
from tests.message_queue import MessageQueue
from tests.sagas.passing_time import database_time, let_time_pass, resume
from tests.sagas.toys import (
    FOR_EVER,
    Refused,
    Silence,
    Toys,
    WorkerLost,
    die,
    everything,
    facts,
    journal,
    start,
)

pytestmark = pytest.mark.django_db(transaction=True)

REASON = "M6: 0 held of 4500"
FLAG = (True, f"frozen: {REASON}")


def freeze_it(run: SagaRun) -> bool:
    frozen = freeze(run.subject_id, REASON)
    run.refresh_from_db()
    return frozen


def woken(run: SagaRun) -> datetime:
    """When the run is looked at again if nobody does anything about it."""
    run.refresh_from_db()
    assert run.wake_at is not None
    return run.wake_at


def flag(run: SagaRun) -> tuple[bool, str]:
    run.refresh_from_db()
    return run.needs_attention, run.attention_reason


def test_a_frozen_run_takes_no_local_step(toys: Toys, messages: MessageQueue) -> None:
    run = start(toys.parcel())

    assert freeze_it(run)
    before = everything(run)
    verdict = messages.deliver(messages.take())

    assert verdict == Stop()
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

    def answer_frozen(attempt: Attempt) -> Output:
        freeze_it(run)
        return {"number": "RR 123"}

    toys.answers("send", answer_frozen)
    messages.deliver_all()
    resume(run, messages)

    assert journal(run) == [("pack", "forward", 1, "done"), ("send", "forward", 1, "done")]
    assert facts(run) == ["pack", "intend send", "record send"]
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
    resume(run, messages)
    resume(run, messages)

    assert journal(run)[1:] == [("send", "forward", 1, "lost")]
    assert toys.calls == [("send", 1)]


def test_a_frozen_run_is_undone_when_it_is_asked_to_turn_back(
    toys: Toys, messages: MessageQueue
) -> None:
    run = start(toys.parcel())
    toys.answers("send", Silence())
    messages.deliver_all()

    freeze_it(run)
    became = request_turn_back(run.subject_id, Refusal("no_longer_wanted"), "alice")
    messages.deliver_all()

    assert became is TurnBack.REQUESTED
    assert toys.calls == [("send", 1), ("undo send", 1)]
    assert flag(run) == FLAG  # somebody has to look at its money all the same
    assert run.status == RunStatus.COMPENSATED


def test_a_refusal_turns_a_frozen_run_back(toys: Toys, messages: MessageQueue) -> None:
    run = start(toys.parcel())

    def refuse_frozen(attempt: Attempt) -> Output:
        freeze_it(run)
        raise Refused("no_such_street")

    toys.answers("send", refuse_frozen)
    messages.deliver_all()

    run.refresh_from_db()
    assert (run.status, run.reason) == (RunStatus.COMPENSATED, "no_such_street")
    assert "file" not in facts(run)


def test_the_way_back_cannot_be_frozen(toys: Toys, messages: MessageQueue) -> None:
    run = start(toys.parcel())
    toys.answers("send", Refused("no_such_street"))
    messages.deliver(messages.take())
    before = everything(run)

    assert not freeze_it(run)

    assert everything(run) == before
    messages.deliver_all()
    run.refresh_from_db()
    assert run.status == RunStatus.COMPENSATED


def test_a_saga_that_only_gives_back_cannot_be_frozen(toys: Toys, messages: MessageQueue) -> None:
    send = toys.remote("send", is_undoable=False, refused_by=(), retry=FOR_EVER)
    run = start(toys.saga(send, only_gives_back=True))
    before = everything(run)

    assert not freeze_it(run)

    assert everything(run) == before
    messages.deliver_all()
    run.refresh_from_db()
    assert run.status == RunStatus.COMPLETED


def test_what_has_ended_or_never_was_cannot_be_frozen(toys: Toys, messages: MessageQueue) -> None:
    run = start(toys.parcel())
    messages.deliver_all()
    before = everything(run)

    assert not freeze_it(run)
    assert not freeze(run.pk, REASON)

    assert everything(run) == before


def test_freezing_again_keeps_the_first_reason(toys: Toys, messages: MessageQueue) -> None:
    run = start(toys.parcel())
    freeze_it(run)
    before = everything(run)

    assert freeze(run.subject_id, "M1: another one")

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
    assert run.frozen_at is not None
    assert facts(run) == []


def test_a_thawed_run_goes_on_to_its_end(toys: Toys, messages: MessageQueue) -> None:
    run = start(toys.parcel())
    messages.drop_all()
    freeze_it(run)

    before = database_time()
    assert thaw(run.subject_id)
    after = database_time()
    wakes_at = woken(run)
    messages.deliver_all()

    assert before <= wakes_at - HANDOVER <= after
    assert flag(run) == (False, "")
    assert (run.status, run.frozen_at) == (RunStatus.COMPLETED, None)


def test_thawing_what_ended_while_it_was_frozen_clears_its_flag(
    toys: Toys, messages: MessageQueue
) -> None:
    run = start(toys.parcel())
    freeze_it(run)
    request_turn_back(run.subject_id, Refusal("no_longer_wanted"), "alice")
    messages.deliver_all()

    assert thaw(run.subject_id)

    assert flag(run) == (False, "")
    assert (run.status, run.frozen_at, run.wake_at) == (RunStatus.COMPENSATED, None, None)
    assert messages.waiting == []


def test_thawing_what_is_not_frozen_changes_nothing(toys: Toys, messages: MessageQueue) -> None:
    run = start(toys.parcel())
    before = everything(run)

    assert not thaw(run.subject_id)

    assert everything(run) == before
    assert len(messages.waiting) == 1


def test_only_what_gives_back_says_so() -> None:
    assert [each.name for each in SAGAS if each.only_gives_back] == ["cancellation"]
