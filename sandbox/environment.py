"""Which variables of the caller's environment reach what we start, and which are replaced."""

from collections.abc import Mapping
from typing import Final

from sandbox.outside_service.services import SERVICES, setting_of

ADDRESS_ENDINGS: Final = ("_URL", "_DSN", "_ENDPOINT", "_API_BASE")
"""How the names of all settings end that say where orders, messages or money go.

A shell that happens to have them set must not be enough to point a test or a drill at a real
database, broker or service. The settings demand these endings, and a test compares the two lists.
"""

STRIPE_KEY: Final = "STRIPE_API_KEY"
"""Says whose money moves, so it is treated as an address."""

NOWHERE: Final = "http://127.0.0.1:9"
"""Nothing listens here: a stray call goes nowhere."""

# Other ways to the broker, and what libpq, Celery, Flower and gunicorn read behind our settings' back.
_SIDE_DOORS = ("PG", "BROKER_", "CELERY_", "FLOWER_", "GUNICORN_", "DJANGO_")


def is_external(environment: Mapping[str, str]) -> bool:
    """Tell whether the caller asked, by EXTERNAL=1, for the addresses in the environment."""
    return environment.get("EXTERNAL") == "1"


def given_addresses(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the addresses to use instead of the embedded servers': empty unless EXTERNAL=1."""
    if not is_external(environment):
        return {}
    return {
        name: value
        for name, value in environment.items()
        if value and _is_address(name) and not name.startswith(_SIDE_DOORS)
    }


def without_addresses(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment less everything that says where to connect to."""
    return {
        name: value
        for name, value in environment.items()
        if not _is_address(name) and not name.startswith(_SIDE_DOORS)
    }


def placeholders() -> dict[str, str]:
    """Return values that let the settings be read by a program that connects to nothing."""
    return {
        "SECRET_KEY": "x",
        "INSTALLATION_ID": "x",
        STRIPE_KEY: "sk_test_nothing_listens",
        "STRIPE_API_BASE": NOWHERE,
        "DATABASE_URL": "postgres://x@127.0.0.1:9/x",
        "REDIS_URL": "redis://127.0.0.1:9/0",
        **{setting_of(service): NOWHERE for service in SERVICES},
    }


def _is_address(name: str) -> bool:
    return name.endswith(ADDRESS_ENDINGS) or name == STRIPE_KEY


if __name__ == "__main__":
    # For a shell: `env $(python -m sandbox.environment) mypy .`
    print(*(f"{name}={value}" for name, value in placeholders().items()))
