"""Starting a saga: once for a subject, in the caller's transaction, and never lost."""

import pytest
from django.db import IntegrityError, transaction

from sagas import services
from sagas.identifiers import new_id
from sagas.models import MESSAGE_GRACE, RunStatus, SagaRun
from tests.support.clock import wake_run
from tests.support.fake_sagas import CallBehaviour, FakeSagas, Rejected, events, start, stored_rows
from tests.support.in_memory_broker import Message, MessageQueue

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_started_run_is_at_its_first_step_and_has_a_time_to_wake(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    saga = fakes.parcel()
    subject_id, correlation_id = new_id(), new_id()

    run = services.start(saga, subject_id, correlation_id)

    stored = SagaRun.objects.get()
    assert stored.pk == run.pk
    assert (stored.saga, stored.version, stored.step) == ("parcel", 1, "pack")
    assert (stored.subject_id, stored.correlation_id) == (subject_id, correlation_id)
    assert (stored.status, stored.fence, stored.retry_count) == (RunStatus.RUNNING, 0, 0)
    assert stored.wake_at == stored.created_at + MESSAGE_GRACE
    assert messages.waiting == [Message(run.pk, saga.links)]


def test_starting_twice_returns_the_run_that_exists(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    saga = fakes.parcel()
    run = start(saga)
    before = stored_rows(run)

    again = services.start(saga, run.subject_id, new_id())

    assert again.pk == run.pk
    assert SagaRun.objects.count() == 1
    assert stored_rows(run) == before
    assert len(messages.waiting) == 1


@pytest.mark.parametrize("answer", [{}, Rejected("no")], ids=["completed", "compensated"])
def test_a_run_that_has_ended_is_not_started_again(
    fakes: FakeSagas, messages: MessageQueue, answer: CallBehaviour
) -> None:
    saga = fakes.parcel()
    run = start(saga)
    fakes.answers("send", answer)
    messages.deliver_all()
    before = stored_rows(run)

    again = services.start(saga, run.subject_id, new_id())

    assert again.pk == run.pk
    assert stored_rows(run) == before
    assert messages.waiting == []


def test_a_subject_has_one_live_run(fakes: FakeSagas, messages: MessageQueue) -> None:
    run = start(fakes.parcel())
    other = fakes.saga(fakes.local("return"), name="return")

    with pytest.raises(IntegrityError, match="sagas_one_live_run"):
        services.start(other, run.subject_id, new_id())

    assert SagaRun.objects.get().pk == run.pk
    assert len(messages.waiting) == 1


def test_another_saga_of_the_subject_starts_when_the_first_has_ended(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.parcel())
    other = fakes.saga(fakes.local("return"), name="return")
    messages.deliver_all()

    second = services.start(other, run.subject_id, new_id())
    messages.deliver_all()

    second.refresh_from_db()
    assert second.pk != run.pk
    assert second.status == RunStatus.COMPLETED
    assert events(run)[-1] == "return"


def test_a_run_whose_start_is_rolled_back_does_not_exist(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    saga = fakes.parcel()

    with transaction.atomic():
        start(saga)
        transaction.set_rollback(True)

    assert not SagaRun.objects.exists()
    assert messages.waiting == []


def test_a_run_is_queued_when_its_start_has_committed_and_not_before(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    saga = fakes.parcel()

    with transaction.atomic():
        run = start(saga)
        assert messages.waiting == []

    assert messages.waiting == [Message(run.pk, saga.links)]


def test_the_sweep_finds_a_run_whose_first_message_is_lost(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    run = start(fakes.parcel())
    messages.drop_all()

    wake_run(run, messages)

    assert run.status == RunStatus.COMPLETED


def test_a_run_keeps_the_version_that_it_was_started_with(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    old = fakes.saga(fakes.local("pack"), fakes.local("file", queue="settlement"), version=1)
    old_run = start(old)
    messages.deliver(messages.take())
    new = fakes.saga(fakes.local("wrap"), fakes.local("scan", queue="settlement"), version=2)
    new_run = start(new)

    wake_run(old_run, messages)
    messages.deliver_all()

    new_run.refresh_from_db()
    assert (old_run.status, old_run.version) == (RunStatus.COMPLETED, 1)
    assert (new_run.status, new_run.version) == (RunStatus.COMPLETED, 2)
    assert events(old_run) == ["pack", "file"]
    assert events(new_run) == ["wrap", "scan"]


def test_a_run_is_not_advanced_by_the_messages_of_another_version(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    old = fakes.saga(fakes.local("pack"), version=1)
    new = fakes.saga(fakes.local("pack"), version=2)
    run = start(old)
    before = stored_rows(run)

    messages.deliver(Message(run.pk, new.links))

    assert stored_rows(run) == before


def test_a_run_of_the_old_version_is_compensated_by_the_old_steps(
    fakes: FakeSagas, messages: MessageQueue
) -> None:
    old = fakes.saga(fakes.local("pack"), fakes.remote("send"), version=1)
    run = start(old)
    fakes.saga(fakes.local("wrap"), fakes.remote("send"), version=2)
    fakes.answers("send", Rejected("no"))

    messages.deliver_all()

    run.refresh_from_db()
    assert run.status == RunStatus.COMPENSATED
    assert events(run)[-2:] == ["compensate pack", "compensated"]
    assert "compensate wrap" not in events(run)
