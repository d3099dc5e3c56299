"""Spent retries: the run compensates, or proceeds with the declared output."""

import pytest

from sagas.batch import Rejection
from sagas.definition import Saga
from sagas.models import RunStatus
from sagas.services import request_compensation
from sagas.work import Proceed
from tests.support.clock import wake_run
from tests.support.fake_sagas import (
    Bug,
    Busy,
    CallBehaviour,
    FakeSagas,
    Rejected,
    Silence,
    WorkerLost,
    event,
    events,
    journal,
    lose_worker,
    start,
)
from tests.support.in_memory_broker import MessageQueue

pytestmark = pytest.mark.django_db(transaction=True)

FALLBACK = {"score": 50}


@pytest.fixture
def saga(fakes: FakeSagas) -> Saga:
    """Return a saga of pack, score and file, which proceeds without a score."""
    score = fakes.remote("score", when_spent=Proceed(FALLBACK))
    return fakes.saga(fakes.local("pack"), score, fakes.local("file"))


@pytest.mark.parametrize(
    ("answer", "ended"),
    [(Busy(), ("transient", "Busy")), (Silence(), ("unknown", "Silence"))],
    ids=["busy", "silent"],
)
def test_a_run_goes_on_with_the_declared_output(
    fakes: FakeSagas,
    saga: Saga,
    messages: MessageQueue,
    answer: CallBehaviour,
    ended: tuple[str, str],
) -> None:
    outcome, error = ended
    run = start(saga)
    fakes.answers("score", answer, answer, answer)

    messages.deliver_all()
    wake_run(run, messages)
    assert journal(run)[1:] == [("score", "forward", n, outcome) for n in (1, 2)]
    wake_run(run, messages)

    run.refresh_from_db()
    assert (run.status, run.reason, run.needs_attention) == (RunStatus.COMPLETED, "", False)
    assert journal(run, "step", "number", "outcome", "error", "output")[3:] == [
        ("score", 3, "proceeded", error, FALLBACK),
        ("file", 1, "done", "", {}),
    ]
    assert fakes.calls == [("score", 1), ("score", 2), ("score", 3)]
    assert event(run, "record score")["answer"] == FALLBACK
    assert "compensating" not in events(run)


def test_an_answer_within_the_limit_counts(
    fakes: FakeSagas, saga: Saga, messages: MessageQueue
) -> None:
    run = start(saga)
    fakes.answers("score", Silence(), Silence(), {"score": 7})

    messages.deliver_all()
    wake_run(run, messages)
    wake_run(run, messages)

    assert journal(run, "step", "outcome", "output")[3] == ("score", "done", {"score": 7})
    assert event(run, "record score")["answer"] == {"score": 7}


def test_a_rejection_still_compensates(
    fakes: FakeSagas, saga: Saga, messages: MessageQueue
) -> None:
    run = start(saga)
    fakes.answers("score", Silence(), Silence(), Rejected("no"))

    messages.deliver_all()
    wake_run(run, messages)
    wake_run(run, messages)

    run.refresh_from_db()
    assert (run.status, run.reason) == (RunStatus.COMPENSATED, "no")
    assert FALLBACK not in [output for (output,) in journal(run, "output")]


def test_a_failure_does_not_make_a_run_proceed(
    fakes: FakeSagas, saga: Saga, messages: MessageQueue
) -> None:
    run = start(saga)
    fakes.answers("score", Silence(), Silence(), Bug(), Bug())

    messages.deliver_all()
    for _ in range(3):
        wake_run(run, messages)

    run.refresh_from_db()
    assert (run.status, run.step) == (RunStatus.RUNNING, "score")
    assert [outcome for _, _, _, outcome in journal(run)[1:]] == [
        *["unknown"] * 2,
        *["failed"] * 2,
    ]


def test_workers_that_are_lost_spend_the_retries_too(
    fakes: FakeSagas, saga: Saga, messages: MessageQueue
) -> None:
    run = start(saga)
    fakes.answers("score", lose_worker, lose_worker, lose_worker)
    with pytest.raises(WorkerLost):
        messages.deliver_all()
    with pytest.raises(WorkerLost):
        wake_run(run, messages)  # the first loss is retried at once
    wake_run(run, messages)  # the second one waits for its back-off
    with pytest.raises(WorkerLost):
        wake_run(run, messages)
    wake_run(run, messages)
    wake_run(run, messages)

    run.refresh_from_db()
    assert run.status == RunStatus.COMPLETED
    assert journal(run, "step", "number", "outcome", "error", "output")[1:] == [
        *[("score", number, "lost", "", {}) for number in (1, 2, 3)],
        ("score", 4, "proceeded", "lost", FALLBACK),
        ("file", 1, "done", "", {}),
    ]
    assert len(fakes.calls) == 3
    assert event(run, "record score")["answer"] == FALLBACK


def test_a_step_that_the_run_proceeded_past_is_compensated(
    fakes: FakeSagas, saga: Saga, messages: MessageQueue
) -> None:
    run = start(saga)
    fakes.answers("score", *[Silence()] * 3)
    fakes.rejects("file", run.subject_id)

    messages.deliver_all()
    wake_run(run, messages)
    wake_run(run, messages)

    run.refresh_from_db()
    assert (run.status, run.reason) == (RunStatus.COMPENSATED, "file_rejected")
    assert ("score", "compensating", 1, "done") in journal(run)
    assert ("compensate score", 1) in fakes.calls


def test_a_requested_compensation_comes_before_proceeding(
    fakes: FakeSagas, saga: Saga, messages: MessageQueue
) -> None:
    run = start(saga)

    def requested_meanwhile(_: object) -> dict[str, object]:
        request_compensation(run.subject_id, Rejection("changed_mind"), "alice")
        raise Silence

    fakes.answers("score", Silence(), Silence(), requested_meanwhile)
    messages.deliver_all()
    wake_run(run, messages)
    wake_run(run, messages)

    run.refresh_from_db()
    assert (run.status, run.reason) == (RunStatus.COMPENSATED, "changed_mind")
    assert "file" not in events(run)


@pytest.mark.parametrize("code", ["no_such_code", ""])
def test_a_call_that_rejects_with_an_undeclared_code_has_failed(
    fakes: FakeSagas, messages: MessageQueue, code: str
) -> None:
    run = start(fakes.parcel())
    fakes.answers("send", Rejected(code, "Elm Street"))

    messages.deliver_all()

    run.refresh_from_db()
    assert (run.status, run.step, run.reason) == (RunStatus.RUNNING, "send", "")
    assert journal(run, "step", "outcome", "error", "detail")[1:] == [
        ("send", "failed", "DefinitionError", f"send does not declare {code}: Elm Street")
    ]
    wake_run(run, messages)
    run.refresh_from_db()
    assert run.status == RunStatus.COMPLETED


def test_a_local_step_that_rejects_with_an_undeclared_code_fails_and_writes_nothing(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.saga(fakes.local("pack", may_reject=False)))
    fakes.rejects("pack", run.subject_id)

    messages.deliver_all()

    run.refresh_from_db()
    assert (run.status, run.step, run.reason) == (RunStatus.RUNNING, "pack", "")
    assert journal(run, "step", "outcome", "error", "detail") == [
        ("pack", "failed", "DefinitionError", "pack does not declare pack_rejected")
    ]
    assert events(run) == []
