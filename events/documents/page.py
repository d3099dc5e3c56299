"""The page ``docs/events.md``: every event type with its fields, for readers of events."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from events.catalogue import resolved, schema_of
from events.event_types import Payload

HEAD: Final = """# Events

For developers of programs that react to orders: a warehouse, an ERP, a report. This page is generated from the code:
`make events`. [asyncapi.yaml](asyncapi.yaml) has the same for programs, as an AsyncAPI 3 document.

An event says what has happened. It is recorded in the transaction that made it true, so it exists if and only if
that transaction was committed. [Relaying events](relaying-events.md) says how events leave, and how to read them.

* Every event is delivered **at least once**. A repeated one has the same `id`: leave out what you have handled.
* Events with one key are delivered **in order**. The key of all events below is the id of their order.
* A later release may add optional fields: **ignore fields that you do not know**. Any other change gets a new version.

Each event is a [CloudEvent 1.0](https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md):

```json
{
  "specversion": "1.0",
  "id": "0199d3a0-6f5e-7cc2-9d2f-0d1f6a8f2b11",
  "source": "holdfast",
  "type": "order.confirmed",
  "time": "2026-12-01T09:30:00.125000Z",
  "subject": "0199d3a0-6e11-7a02-8d0a-6c9b3f7a4e52",
  "datacontenttype": "application/json",
  "dataschema": "urn:holdfast:order.confirmed:1",
  "correlationid": "0199d3a0-6e10-7d8e-b5f3-2f1d4c0a9e77",
  "partitionkey": "0199d3a0-6e11-7a02-8d0a-6c9b3f7a4e52",
  "data": {"total_minor": 2580, "currency": "eur"}
}
```
"""


def page(payloads: Iterable[type[Payload]]) -> str:
    """Return the page as Markdown."""
    return "\n".join([HEAD, *map(_section, payloads)])


def _section(payload: type[Payload]) -> str:
    declared = payload.event_type
    version = f", version {declared.version}" if declared.version > 1 else ""
    rows = "".join(f"{row}\n" for row in _rows(resolved(schema_of(payload))))
    text = (payload.__doc__ or "").strip()
    return (
        f"## {declared.name}{version}\n\n{text}\n\n"
        f"| field | type | meaning |\n|---|---|---|\n{rows}"
    )


def _rows(schema: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, field in schema["properties"].items():
        optional = "" if name in schema.get("required", ()) else ", optional"
        meaning = " ".join(filter(None, [field.get("description", ""), _values(field)]))
        yield f"| `{prefix}{name}` | {_kind(field)}{optional} | {meaning} |"
        items = field.get("items", {})
        if "properties" in items:
            yield from _rows(items, f"{prefix}{name}[].")


def _kind(field: dict[str, Any]) -> str:
    if "anyOf" in field:
        return " or ".join(_kind(part) for part in field["anyOf"])
    kind = {"array": "list", "object": "object"}.get(field["type"], str(field["type"]))
    return f"{kind} ({field['format']})" if "format" in field else kind


def _values(field: dict[str, Any]) -> str:
    return (
        f"One of {', '.join(f'`{value}`' for value in field['enum'])}." if "enum" in field else ""
    )
