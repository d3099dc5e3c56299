"""Stock requests for the tests of ``inventory``, made without orders. Orders are in ``shop``."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from django.db import transaction

from inventory import services
from inventory.models import (
    MovementKind,
    Reservation,
    ReservationStatus,
    StockLevel,
    StockMovement,
)
from inventory.services import StockRequest
from tests.support.shop import Shelf


@dataclass(frozen=True)
class Basket:
    """The stock that one order asks for."""

    lines: Sequence[StockRequest]
    order_id: UUID = field(default_factory=uuid4)
    correlation_id: UUID = field(default_factory=uuid4)


def basket(*lines: tuple[str, int]) -> Basket:
    """Return a basket of SKUs with their quantities."""
    return Basket([StockRequest(uuid4(), sku, quantity) for sku, quantity in lines])


def reserve(*baskets: Basket) -> list[Basket]:
    """Reserve for all baskets in one call. Returns the baskets that could not be served."""
    with transaction.atomic():
        short = services.reserve(
            {basket.order_id: basket.lines for basket in baskets},
            {basket.order_id: basket.correlation_id for basket in baskets},
        )
    return [basket for basket in baskets if basket.order_id in short]


def release(*baskets: Basket) -> None:
    with transaction.atomic():
        services.release({basket.order_id: basket.correlation_id for basket in baskets})


def confirm(*baskets: Basket) -> set[UUID]:
    """Confirm the reservations of all baskets. Returns the orders that do not hold all lines."""
    with transaction.atomic():
        return services.confirm({basket.order_id: len(basket.lines) for basket in baskets})


def add_stock(sku: str, quantity: int, *, warehouse: str = "main") -> StockLevel:
    """Receive goods in a warehouse that has none of them yet, at a price of 1.00."""
    return Shelf(warehouse).put(sku, quantity, price_minor=100)


def levels() -> dict[str, tuple[int, int]]:
    """Return the quantities on hand and reserved, by SKU and warehouse."""
    found = StockLevel.objects.select_related("product", "warehouse")
    return {
        f"{level.product.sku}@{level.warehouse.code}": (level.on_hand, level.reserved)
        for level in found
    }


def statuses(basket: Basket) -> list[str]:
    """Return the statuses of the basket's reservations, in the order of its lines."""
    found = dict(
        Reservation.objects.filter(order_id=basket.order_id).values_list("line_id", "status")
    )
    return [found[line.line_id] for line in basket.lines if line.line_id in found]


def assert_stock_adds_up() -> None:
    """Check that nothing is oversold and each level is the sum of its movements and reservations."""
    for level in StockLevel.objects.all():
        sums = dict.fromkeys(MovementKind, 0)
        for movement in StockMovement.objects.filter(stock_level=level):
            sums[MovementKind(movement.kind)] += movement.quantity
        held = Reservation.objects.filter(stock_level=level).exclude(
            status=ReservationStatus.RELEASED
        )

        assert level.on_hand >= level.reserved >= 0
        assert level.on_hand == sums[MovementKind.RECEIPT] + sums[MovementKind.ADJUST]
        assert level.reserved == sums[MovementKind.RESERVE] - sums[MovementKind.RELEASE]
        assert level.reserved == sum(reservation.quantity for reservation in held)
