"""Fourteen days of a run's life, played: everything that fires on the way, in order."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from sagas.batch import Batch
from sagas.definition import Step, timer_step
from sagas.descriptions import StepText, WaitText
from sagas.models import RunStatus
from sagas.services import nudge
from sagas.sweep import sweep
from sagas.work import Escalate, Proceed
from tests.support import clock
from tests.support.clock import Fired, play
from tests.support.fake_sagas import DAY, HOUR, Busy, FakeSagas, journal, start
from tests.support.in_memory_broker import MessageQueue

pytestmark = pytest.mark.django_db(transaction=True)

LATE = (
    "Past its deadline, it still waits for pickup by staff. Find out why, or extend the deadline."
)


def timer(name: str, until: datetime) -> Step:
    """Make a step that waits until a time."""

    def end(batch: Batch) -> Mapping[UUID, datetime]:
        return dict.fromkeys(batch.runs, until)

    end.__name__ = name
    text = WaitText(name, name, "the run goes on")
    return timer_step(queue="checkout", describe=StepText(name, name), waits_for=text)(end)


def test_fourteen_days_play_in_order(fakes: FakeSagas, messages: MessageQueue) -> None:
    placed_at = clock.stop()
    days = [placed_at + number * DAY for number in range(20)]
    saga = fakes.saga(
        timer("remind", days[1]),
        timer("warn", days[3]),
        fakes.wait("pickup", deadline=4 * DAY, overdue=Proceed({"by": "the carrier"})),
        timer("review", days[14]),
    )
    run = start(saga)

    fired = play(days[13], messages)

    assert fired == [
        Fired(days[1], run.pk, "remind done"),
        Fired(days[3], run.pk, "warn done"),
        Fired(days[7], run.pk, "pickup proceeded"),
    ]
    assert clock.database_time() == days[13]
    assert play(days[19], messages) == [
        Fired(days[14], run.pk, "review done"),
        Fired(days[14], run.pk, RunStatus.COMPLETED),
    ]
    run.refresh_from_db()
    assert (run.created_at, run.ended_at) == (placed_at, days[14])
    assert journal(run, "step", "started_at", "ended_at") == [
        ("remind", placed_at, days[1]),
        ("warn", days[1], days[3]),
        ("pickup", days[3], days[7]),
        ("review", days[7], days[14]),
    ]
    assert fakes.looks == ["pickup", "pickup"]


def test_the_runs_of_several_orders_fire_in_the_order_of_their_times(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    began_at = clock.stop()
    later, sooner = (
        start(fakes.saga(timer(name, began_at + after), name=name))
        for name, after in (("later", 3 * DAY), ("sooner", DAY))
    )

    fired = play(began_at + 14 * DAY, messages)

    assert [(event.at - began_at, event.run_id, event.what) for event in fired] == [
        (DAY, sooner.pk, "sooner done"),
        (DAY, sooner.pk, RunStatus.COMPLETED),
        (3 * DAY, later.pk, "later done"),
        (3 * DAY, later.pk, RunStatus.COMPLETED),
    ]


def test_an_overdue_wait_is_flagged_when_it_is_due_and_goes_on_with_its_fact(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    began_at = clock.stop()
    run = start(fakes.saga(fakes.wait("pickup", deadline=7 * DAY, overdue=Escalate(7 * DAY))))

    flagged = play(began_at + 8 * DAY, messages)
    fakes.facts["pickup"].add(run.subject_id)
    nudge(run_ids=[run.pk])
    ended = play(began_at + 14 * DAY, messages)

    assert flagged == [Fired(began_at + 7 * DAY, run.pk, f"flagged: {LATE}")]
    assert ended == [
        Fired(began_at + 8 * DAY, run.pk, "pickup done"),
        Fired(began_at + 8 * DAY, run.pk, RunStatus.COMPLETED),
    ]


def test_a_retry_waits_out_its_back_off(fakes: FakeSagas, messages: MessageQueue) -> None:
    fakes.answers("send", Busy())
    began_at = clock.stop()
    run = start(fakes.parcel())

    fired = play(began_at + DAY, messages)

    assert [event.what for event in fired] == [
        "pack done",
        "send transient",
        "send done",
        "file done",
        RunStatus.COMPLETED,
    ]
    assert [event.at for event in fired[:2]] == [began_at, began_at]
    assert HOUR / 2 <= fired[2].at - began_at <= HOUR + timedelta(seconds=30)
    assert {event.at for event in fired[2:]} == {fired[2].at}
    assert {event.run_id for event in fired} == {run.pk}


def test_a_call_in_flight_while_the_clock_jumps_takes_effect_once(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    def answer_after_a_jump(_: object) -> dict[str, object]:
        clock.advance(days=14)  # the lease of this call has run out
        assert sweep() == 1
        messages.deliver_all()  # another worker takes over, and calls again
        return {"parcel": 1}

    fakes.answers("send", answer_after_a_jump, {"parcel": 2})
    run = start(fakes.parcel())
    messages.deliver_all()

    run.refresh_from_db()
    assert run.status == RunStatus.COMPLETED
    assert journal(run, "step", "outcome", "output", "detail") == [
        ("pack", "done", {}, ""),
        ("send", "lost", {"parcel": 1}, "answered too late: done"),
        ("send", "done", {"parcel": 2}, ""),
        ("file", "done", {}, ""),
    ]


def test_leases_work_as_before_once_the_clock_has_jumped(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    clock.advance(days=14)

    def answer_while_another_worker_looks(_: object) -> dict[str, object]:
        assert sweep() == 0
        messages.deliver_all()
        return {}

    fakes.answers("send", answer_while_another_worker_looks)
    run = start(fakes.parcel())
    messages.deliver_all()

    assert journal(run, "step", "outcome") == [("pack", "done"), ("send", "done"), ("file", "done")]
