"""The meaning of a run's attempts: which compensations are pending."""

from datetime import UTC, datetime

import pytest

from sagas.decision import pending_compensations
from sagas.journal import pending_compensations as stored_compensations
from sagas.models import Direction, Outcome, StepAttempt
from sagas.queries.runs import history_of
from sagas.run_state import StepProgress
from tests.support.fake_sagas import FakeSagas, start


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

    found = pending_compensations(saga, history_of(rows))

    assert [compensation.step for compensation in found] == pending


def test_a_pending_compensation_has_its_last_attempt(fakes: FakeSagas) -> None:
    saga = fakes.saga(fakes.remote("send"))
    done = row("send", FORWARD, Outcome.DONE)
    first, second = row("send", BACK, Outcome.LOST), row("send", BACK, Outcome.TRANSIENT)
    first.number, second.number = 1, 2
    first.started_at = second.started_at = datetime(2030, 1, 1, tzinfo=UTC)

    assert pending_compensations(saga, history_of([done])) == (StepProgress("send"),)
    assert pending_compensations(saga, history_of([done, first, second])) == (
        StepProgress("send", number=2, first_at=first.started_at),
    )


@pytest.mark.django_db(transaction=True)
def test_the_statement_finds_what_the_rows_say(fakes: FakeSagas) -> None:
    saga = fakes.saga(fakes.local("pack"), fakes.remote("send"), fakes.remote("book"))
    run = start(saga)
    written = [
        row("pack", FORWARD, Outcome.FAILED),
        row("pack", FORWARD, Outcome.DONE),
        row("send", FORWARD, Outcome.PENDING),
        row("send", FORWARD, Outcome.LOST),
        row("send", BACK, Outcome.TRANSIENT),
        row("send", BACK, Outcome.PENDING),
    ]
    for fence, attempt in enumerate(written, start=1):
        attempt.run, attempt.fence, attempt.tries, attempt.error = run, fence, fence, f"E{fence}"
        attempt.save()

    rows = list(run.attempts.order_by("pk"))

    found = stored_compensations(saga, [run.pk])[run.pk]
    assert found == pending_compensations(saga, history_of(rows))
    assert [(left.step, left.tries, left.waits_for) for left in found] == [
        ("send", 6, "E6"),
        ("pack", 0, ""),
    ]
    assert found[0].first_at == rows[4].started_at
