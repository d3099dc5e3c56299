"""The catalogue: what programs outside may rely on, kept in a file that is committed.

``manage.py events catalogue`` compares it with the code. A version may gain optional fields, and its
descriptions may change. Everything else would break a reader, or a reader of events that are
published again, and needs a new version.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from events.event_types import Payload

Schema = Mapping[str, Any]
Catalogue = Mapping[str, Schema]
"""The schema of each type by its name and version, such as ``order.confirmed 1``."""

_WORDS: Final = ("title", "description", "examples")
REMEDY: Final = "declare a new version beside this one"


def schema_of(payload: type[Payload]) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of the payloads of one type, as readers see it.

    It allows further fields, because a later release may add some.
    """
    schema = payload.model_json_schema(mode="serialization")
    for part in (schema, *schema.get("$defs", {}).values()):
        part.pop("additionalProperties", None)
    return schema


def catalogue_of(payloads: Iterable[type[Payload]]) -> Catalogue:
    """Return the schemas of these types."""
    return {
        f"{payload.event_type.name} {payload.event_type.version}": schema_of(payload)
        for payload in payloads
    }


def breaking_changes(recorded: Catalogue, present: Catalogue) -> Iterator[str]:
    """Yield a sentence for each change that a reader of a recorded version may not survive."""
    for name, schema in recorded.items():
        if name not in present:
            yield f"{name}: recorded, but not declared any more; readers still get stored ones"
            continue
        for change in _changes("", resolved(schema), resolved(present[name])):
            yield f"{name}: {change}; {REMEDY}"


def other_changes(recorded: Catalogue, present: Catalogue) -> Iterator[str]:
    """Yield the versions that are new, or differ from the record in what readers survive."""
    for name, schema in present.items():
        if name not in recorded:
            yield f"{name}: not recorded yet"
        elif schema != recorded[name]:
            yield f"{name}: differs from the record"


def as_text(catalogue: Catalogue) -> str:
    """Return the contents of the file."""
    return json.dumps(catalogue, indent=2, sort_keys=True) + "\n"


def resolved(schema: Schema, definitions: Schema | None = None) -> dict[str, Any]:
    """Return a schema in which each reference to ``$defs`` is replaced by what it names."""
    known = definitions if definitions is not None else schema.get("$defs", {})
    if "$ref" in schema:
        named = known[schema["$ref"].removeprefix("#/$defs/")]
        beside = {name: value for name, value in schema.items() if name != "$ref"}
        return resolved(named, known) | beside
    return {
        name: _resolved_value(name, value, known)
        for name, value in schema.items()
        if name != "$defs"
    }


def _resolved_value(name: str, value: Any, known: Schema) -> Any:
    if isinstance(value, list):
        return [resolved(part, known) if isinstance(part, dict) else part for part in value]
    if not isinstance(value, dict):
        return value
    if name == "properties":
        return {field: resolved(part, known) for field, part in value.items()}
    return resolved(value, known)


def _changes(where: str, before: Schema, after: Schema) -> Iterator[str]:
    """Yield the breaking changes between two schemas without references."""
    here = f"field {where}" if where else "the payload"
    old, new = before.get("properties", {}), after.get("properties", {})
    for name in old.keys() - new.keys():
        yield f"field {where}{name} is gone"
    for name in new.keys() - old.keys():
        if name in after.get("required", ()):
            yield f"field {where}{name} is new, and must be optional"
    for name in sorted(old.keys() & new.keys()):
        if (name in before.get("required", ())) != (name in after.get("required", ())):
            yield f"field {where}{name} is required in only one of them"
        yield from _changes(f"{where}{name}.", old[name], new[name])
    if "items" in before and "items" in after:
        yield from _changes(f"{where}[].", before["items"], after["items"])
    if _rules(before) != _rules(after):
        yield f"{here.rstrip('.')} was {_shown(before)} and is {_shown(after)}"


def _rules(schema: Schema) -> Schema:
    """Return what a schema says besides its words and what ``_changes`` compares by itself."""
    compared = ("properties", "required", "items", *_WORDS)
    return {
        name: [_rules(part) for part in value] if name == "anyOf" else value
        for name, value in schema.items()
        if name not in compared
    } | ({"items": True} if "items" in schema else {})


def _shown(schema: Schema) -> str:
    return json.dumps(_rules(schema), sort_keys=True)
