"""The AsyncAPI 3 document: every event type with its schema, and how events are delivered."""

from collections.abc import Iterable
from typing import Any, Final

from events.catalogue import resolved, schema_of
from events.event_types import Payload

_ATTRIBUTES: Final[dict[str, Any]] = {
    "type": "object",
    "description": (
        "The attributes of CloudEvents 1.0. On Kafka they are headers with the prefix `ce_`"
        " (binary mode). Elsewhere the event is one JSON object (structured mode)."
    ),
    "required": ["specversion", "id", "source", "type", "time", "subject", "dataschema"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {
            "type": "string",
            "format": "uuid",
            "description": "Equal if an event is delivered again: leave out what you have handled.",
        },
        "source": {"type": "string", "description": "The shop, by its setting EVENT_SOURCE."},
        "type": {"type": "string", "description": "The name of the event type."},
        "time": {"type": "string", "format": "date-time"},
        "subject": {"type": "string", "format": "uuid", "description": "The order's id."},
        "dataschema": {
            "type": "string",
            "description": "The type with its version, such as `urn:holdfast:order.confirmed:1`.",
        },
        "correlationid": {
            "type": "string",
            "format": "uuid",
            "description": "Equal for everything that one request led to.",
        },
        "partitionkey": {
            "type": "string",
            "description": "The order's id: events with one key are delivered in order.",
        },
    },
}


def asyncapi(payloads: Iterable[type[Payload]]) -> dict[str, Any]:
    """Return the document (AsyncAPI 3.0.0)."""
    declared = {_key(payload): payload for payload in payloads}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Events of Holdfast",
            "version": "1",
            "description": (
                "What happens to orders. Every event is delivered at least once, and events of one"
                " order in order. Readers ignore fields that they do not know."
            ),
        },
        "defaultContentType": "application/json",
        "channels": {
            "events": {
                "address": "{channel}",
                "description": "A Redis stream, a Kafka topic or a RabbitMQ exchange.",
                "parameters": {
                    "channel": {
                        "description": "The setting EVENT_CHANNEL.",
                        "default": "holdfast.events",
                    }
                },
                "messages": {key: {"$ref": f"#/components/messages/{key}"} for key in declared},
            }
        },
        "operations": {
            "publishEvents": {
                "action": "send",
                "channel": {"$ref": "#/channels/events"},
                "summary": "Holdfast publishes what has happened.",
            }
        },
        "components": {
            "messages": {key: _message(payload) for key, payload in declared.items()},
            "schemas": {"CloudEvent": _ATTRIBUTES},
        },
    }


def _message(payload: type[Payload]) -> dict[str, Any]:
    declared = payload.event_type
    return {
        "name": declared.name,
        "title": str(declared),
        "summary": (payload.__doc__ or "").strip(),
        "headers": {"$ref": "#/components/schemas/CloudEvent"},
        "payload": {
            "schemaFormat": "application/schema+json;version=draft-07",
            "schema": resolved(schema_of(payload)),
        },
        "bindings": {"kafka": {"key": {"type": "string", "format": "uuid"}}},
    }


def _key(payload: type[Payload]) -> str:
    return f"{payload.event_type.name}.v{payload.event_type.version}"
