"""The URLs of the API, and the operation of each."""

import re
from dataclasses import dataclass

from sandbox.stripe_api import charges, payment_intents, refunds
from sandbox.stripe_api.account import Account
from sandbox.stripe_api.errors import unknown_url
from sandbox.stripe_api.form_params import Nested
from sandbox.stripe_api.operations import Operation


@dataclass(frozen=True)
class Route:
    """One operation. ``name`` is its name in fault rules and in the call log."""

    name: str
    operation: Operation


ROUTES = {
    ("POST", "payment_intents", ""): Route("payment_intents.create", payment_intents.create),
    ("GET", "payment_intents", ""): Route("payment_intents.list", payment_intents.list_all),
    ("GET", "payment_intents", ":id"): Route("payment_intents.retrieve", payment_intents.retrieve),
    ("POST", "payment_intents", ":id"): Route("payment_intents.update", payment_intents.update),
    ("POST", "payment_intents", ":id/confirm"): Route(
        "payment_intents.confirm", payment_intents.confirm_existing
    ),
    ("POST", "payment_intents", ":id/capture"): Route(
        "payment_intents.capture", payment_intents.capture
    ),
    ("POST", "payment_intents", ":id/cancel"): Route(
        "payment_intents.cancel", payment_intents.cancel
    ),
    ("GET", "charges", ":id"): Route("charges.retrieve", charges.retrieve),
    ("POST", "refunds", ""): Route("refunds.create", refunds.create),
    ("GET", "refunds", ""): Route("refunds.list", refunds.list_all),
    ("GET", "refunds", ":id"): Route("refunds.retrieve", refunds.retrieve),
    ("POST", "refunds", ":id"): Route("refunds.update", refunds.update),
}

_PATH = re.compile(r"/v1/(?P<resource>[a-z_]+)(?:/(?P<id>[A-Za-z0-9_]+)(?P<action>/[a-z]+)?)?")


def find_route(method: str, path: str) -> tuple[Route, str]:
    """Return the route, and the id in the path (empty without one). Raises ``ApiError``."""
    parts = _PATH.fullmatch(path)
    if parts is None:
        raise unknown_url(method, path)
    tail = f":id{parts['action'] or ''}" if parts["id"] else ""
    route = ROUTES.get((method, parts["resource"], tail))
    if route is None:
        raise unknown_url(method, path)
    return route, parts["id"] or ""


def matchable_fields(account: Account, target: str, params: Nested) -> dict[str, object]:
    """Return what fault rules can match: the fields of the call's objects, then its parameters.

    A call about a refund has the fields of its payment, too.
    """
    refund = account.refunds.get(target)
    intent_id = refund.payment_intent if refund else params.get("payment_intent", target)
    charge = account.charges.get(str(params.get("charge", target)))
    intent = account.intents.get(charge.payment_intent if charge else str(intent_id))
    fields: dict[str, object] = {}
    for record in (intent, charge, refund):
        if record is not None:
            known = {name: value for name, value in vars(record).items() if value is not None}
            fields |= known | _flat("metadata", record.metadata)
    for name, value in params.items():
        fields |= {name: value} if isinstance(value, str) else _flat(name, value)
    return fields


def _flat(name: str, values: "dict[str, str] | Nested") -> dict[str, object]:
    return {f"{name}.{key}": value for key, value in values.items()}
