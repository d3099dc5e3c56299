"""The environment variables that configure an installation: each read once, typed, and explained.

What is read here is remembered with its explanation, so that ``docs/configuration.md`` is made of
the code that reads (``manage.py describe_settings``) and cannot say anything else.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import environ
import limits
from django.core.exceptions import ImproperlyConfigured

REQUIRED: Final = environ.Env.NOTSET
"""The default of what has none: starting without it is an error that names it."""


ADDRESS_ENDINGS: Final = ("_URL", "_DSN", "_ENDPOINT", "_API_BASE")
"""How the name of every variable ends that says where something outside this process is."""


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable, as the reference shows it."""

    section: str
    name: str
    kind: str
    explanation: str
    default: object  # REQUIRED where there is none
    is_secret: bool
    is_address: bool

    @property
    def is_required(self) -> bool:
        return self.default is REQUIRED


class Section:
    """Reads the variables of one part of the reference, in the order in which it shows them."""

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
        """Read the URL of something outside this process. An empty default allows an empty value.

        Tests and sandbox clear every variable with one of ADDRESS_ENDINGS, so that a variable of
        the developer's shell cannot send a test to a real service. Raises ImproperlyConfigured.
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

    def words(self, name: str, explanation: str, default: Any = REQUIRED) -> list[str]:
        kind = "words with commas between them"
        return list(self._read(self._env.list, kind, name, explanation, default))

    def number(
        self, name: str, explanation: str, default: Any = REQUIRED, *, at_least: int = 0
    ) -> int:
        """Read a whole number. Raises ImproperlyConfigured for one below ``at_least``."""
        kind = f"number, at least {at_least}"
        found = int(self._read(self._env.int, kind, name, explanation, default))
        if found < at_least:
            raise ImproperlyConfigured(f"{name}: at least {at_least}")
        return found

    def rate(self, name: str, explanation: str, default: str) -> str:
        """Read a rate such as 10/minute; empty for none. Raises ImproperlyConfigured for others."""
        kind = "rate such as 10/minute; empty for no limit"
        found = str(self._read(self._env.str, kind, name, explanation, default)).strip()
        try:
            if found:
                limits.parse(found)
        except ValueError as error:
            raise ImproperlyConfigured(f"{name}: {error}") from None
        return found

    def database(self, name: str, explanation: str) -> dict[str, Any]:
        """Read a URL of a database as Django's settings of one."""
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
            raise ValueError(f"{name}: addresses, and only they, end in {endings}")
        variable = Variable(self.title, name, kind, explanation, default, is_secret, is_address)
        self.variables.append(variable)
        try:
            return read(name, default=default)
        except ValueError as error:
            if is_secret:  # its text may repeat a part of the value
                raise ImproperlyConfigured(f"{name} cannot be read") from None
            raise ImproperlyConfigured(f"{name} ({kind}): {error}") from None
