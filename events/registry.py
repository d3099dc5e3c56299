"""The event types of this code: every subclass of Payload in a module ``events`` of an installed app."""

from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Final

from django.apps import apps

from events.event_types import Payload

_declared: Final[dict[tuple[str, int], type[Payload]]] = {}


class DeclaredTwice(Exception):
    """Two classes declare the same version of an event type."""


def find_all() -> None:
    """Register the event types of all installed apps. Raises DeclaredTwice. Repeating is harmless."""
    for app in apps.get_app_configs():
        name = f"{app.name}.events"
        if find_spec(name) is not None:
            for payload in _declared_in(import_module(name)):
                register(payload)


def register(payload: type[Payload]) -> None:
    """Register one event type. Raises DeclaredTwice if another class has its name and version."""
    declared = payload.event_type
    if _declared.setdefault((declared.name, declared.version), payload) is not payload:
        raise DeclaredTwice(str(declared))


def payloads() -> list[type[Payload]]:
    """Return the class of each registered type, by name and version."""
    return [_declared[key] for key in sorted(_declared)]


def names() -> list[str]:
    return sorted({name for name, _ in _declared})


def _declared_in(module: ModuleType) -> Iterator[type[Payload]]:
    for value in vars(module).values():
        is_payload = isinstance(value, type) and issubclass(value, Payload)
        if is_payload and value.__module__ == module.__name__ and hasattr(value, "event_type"):
            yield value
