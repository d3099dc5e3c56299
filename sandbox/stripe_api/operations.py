"""The types of an operation: a pure function from account and call to response and changes."""

from collections.abc import Callable
from dataclasses import dataclass

from sandbox.http_service.json_values import JsonObject
from sandbox.stripe_api.account import Account
from sandbox.stripe_api.errors import invalid
from sandbox.stripe_api.form_params import Parameters
from sandbox.stripe_api.records import Record


@dataclass(frozen=True)
class Call:
    """One request to an operation.

    ``target`` is the id in its URL, if it has one. ``is_declined`` makes every card decline.
    ``base_url`` is the sandbox's address, as its caller reaches it.
    """

    parameters: Parameters
    now: int
    target: str = ""
    is_declined: bool = False
    base_url: str = ""


@dataclass(frozen=True)
class OperationResult:
    """The response, and the new versions of objects to write to the ledger."""

    body: JsonObject
    object_id: str = ""
    changes: tuple[Record, ...] = ()
    status: int = 200


Operation = Callable[[Account, Call], OperationResult]


def expansions(parameters: Parameters, *, allowed: frozenset[str], prefix: str = "") -> set[str]:
    """Return the links to replace by their objects, without the prefix that lists use."""
    links = set()
    for path in parameters.texts("expand"):
        name = path.removeprefix(prefix)
        if not path.startswith(prefix) or name not in allowed:
            raise invalid(f"This property cannot be expanded ({path}).", param="expand")
        links.add(name)
    return links
