"""Which variables of the caller's environment the started programs get, and which are replaced."""

from collections.abc import Mapping
from typing import Final

from sandbox.outside_service.services import SERVICES, setting_of

ADDRESS_ENDINGS: Final = ("_URL", "_DSN", "_ENDPOINT", "_API_BASE")
"""The endings of all settings that hold an address.

A variable that a shell happens to have must not point a test or a drill at a real database, broker
or service. The settings enforce all endings of this module, and a test compares the lists.
"""

CREDENTIAL_ENDINGS: Final = ("_API_KEY", "_SECRET")
"""The endings of all secrets that a payment provider declares.

Such a secret decides whose money moves, so it is treated like an address.
"""

OPENED_BY_BROWSERS: Final = ("PAYMENT_RETURN_URL",)
"""Addresses that only a customer's browser opens. No process calls them, so `make up` takes the caller's."""

NOWHERE: Final = "http://127.0.0.1:9"
"""Nothing listens here, so a call by mistake fails."""

# Variables that libpq, Celery, Flower, gunicorn and Django read without the application's settings.
_READ_BY_LIBRARIES = ("PG", "BROKER_", "CELERY_", "FLOWER_", "GUNICORN_", "DJANGO_")


def is_external(environment: Mapping[str, str]) -> bool:
    """Return whether the caller wants the addresses of the environment to be used: EXTERNAL=1."""
    return environment.get("EXTERNAL") == "1"


def given_addresses(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the addresses and credentials to use instead of ours; empty unless EXTERNAL=1."""
    if not is_external(environment):
        return {}
    return {
        name: value
        for name, value in environment.items()
        if value and _is_address(name) and not name.startswith(_READ_BY_LIBRARIES)
    }


def without_addresses(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without every variable that holds an address or a credential."""
    return {
        name: value
        for name, value in environment.items()
        if not _is_address(name) and not name.startswith(_READ_BY_LIBRARIES)
    }


def placeholders() -> dict[str, str]:
    """Return the required settings for a program that reads the settings and connects to nothing."""
    return {
        "SECRET_KEY": "x",
        "INSTALLATION_ID": "x",
        "STRIPE_API_KEY": "sk_test_nothing_listens",
        "STRIPE_API_BASE": NOWHERE,
        "DATABASE_URL": "postgres://x@127.0.0.1:9/x",
        "REDIS_URL": "redis://127.0.0.1:9/0",
        **{setting_of(service): NOWHERE for service in SERVICES},
    }


def _is_address(name: str) -> bool:
    return name.endswith(ADDRESS_ENDINGS + CREDENTIAL_ENDINGS)


if __name__ == "__main__":
    # For a shell: `env $(python -m sandbox.environment) mypy .`
    print(*(f"{name}={value}" for name, value in placeholders().items()))
