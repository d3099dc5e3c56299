"""Pulses: what is known of a queue is what a worker wrote down, and nothing else."""

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
    return next(each for each in queues() if each.name == name)


def grow_old(by: timedelta) -> None:
    WorkerHeartbeat.objects.update(taken_at=F("taken_at") - by, sent_at=F("sent_at") - by)


def test_every_queue_has_a_pulse_of_its_own() -> None:
    sent_through = [entry.queue for entry in SCHEDULE if entry.task == HEARTBEAT]

    assert sent_through == [queue.name for queue in settings.CELERY_TASK_QUEUES]


def test_a_queue_that_nobody_answered_on_is_not_served() -> None:
    assert health("checkout") == QueueHealth("checkout", None, None, (), waiting=0)
    assert not health("checkout").is_served
    assert silence("checkout") is None


def test_a_pulse_says_who_took_it_and_how_long_it_waited() -> None:
    record("checkout", "checkout@one", timezone.now() - timedelta(seconds=20))

    found = health("checkout")

    assert found.is_served
    assert found.lag is not None
    assert timedelta(seconds=20) <= found.lag < timedelta(seconds=80)
    assert [each.name for each in found.workers] == ["checkout@one"]
    assert not health("settlement").is_served


def test_a_queue_whose_workers_fell_silent_is_not_served() -> None:
    record("checkout", "checkout@one", timezone.now())
    grow_old(SILENT_AFTER)

    assert not health("checkout").is_served
    silent_for = silence("checkout")
    assert silent_for is not None
    assert silent_for >= SILENT_AFTER


def test_one_worker_of_two_is_told_from_the_other() -> None:
    record("checkout", "checkout@one", timezone.now())
    grow_old(SILENT_AFTER)
    record("checkout", "checkout@two", timezone.now())

    ones, twos, anybodys = (
        silence("checkout", name) for name in ("checkout@one", "checkout@two", "")
    )

    assert ones is not None
    assert twos is not None
    assert twos < SILENT_AFTER <= ones
    assert anybodys is not None
    assert anybodys < SILENT_AFTER
    assert [each.name for each in health("checkout").workers] == ["checkout@two", "checkout@one"]


def test_a_pulse_that_was_overtaken_changes_nothing() -> None:
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


def test_workers_that_are_no_more_are_forgotten_after_a_day() -> None:
    record("checkout", "checkout@gone", timezone.now())
    record("settlement", "settlement@gone", timezone.now())
    grow_old(timedelta(days=1))

    record("checkout", "checkout@new", timezone.now())

    assert set(WorkerHeartbeat.objects.values_list("worker", flat=True)) == {
        "checkout@new",
        "settlement@gone",
    }


def test_a_clock_that_is_behind_makes_no_negative_lag() -> None:
    record("checkout", "checkout@one", timezone.now() + timedelta(minutes=1))

    assert health("checkout").lag == timedelta()


def test_what_waits_is_counted_where_it_waits(
    storefront: Storefront, sandbox_stripe: object, messages: MessageQueue
) -> None:
    storefront.order(cart(("MUG", 1)))
    storefront.order(cart(("MUG", 1)))
    messages.deliver(messages.take())

    waiting = {each.name: each.waiting for each in queues()}

    assert waiting == {"checkout": 1, "settlement": 1, "compensation": 0, "sweeps": 0}


def test_the_time_of_sending_travels_with_the_message() -> None:
    with app.connection_for_write() as broker:
        queue = next(each for each in settings.CELERY_TASK_QUEUES if each.name == "settlement")
        bound = queue(broker)
        bound.purge()
        app.tasks[HEARTBEAT].apply_async(queue="settlement")
        message = bound.get(no_ack=True)

    assert message is not None
    sent_at = datetime.fromisoformat(message.headers["sent_at"])
    assert sent_at.tzinfo == UTC
    assert timedelta() <= timezone.now() - sent_at < timedelta(seconds=30)


def test_a_worker_writes_down_the_pulse_that_it_takes() -> None:
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
