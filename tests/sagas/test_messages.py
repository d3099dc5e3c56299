"""Messages: lost, doubled, late or reordered, they do not change how a run ends."""

from collections.abc import Callable

import pytest

from sagas.messages import Continue, Stop
from sagas.models import RunStatus, SagaRun
from tests.support.fake_sagas import (
    CallBehaviour,
    FakeSagas,
    Rejected,
    events,
    journal,
    start,
    stored_rows,
)
from tests.support.in_memory_broker import Message, MessageQueue

pytestmark = pytest.mark.django_db(transaction=True)


def three_links(fakes: FakeSagas) -> SagaRun:
    saga = fakes.saga(
        fakes.local("pack", queue="checkout"),
        fakes.remote("send", queue="settlement"),
        fakes.local("file", queue="sweeps"),
    )
    return start(saga)


STORIES: dict[str, CallBehaviour] = {"completed": {}, "compensated": Rejected("no")}


def delivered_twice(run: SagaRun, messages: MessageQueue) -> None:
    while messages.waiting:
        message = messages.take()
        messages.deliver(message)
        before = stored_rows(run)
        assert messages.deliver(message) == Stop()
        assert stored_rows(run) == before


def the_tail_first(run: SagaRun, messages: MessageQueue) -> None:
    (whole,) = messages.waiting
    before = stored_rows(run)
    for start_at in (2, 1):
        tail = Message(run.pk, whole.links[start_at:])
        assert messages.deliver(tail) == Stop()
    assert stored_rows(run) == before
    messages.deliver_all()


def the_head_again_each_time(run: SagaRun, messages: MessageQueue) -> None:
    (whole,) = messages.waiting
    while messages.waiting:
        messages.deliver(messages.take())
        assert messages.deliver(whole) == Stop()


@pytest.mark.parametrize(
    "delivery",
    [delivered_twice, the_tail_first, the_head_again_each_time],
)
@pytest.mark.parametrize(("ends", "answer"), STORIES.items(), ids=STORIES)
def test_a_run_ends_the_same_in_whatever_order_its_messages_arrive(
    fakes: FakeSagas,
    messages: MessageQueue,
    ends: str,
    answer: CallBehaviour,
    delivery: Callable[[SagaRun, MessageQueue], None],
) -> None:
    plain = three_links(fakes)
    fakes.answers("send", answer, answer)
    messages.deliver_all()
    disturbed = start(fakes.last_saga)

    delivery(disturbed, messages)

    disturbed.refresh_from_db()
    assert disturbed.status == ends
    assert journal(disturbed, "step", "direction", "number", "fence", "outcome") == journal(
        plain, "step", "direction", "number", "fence", "outcome"
    )
    assert events(disturbed) == events(plain)


def test_a_late_forward_message_does_not_advance_a_compensating_run(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = three_links(fakes)
    fakes.answers("send", Rejected("no"))
    messages.deliver(messages.take())
    messages.deliver(messages.take())
    before = stored_rows(run)

    next_actions = [messages.deliver(Message(run.pk, (link,))) for link in fakes.last_saga.links]

    assert next_actions == [Stop(), Stop(), Stop()]
    assert stored_rows(run) == before


def test_a_compensation_message_does_not_make_a_run_compensate(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = three_links(fakes)
    messages.deliver(messages.take())
    before = stored_rows(run)

    assert messages.deliver(Message(run.pk, (fakes.last_saga.compensation_link,))) == Stop()

    assert stored_rows(run) == before


def test_a_message_for_a_run_that_does_not_exist_does_nothing(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = three_links(fakes)
    unknown = Message(run.subject_id, fakes.last_saga.links)

    assert messages.deliver(unknown) == Stop()

    assert journal(run) == []


def test_each_link_lets_the_next_one_start(fakes: FakeSagas, messages: MessageQueue) -> None:
    run = three_links(fakes)

    next_actions = [messages.deliver(messages.take()) for _ in range(3)]

    run.refresh_from_db()
    assert next_actions == [Continue(), Continue(), Stop()]
    assert run.status == RunStatus.COMPLETED
    assert messages.waiting == []
