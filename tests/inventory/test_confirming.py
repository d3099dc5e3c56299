"""Confirming: all reservations of an order are confirmed, or none."""

from collections.abc import Callable

import pytest

from inventory.models import Reservation
from tests.support.inventory_helpers import (
    Basket,
    add_stock,
    assert_stock_adds_up,
    basket,
    confirm,
    levels,
    release,
    reserve,
    statuses,
)

pytestmark = pytest.mark.django_db


def test_confirmed_stock_stays_reserved() -> None:
    add_stock("MUG", 5)
    add_stock("TEE", 5)
    order, other = basket(("MUG", 2), ("TEE", 1)), basket(("MUG", 1))
    reserve(order, other)

    confirm(order)

    assert statuses(order) == ["confirmed", "confirmed"]
    assert statuses(other) == ["held"]
    assert levels() == {"MUG@main": (5, 3), "TEE@main": (5, 1)}
    assert_stock_adds_up()


def test_several_orders_are_confirmed_together() -> None:
    add_stock("MUG", 5)
    first, second = basket(("MUG", 1)), basket(("MUG", 2))
    reserve(first, second)

    confirm(first, second)

    assert (statuses(first), statuses(second)) == (["confirmed"], ["confirmed"])


def never_hold(_: Basket) -> None:
    pass


def hold_and_release(order: Basket) -> None:
    reserve(order)
    release(order)


def hold_and_confirm(order: Basket) -> None:
    reserve(order)
    confirm(order)


def hold_and_lose_one_line(order: Basket) -> None:
    reserve(order)
    Reservation.objects.filter(line_id=order.lines[1].line_id).update(status="released")


@pytest.mark.parametrize(
    "happen", [never_hold, hold_and_release, hold_and_confirm, hold_and_lose_one_line]
)
def test_an_order_that_is_not_fully_reserved_is_not_confirmed(
    happen: Callable[[Basket], None],
) -> None:
    add_stock("MUG", 5)
    add_stock("TEE", 5)
    order, whole = basket(("MUG", 2), ("TEE", 1)), basket(("MUG", 1))
    reserve(whole)
    happen(order)
    before = statuses(order)

    broken = confirm(order, whole)

    assert broken == {order.order_id}
    assert statuses(order) == before
    assert statuses(whole) == ["confirmed"]
