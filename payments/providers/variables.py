"""How a provider's ``settings`` module reads its environment variables."""

from typing import Any, Protocol


class Variables(Protocol):
    """Reads variables by name, and keeps each explanation for ``docs/configuration.md``.

    A variable without a default is required. Raises ImproperlyConfigured for a missing or
    unreadable one.
    """

    def text(
        self, name: str, explanation: str, default: Any = ..., *, is_secret: bool = False
    ) -> str: ...

    def address(self, name: str, explanation: str, default: Any = ...) -> str: ...

    def flag(self, name: str, explanation: str, default: Any = ...) -> bool: ...

    def list_of_text(self, name: str, explanation: str, default: Any = ...) -> list[str]: ...

    def number(
        self, name: str, explanation: str, default: Any = ..., *, at_least: int = 0
    ) -> int: ...
