"""An event as it leaves the house: a CloudEvent 1.0."""

from datetime import UTC
from typing import Final

from cloudevents.core.bindings.kafka import KafkaMessage, to_binary
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from django.conf import settings

from events.models import OutboxEvent

_FORMAT: Final = JSONFormat()


def cloud_event(event: OutboxEvent) -> CloudEvent:
    """Return an event of the outbox as a CloudEvent, with its correlation id and partition key."""
    key = str(event.key)
    return CloudEvent(
        attributes={
            "specversion": "1.0",
            "id": str(event.pk),
            "source": settings.EVENT_SOURCE,
            "type": event.name,
            "time": event.recorded_at.astimezone(UTC),
            "subject": key,
            "datacontenttype": "application/json",
            "dataschema": f"urn:holdfast:{event.name}:{event.version}",
            "correlationid": str(event.correlation_id),
            "partitionkey": key,
        },
        data=event.payload,
    )


def as_json(event: OutboxEvent) -> bytes:
    """Return an event in structured mode: one JSON object."""
    return _FORMAT.write(cloud_event(event))


def as_kafka_message(event: OutboxEvent) -> KafkaMessage:
    """Return an event in Kafka's binary mode: attributes as headers, the payload as the value."""
    return to_binary(cloud_event(event), _FORMAT)
