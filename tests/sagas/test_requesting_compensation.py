"""Requests to compensate, at every moment of a run."""

import pytest

from sagas.batch import Output, Rejection
from sagas.messages import Stop
from sagas.models import MESSAGE_GRACE, Outcome, RunStatus, SagaRun
from sagas.services import CompensationRequest, request_compensation
from sagas.work import Attempt
from tests.support.clock import let_time_pass, wake_run
from tests.support.fake_sagas import (
    UNLIMITED_TRIES,
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
    start,
    stored_rows,
)
from tests.support.in_memory_broker import MessageQueue

pytestmark = pytest.mark.django_db(transaction=True)

NO_LONGER_WANTED = Rejection("no_longer_wanted", "changed my mind")


def request(run: SagaRun) -> CompensationRequest:
    return request_compensation(run.subject_id, NO_LONGER_WANTED, "alice")


class RequestedDuringTheCall:
    """Return an answer to a call during which compensation is requested."""

    def __init__(self, run: SagaRun, answer: Output | Exception) -> None:
        self.run = run
        self.answer = answer
        self.result: CompensationRequest | None = None

    def __call__(self, attempt: Attempt) -> Output:
        self.result = request(self.run)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_a_run_compensates_before_its_first_step(fakes: FakeSagas, messages: MessageQueue) -> None:
    run = start(fakes.parcel())

    result = request(run)
    messages.deliver_all()

    run.refresh_from_db()
    assert result is CompensationRequest.REQUESTED
    assert run.status == RunStatus.COMPENSATED
    assert (run.reason, run.reason_detail, run.actor) == (
        "no_longer_wanted",
        "changed my mind",
        "alice",
    )
    assert events(run) == ["compensating", "compensated"]
    assert journal(run) == []
    assert fakes.calls == []


def test_a_request_is_saved_and_the_run_queued(fakes: FakeSagas, messages: MessageQueue) -> None:
    saga = fakes.saga(fakes.local("pack"), fakes.local("file", queue="settlement"))
    run = start(saga)
    messages.deliver(messages.take())
    messages.drop_all()

    request(run)

    run.refresh_from_db()
    assert (run.status, run.step, run.reason) == (RunStatus.RUNNING, "file", "no_longer_wanted")
    assert run.compensation_requested_at is not None
    assert run.wake_at == run.compensation_requested_at + MESSAGE_GRACE
    assert [message.links for message in messages.waiting] == [saga.links[1:]]
    assert events(run) == ["pack"]


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [({}, "done"), (Busy(), "transient"), (Silence(), "unknown"), (Bug(), "failed")],
    ids=["done", "busy", "silent", "a bug"],
)
def test_a_request_during_a_call_takes_effect_when_the_call_is_over(
    fakes: FakeSagas, messages: MessageQueue, answer: Output | Exception, outcome: str
) -> None:
    run = start(fakes.parcel())
    answer_to_send = RequestedDuringTheCall(run, answer)
    fakes.answers("send", answer_to_send)

    messages.deliver_all()

    run.refresh_from_db()
    assert answer_to_send.result is CompensationRequest.REQUESTED
    assert (run.status, run.reason, run.actor) == (
        RunStatus.COMPENSATED,
        "no_longer_wanted",
        "alice",
    )
    assert journal(run) == [
        ("pack", "forward", 1, "done"),
        ("send", "forward", 1, outcome),
        ("send", "compensating", 1, "done"),
        ("pack", "compensating", 1, "done"),
    ]
    assert fakes.calls == [("send", 1), ("compensate send", 1)]
    assert ("record send" in events(run)) is (outcome == "done")
    assert "file" not in events(run)


def test_a_rejection_after_a_request_keeps_the_request_as_the_reason(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.parcel())
    fakes.answers("send", RequestedDuringTheCall(run, Rejected("no_such_street")))

    messages.deliver(messages.take())
    sent = [message.links for message in messages.waiting]
    messages.deliver_all()

    run.refresh_from_db()
    assert sent == [fakes.last_saga.links, (fakes.last_saga.compensation_link,)]
    assert (run.status, run.reason, run.actor) == (
        RunStatus.COMPENSATED,
        NO_LONGER_WANTED.code,
        "alice",
    )
    rejected = run.attempts.get(outcome=Outcome.REJECTED)
    assert (rejected.step, rejected.error) == ("send", "no_such_street")
    assert events(run).count("compensating") == 1


def test_a_request_during_a_call_is_left_to_the_worker_with_the_lease(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.parcel())

    def request_and_deliver(attempt: Attempt) -> Output:
        request(run)
        leased = SagaRun.objects.get()
        assert leased.leased_until is not None
        assert leased.wake_at is not None
        assert leased.wake_at > leased.leased_until
        before = stored_rows(run)
        assert messages.deliver(messages.take()) == Stop()
        assert stored_rows(run) == before
        return {}

    fakes.answers("send", request_and_deliver)
    messages.deliver_all()

    run.refresh_from_db()
    assert run.status == RunStatus.COMPENSATED


def test_a_request_during_the_last_call_compensates_instead_of_completing(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.saga(fakes.local("pack"), fakes.remote("send")))
    answer_to_send = RequestedDuringTheCall(run, {"number": "RR 123"})
    fakes.answers("send", answer_to_send)

    messages.deliver_all()

    run.refresh_from_db()
    assert answer_to_send.result is CompensationRequest.REQUESTED
    assert run.status == RunStatus.COMPENSATED
    assert event(run, "record send")["answer"] == {"number": "RR 123"}
    assert fakes.calls == [("send", 1), ("compensate send", 1)]


def test_a_request_is_kept_when_the_transaction_that_acts_on_it_fails(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.saga(fakes.local("pack"), fakes.remote("send")))
    fakes.answers("send", RequestedDuringTheCall(run, {"number": "RR 123"}))
    fakes.raises("compensating", Bug("no ink"))

    with pytest.raises(Bug, match="no ink"):
        messages.deliver_all()
    run.refresh_from_db()

    assert (run.status, run.leased_until) == (RunStatus.RUNNING, None)
    assert run.attempts.get(step="send").outcome == "done"
    assert events(run) == ["pack", "prepare send", "record send"]

    wake_run(run, messages)

    assert (run.status, run.reason) == (RunStatus.COMPENSATED, "no_longer_wanted")
    assert fakes.calls == [("send", 1), ("compensate send", 1)]


def test_a_request_during_the_last_call_that_can_be_compensated_stops_the_run(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(
        fakes.saga(
            fakes.local("pack"), fakes.remote("send"), fakes.local("file", is_compensable=False)
        )
    )
    answer_to_send = RequestedDuringTheCall(run, {})
    fakes.answers("send", answer_to_send)

    messages.deliver_all()

    run.refresh_from_db()
    assert answer_to_send.result is CompensationRequest.REQUESTED
    assert run.status == RunStatus.COMPENSATED
    assert "file" not in events(run)


def test_a_request_during_a_back_off_takes_effect_at_once(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.parcel())
    fakes.answers("send", Silence())
    messages.deliver_all()

    result = request(run)
    assert SagaRun.objects.get().not_before is None
    messages.deliver_all()

    run.refresh_from_db()
    assert result is CompensationRequest.REQUESTED
    assert run.status == RunStatus.COMPENSATED
    assert fakes.calls == [("send", 1), ("compensate send", 1)]


def test_a_run_whose_worker_was_lost_compensates_when_its_lease_has_run_out(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.parcel())

    def request_and_die(attempt: Attempt) -> Output:
        request(run)
        raise WorkerLost

    fakes.answers("send", request_and_die)
    with pytest.raises(WorkerLost):
        messages.deliver_all()
    messages.deliver_all()
    assert fakes.calls == [("send", 1)]

    wake_run(run, messages)

    assert run.status == RunStatus.COMPENSATED
    assert journal(run)[1:] == [
        ("send", "forward", 1, "lost"),
        ("send", "compensating", 1, "done"),
        ("pack", "compensating", 1, "done"),
    ]


@pytest.mark.parametrize("answer", [Silence(), {}], ids=["context there", "context behind it"])
def test_a_run_that_cannot_compensate_any_more_refuses_the_request(
    fakes: FakeSagas, messages: MessageQueue, answer: CallBehaviour
) -> None:
    run = start(
        fakes.saga(
            fakes.local("pack"),
            fakes.remote("burn", is_compensable=False, rejected_by=(), retry=UNLIMITED_TRIES),
            fakes.remote("send", queue="settlement", rejected_by=(), retry=UNLIMITED_TRIES),
        )
    )
    fakes.answers("burn", answer)
    messages.deliver(messages.take())
    before = stored_rows(run)

    result = request(run)

    assert result is CompensationRequest.TOO_LATE
    assert stored_rows(run) == before
    wake_run(run, messages)
    assert run.status == RunStatus.COMPLETED
    assert "compensating" not in events(run)


def test_the_first_request_counts(fakes: FakeSagas, messages: MessageQueue) -> None:
    run = start(fakes.parcel())
    request(run)
    before = stored_rows(run)
    sent = list(messages.waiting)

    again = request_compensation(run.subject_id, Rejection("too_slow"), "bob")

    assert again is CompensationRequest.ALREADY_REQUESTED
    assert stored_rows(run) == before
    assert messages.waiting == sent
    messages.deliver_all()
    run.refresh_from_db()
    assert (run.reason, run.actor) == ("no_longer_wanted", "alice")


def test_a_request_while_the_run_compensates_changes_nothing(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.parcel())
    fakes.answers("send", Rejected("no_such_street"))
    messages.deliver(messages.take())
    before = stored_rows(run)

    result = request(run)

    assert result is CompensationRequest.ALREADY_REQUESTED
    assert stored_rows(run) == before


@pytest.mark.parametrize("answer", [{}, Rejected("no")], ids=["completed", "compensated"])
def test_a_run_that_has_ended_does_not_compensate(
    fakes: FakeSagas, messages: MessageQueue, answer: CallBehaviour
) -> None:
    run = start(fakes.parcel())
    fakes.answers("send", answer)
    messages.deliver_all()
    before = stored_rows(run)

    result = request(run)

    assert result is CompensationRequest.ENDED
    assert stored_rows(run) == before
    assert messages.waiting == []


def test_the_sweep_finds_a_request_whose_message_is_lost(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.parcel())
    fakes.answers("send", Busy())
    messages.deliver_all()
    request(run)
    messages.drop_all()
    let_time_pass(run)

    wake_run(run, messages)

    assert run.status == RunStatus.COMPENSATED
