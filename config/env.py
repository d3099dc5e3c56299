"""Reads the environment variables that configure an installation, with their types.

Each variable is stored with its explanation: ``manage.py describe_settings`` generates
``docs/configuration.md`` from them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import environ
import limits
from django.core.exceptions import ImproperlyConfigured

REQUIRED: Final = environ.Env.NOTSET
"""The default of a required variable. Starting without it raises an error that names it."""

ADDRESS_ENDINGS: Final = ("_URL", "_DSN", "_ENDPOINT", "_API_BASE")
"""The endings of the names of all variables with addresses of other services."""


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable, as the reference lists it."""

    section: str
    name: str
    kind: str
    explanation: str
    default: object  # or REQUIRED
    is_secret: bool
    is_address: bool

    @property
    def is_required(self) -> bool:
        return self.default is REQUIRED


class Section:
    """One section of the reference. Reads its variables, in the order in which it lists them."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.variables: list[Variable] = []
        self._env = environ.Env()

    def text(
        self, name: str, explanation: str, default: Any = REQUIRED, *, is_secret: bool = False
    ) -> str:
        return str(
            self._read(self._env.str, "text", name, explanation, default, is_secret=is_secret)
        )

    def address(
        self, name: str, explanation: str, default: Any = REQUIRED, *, is_secret: bool = False
    ) -> str:
        """Read the URL of another service. With an empty default the value may be empty.

        Tests and sandbox clear every variable with one of ADDRESS_ENDINGS, so that a variable of
        the developer's shell cannot send a test to a real service. Raises ImproperlyConfigured for
        any other value.
        """
        found = str(
            self._read(self._env.str, "URL", name, explanation, default, is_secret=is_secret)
        )
        parts = urlsplit(found)
        if (found or default is REQUIRED) and not (parts.scheme and (parts.netloc or parts.path)):
            raise ImproperlyConfigured(f"{name} is not a URL")
        return found

    def flag(self, name: str, explanation: str, default: Any = REQUIRED) -> bool:
        return bool(self._read(self._env.bool, "0 or 1", name, explanation, default))

    def list_of_text(self, name: str, explanation: str, default: Any = REQUIRED) -> list[str]:
        kind = "list, separated by commas"
        return list(self._read(self._env.list, kind, name, explanation, default))

    def number(
        self, name: str, explanation: str, default: Any = REQUIRED, *, at_least: int = 0
    ) -> int:
        """Read a whole number. Raises ImproperlyConfigured for a number below ``at_least``."""
        kind = f"number, at least {at_least}"
        found = int(self._read(self._env.int, kind, name, explanation, default))
        if found < at_least:
            raise ImproperlyConfigured(f"{name}: must be at least {at_least}")
        return found

    def rate(self, name: str, explanation: str, default: str) -> str:
        """Read a rate such as 10/minute; empty for no limit. Raises ImproperlyConfigured."""
        kind = "rate such as 10/minute; empty for no limit"
        found = str(self._read(self._env.str, kind, name, explanation, default)).strip()
        try:
            if found:
                limits.parse(found)
        except ValueError as error:
            raise ImproperlyConfigured(f"{name}: {error}") from None
        return found

    def database(self, name: str, explanation: str) -> dict[str, Any]:
        """Read the URL of a database; return Django's settings for it."""
        return dict(
            self._read(self._env.db_url, "URL", name, explanation, REQUIRED, is_secret=True)
        )

    def _read(
        self,
        read: Callable[..., Any],
        kind: str,
        name: str,
        explanation: str,
        default: object,
        *,
        is_secret: bool = False,
    ) -> Any:
        is_address = kind == "URL"
        if is_address != name.endswith(ADDRESS_ENDINGS):
            endings = ", ".join(ADDRESS_ENDINGS)
            raise ValueError(f"{name}: names of addresses, and no others, end in {endings}")
        variable = Variable(self.title, name, kind, explanation, default, is_secret, is_address)
        self.variables.append(variable)
        try:
            return read(name, default=default)
        except ValueError as error:
            if is_secret:  # the error may quote a part of the value
                raise ImproperlyConfigured(f"{name} cannot be read") from None
            raise ImproperlyConfigured(f"{name} ({kind}): {error}") from None
