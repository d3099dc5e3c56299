"""Heartbeats: the health of a queue follows from the heartbeats that its workers stored."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db.models import F
from django.utils import timezone

from config.beat import SCHEDULE
from config.celery import app
from monitoring.heartbeats import SILENT_AFTER, QueueHealth, queues, record, silence
from monitoring.models import WorkerHeartbeat
from monitoring.tasks import HEARTBEAT
from tests.support.in_memory_broker import MessageQueue
from tests.support.storefront_client import Storefront, cart

pytestmark = pytest.mark.django_db(transaction=True)


def health(name: str) -> QueueHealth:
    return next(queue for queue in queues() if queue.name == name)


def age_heartbeats(by: timedelta) -> None:
    WorkerHeartbeat.objects.update(taken_at=F("taken_at") - by, sent_at=F("sent_at") - by)


def test_beat_sends_a_heartbeat_through_every_queue() -> None:
    sent_through = [entry.queue for entry in SCHEDULE if entry.task == HEARTBEAT]

    assert sent_through == [queue.name for queue in settings.CELERY_TASK_QUEUES]


def test_a_queue_without_heartbeats_is_not_served() -> None:
    assert health("checkout") == QueueHealth("checkout", None, None, (), waiting=0)
    assert not health("checkout").is_served
    assert silence("checkout") is None


def test_a_heartbeat_shows_its_worker_and_its_lag() -> None:
    record("checkout", "checkout@one", timezone.now() - timedelta(seconds=20))

    found = health("checkout")

    assert found.is_served
    assert found.lag is not None
    assert timedelta(seconds=20) <= found.lag < timedelta(seconds=80)
    assert [worker.name for worker in found.workers] == ["checkout@one"]
    assert not health("settlement").is_served


def test_a_queue_without_recent_heartbeats_is_not_served() -> None:
    record("checkout", "checkout@one", timezone.now())
    age_heartbeats(SILENT_AFTER)

    assert not health("checkout").is_served
    silent_for = silence("checkout")
    assert silent_for is not None
    assert silent_for >= SILENT_AFTER


def test_silence_is_measured_for_each_worker() -> None:
    record("checkout", "checkout@one", timezone.now())
    age_heartbeats(SILENT_AFTER)
    record("checkout", "checkout@two", timezone.now())

    first, second, any_worker = (
        silence("checkout", name) for name in ("checkout@one", "checkout@two", "")
    )

    assert first is not None
    assert second is not None
    assert second < SILENT_AFTER <= first
    assert any_worker is not None
    assert any_worker < SILENT_AFTER
    assert [worker.name for worker in health("checkout").workers] == [
        "checkout@two",
        "checkout@one",
    ]


def test_an_older_heartbeat_changes_nothing() -> None:
    now = timezone.now()
    record("checkout", "checkout@one", now)
    before = WorkerHeartbeat.objects.get()

    record("checkout", "checkout@one", now - timedelta(seconds=30))

    assert WorkerHeartbeat.objects.values().get() == {
        "id": before.pk,
        "queue": "checkout",
        "worker": "checkout@one",
        "sent_at": before.sent_at,
        "taken_at": before.taken_at,
    }


def test_heartbeats_of_gone_workers_are_deleted_after_a_day() -> None:
    record("checkout", "checkout@gone", timezone.now())
    record("settlement", "settlement@gone", timezone.now())
    age_heartbeats(timedelta(days=1))

    record("checkout", "checkout@new", timezone.now())

    assert set(WorkerHeartbeat.objects.values_list("worker", flat=True)) == {
        "checkout@new",
        "settlement@gone",
    }


def test_a_clock_that_is_behind_gives_no_negative_lag() -> None:
    record("checkout", "checkout@one", timezone.now() + timedelta(minutes=1))

    assert health("checkout").lag == timedelta()


def test_waiting_runs_are_counted_by_their_queue(
    storefront: Storefront, sandbox_stripe: object, messages: MessageQueue
) -> None:
    storefront.order(cart(("MUG", 1)))
    storefront.order(cart(("MUG", 1)))
    messages.deliver(messages.take())

    waiting = {queue.name: queue.waiting for queue in queues()}

    assert waiting == {"checkout": 1, "settlement": 1, "compensation": 0, "sweeps": 0}


def test_the_message_carries_the_time_of_sending() -> None:
    with app.connection_for_write() as broker:
        queue = next(queue for queue in settings.CELERY_TASK_QUEUES if queue.name == "settlement")
        bound = queue(broker)
        bound.purge()
        app.tasks[HEARTBEAT].apply_async(queue="settlement")
        message = bound.get(no_ack=True)

    assert message is not None
    sent_at = datetime.fromisoformat(message.headers["sent_at"])
    assert sent_at.tzinfo == UTC
    assert timedelta() <= timezone.now() - sent_at < timedelta(seconds=30)


def test_the_task_stores_the_heartbeat() -> None:
    at = timezone.now() - timedelta(seconds=3)
    app.tasks[HEARTBEAT].request_stack.push(request(sent_at=at.isoformat()))
    try:
        app.tasks[HEARTBEAT].run()
    finally:
        app.tasks[HEARTBEAT].request_stack.pop()

    heartbeat = WorkerHeartbeat.objects.get()
    assert (heartbeat.queue, heartbeat.worker, heartbeat.sent_at) == (
        "settlement",
        "settlement@one",
        at,
    )


def request(**headers: str) -> Any:
    from celery.app.task import Context

    return Context(
        {"hostname": "settlement@one", "delivery_info": {"routing_key": "settlement"}, **headers}
    )
