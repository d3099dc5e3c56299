"""Sagas as data: what cannot be undone or finished does not import, and how steps become links."""

from collections.abc import Callable

import pytest

from sagas import registry
from sagas.definition import (
    Attempt,
    Batch,
    Local,
    Output,
    Remote,
    RetryPolicy,
    Saga,
    Step,
    local_step,
    remote_step,
)
from sagas.errors import DefinitionError, UnknownSaga, UnknownStep
from tests.support.fake_sagas import FOR_EVER, THREE_TRIES, Refused, Toys

Steps = Callable[[Toys], list[Step]]


def undone_by(step: Step, **options: object) -> Step:
    """Give the step a remote compensation with these options."""

    def take_back(attempt: Attempt) -> Output:
        return {}

    step.remote_compensation(**options)(take_back)
    return step


IMPOSSIBLE: dict[str, tuple[Steps, str]] = {
    "no steps": (lambda _: [], "parcel: steps need names of their own, one at least"),
    "two steps of one name": (
        lambda toys: [toys.local("pack"), toys.local("pack")],
        "parcel: steps need names of their own, one at least",
    ),
    "an undo that may be refused": (
        lambda toys: [undone_by(toys.local("pack"), rejected_by=(Refused,))],
        "take_back: a compensation cannot be refused",
    ),
    "an undo that gives up": (
        lambda toys: [undone_by(toys.local("pack"), retry=RetryPolicy(attempts=100))],
        "take_back: a compensation must retry for ever",
    ),
    "a rejection of what cannot be undone": (
        lambda toys: [toys.remote("send", is_undoable=False, retry=FOR_EVER)],
        "send may be refused, but not all can be undone",
    ),
    "giving up on what cannot be undone": (
        lambda toys: [toys.remote("send", is_undoable=False, rejected_by=(), retry=THREE_TRIES)],
        "send cannot turn back: it must retry for ever",
    ),
    "a rejection behind what cannot be undone": (
        lambda toys: [toys.local("pack", is_undoable=False), toys.remote("send", retry=FOR_EVER)],
        "send may be refused, but not all can be undone",
    ),
    "giving up behind what cannot be undone": (
        lambda toys: [toys.local("pack", is_undoable=False), toys.remote("send", rejected_by=())],
        "send cannot turn back: it must retry for ever",
    ),
}

POSSIBLE: dict[str, Steps] = {
    "all can be undone": lambda toys: [toys.local("pack"), toys.remote("send")],
    "the last step cannot be undone": lambda toys: [
        toys.remote("send"),
        toys.local("file", is_undoable=False),
    ],
    "nothing can be undone, and nothing is refused or given up": lambda toys: [
        toys.local("pack", is_undoable=False),
        toys.remote("send", is_undoable=False, rejected_by=(), retry=FOR_EVER),
    ],
}


@pytest.mark.parametrize(("steps", "why"), IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_what_could_not_be_undone_or_finished_does_not_import(
    toys: Toys, steps: Steps, why: str
) -> None:
    with pytest.raises(DefinitionError) as refused:
        Saga("parcel", 1, tuple(steps(toys)), compensation_queue="compensation")

    assert str(refused.value) == why


@pytest.mark.parametrize("steps", POSSIBLE.values(), ids=POSSIBLE)
def test_what_can_be_undone_or_finished_imports(toys: Toys, steps: Steps) -> None:
    saga = Saga("parcel", 1, tuple(steps(toys)), compensation_queue="compensation")

    assert saga.steps


def test_a_run_can_turn_back_up_to_the_first_step_without_an_undo(toys: Toys) -> None:
    pack, send = toys.local("pack"), toys.remote("send")
    file = toys.local("file", is_undoable=False)
    thank = toys.local("thank")

    saga = Saga("parcel", 1, (pack, send, file, thank), compensation_queue="compensation")

    assert [saga.can_compensate_at(each) for each in saga.steps] == [True, True, False, False]


def test_a_step_is_named_like_its_function_and_undone_by_the_one_below_it() -> None:
    @local_step(queue="checkout")
    def pack(batch: Batch) -> None: ...

    @pack.compensation
    def unpack(batch: Batch) -> None: ...

    @remote_step(queue="settlement", retry=THREE_TRIES)
    def send(attempt: Attempt) -> Output:
        return {}

    @send.remote_compensation(transient=(OSError,))
    def recall(attempt: Attempt) -> Output:
        return {}

    assert (pack.name, pack.queue, pack.compensating_action, pack.compensation_name) == (
        "pack",
        "checkout",
        Local(unpack),
        "unpack",
    )
    assert isinstance(send.action, Remote)
    assert send.action.retry is THREE_TRIES
    assert (send.name, send.queue, send.compensation_name) == ("send", "settlement", "recall")
    assert send.compensating_action == Remote(recall, transient=(OSError,))


def test_a_step_without_a_compensation_has_none(toys: Toys) -> None:
    step = toys.local("pack", is_undoable=False)

    assert (step.compensating_action, step.compensation_name) == (None, "")


def four_steps_on_two_queues(toys: Toys) -> Saga:
    return toys.saga(
        toys.local("pack", queue="checkout"),
        toys.remote("send", queue="checkout"),
        toys.local("file", queue="settlement"),
        toys.local("thank", queue="checkout"),
        version=3,
    )


def test_steps_in_a_row_on_one_queue_are_one_link(toys: Toys) -> None:
    saga = four_steps_on_two_queues(toys)

    assert [(each.name, each.queue, each.steps) for each in saga.links] == [
        ("parcel.v3.pack-send", "checkout", saga.steps[:2]),
        ("parcel.v3.file", "settlement", saga.steps[2:3]),
        ("parcel.v3.thank", "checkout", saga.steps[3:]),
    ]
    assert not any(each.is_compensating for each in saga.links)


def test_the_way_back_is_one_link_in_reverse(toys: Toys) -> None:
    saga = four_steps_on_two_queues(toys)

    assert saga.compensation_link.name == "parcel.v3.compensate"
    assert saga.compensation_link.queue == "compensation"
    assert saga.compensation_link.steps == saga.steps[::-1]
    assert saga.compensation_link.is_compensating


@pytest.mark.parametrize(
    ("stands_at", "remaining"),
    [("pack", 3), ("send", 3), ("file", 2), ("thank", 1)],
)
def test_what_remains_begins_with_the_link_of_the_step(
    toys: Toys, stands_at: str, remaining: int
) -> None:
    saga = four_steps_on_two_queues(toys)

    assert saga.links_from(stands_at) == saga.links[-remaining:]


def test_a_link_does_the_action_forward_and_the_undo_on_the_way_back(toys: Toys) -> None:
    saga = toys.saga(toys.local("pack"))
    (pack,) = saga.steps

    assert saga.links[0].work(pack) is pack.action
    assert saga.compensation_link.work(pack) is pack.compensating_action


def test_steps_are_found_by_name_and_by_what_comes_before_them(toys: Toys) -> None:
    saga = toys.parcel()
    pack, send, file = saga.steps

    assert [saga.step(each) for each in ("pack", "send", "file")] == [pack, send, file]
    assert [saga.after(each) for each in saga.steps] == [send, file, None]
    with pytest.raises(UnknownStep):
        saga.step("burn")


def test_a_name_and_version_belong_to_one_definition(toys: Toys) -> None:
    saga = toys.parcel()

    assert registry.register(saga) is saga
    with pytest.raises(DefinitionError, match="parcel version 1 is registered twice"):
        toys.parcel()

    assert registry.get("parcel", 1) is saga


def test_versions_of_one_saga_are_known_side_by_side(toys: Toys) -> None:
    first = toys.saga(toys.local("pack"), version=1)
    second = toys.saga(toys.local("pack"), version=2)

    assert registry.get("parcel", 1) is first
    assert registry.get("parcel", 2) is second
    with pytest.raises(UnknownSaga, match="saga parcel version 3 is not registered"):
        registry.get("parcel", 3)
