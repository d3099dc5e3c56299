"""What the tests of inventory ask for and look at."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from django.db import transaction

from inventory import services
from inventory.models import (
    MovementKind,
    Product,
    Reservation,
    ReservationStatus,
    StockLevel,
    StockMovement,
    Warehouse,
)
from inventory.services import StockRequest


@dataclass(frozen=True)
class Basket:
    """What one order wants."""

    lines: Sequence[StockRequest]
    order_id: UUID = field(default_factory=uuid4)
    correlation_id: UUID = field(default_factory=uuid4)


def basket(*lines: tuple[str, int]) -> Basket:
    return Basket([StockRequest(uuid4(), sku, quantity) for sku, quantity in lines])


def reserve(*baskets: Basket) -> list[Basket]:
    """Reserve for all of them in one call, and return those that could not be served."""
    with transaction.atomic():
        short = services.reserve(
            {each.order_id: each.lines for each in baskets},
            {each.order_id: each.correlation_id for each in baskets},
        )
    return [each for each in baskets if each.order_id in short]


def release(*baskets: Basket) -> None:
    with transaction.atomic():
        services.release({each.order_id: each.correlation_id for each in baskets})


def confirm(*baskets: Basket) -> set[UUID]:
    with transaction.atomic():
        return services.confirm({each.order_id: len(each.lines) for each in baskets})


def put(sku: str, quantity: int, *, warehouse: str = "main") -> StockLevel:
    """Have some goods come in."""
    product, _ = Product.objects.get_or_create(sku=sku, defaults={"name": sku, "price_minor": 100})
    place, _ = Warehouse.objects.get_or_create(code=warehouse, defaults={"name": warehouse})
    level = StockLevel.objects.create(product=product, warehouse=place)
    services.receive(level, quantity, "for a test")
    return level


def levels() -> dict[str, tuple[int, int]]:
    """What is on hand and what of it is reserved, by SKU and warehouse."""
    found = StockLevel.objects.select_related("product", "warehouse")
    return {
        f"{each.product.sku}@{each.warehouse.code}": (each.on_hand, each.reserved) for each in found
    }


def statuses(order: Basket) -> list[str]:
    """How its reservations stand, in the order of its lines."""
    found = dict(
        Reservation.objects.filter(order_id=order.order_id).values_list("line_id", "status")
    )
    return [found[line.line_id] for line in order.lines if line.line_id in found]


def assert_shelves_are_right() -> None:
    """Nothing is oversold, and every level is the sum of its movements and its reservations."""
    for level in StockLevel.objects.all():
        sums = dict.fromkeys(MovementKind, 0)
        for each in StockMovement.objects.filter(stock_level=level):
            sums[MovementKind(each.kind)] += each.quantity
        held = Reservation.objects.filter(stock_level=level).exclude(
            status=ReservationStatus.RELEASED
        )

        assert level.on_hand >= level.reserved >= 0
        assert level.on_hand == sums[MovementKind.RECEIPT] + sums[MovementKind.ADJUST]
        assert level.reserved == sums[MovementKind.RESERVE] - sums[MovementKind.RELEASE]
        assert level.reserved == sum(each.quantity for each in held)
