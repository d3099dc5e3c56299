"""Runs that a run starts: children, which it waits for, and the flow that follows it."""

from uuid import UUID

import pytest

from sagas import registry
from sagas.batch import Batch, Output, Rejection, WaitBatch
from sagas.children import compensate_children, live_children
from sagas.definition import Saga, local_step, wait_step
from sagas.descriptions import StepText, WaitText
from sagas.errors import ChildrenRunning
from sagas.identifiers import new_id
from sagas.models import RunStatus, SagaRun
from sagas.services import nudge, request_compensation, start
from sagas.sweep import sweep
from sagas.work import Attempt, Escalate, PendingCall
from tests.support.fake_sagas import DAY, FakeSagas, events
from tests.support.in_memory_broker import MessageQueue

pytestmark = pytest.mark.django_db(transaction=True)

TEXT = StepText("parcels", "Your parcels")


def parent_saga(fakes: FakeSagas, parcels: list[UUID]) -> Saga:
    """Return a saga that starts a run for each of ``parcels``, and waits until all have ended."""

    @local_step(queue="checkout", describe=TEXT)
    def send_parcels(batch: Batch) -> None:
        for run in batch.runs.values():
            for number, parcel in enumerate(parcels):
                batch.start_child(run, "parcel", parcel, input={"number": number})

    @send_parcels.remote_compensation(
        system="sagas",
        describe=StepText("parcels", "Your parcels", "Call the parcels back."),
        pending=(
            PendingCall(
                ChildrenRunning, WaitText("them", "them", "staff look"), DAY, Escalate(DAY)
            ),
        ),
    )
    def call_parcels_back(attempt: Attempt) -> Output:
        return compensate_children(attempt, Rejection("order_cancelled"))

    @wait_step(
        queue="checkout",
        describe=TEXT,
        waits_for=WaitText("the parcels", "your parcels", "we look into it"),
        deadline=DAY,
        overdue=Escalate(DAY),
    )
    def await_parcels(batch: WaitBatch) -> None:
        live = live_children(batch)
        for subject_id in batch.runs:
            if not live[subject_id]:
                batch.proceed(subject_id)

    return fakes.saga(send_parcels, await_parcels, fakes.local("file"), name="order")


@pytest.fixture
def parcels() -> list[UUID]:
    return [new_id(), new_id()]


@pytest.fixture
def parent(fakes: FakeSagas, parcels: list[UUID], messages: MessageQueue) -> SagaRun:
    """Return a run that waits for its children, which wait for their pickup."""
    fakes.saga(fakes.local("pack"), fakes.wait("pickup"), name="parcel")
    run = start(parent_saga(fakes, parcels), new_id(), new_id())
    messages.deliver_all()
    run.refresh_from_db()
    return run


def pick_up(fakes: FakeSagas, messages: MessageQueue, parcel: UUID) -> None:
    fakes.facts["pickup"].add(parcel)
    nudge(subject_ids=[parcel])
    messages.deliver_all()


def test_a_parent_goes_on_when_its_last_child_has_ended(
    fakes: FakeSagas, parent: SagaRun, parcels: list[UUID], messages: MessageQueue
) -> None:
    children = SagaRun.objects.filter(parent=parent).order_by("pk")
    assert [(child.saga, child.subject_id, child.input) for child in children] == [
        ("parcel", parcels[0], {"number": 0}),
        ("parcel", parcels[1], {"number": 1}),
    ]
    assert {child.correlation_id for child in children} == {parent.correlation_id}
    assert parent.waits_for == "await_parcels"

    pick_up(fakes, messages, parcels[0])
    parent.refresh_from_db()
    assert parent.waits_for == "await_parcels"

    pick_up(fakes, messages, parcels[1])
    parent.refresh_from_db()
    assert parent.status == RunStatus.COMPLETED


def test_a_child_that_ends_wakes_its_parent_although_the_message_is_lost(
    fakes: FakeSagas, parent: SagaRun, parcels: list[UUID], messages: MessageQueue
) -> None:
    fakes.facts["pickup"].update(parcels)
    for parcel in parcels:
        request_compensation(parcel, Rejection("changed_mind"), "alice")
    while messages.waiting:
        message = messages.take()
        if message.run_id != parent.pk:
            messages.deliver(message)

    sweep()
    messages.deliver_all()

    parent.refresh_from_db()
    assert parent.status == RunStatus.COMPLETED


def test_a_parent_that_compensates_calls_its_children_back_and_waits_for_them(
    fakes: FakeSagas, parent: SagaRun, parcels: list[UUID], messages: MessageQueue
) -> None:
    request_compensation(parent.subject_id, Rejection("changed_mind"), "alice")
    message = messages.take()

    messages.deliver(message)
    parent.refresh_from_db()
    assert (parent.status, parent.waits_for) == (RunStatus.COMPENSATING, "")
    messages.deliver(messages.take())
    parent.refresh_from_db()
    assert (parent.status, parent.waits_for) == (RunStatus.COMPENSATING, "children_running")
    assert [child.status for child in SagaRun.objects.filter(parent=parent)] == ["running"] * 2

    messages.deliver_all()

    parent.refresh_from_db()
    assert parent.status == RunStatus.COMPENSATED
    assert {(child.status, child.reason) for child in SagaRun.objects.filter(parent=parent)} == {
        (RunStatus.COMPENSATED, "order_cancelled")
    }


def test_children_are_started_once_although_their_step_is_repeated(
    fakes: FakeSagas, parent: SagaRun, parcels: list[UUID], messages: MessageQueue
) -> None:
    again = start(registry.get("order", 1), new_id(), new_id(), key="another order")
    messages.deliver_all()

    again.refresh_from_db()
    assert again.status == RunStatus.COMPLETED
    assert SagaRun.objects.filter(saga="parcel").count() == len(parcels)
    assert not SagaRun.objects.filter(parent=again).exists()


def test_a_run_starts_the_flow_that_follows_it_when_it_completes(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    def fulfil(batch: Batch) -> None:
        scores = batch.outputs_of("score")
        for run in batch.runs.values():
            batch.start_successor(run, "fulfilment", input=scores[run.subject_id])

    fakes.saga(fakes.local("ship"), name="fulfilment")
    saga = fakes.saga(fakes.local("pack"), fakes.remote("score"), on_completed=fulfil)
    fakes.answers("score", {"score": 7})
    run = start(saga, new_id(), new_id())

    messages.deliver_all()

    first, second = SagaRun.objects.order_by("pk")
    assert (first.pk, first.status) == (run.pk, RunStatus.COMPLETED)
    assert (second.saga, second.subject_id, second.correlation_id) == (
        "fulfilment",
        run.subject_id,
        run.correlation_id,
    )
    assert (second.status, second.input) == (RunStatus.COMPLETED, {"score": 7})
    assert events(run) == ["pack", "prepare score", "record score", "ship"]


def test_a_flow_that_was_turned_back_starts_no_other(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    def fulfil(batch: Batch) -> None:
        for run in batch.runs.values():
            batch.start_successor(run, "fulfilment")

    fakes.saga(fakes.local("ship"), name="fulfilment")
    saga = fakes.saga(fakes.local("pack"), on_completed=fulfil)
    run = start(saga, new_id(), new_id())
    fakes.rejects("pack", run.subject_id)

    messages.deliver_all()

    run.refresh_from_db()
    assert run.status == RunStatus.COMPENSATED
    assert SagaRun.objects.count() == 1


def test_a_flow_that_follows_itself_needs_a_key_for_each_period(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    def next_month(batch: Batch) -> None:
        for run in batch.runs.values():
            month = run.input["month"] + 1
            if month <= 3:
                batch.start_successor(run, "bill", key=f"bill {month}", input={"month": month})

    saga = fakes.saga(fakes.local("charge"), name="bill", on_completed=next_month)
    run = start(saga, new_id(), new_id(), key="bill 1", input={"month": 1})

    messages.deliver_all()

    runs = SagaRun.objects.order_by("pk")
    assert [(run.key, run.status) for run in runs] == [
        (f"bill {month}", RunStatus.COMPLETED) for month in (1, 2, 3)
    ]
    assert events(run) == ["charge"] * 3


def test_steps_read_the_input_and_the_results_of_earlier_steps(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    known: list[object] = []

    @local_step(queue="settlement", describe=TEXT)
    def note(batch: Batch) -> None:
        known.extend([batch.outputs_of("score"), batch.outputs_of("send")])
        known.extend(run.input for run in batch.runs.values())

    def look(attempt: Attempt) -> Output:
        known.extend([attempt.input, attempt.output_of("score"), attempt.output_of("none")])
        return {"parcel": 1}

    note.compensation(describe=TEXT)(lambda _: None)
    fakes.answers("score", {"score": 7})
    fakes.answers("send", look)
    saga = fakes.saga(fakes.remote("score"), fakes.remote("send"), note, fakes.wait("pickup"))
    run = start(saga, new_id(), new_id(), input={"gift": True})
    messages.deliver_all()

    subject = run.subject_id
    assert known == [
        *({"gift": True}, {"score": 7}, {}),
        *({subject: {"score": 7}}, {subject: {"parcel": 1}}, {"gift": True}),
    ]
