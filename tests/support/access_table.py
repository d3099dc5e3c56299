"""The reviewed access table: which status each caller gets at each route. New routes need a row.

``API`` has a row for each route and method of the storefront API. A method without a row must be
refused to all callers.
"""

from collections.abc import Mapping
from typing import Any, Final

from tests.support.storefront_client import cart

Row = Mapping[str, int]

CALLERS: Final = (
    "anonymous",
    "expired",
    "revoked",
    "staff",  # has a session at the desk, and no permission there
    "guest",  # has a link to the order
    "other guest",  # has a link to another order
    "owner",
    "stranger",  # another customer
    "reader",  # the owner, with a token that has orders:read only
    "writer",  # the owner, with a token that has orders:write only
    "shop",
)


def by_token(*, owner: int, stranger: int, reader: int, writer: int, shop: int) -> Row:
    """Return a row for callers with a token; all others get 401."""
    row = dict.fromkeys(CALLERS, 401)
    row.update(owner=owner, stranger=stranger, reader=reader, writer=writer, shop=shop)
    return row


def by_link(status: int) -> Row:
    """Return a row for a guest link's path: a valid link gives access to its own order only."""
    return {**dict.fromkeys(CALLERS, 404), "guest": status, "other guest": status}


_READ: Final = by_token(owner=200, stranger=404, reader=200, writer=403, shop=200)
_DECIDE: Final = by_token(owner=403, stranger=403, reader=403, writer=403, shop=200)
_NO_CALLER: Final = dict.fromkeys(CALLERS, 404)

API: Final[Mapping[tuple[str, str], Row]] = {
    ("orders", "GET"): by_token(owner=200, stranger=200, reader=200, writer=403, shop=200),
    ("orders", "POST"): by_token(owner=202, stranger=202, reader=403, writer=202, shop=202),
    ("quotes", "POST"): by_token(owner=200, stranger=200, reader=200, writer=403, shop=200),
    ("order", "GET"): _READ,
    ("order-timeline", "GET"): _READ,
    ("order-events", "GET"): _READ,
    ("order-cancel", "POST"): by_token(owner=202, stranger=404, reader=403, writer=202, shop=202),
    # The order is paid at once, and waits for no other payment.
    ("order-payments", "POST"): by_token(owner=409, stranger=404, reader=403, writer=409, shop=409),
    ("order-payment-check", "POST"): by_token(
        owner=200, stranger=404, reader=403, writer=200, shop=200
    ),
    # The checkout declares no signal for customers.
    ("order-signal", "POST"): by_token(owner=403, stranger=404, reader=403, writer=403, shop=409),
    ("order-links", "POST"): by_token(owner=201, stranger=404, reader=403, writer=201, shop=201),
    ("order-links", "DELETE"): by_token(owner=204, stranger=404, reader=403, writer=204, shop=204),
    ("approvals", "GET"): by_token(owner=403, stranger=403, reader=403, writer=403, shop=200),
    ("approval", "GET"): _READ,
    ("approval-approve", "POST"): _DECIDE,
    ("approval-reject", "POST"): _DECIDE,
    # A guest link is no decision link; tests/approvals/test_links.py has those.
    ("decision-link", "GET"): _NO_CALLER,
    ("decision-link", "POST"): _NO_CALLER,
    ("token", "DELETE"): by_token(owner=204, stranger=204, reader=204, writer=204, shop=204),
    ("products", "GET"): by_token(owner=200, stranger=200, reader=200, writer=403, shop=200),
    ("guest-order", "GET"): by_link(200),
    ("guest-order-timeline", "GET"): by_link(200),
    ("guest-order-events", "GET"): by_link(200),
    ("guest-order-cancel", "POST"): by_link(202),
    ("guest-order-payments", "POST"): by_link(409),
    ("guest-order-payment-check", "POST"): by_link(200),
}

BODIES: Final[Mapping[str, Any]] = {
    "orders": cart(("MUG", 1)),
    "order-payments": {"payment_method": "pm_card_visa"},
    "guest-order-payments": {"payment_method": "pm_card_visa"},
    "quotes": {"items": cart(("MUG", 1))["items"]},
}
"""A valid body for each route that needs one."""

PUBLIC: Final = {"schema", "manual", "problems", "problem"}
"""Public pages, which have no data of orders."""

DESK_PUBLIC: Final = {"admin:login", "admin:logout", "admin:jsi18n"}
"""The desk's pages before login."""

DESK_FOR_STAFF: Final = {
    "admin:index",
    "admin:search",
    "admin:password_change",
    "admin:password_change_done",
    "admin:second_factor",
    "admin:enrol",
}
"""The desk's pages for staff without permissions, which have no data of orders and no actions."""
