"""Event types: a name in the past tense, a version, and the fields that every event carries."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID


class EventError(Exception):
    """An event does not carry the fields that its type declares."""


@dataclass(frozen=True, slots=True)
class EventType:
    """A kind of event. A change to its fields is a new version."""

    name: str
    version: int
    fields: frozenset[str]

    def of(self, key: UUID, correlation_id: UUID, payload: Mapping[str, Any]) -> "Event":
        """Return an event of this type. Raises EventError when ``payload`` has other fields than declared."""
        if payload.keys() != self.fields:
            raise EventError(f"{self.name} carries {sorted(self.fields)}, not {sorted(payload)}")
        return Event(self, key, correlation_id, payload)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that became true. ``key`` is the order's id; events of one key are in order."""

    type: EventType
    key: UUID
    correlation_id: UUID
    payload: Mapping[str, Any]
