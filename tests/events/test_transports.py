"""Each transport stores events in order in a real broker, and says truthfully when it has not."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from confluent_kafka import Consumer
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from events.models import OutboxEvent
from events.relay.kafka import KafkaTopic
from events.relay.redis_stream import RedisStream
from events.relay.transport import ServerRestarted, TransportUnavailable
from events.relay.transports import chosen_transports, kafka_options
from tests.support.brokers import DurableValkey, kafka_cluster

ORDER, CORRELATION = UUID(int=5), UUID(int=6)

CONFIRMED = {
    "specversion": "1.0",
    "id": str(UUID(int=1)),
    "source": "holdfast",
    "type": "order.confirmed",
    "time": "2026-12-01T09:30:00.125000Z",
    "subject": str(ORDER),
    "datacontenttype": "application/json",
    "dataschema": "urn:holdfast:order.confirmed:1",
    "correlationid": str(CORRELATION),
    "partitionkey": str(ORDER),
    "data": {"total_minor": 2580, "currency": "eur"},
}


def event(number: int, key: UUID = ORDER) -> OutboxEvent:
    return OutboxEvent(
        id=UUID(int=number),
        number=number,
        name="order.confirmed",
        version=1,
        key=key,
        correlation_id=CORRELATION,
        payload={"total_minor": 2580, "currency": "eur"},
        recorded_at=datetime(2026, 12, 1, 9, 30, 0, 125000, UTC),
    )


# -- a Redis stream


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[DurableValkey]:
    broker = DurableValkey(tmp_path)
    yield broker
    broker.close()


@pytest.fixture
def stream(broker: DurableValkey) -> Iterator[RedisStream]:
    stream = RedisStream(broker.url, "events", max_length=1000)
    yield stream
    stream.close()


def entries(broker: DurableValkey) -> list[dict[str, str]]:
    found: Any = broker.client().xrange("events")
    return [fields for _, fields in found]


def ids(broker: DurableValkey) -> list[int]:
    return [UUID(json.loads(entry["event"])["id"]).int for entry in entries(broker)]


def test_an_entry_of_a_stream_has_the_type_the_key_and_the_cloud_event(
    broker: DurableValkey, stream: RedisStream
) -> None:
    stream.publish([event(1)], "")

    [entry] = entries(broker)
    assert (entry["type"], entry["key"]) == ("order.confirmed", str(ORDER))
    assert json.loads(entry["event"]) == CONFIRMED


def test_a_stream_keeps_the_order(broker: DurableValkey, stream: RedisStream) -> None:
    server = stream.publish([event(1), event(2)], "")

    assert stream.publish([event(3)], server) == server
    assert ids(broker) == [1, 2, 3]


def test_a_stream_is_trimmed(broker: DurableValkey) -> None:
    short = RedisStream(broker.url, "events", max_length=100)
    for first in range(0, 1000, 100):
        short.publish([event(number) for number in range(first, first + 100)], "")
    short.close()

    assert 100 <= len(entries(broker)) < 300
    assert ids(broker)[-1] == 999


def test_a_broker_whose_memory_is_full_takes_none_of_a_batch(
    broker: DurableValkey, stream: RedisStream
) -> None:
    stream.publish([event(1)], "")
    broker.client().config_set("maxmemory", "1mb")

    with pytest.raises(TransportUnavailable, match="maxmemory"):
        stream.publish([event(2), event(3)], "")

    broker.client().config_set("maxmemory", "0")
    assert ids(broker) == [1]
    stream.publish([event(2), event(3)], "")
    assert ids(broker) == [1, 2, 3]


def test_a_broker_that_was_killed_is_noticed_before_anything_is_published_to_the_next_run(
    broker: DurableValkey, stream: RedisStream
) -> None:
    server = stream.publish([event(1)], "")
    broker.kill()
    with pytest.raises(TransportUnavailable):
        stream.publish([event(2)], server)

    broker.start()
    with pytest.raises(ServerRestarted) as raised:
        stream.publish([event(2)], server)

    assert 2 not in ids(broker)
    assert raised.value.server != server
    stream.publish([event(2)], raised.value.server)
    assert ids(broker)[-1] == 2


def test_a_restart_between_two_batches_is_noticed(
    broker: DurableValkey, stream: RedisStream
) -> None:
    server = stream.publish([event(1)], "")
    broker.kill()
    broker.start()

    with pytest.raises(TransportUnavailable):
        stream.publish([event(2)], server)
    with pytest.raises(ServerRestarted):
        stream.publish([event(2)], server)
    assert 2 not in ids(broker)


# -- a Kafka topic


@pytest.fixture(scope="module")
def kafka_url() -> Iterator[str]:
    with kafka_cluster() as url:
        yield url


def received(url: str, topic: str, count: int) -> list[tuple[dict[str, Any], Any, Any]]:
    """Return the headers, the key and the value of the first ``count`` messages of a topic."""
    options = {"group.id": topic, "auto.offset.reset": "earliest"}
    consumer = Consumer(kafka_options(url) | options)
    consumer.subscribe([topic])
    messages = consumer.consume(count, timeout=30)
    consumer.close()
    return [(dict(message.headers() or []), message.key(), message.value()) for message in messages]


def test_a_message_of_a_topic_is_a_cloud_event_in_binary_mode(kafka_url: str) -> None:
    topic = KafkaTopic("one", kafka_options(kafka_url))
    topic.publish([event(1)], "")
    topic.close()

    [(headers, key, value)] = received(kafka_url, "one", 1)
    attributes = {name: text for name, text in CONFIRMED.items() if name != "data"}
    assert headers.pop("content-type") == str(attributes.pop("datacontenttype")).encode()
    assert headers == {f"ce_{name}": str(text).encode() for name, text in attributes.items()}
    assert key == str(ORDER).encode()
    assert json.loads(value) == CONFIRMED["data"]


def test_a_topic_keeps_the_order_of_each_key(kafka_url: str) -> None:
    topic = KafkaTopic("many", kafka_options(kafka_url))
    keys = [UUID(int=100), UUID(int=101), UUID(int=102)]
    for first in (0, 30):
        topic.publish([event(n, keys[n % 3]) for n in range(first, first + 30)], "")
    topic.close()

    found: dict[bytes, list[int]] = {}
    for headers, key, _ in received(kafka_url, "many", 60):
        found.setdefault(key, []).append(UUID(headers["ce_id"].decode()).int)
    assert found == {str(key).encode(): list(range(i, 60, 3)) for i, key in enumerate(keys)}


def test_a_kafka_that_is_away_raises_and_is_used_again_once_it_is_back(
    kafka_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("events.relay.kafka.TIMEOUT_SECONDS", 1.5)
    topic = KafkaTopic("away", {"bootstrap.servers": "127.0.0.1:9"})
    with pytest.raises(TransportUnavailable):
        topic.publish([event(1)], "")
    topic.close()

    back = KafkaTopic("away", kafka_options(kafka_url))
    back.publish([event(1)], "")
    back.close()
    assert len(received(kafka_url, "away", 1)) == 1


# -- the settings


def test_the_transports_are_those_of_the_setting(settings: Settings) -> None:
    settings.EVENT_TRANSPORTS = ["redis", "kafka"]
    settings.KAFKA_URL = "kafka://127.0.0.1:9"

    assert [transport.name for transport in chosen_transports()] == ["redis", "kafka"]


@pytest.mark.parametrize(
    ("transports", "url"), [(["pigeon"], ""), (["kafka"], ""), (["kafka"], "http://127.0.0.1:9")]
)
def test_a_transport_that_cannot_work_is_refused(
    settings: Settings, transports: list[str], url: str
) -> None:
    settings.EVENT_TRANSPORTS, settings.KAFKA_URL = transports, url

    with pytest.raises(ImproperlyConfigured):
        chosen_transports()


def test_kafkas_address_may_have_a_login_and_tls(settings: Settings) -> None:
    settings.KAFKA_SASL_MECHANISM = "PLAIN"

    assert kafka_options("kafkas://shop:p%40ss@one:9092,two:9092") == {
        "bootstrap.servers": "one:9092,two:9092",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "PLAIN",
        "sasl.username": "shop",
        "sasl.password": "p@ss",
    }
