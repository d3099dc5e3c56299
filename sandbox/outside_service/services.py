"""The outside services, besides Stripe, that the application calls, and their rules in the sandbox.

`make up`, `make demo`, the proof and the tests start each of them. The application gets the address
of a service named ``fraud`` from the setting ``FRAUD_URL``.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from sandbox.outside_service.rules import AnswerRule

SERVICES: Final[Mapping[str, Sequence[AnswerRule]]] = {}


def setting_of(service: str) -> str:
    """Return the name of the setting that holds the address of a service."""
    return f"{service.upper().replace('-', '_')}_URL"


class ServiceUnknown(ValueError):
    """The variable WITH is not a list of services."""


_WANTED: Final = re.compile(r"(?P<name>[a-z][a-z0-9-]*)(?::(?P<port>[0-9]{1,5}))?")


def requested_services(listed: str) -> dict[str, int]:
    """Return the services to start, each with its port; 0 lets the kernel choose one.

    ``listed`` is the value of WITH in `make up WITH=fraud,warehouse:8123`. All of SERVICES are
    included. Raises ServiceUnknown.
    """
    found = dict.fromkeys(SERVICES, 0)
    for text in filter(None, listed.split(",")):
        parts = _WANTED.fullmatch(text)
        if parts is None:
            raise ServiceUnknown(f"WITH={listed}: {text} is not a name or name:port")
        found[parts["name"]] = int(parts["port"] or 0)
    return found


def program_of(service: str) -> str:
    """Return the name under which the supervisor runs a service."""
    return f"outside-{service}"


def service_of(program: str) -> str | None:
    """Return the service that a program of the supervisor runs; None for other programs."""
    prefix, is_service, name = program.partition("outside-")
    return name if is_service and not prefix else None
