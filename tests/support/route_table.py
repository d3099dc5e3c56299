"""Who gets which answer where: reviewed, and signed by its tests. A new route belongs in here.

``API`` has a row for each route and method of the storefront API that somebody may use; whatever is
in no row is refused to everybody. Each row names what each caller is answered.
"""

from collections.abc import Mapping
from typing import Final

Row = Mapping[str, int]

CALLERS: Final = (
    "anonymous",
    "expired",
    "revoked",
    "staff",  # with a session of the desk, and no permission there
    "guest",  # has a link to the order
    "other guest",  # has a link to another order
    "owner",
    "stranger",  # another customer
    "reader",  # the owner, by a token that may read alone
    "writer",  # the owner, by a token that may write alone
    "shop",
)


def by_token(*, owner: int, stranger: int, reader: int, writer: int, shop: int) -> Row:
    """Return a row for those who have a token; nobody else gets anywhere."""
    found = dict.fromkeys(CALLERS, 401)
    found.update(owner=owner, stranger=stranger, reader=reader, writer=writer, shop=shop)
    return found


def by_link(status: int) -> Row:
    """Return a row for those who have a link: a good one leads to its own order, whoever sends it."""
    return {**dict.fromkeys(CALLERS, 404), "guest": status, "other guest": status}


_READ: Final = by_token(owner=200, stranger=404, reader=200, writer=403, shop=200)

API: Final[Mapping[tuple[str, str], Row]] = {
    ("orders", "GET"): by_token(owner=200, stranger=200, reader=200, writer=403, shop=200),
    ("orders", "POST"): by_token(owner=202, stranger=202, reader=403, writer=202, shop=202),
    ("quotes", "POST"): by_token(owner=200, stranger=200, reader=200, writer=403, shop=200),
    ("order", "GET"): _READ,
    ("order-timeline", "GET"): _READ,
    ("order-events", "GET"): _READ,
    ("order-cancel", "POST"): by_token(owner=202, stranger=404, reader=403, writer=202, shop=202),
    ("order-links", "POST"): by_token(owner=201, stranger=404, reader=403, writer=201, shop=201),
    ("order-links", "DELETE"): by_token(owner=204, stranger=404, reader=403, writer=204, shop=204),
    ("token", "DELETE"): by_token(owner=204, stranger=204, reader=204, writer=204, shop=204),
    ("products", "GET"): by_token(owner=200, stranger=200, reader=200, writer=403, shop=200),
    ("guest-order", "GET"): by_link(200),
    ("guest-order-timeline", "GET"): by_link(200),
    ("guest-order-events", "GET"): by_link(200),
    ("guest-order-cancel", "POST"): by_link(202),
}

PUBLIC: Final = {"schema", "manual", "problems", "problem"}
"""Anybody may read these; they know nothing of any order."""

DESK_FOR_EVERYBODY: Final = {"admin:login", "admin:logout", "admin:jsi18n"}
"""What the desk shows to those who are not in: its door."""

DESK_FOR_STAFF: Final = {
    "admin:index",
    "admin:search",
    "admin:password_change",
    "admin:password_change_done",
    "admin:second_factor",
    "admin:enrol",
}
"""What the desk shows to staff without any permission: nothing of any order, and nothing to do."""
