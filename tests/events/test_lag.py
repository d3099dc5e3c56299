"""How far transports are behind, at the desk and in commands; and how staff publish events again."""

from datetime import timedelta
from io import StringIO
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import transaction
from django.test import Client
from django.utils import timezone

from events.event_types import Event
from events.models import OutboxEvent, TransportPosition
from events.relay.lag import lags
from events.relay.positions import LeaseLost, acquire, advance
from events.services import record
from orders.events import OrderCancelled
from tests.support.clock import advance as advance_clock

pytestmark = pytest.mark.django_db(transaction=True)


def record_events(count: int) -> list[int]:
    """Record events, and return the numbers of all that there are."""
    with transaction.atomic():
        record([Event(uuid4(), uuid4(), OrderCancelled(reason="")) for _ in range(count)])
    return list(OutboxEvent.objects.order_by("number").values_list("number", flat=True))


def publish_again(since: str, *options: str) -> str:
    output = StringIO()
    arguments = ("--transport", "redis", "--since", since, *options)
    call_command("events", "publish-again", *arguments, stdout=output)
    return output.getvalue()


def test_the_lag_is_counted_in_events_and_in_seconds() -> None:
    numbers = record_events(3)
    TransportPosition.objects.create(transport="redis", number=numbers[0], safe_number=0)
    TransportPosition.objects.create(
        transport="kafka", number=numbers[2], safe_number=0, failing_since=timezone.now()
    )
    advance_clock(timedelta(minutes=1))

    kafka, redis = lags()

    assert (redis.transport, redis.waiting, redis.is_failing) == ("redis", 2, False)
    assert 60 <= redis.seconds < 120
    assert (kafka.transport, kafka.waiting, kafka.seconds, kafka.is_failing) == (
        "kafka",
        0,
        0,
        True,
    )


def test_events_are_published_again_from_a_time_on() -> None:
    record_events(2)
    advance_clock(timedelta(hours=2))
    numbers = record_events(3)
    TransportPosition.objects.create(transport="redis", number=numbers[4], safe_number=numbers[3])
    lease = acquire("redis", "relay", begin_after=0)
    assert lease is not None
    since = f"{timezone.now() + timedelta(hours=1):%Y-%m-%dT%H:%M}"

    assert publish_again(since, "--dry-run").startswith("3 events would be published again")
    assert TransportPosition.objects.get().number == numbers[4]
    assert publish_again(since).startswith("3 events are published again by the relay")

    position = TransportPosition.objects.get()
    assert (position.number, position.safe_number) == (numbers[2] - 1, numbers[2] - 1)
    with pytest.raises(LeaseLost):
        advance(lease, numbers[4], 0, "")
    again = acquire("redis", "relay", begin_after=0)
    assert again is not None
    assert again.number == numbers[2] - 1


def test_events_that_were_not_published_yet_are_not_counted() -> None:
    numbers = record_events(3)
    TransportPosition.objects.create(transport="redis", number=numbers[0] - 1, safe_number=0)

    assert publish_again("2000-01-01T00:00").startswith("0 events are published again")
    assert TransportPosition.objects.get().number == numbers[0] - 1


def test_a_transport_that_never_published_is_named() -> None:
    with pytest.raises(CommandError, match="redis has never published an event"):
        publish_again("2000-01-01T00:00")


def test_the_desk_shows_each_transport(client: Client) -> None:
    numbers = record_events(1234)
    TransportPosition.objects.create(
        transport="redis", number=numbers[0], safe_number=0, problem="OOM <b>"
    )
    client.force_login(User.objects.create_superuser("root"))

    page = client.get("/admin/events/transportposition/").content.decode()

    assert "1,233" in page
    assert "OOM &lt;b&gt;" in page
