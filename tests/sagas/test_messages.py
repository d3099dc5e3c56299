"""Messages say "look at this run": lost, doubled, late or reordered, they do no harm."""

from collections.abc import Callable

import pytest

from sagas.messages import Continue, Stop
from sagas.models import RunStatus, SagaRun
from tests.support.fake_sagas import Answer, Refused, Toys, events, everything, journal, start
from tests.support.in_memory_broker import Message, MessageQueue

pytestmark = pytest.mark.django_db(transaction=True)


def three_links(toys: Toys) -> SagaRun:
    saga = toys.saga(
        toys.local("pack", queue="checkout"),
        toys.remote("send", queue="settlement"),
        toys.local("file", queue="sweeps"),
    )
    return start(saga)


STORIES: dict[str, Answer] = {"completed": {}, "compensated": Refused("no")}


def delivered_twice(run: SagaRun, messages: MessageQueue) -> None:
    while messages.waiting:
        message = messages.take()
        messages.deliver(message)
        before = everything(run)
        assert messages.deliver(message) == Stop()
        assert everything(run) == before


def the_tail_first(run: SagaRun, messages: MessageQueue) -> None:
    (whole,) = messages.waiting
    before = everything(run)
    for start_at in (2, 1):
        tail = Message(run.pk, whole.links[start_at:])
        assert messages.deliver(tail) == Stop()
    assert everything(run) == before
    messages.deliver_all()


def the_head_again_at_every_turn(run: SagaRun, messages: MessageQueue) -> None:
    (whole,) = messages.waiting
    while messages.waiting:
        messages.deliver(messages.take())
        assert messages.deliver(whole) == Stop()


@pytest.mark.parametrize(
    "delivery",
    [delivered_twice, the_tail_first, the_head_again_at_every_turn],
)
@pytest.mark.parametrize(("ends", "answer"), STORIES.items(), ids=STORIES)
def test_a_run_ends_the_same_however_its_messages_come(
    toys: Toys,
    messages: MessageQueue,
    ends: str,
    answer: Answer,
    delivery: Callable[[SagaRun, MessageQueue], None],
) -> None:
    plain = three_links(toys)
    toys.answers("send", answer, answer)
    messages.deliver_all()
    disturbed = start(toys.last_saga)

    delivery(disturbed, messages)

    disturbed.refresh_from_db()
    assert disturbed.status == ends
    assert journal(disturbed, "step", "direction", "number", "fence", "outcome") == journal(
        plain, "step", "direction", "number", "fence", "outcome"
    )
    assert events(disturbed) == events(plain)


def test_a_late_message_of_the_way_forward_does_not_move_a_run_that_has_turned(
    toys: Toys, messages: MessageQueue
) -> None:
    run = three_links(toys)
    toys.answers("send", Refused("no"))
    messages.deliver(messages.take())
    messages.deliver(messages.take())
    before = everything(run)

    next_actions = [messages.deliver(Message(run.pk, (each,))) for each in toys.last_saga.links]

    assert next_actions == [Stop(), Stop(), Stop()]
    assert everything(run) == before


def test_a_message_of_the_way_back_does_not_turn_a_run(toys: Toys, messages: MessageQueue) -> None:
    run = three_links(toys)
    messages.deliver(messages.take())
    before = everything(run)

    assert messages.deliver(Message(run.pk, (toys.last_saga.compensation_link,))) == Stop()

    assert everything(run) == before


def test_a_message_for_a_run_that_does_not_exist_does_nothing(
    toys: Toys, messages: MessageQueue
) -> None:
    run = three_links(toys)
    nobody = Message(run.subject_id, toys.last_saga.links)

    assert messages.deliver(nobody) == Stop()

    assert journal(run) == []


def test_each_link_lets_the_next_go_on(toys: Toys, messages: MessageQueue) -> None:
    run = three_links(toys)

    next_actions = [messages.deliver(messages.take()) for _ in range(3)]

    run.refresh_from_db()
    assert next_actions == [Continue(), Continue(), Stop()]
    assert run.status == RunStatus.COMPLETED
    assert messages.waiting == []
