"""The constraints of the database, which hold even if the code has a bug."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError

from inventory.models import Product, Reservation, StockLevel, StockMovement
from tests.support.inventory_helpers import add_stock, basket, reserve

pytestmark = pytest.mark.django_db


def oversell() -> None:
    StockLevel.objects.update(reserved=6)


def take_below_zero() -> None:
    StockLevel.objects.update(reserved=-1)


def lose_goods() -> None:
    StockLevel.objects.update(on_hand=-1, reserved=-1)


def ship_what_is_reserved() -> None:
    StockLevel.objects.update(on_hand=1)


def give_away() -> None:
    Product.objects.update(price_minor=0)


def sell_the_same_sku_twice() -> None:
    Product.objects.create(sku="MUG", name="Another mug", price_minor=1)


def count_one_shelf_twice() -> None:
    StockLevel.objects.create(
        product=Product.objects.get(), warehouse=StockLevel.objects.get().warehouse
    )


def hold_a_line_twice() -> None:
    held = Reservation.objects.get()
    Reservation.objects.create(
        order_id=held.order_id, line_id=held.line_id, stock_level=held.stock_level, quantity=1
    )


def hold_nothing() -> None:
    Reservation.objects.update(quantity=0)


def hold_in_an_unknown_way() -> None:
    Reservation.objects.update(status="borrowed")


def move_a_line_twice() -> None:
    moved = StockMovement.objects.get(kind="reserve")
    StockMovement.objects.create(
        stock_level=moved.stock_level, kind="reserve", quantity=1, line_id=moved.line_id
    )


def reserve_without_a_line() -> None:
    StockMovement.objects.create(
        stock_level=StockLevel.objects.get(), kind="reserve", quantity=1, line_id=None
    )


def receive_for_a_line() -> None:
    StockMovement.objects.create(
        stock_level=StockLevel.objects.get(), kind="receipt", quantity=1, line_id=uuid4()
    )


@pytest.mark.parametrize(
    ("violate", "constraint"),
    [
        (oversell, "inventory_never_oversold"),
        (take_below_zero, "inventory_stocklevel_reserved_check"),
        (lose_goods, "inventory_stocklevel_on_hand_check"),
        (ship_what_is_reserved, "inventory_never_oversold"),
        (give_away, "inventory_price_is_positive"),
        (sell_the_same_sku_twice, "inventory_product_sku_key"),
        (count_one_shelf_twice, "inventory_one_level_per_warehouse"),
        (hold_a_line_twice, "inventory_line_reserved_once"),
        (hold_nothing, "inventory_reservation_is_positive"),
        (hold_in_an_unknown_way, "inventory_reservation_status_known"),
        (move_a_line_twice, "inventory_movement_once_per_line"),
        (reserve_without_a_line, "inventory_movement_has_its_line"),
        (receive_for_a_line, "inventory_movement_has_its_line"),
    ],
)
def test_the_database_enforces_the_stock_constraints(
    violate: Callable[[], None], constraint: str
) -> None:
    add_stock("MUG", 5)
    reserve(basket(("MUG", 2)))

    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        violate()


def test_a_product_with_stock_cannot_be_deleted() -> None:
    add_stock("MUG", 5)

    with pytest.raises(ProtectedError):
        Product.objects.all().delete()

    assert Product.objects.exists()
