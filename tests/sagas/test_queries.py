"""The read side: a run's attempts and its plan."""

from collections.abc import Sequence

import pytest

from sagas.batch import Rejection
from sagas.models import SagaRun
from sagas.queries.attempts import attempts_for, last_attempts
from sagas.queries.runs import PlannedStep, RunDetail, runs_of
from sagas.services import request_compensation
from sagas.work import Proceed
from tests.support.clock import wake_run
from tests.support.fake_sagas import Busy, FakeSagas, Rejected, start
from tests.support.in_memory_broker import MessageQueue

pytestmark = pytest.mark.django_db(transaction=True)


def read(run: SagaRun) -> RunDetail:
    """Return the only run of the subject."""
    (found,) = runs_of(run.subject_id)
    return found


def stages(steps: Sequence[PlannedStep]) -> list[tuple[str, str]]:
    return [(step.name, step.stage.value) for step in steps]


def test_a_plan_says_how_far_the_run_is(fakes: FakeSagas, messages: MessageQueue) -> None:
    run = start(fakes.parcel())
    fakes.answers("send", Busy())

    messages.deliver_all()

    plan = read(run)
    assert stages(plan.steps) == [("pack", "done"), ("send", "current"), ("file", "to come")]
    assert stages(plan.compensations) == []
    send = plan.steps[1]
    assert (len(send.attempts), send.retry_count, send.retry_limit) == (1, 1, 3)
    assert (send.error, send.is_in_flight, send.has_failed) == ("Busy", False, False)
    assert send.not_before == plan.not_before


def test_a_plan_says_from_which_step_a_run_compensated(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.parcel())
    fakes.answers("send", Rejected("no"))

    messages.deliver_all()

    plan = read(run)
    assert stages(plan.steps) == [
        ("pack", "done"),
        ("send", "compensated from here"),
        ("file", "not reached"),
    ]
    assert stages(plan.compensations) == [("compensate send", "done"), ("compensate pack", "done")]


@pytest.mark.parametrize("is_cancelled", [False, True], ids=["completed", "compensated"])
def test_a_step_that_the_run_proceeded_past_is_done(
    fakes: FakeSagas, messages: MessageQueue, *, is_cancelled: bool
) -> None:
    score = fakes.remote("score", when_spent=Proceed({"score": 50}))
    saga = fakes.saga(fakes.local("pack"), score, fakes.local("file"), fakes.remote("send"))
    run = start(saga)
    fakes.answers("score", Busy(), Busy(), Busy())
    fakes.answers("send", Busy())
    messages.deliver_all()
    wake_run(run, messages)
    wake_run(run, messages)

    if is_cancelled:
        request_compensation(run.subject_id, Rejection("changed_mind"), "alice")
    messages.deliver_all()

    plan = read(run)
    last = "compensated from here" if is_cancelled else "current"
    assert stages(plan.steps) == [
        ("pack", "done"),
        ("score", "done"),
        ("file", "done"),
        ("send", last),
    ]
    assert plan.steps[1].proceeds_when_spent
    assert not plan.steps[3].proceeds_when_spent


def test_a_run_without_a_definition_has_attempts_and_no_plan(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.parcel())
    messages.deliver_all()
    fakes.unregister_all()

    found = read(run)

    assert not found.is_known
    assert (found.steps, found.compensations) == ([], [])
    assert [(attempt.name, attempt.work, attempt.system) for attempt in found.attempts] == [
        ("pack", None, ""),
        ("send", None, ""),
        ("file", None, ""),
    ]


def test_an_attempt_has_its_work_and_the_system_that_it_called(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    saga = fakes.parcel()
    run = start(saga)
    messages.deliver_all()

    found = attempts_for(run.subject_id)

    assert [
        (attempt.name, attempt.system, attempt.is_call, attempt.is_done) for attempt in found
    ] == [
        ("pack", "", False, True),
        ("send", "parcels", True, True),
        ("file", "", False, True),
    ]
    assert found[1].work is saga.steps[1].action
    assert read(run).attempts == found


def test_the_last_attempts_of_each_subject_are_read(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    saga = fakes.parcel()
    first, second = start(saga), start(saga)
    messages.deliver_all()

    found = last_attempts([first.subject_id, second.subject_id], 2)

    assert {subject: [attempt.name for attempt in made] for subject, made in found.items()} == {
        first.subject_id: ["send", "file"],
        second.subject_id: ["send", "file"],
    }
