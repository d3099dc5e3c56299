"""Scopes and grants: what a caller may do, decided once, at authentication."""

from dataclasses import dataclass
from uuid import UUID

from django.db.models import TextChoices


class Scope(TextChoices):
    """The permissions of a token or link. Stable: stored, and used by storefronts."""

    READ = "orders:read", "See orders and the catalogue"
    WRITE = "orders:write", "Place and cancel orders"
    SHOP = "shop", "Act for the shop: with the orders of all customers and guests"


@dataclass(frozen=True, slots=True)
class Grant:
    """What a caller may do: the value of ``request.auth``.

    ``Scope.SHOP`` does not add permissions; it extends them from the caller's own orders to all
    orders. A guest link has an ``order_id`` and no token. ``token_id`` names the token that was
    sent.
    """

    scopes: frozenset[Scope]
    order_id: UUID | None = None
    token_id: UUID | None = None

    @property
    def is_shop(self) -> bool:
        return Scope.SHOP in self.scopes

    @property
    def is_guest(self) -> bool:
        return self.order_id is not None
