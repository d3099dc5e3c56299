"""The transport to a Kafka topic: CloudEvents in binary mode, with the order's id as the key."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Producer

from events.models import OutboxEvent
from events.relay.cloud_events import as_kafka_message
from events.relay.transport import TransportUnavailable

log = logging.getLogger(__name__)

TIMEOUT_SECONDS: Final = 5.0


class KafkaTopic:
    """Sends events to one topic, idempotent and confirmed by all replicas in sync.

    After an error the producer is given up with all that it has not sent. So nothing that comes later
    overtakes an event that failed.
    """

    name = "kafka"

    def __init__(self, topic: str, options: Mapping[str, Any]) -> None:
        self._topic = topic
        self._options = {
            **options,
            "enable.idempotence": True,
            "enable.gapless.guarantee": True,
            "acks": "all",
            "linger.ms": 0,
            # Longer than a call: no single event is given up while those after it are sent.
            "delivery.timeout.ms": 10 * 60 * 1000,
            "log_level": 4,
        }
        self._producer: Producer | None = None

    def publish(self, events: Sequence[OutboxEvent], server: str) -> str:
        """Send events; see Transport. Kafka replicates before it confirms, so no restart loses any."""
        failed: list[KafkaError] = []

        def confirm(error: KafkaError | None, _: object) -> None:
            if error is not None:
                failed.append(error)

        producer = self._connected()
        try:
            for event in events:
                message = as_kafka_message(event)
                producer.produce(
                    self._topic,
                    value=message.value,
                    key=message.key,
                    headers=list(message.headers.items()),
                    on_delivery=confirm,
                )
            left = producer.flush(TIMEOUT_SECONDS)
        except (KafkaException, BufferError) as error:
            self.close()
            raise TransportUnavailable(str(error)) from error
        if failed or left:
            self.close()
            raise TransportUnavailable(str(failed[0]) if failed else "no confirmation in time")
        return server

    def close(self) -> None:
        if self._producer is not None:
            self._producer.purge()
            self._producer.flush(0)
            self._producer = None

    def _connected(self) -> Producer:
        if self._producer is None:
            self._producer = Producer(self._options, logger=log)
        return self._producer
