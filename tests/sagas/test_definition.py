"""Sagas as data: what a definition must have, and how steps become links."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Final, Unpack

import pytest

from sagas import registry
from sagas.batch import Batch, Output
from sagas.definition import Saga, Step, local_step, remote_step
from sagas.descriptions import FailureText, RejectionText, StepText
from sagas.errors import DefinitionError, UnknownSaga, UnknownStep
from sagas.retry_policy import RetryPolicy
from sagas.work import (
    Attempt,
    Compensate,
    Escalate,
    Local,
    PendingCall,
    Proceed,
    Rejections,
    Remote,
    RemoteOptions,
)
from tests.support.fake_sagas import (
    DAY,
    PARCEL_WAIT,
    REJECTIONS,
    THREE_TRIES,
    UNLIMITED_TRIES,
    Accepted,
    FakeSagas,
    Rejected,
)

Steps = Callable[[FakeSagas], list[Step]]

CALLED = StepText("sending", "Sending", request_text="Send {amount} now.")


def compensated_by(step: Step, **options: Unpack[RemoteOptions]) -> Step:
    """Give the step a remote compensation with these options."""

    def take_back(attempt: Attempt) -> Output:
        return {}

    step.remote_compensation(system="parcels", describe=CALLED, **options)(take_back)
    return step


PACKING = StepText("packing", "Packing")


def local(describe: StepText = PACKING, rejections: Rejections | None = None) -> Step:
    """Make a local step with this description."""

    @local_step(queue="checkout", describe=describe, rejections=rejections)
    def pack(batch: Batch) -> None: ...

    pack.compensation(describe=StepText("unpacking", "Unpacking"))(lambda _: None)
    return pack


def remote(
    describe: StepText = CALLED, system: str = "parcels", **options: Unpack[RemoteOptions]
) -> Step:
    """Make a remote step with this description."""

    @remote_step(queue="checkout", system=system, describe=describe, **options)
    def send(attempt: Attempt) -> Output:
        return {}

    return compensated_by(send)


class Declined(Exception):
    code = "declined"


class AlsoDeclined(Declined):
    """Has the code of its base."""


DECLINE_TEXT = FailureText("It was declined.", "Ask the carrier.", "It is repeated.")

IMPOSSIBLE: dict[str, tuple[Steps, str]] = {
    "no steps": (lambda _: [], "parcel: needs at least one step"),
    "two steps of one name": (
        lambda fakes: [fakes.local("pack"), fakes.local("pack")],
        "parcel: two steps are named pack",
    ),
    "a compensation that may be rejected": (
        lambda fakes: [
            compensated_by(fakes.local("pack"), rejected_by=(Rejected,), rejections=REJECTIONS)
        ],
        "take_back: a compensation cannot be rejected",
    ),
    "a compensation that gives up": (
        lambda fakes: [compensated_by(fakes.local("pack"), retry=RetryPolicy(max_attempts=100))],
        "take_back: a compensation must retry without limit",
    ),
    "a rejection of what cannot be compensated": (
        lambda fakes: [fakes.remote("send", is_compensable=False, retry=UNLIMITED_TRIES)],
        "send may reject, but it or an earlier step has no compensation",
    ),
    "giving up on what cannot be compensated": (
        lambda fakes: [
            fakes.remote("send", is_compensable=False, rejected_by=(), retry=THREE_TRIES)
        ],
        "send cannot compensate: retry without limit, or proceed",
    ),
    "a rejection behind what cannot be compensated": (
        lambda fakes: [
            fakes.local("pack", is_compensable=False),
            fakes.remote("send", retry=UNLIMITED_TRIES),
        ],
        "send may reject, but it or an earlier step has no compensation",
    ),
    "a local rejection behind what cannot be compensated": (
        lambda fakes: [fakes.local("pack", is_compensable=False), fakes.local("file")],
        "file may reject, but it or an earlier step has no compensation",
    ),
    "giving up behind what cannot be compensated": (
        lambda fakes: [
            fakes.local("pack", is_compensable=False),
            fakes.remote("send", rejected_by=()),
        ],
        "send cannot compensate: retry without limit, or proceed",
    ),
}

SAY_TOO_LITTLE: dict[str, tuple[Step, str]] = {
    "no name for staff": (local(StepText(" ", "Packing")), "pack needs a name for staff"),
    "no name for customers": (local(StepText("packing", "")), "pack needs a name for customers"),
    "a field in a name": (
        local(StepText("packing", "Packing {detail}")),
        "pack has a name with a field in it",
    ),
    "a call without a system": (
        remote(system=""),
        "send needs the name of the system that it calls",
    ),
    "a call that does not say what it asks": (
        remote(StepText("sending", "Sending")),
        "send needs a sentence on what it asks of its system",
    ),
    "a question that cannot be formatted": (
        remote(StepText("sending", "Sending", "Send {amount now.")),
        "send cannot be formatted: Send {amount now.",
    ),
    "a local step that asks": (
        local(StepText("packing", "Packing", "Pack it.")),
        "pack calls no system and so asks for nothing",
    ),
    "a code without a sentence": (
        local(rejections={"too_large": RejectionText("")}),
        "pack needs a sentence for too_large",
    ),
    "a detail without a sentence": (
        local(rejections={"too_large": RejectionText("Too large.", by_detail={"box": " "})}),
        "pack needs a sentence for too_large",
    ),
    "a sentence with a field that no rejection has": (
        local(rejections={"too_large": RejectionText("Larger than {size}.")}),
        "pack has a sentence for too_large that cannot be formatted: Larger than {size}.",
    ),
    "a sentence that cannot be formatted": (
        local(rejections={"too_large": RejectionText("Larger than {detail.")}),
        "pack has a sentence for too_large that cannot be formatted: Larger than {detail.",
    ),
    "a code that is too long": (
        local(rejections={"x" * 65: RejectionText("No.")}),
        f"pack: '{'x' * 65}' is not a code of 1 to 64 characters",
    ),
    "rejections without an exception": (
        remote(rejections={"declined": RejectionText("No.")}),
        "send needs rejected_by and rejections, or neither",
    ),
    "an exception without rejections": (
        remote(rejected_by=(Declined,)),
        "send needs rejected_by and rejections, or neither",
    ),
    "an exception whose code is not declared": (
        remote(rejected_by=(AlsoDeclined,), rejections={"other": RejectionText("No.")}),
        "send does not declare declined, the code of AlsoDeclined",
    ),
    "no sentence for spent retries": (
        remote(retry=THREE_TRIES, when_spent=Compensate(RejectionText(""))),
        "send needs a sentence for send_unanswered",
    ),
    "a limit of retries, and nothing said of what follows": (
        remote(retry=THREE_TRIES),
        "send needs a limit of retries and when_spent, or neither",
    ),
    "a failure without a sentence for what to do": (
        remote(failures={Declined: FailureText("It was declined.", "", "It is repeated.")}),
        "send needs whole sentences about the failure declined",
    ),
    "two failures of one code": (
        remote(failures={Declined: DECLINE_TEXT, AlsoDeclined: DECLINE_TEXT}),
        "send: two failures have the same code",
    ),
    "proceeding where nothing is ever spent": (
        remote(when_spent=Proceed({})),
        "send needs a limit of retries and when_spent, or neither",
    ),
    "proceeding with what the journal cannot hold": (
        remote(retry=THREE_TRIES, when_spent=Proceed({"at": object()})),
        "send cannot proceed: its output is not JSON",
    ),
}

POSSIBLE: dict[str, Steps] = {
    "all can be compensated": lambda fakes: [fakes.local("pack"), fakes.remote("send")],
    "the last step cannot be compensated": lambda fakes: [
        fakes.remote("send"),
        fakes.local("file", is_compensable=False),
    ],
    "nothing can be compensated, and nothing is rejected or given up": lambda fakes: [
        fakes.local("pack", is_compensable=False),
        fakes.remote("send", is_compensable=False, rejected_by=(), retry=UNLIMITED_TRIES),
    ],
    "nothing can be compensated, and the run proceeds without an answer": lambda fakes: [
        fakes.remote("send", is_compensable=False, rejected_by=(), when_spent=Proceed({"sent": 0})),
    ],
}


@pytest.mark.parametrize(("steps", "why"), IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_a_saga_that_could_not_compensate_or_finish_is_refused_at_import(
    fakes: FakeSagas, steps: Steps, why: str
) -> None:
    with pytest.raises(DefinitionError) as raised:
        Saga("parcel", 1, tuple(steps(fakes)), compensation_queue="compensation")

    assert str(raised.value) == why


@pytest.mark.parametrize(("step", "why"), SAY_TOO_LITTLE.values(), ids=SAY_TOO_LITTLE)
def test_a_step_without_a_complete_description_is_refused_at_import(step: Step, why: str) -> None:
    with pytest.raises(DefinitionError) as error:
        Saga("parcel", 1, (step,), compensation_queue="compensation")

    assert str(error.value) == why


def test_a_compensation_needs_a_description_too() -> None:
    step = local()
    step.compensation(describe=StepText("", "Unpacking"))(lambda _: None)

    with pytest.raises(DefinitionError, match="needs a name for staff"):
        Saga("parcel", 1, (step,), compensation_queue="compensation")


class AlsoAccepted(Accepted):
    code = "Accepted"


PENDING: Final = PendingCall(Accepted, PARCEL_WAIT, DAY, Escalate(DAY))


@pytest.mark.parametrize(
    ("pending", "why"),
    [
        ((replace(PENDING, overdue=Proceed({})),), "it can only escalate"),
        ((replace(PENDING, deadline=timedelta()),), "needs a deadline"),
        ((replace(PENDING, overdue=Escalate(timedelta())),), "needs a longer deadline"),
        ((PENDING, replace(PENDING, error=AlsoAccepted)), "two pending errors have the same code"),
    ],
)
def test_a_compensation_whose_wait_could_not_end_is_refused_at_import(
    fakes: FakeSagas, pending: tuple[PendingCall, ...], why: str
) -> None:
    step = fakes.remote("send")
    assert isinstance(step.compensating_action, Remote)
    step.compensating_action = replace(step.compensating_action, pending=pending)

    with pytest.raises(DefinitionError, match=why):
        fakes.saga(step)


def test_two_steps_need_the_same_texts_for_one_code(fakes: FakeSagas) -> None:
    def steps(sentence: str) -> tuple[Step, ...]:
        weigh = remote(rejected_by=(Declined,), rejections={"declined": RejectionText(sentence)})
        return local(rejections={"declined": RejectionText("No.")}), weigh

    assert Saga("parcel", 1, steps("No."), compensation_queue="compensation").steps
    with pytest.raises(DefinitionError, match="send: an earlier step has other texts for declined"):
        Saga("parcel", 1, steps("Yes."), compensation_queue="compensation")


@pytest.mark.parametrize("steps", POSSIBLE.values(), ids=POSSIBLE)
def test_a_saga_that_can_compensate_or_finish_is_accepted(fakes: FakeSagas, steps: Steps) -> None:
    saga = Saga("parcel", 1, tuple(steps(fakes)), compensation_queue="compensation")

    assert saga.steps


def test_a_run_can_compensate_up_to_the_first_step_without_a_compensation(fakes: FakeSagas) -> None:
    pack, send = fakes.local("pack"), fakes.remote("send")
    file = fakes.local("file", is_compensable=False)
    thank = fakes.local("thank", may_reject=False)

    saga = Saga("parcel", 1, (pack, send, file, thank), compensation_queue="compensation")

    assert [saga.can_compensate_at(step) for step in saga.steps] == [True, True, False, False]


def test_a_step_is_named_like_its_function_and_compensated_by_the_one_below_it() -> None:
    unpacking = StepText("unpacking", "Unpacking")

    @local_step(queue="checkout", describe=PACKING)
    def pack(batch: Batch) -> None: ...

    @pack.compensation(describe=unpacking)
    def unpack(batch: Batch) -> None: ...

    @remote_step(queue="settlement", system="parcels", describe=CALLED, retry=THREE_TRIES)
    def send(attempt: Attempt) -> Output:
        return {}

    @send.remote_compensation(system="parcels", describe=CALLED, transient=(OSError,))
    def recall(attempt: Attempt) -> Output:
        return {}

    assert (pack.name, pack.queue, pack.compensating_action, pack.compensation_name) == (
        "pack",
        "checkout",
        Local(unpack, unpacking),
        "unpack",
    )
    assert pack.action.describe is PACKING
    assert isinstance(send.action, Remote)
    assert (send.action.retry, send.action.system) == (THREE_TRIES, "parcels")
    assert (send.name, send.queue, send.compensation_name) == ("send", "settlement", "recall")
    assert send.compensating_action == Remote(recall, CALLED, "parcels", transient=(OSError,))


def test_a_step_without_a_compensation_has_none(fakes: FakeSagas) -> None:
    step = fakes.local("pack", is_compensable=False)

    assert (step.compensating_action, step.compensation_name) == (None, "")


def four_steps_on_two_queues(fakes: FakeSagas) -> Saga:
    return fakes.saga(
        fakes.local("pack", queue="checkout"),
        fakes.remote("send", queue="checkout"),
        fakes.local("file", queue="settlement"),
        fakes.local("thank", queue="checkout"),
        version=3,
    )


def test_steps_in_a_row_on_one_queue_are_one_link(fakes: FakeSagas) -> None:
    saga = four_steps_on_two_queues(fakes)

    assert [(link.name, link.queue, link.steps) for link in saga.links] == [
        ("parcel.v3.pack-send", "checkout", saga.steps[:2]),
        ("parcel.v3.file", "settlement", saga.steps[2:3]),
        ("parcel.v3.thank", "checkout", saga.steps[3:]),
    ]
    assert not any(link.is_compensating for link in saga.links)


def test_compensations_are_one_link_in_reverse(fakes: FakeSagas) -> None:
    saga = four_steps_on_two_queues(fakes)

    assert saga.compensation_link.name == "parcel.v3.compensate"
    assert saga.compensation_link.queue == "compensation"
    assert saga.compensation_link.steps == saga.steps[::-1]
    assert saga.compensation_link.is_compensating


@pytest.mark.parametrize(
    ("stands_at", "remaining"),
    [("pack", 3), ("send", 3), ("file", 2), ("thank", 1)],
)
def test_the_remaining_links_begin_with_the_link_of_the_step(
    fakes: FakeSagas, stands_at: str, remaining: int
) -> None:
    saga = four_steps_on_two_queues(fakes)

    assert saga.links_from(stands_at) == saga.links[-remaining:]


def test_a_link_does_the_action_forward_and_the_compensation_backward(fakes: FakeSagas) -> None:
    saga = fakes.saga(fakes.local("pack"))
    (pack,) = saga.steps

    assert saga.links[0].work(pack) is pack.action
    assert saga.compensation_link.work(pack) is pack.compensating_action


def test_steps_are_found_by_name_and_by_what_comes_before_them(fakes: FakeSagas) -> None:
    saga = fakes.parcel()
    pack, send, file = saga.steps

    assert [saga.step(step) for step in ("pack", "send", "file")] == [pack, send, file]
    assert [saga.after(step) for step in saga.steps] == [send, file, None]
    with pytest.raises(UnknownStep):
        saga.step("burn")


def test_a_name_and_version_belong_to_one_definition(fakes: FakeSagas) -> None:
    saga = fakes.parcel()

    assert registry.register(saga) is saga
    with pytest.raises(DefinitionError, match="parcel version 1 is registered twice"):
        fakes.parcel()

    assert registry.get("parcel", 1) is saga


def test_versions_of_one_saga_are_known_side_by_side(fakes: FakeSagas) -> None:
    first = fakes.saga(fakes.local("pack"), version=1)
    second = fakes.saga(fakes.local("pack"), version=2)

    assert registry.get("parcel", 1) is first
    assert registry.get("parcel", 2) is second
    with pytest.raises(UnknownSaga, match="saga parcel version 3 is not registered"):
        registry.get("parcel", 3)
