"""What a caller may do, and with whose orders: decided once, when the request is authenticated."""

from dataclasses import dataclass
from uuid import UUID

from django.db.models import TextChoices


class Scope(TextChoices):
    """What a token or a link is good for. Stable: they are stored, and known to storefronts."""

    READ = "orders:read", "See orders and the catalogue"
    WRITE = "orders:write", "Place and cancel orders"
    SHOP = "shop", "Act for the shop: with every customer's orders, and with guests'"


@dataclass(frozen=True, slots=True)
class Grant:
    """What ``request.auth`` is.

    Scopes say what may be done; ``Scope.SHOP`` adds nothing to that, but widens it from the
    caller's own orders to everybody's. A guest's link is good for ``order_id`` alone, and is no
    token; ``token_id`` names the one that was sent.
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
