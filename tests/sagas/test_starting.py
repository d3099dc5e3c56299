"""Starting a saga: once for a subject, together with what starts it, and never lost."""

import pytest
from django.db import IntegrityError, transaction

from sagas import services
from sagas.identifiers import new_id
from sagas.models import HANDOVER, RunStatus, SagaRun
from tests.support.fake_sagas import Answer, Refused, Toys, events, everything, start
from tests.support.in_memory_broker import Message, MessageQueue
from tests.support.run_clock import wake_run

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_started_run_stands_at_its_first_step_and_wakes_if_nobody_comes(
    toys: Toys, messages: MessageQueue
) -> None:
    saga = toys.parcel()
    subject_id, correlation_id = new_id(), new_id()

    run = services.start(saga, subject_id, correlation_id)

    stored = SagaRun.objects.get()
    assert stored.pk == run.pk
    assert (stored.saga, stored.version, stored.step) == ("parcel", 1, "pack")
    assert (stored.subject_id, stored.correlation_id) == (subject_id, correlation_id)
    assert (stored.status, stored.fence, stored.retry_count) == (RunStatus.RUNNING, 0, 0)
    assert stored.wake_at == stored.created_at + HANDOVER
    assert messages.waiting == [Message(run.pk, saga.links)]


def test_starting_twice_returns_the_run_that_exists(toys: Toys, messages: MessageQueue) -> None:
    saga = toys.parcel()
    run = start(saga)
    before = everything(run)

    again = services.start(saga, run.subject_id, new_id())

    assert again.pk == run.pk
    assert SagaRun.objects.count() == 1
    assert everything(run) == before
    assert len(messages.waiting) == 1


@pytest.mark.parametrize("answer", [{}, Refused("no")], ids=["completed", "compensated"])
def test_a_run_that_has_ended_is_not_started_again(
    toys: Toys, messages: MessageQueue, answer: Answer
) -> None:
    saga = toys.parcel()
    run = start(saga)
    toys.answers("send", answer)
    messages.deliver_all()
    before = everything(run)

    again = services.start(saga, run.subject_id, new_id())

    assert again.pk == run.pk
    assert everything(run) == before
    assert messages.waiting == []


def test_a_subject_has_one_live_run(toys: Toys, messages: MessageQueue) -> None:
    run = start(toys.parcel())
    other = toys.saga(toys.local("return"), name="return")

    with pytest.raises(IntegrityError, match="sagas_one_live_run"):
        services.start(other, run.subject_id, new_id())

    assert SagaRun.objects.get().pk == run.pk
    assert len(messages.waiting) == 1


def test_another_saga_of_the_subject_starts_when_the_first_has_ended(
    toys: Toys, messages: MessageQueue
) -> None:
    run = start(toys.parcel())
    other = toys.saga(toys.local("return"), name="return")
    messages.deliver_all()

    second = services.start(other, run.subject_id, new_id())
    messages.deliver_all()

    second.refresh_from_db()
    assert second.pk != run.pk
    assert second.status == RunStatus.COMPLETED
    assert events(run)[-1] == "return"


def test_a_run_whose_start_is_rolled_back_never_was(toys: Toys, messages: MessageQueue) -> None:
    saga = toys.parcel()

    with transaction.atomic():
        start(saga)
        transaction.set_rollback(True)

    assert not SagaRun.objects.exists()
    assert messages.waiting == []


def test_a_run_is_queued_when_its_start_has_committed_and_not_before(
    toys: Toys, messages: MessageQueue
) -> None:
    saga = toys.parcel()

    with transaction.atomic():
        run = start(saga)
        assert messages.waiting == []

    assert messages.waiting == [Message(run.pk, saga.links)]


def test_a_run_whose_very_first_message_is_lost_is_found(
    toys: Toys, messages: MessageQueue
) -> None:
    run = start(toys.parcel())
    messages.drop_all()

    wake_run(run, messages)

    assert run.status == RunStatus.COMPLETED


def test_a_run_keeps_the_version_that_it_was_started_with(
    toys: Toys, messages: MessageQueue
) -> None:
    old = toys.saga(toys.local("pack"), toys.local("file", queue="settlement"), version=1)
    old_run = start(old)
    messages.deliver(messages.take())
    new = toys.saga(toys.local("wrap"), toys.local("scan", queue="settlement"), version=2)
    new_run = start(new)

    wake_run(old_run, messages)
    messages.deliver_all()

    new_run.refresh_from_db()
    assert (old_run.status, old_run.version) == (RunStatus.COMPLETED, 1)
    assert (new_run.status, new_run.version) == (RunStatus.COMPLETED, 2)
    assert events(old_run) == ["pack", "file"]
    assert events(new_run) == ["wrap", "scan"]


def test_a_run_is_not_moved_by_the_messages_of_another_version(
    toys: Toys, messages: MessageQueue
) -> None:
    old = toys.saga(toys.local("pack"), version=1)
    new = toys.saga(toys.local("pack"), version=2)
    run = start(old)
    before = everything(run)

    messages.deliver(Message(run.pk, new.links))

    assert everything(run) == before


def test_a_run_of_the_old_version_is_undone_by_the_old_steps(
    toys: Toys, messages: MessageQueue
) -> None:
    old = toys.saga(toys.local("pack"), toys.remote("send"), version=1)
    run = start(old)
    toys.saga(toys.local("wrap"), toys.remote("send"), version=2)
    toys.answers("send", Refused("no"))

    messages.deliver_all()

    run.refresh_from_db()
    assert run.status == RunStatus.COMPENSATED
    assert events(run)[-2:] == ["undo pack", "compensated"]
    assert "undo wrap" not in events(run)
