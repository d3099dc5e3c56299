"""Signals: recorded once, refused where they are not allowed, taken by a wait."""

from collections.abc import Mapping
from typing import Any

import pytest
from django import forms

from sagas.batch import Rejection, WaitBatch
from sagas.definition import Saga, wait_step
from sagas.descriptions import RejectionText, StepText, WaitText
from sagas.errors import InvalidSignal, SignalConflict, SignalRefused
from sagas.identifiers import new_id
from sagas.models import RunStatus, SagaRun, SentSignal
from sagas.services import request_compensation
from sagas.signal_types import Signal, SignalContext
from sagas.signals import allowed_signals, send_signal, take_signals
from sagas.work import Reject
from tests.support.fake_sagas import DAY, Accepted, FakeSagas, journal, start
from tests.support.in_memory_broker import MessageQueue
from tests.support.threads import run_at_once

pytestmark = pytest.mark.django_db(transaction=True)


class Packed(forms.Form):
    weight = forms.IntegerField(min_value=1)
    note = forms.CharField(required=False)


def only_while_it_waits(context: SignalContext) -> bool:
    return context.waits_for == "await_packing"


@wait_step(
    queue="checkout",
    describe=StepText("packing", "Packing"),
    waits_for=WaitText("the warehouse", "the warehouse", "it is sent back"),
    deadline=DAY,
    overdue=Reject("not_packed"),
    rejections={"not_packed": RejectionText("It was not packed.")},
)
def await_packing(batch: WaitBatch) -> None:
    for subject_id, payload in take_signals(batch, "packed").items():
        batch.proceed(subject_id, payload)


@wait_step(
    queue="checkout",
    describe=StepText("second packing", "Packing again"),
    waits_for=WaitText("the second parcel", "your second parcel", "it is sent back"),
    deadline=DAY,
    overdue=Reject("not_packed"),
    rejections={"not_packed": RejectionText("It was not packed.")},
)
def await_second_packing(batch: WaitBatch) -> None:
    for subject_id, payload in take_signals(batch, "packed").items():
        batch.proceed(subject_id, payload)


PACKED = Signal("packed", "The parcel is packed.", Packed)
HURRY = Signal("hurry", "Pack it first.", allowed_when=only_while_it_waits)


@pytest.fixture
def saga(fakes: FakeSagas) -> Saga:
    return fakes.saga(fakes.remote("book"), await_packing, signals=(PACKED, HURRY))


def packed(run: SagaRun, payload: Mapping[str, Any] | None = None, key: str = "1") -> bool:
    sent = {"weight": 3} if payload is None else payload
    return send_signal(run.subject_id, "packed", sent, key=key, actor="olga").is_first


def test_a_signal_wakes_the_run_that_waits_for_it(
    fakes: FakeSagas, saga: Saga, messages: MessageQueue
) -> None:
    run = start(saga)
    messages.deliver_all()

    assert packed(run, {"weight": 3, "note": "fragile"})
    messages.deliver_all()

    run.refresh_from_db()
    assert run.status == RunStatus.COMPLETED
    assert journal(run, "step", "output")[1:] == [
        ("await_packing", {"weight": 3, "note": "fragile"})
    ]
    sent = SentSignal.objects.get()
    assert (sent.actor, sent.key, sent.taken_at is None) == ("olga", "1", False)


def test_a_signal_that_comes_early_is_kept(saga: Saga, messages: MessageQueue) -> None:
    run = start(saga)

    assert packed(run)
    messages.deliver_all()

    run.refresh_from_db()
    assert run.status == RunStatus.COMPLETED


def test_a_repeated_signal_is_recorded_once(saga: Saga, messages: MessageQueue) -> None:
    run = start(saga)

    assert [packed(run), packed(run)] == [True, False]
    messages.deliver_all()
    assert not packed(run)  # after the run has ended, too

    assert SentSignal.objects.count() == 1


def test_a_key_is_not_used_for_another_payload(saga: Saga, messages: MessageQueue) -> None:
    run = start(saga)
    packed(run)

    with pytest.raises(SignalConflict):
        packed(run, {"weight": 4})

    assert SentSignal.objects.get().payload == {"weight": 3}


@pytest.mark.parametrize(
    ("payload", "fields"),
    [
        ({}, {"weight"}),
        ({"weight": 0}, {"weight"}),
        ({"weight": 1, "colour": "red"}, {"colour"}),
    ],
)
def test_a_payload_that_does_not_fit_is_refused(
    saga: Saga, messages: MessageQueue, payload: dict[str, Any], fields: set[str]
) -> None:
    run = start(saga)

    with pytest.raises(InvalidSignal) as raised:
        packed(run, payload)

    assert raised.value.problems.keys() == fields
    assert not SentSignal.objects.exists()


def test_a_signal_that_is_not_allowed_now_is_refused_with_those_that_are(
    saga: Saga, messages: MessageQueue
) -> None:
    run = start(saga)

    with pytest.raises(SignalRefused) as raised:
        send_signal(run.subject_id, "hurry", {}, key="1", actor="olga")
    assert raised.value.allowed == ("packed",)
    assert [signal.name for signal in allowed_signals(run.subject_id)] == ["packed"]

    messages.deliver_all()
    assert [signal.name for signal in allowed_signals(run.subject_id)] == ["packed", "hurry"]
    assert send_signal(run.subject_id, "hurry", {}, key="1", actor="olga").is_first


def test_an_unknown_signal_is_refused(saga: Saga, messages: MessageQueue) -> None:
    run = start(saga)

    with pytest.raises(SignalRefused) as raised:
        send_signal(run.subject_id, "explode", {}, key="1", actor="olga")

    assert raised.value.allowed == ("packed",)


def test_a_run_that_compensates_or_has_ended_takes_no_signal(
    fakes: FakeSagas, saga: Saga, messages: MessageQueue
) -> None:
    run = start(saga)
    request_compensation(run.subject_id, Rejection("changed_mind"), "alice")
    messages.deliver_all()

    with pytest.raises(SignalRefused) as raised:
        packed(run)

    assert raised.value.allowed == ()
    assert allowed_signals(run.subject_id) == []
    with pytest.raises(SignalRefused):
        send_signal(new_id(), "packed", {"weight": 1}, key="1", actor="olga")


def test_a_run_that_compensates_takes_no_signal(
    fakes: FakeSagas, saga: Saga, messages: MessageQueue
) -> None:
    run = start(saga)
    messages.deliver_all()
    fakes.answers("compensate book", Accepted())
    request_compensation(run.subject_id, Rejection("changed_mind"), "alice")
    messages.deliver_all()
    run.refresh_from_db()
    assert run.status == RunStatus.COMPENSATING

    with pytest.raises(SignalRefused):
        packed(run)

    assert allowed_signals(run.subject_id) == []
    assert not SentSignal.objects.exists()


def test_signals_are_taken_oldest_first_and_once(
    fakes: FakeSagas, saga: Saga, messages: MessageQueue
) -> None:
    run = start(saga)
    packed(run, {"weight": 1}, "first")
    packed(run, {"weight": 2}, "second")

    messages.deliver_all()

    assert journal(run, "output")[1:] == [({"weight": 1},)]
    assert list(SentSignal.objects.filter(taken_at=None).values_list("key", flat=True)) == [
        "second"
    ]


def test_a_signal_that_one_wait_has_taken_is_not_taken_by_the_next(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    two_parcels = fakes.saga(
        fakes.remote("book"), await_packing, await_second_packing, signals=(PACKED,)
    )
    run = start(two_parcels)
    packed(run, {"weight": 1}, "first")
    messages.deliver_all()
    run.refresh_from_db()
    assert run.waits_for == "await_second_packing"

    packed(run, {"weight": 2}, "second")
    messages.deliver_all()

    assert journal(run, "output")[1:] == [({"weight": 1},), ({"weight": 2},)]


def test_of_concurrent_signals_with_one_key_one_is_recorded(
    saga: Saga, messages: MessageQueue
) -> None:
    run = start(saga)

    receipts = run_at_once(*[lambda: packed(run)] * 8)

    assert receipts.count(True) == 1
    assert receipts.count(False) == 7
    assert SentSignal.objects.count() == 1
