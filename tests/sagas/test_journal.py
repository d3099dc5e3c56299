"""The meaning of a run's attempts: which compensations are pending."""

import pytest

from sagas.journal import pending_compensations
from sagas.models import Direction, Outcome, StepAttempt
from tests.support.fake_sagas import FakeSagas


def row(step: str, direction: Direction, outcome: Outcome) -> StepAttempt:
    return StepAttempt(step=step, direction=direction, outcome=outcome, number=1)


FORWARD, BACK = Direction.FORWARD, Direction.COMPENSATING


@pytest.mark.parametrize(
    ("rows", "pending"),
    [
        ([], []),
        *[([row("pack", FORWARD, outcome)], []) for outcome in Outcome if outcome != Outcome.DONE],
        ([row("pack", FORWARD, Outcome.DONE)], ["pack"]),
        ([row("pack", FORWARD, Outcome.FAILED), row("pack", FORWARD, Outcome.DONE)], ["pack"]),
        *[([row("send", FORWARD, outcome)], ["send"]) for outcome in Outcome],
        *[
            ([row("send", FORWARD, Outcome.DONE), row("send", BACK, outcome)], ["send"])
            for outcome in Outcome
            if outcome != Outcome.DONE
        ],
        ([row("send", FORWARD, Outcome.DONE), row("send", BACK, Outcome.DONE)], []),
        (
            [row("pack", FORWARD, Outcome.DONE), row("send", FORWARD, Outcome.LOST)],
            ["send", "pack"],
        ),
        ([row("burn", FORWARD, Outcome.DONE)], []),
    ],
)
def test_steps_that_may_have_an_effect_are_pending(
    fakes: FakeSagas, rows: list[StepAttempt], pending: list[str]
) -> None:
    saga = fakes.saga(
        fakes.local("pack"), fakes.remote("send"), fakes.local("burn", is_compensable=False)
    )

    assert [step.name for step in pending_compensations(saga, rows)] == pending


def test_a_pending_compensation_has_its_latest_attempt(fakes: FakeSagas) -> None:
    saga = fakes.saga(fakes.remote("send"))
    done = row("send", FORWARD, Outcome.DONE)
    first, second = row("send", BACK, Outcome.LOST), row("send", BACK, Outcome.TRANSIENT)

    assert pending_compensations(saga, [done]) == {saga.steps[0]: None}
    assert pending_compensations(saga, [done, first, second])[saga.steps[0]] is second
