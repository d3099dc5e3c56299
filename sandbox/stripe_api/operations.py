"""What an operation is given and what it gives back: pure functions from an account to an answer."""

from collections.abc import Callable
from dataclasses import dataclass

from sandbox.http_service.json_values import JsonObject
from sandbox.stripe_api.account import Account
from sandbox.stripe_api.errors import invalid
from sandbox.stripe_api.form_params import Parameters
from sandbox.stripe_api.records import Record


@dataclass(frozen=True)
class Call:
    """One request to an operation. ``target`` is the id in its URL, if it has one.

    ``is_declined`` has every card say no, also one that would say yes.
    """

    parameters: Parameters
    now: int
    target: str = ""
    is_declined: bool = False


@dataclass(frozen=True)
class Outcome:
    """The answer, and the versions of objects that become true when it is written down."""

    body: JsonObject
    object_id: str = ""
    changes: tuple[Record, ...] = ()
    status: int = 200


Operation = Callable[[Account, Call], Outcome]


def expansions(parameters: Parameters, *, allowed: frozenset[str], prefix: str = "") -> set[str]:
    """The links to replace by their objects, without the prefix that lists put before them."""
    wanted = set()
    for path in parameters.texts("expand"):
        name = path.removeprefix(prefix)
        if not path.startswith(prefix) or name not in allowed:
            raise invalid(f"This property cannot be expanded ({path}).", param="expand")
        wanted.add(name)
    return wanted
