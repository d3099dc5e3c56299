"""Reserving stock for orders: whole orders only, and never more than is available."""

from functools import partial

import pytest
from django.db import IntegrityError, transaction
from django.db.transaction import TransactionManagementError

from events.models import OutboxEvent
from inventory import services
from inventory.models import Reservation, StockMovement
from tests.support.database import wait_until_blocking
from tests.support.inventory_helpers import (
    add_stock,
    assert_stock_adds_up,
    basket,
    confirm,
    levels,
    release,
    reserve,
    statuses,
)
from tests.support.threads import run_at_once, start_thread

pytestmark = pytest.mark.django_db


def test_every_line_of_an_order_is_reserved() -> None:
    add_stock("MUG", 5)
    add_stock("TEE", 3)
    order = basket(("MUG", 2), ("TEE", 3))

    short = reserve(order)

    assert short == []
    assert levels() == {"MUG@main": (5, 2), "TEE@main": (3, 3)}
    assert statuses(order) == ["held", "held"]
    assert list(
        StockMovement.objects.filter(kind="reserve")
        .order_by("pk")
        .values_list("line_id", "quantity")
    ) == [(line.line_id, line.quantity) for line in order.lines]
    assert_stock_adds_up()


def test_a_reservation_publishes_one_event() -> None:
    add_stock("MUG", 5)
    order = basket(("MUG", 2))

    reserve(order)

    event = OutboxEvent.objects.get()
    assert (event.name, event.key) == ("stock.reserved", order.order_id)
    assert event.correlation_id == order.correlation_id
    assert event.payload == {"lines": [{"sku": "MUG", "quantity": 2}]}


@pytest.mark.parametrize(
    "lines",
    [(("MUG", 6),), (("TEE", 1), ("MUG", 6)), (("MUG", 5), ("TEE", 4)), (("CUP", 1),)],
    ids=["too many", "the second line", "the last line", "an unknown product"],
)
def test_an_order_that_is_short_reserves_nothing(
    lines: tuple[tuple[str, int], ...],
) -> None:
    add_stock("MUG", 5)
    add_stock("TEE", 3)

    order = basket(*lines)
    short = reserve(order)

    assert short == [order]
    assert levels() == {"MUG@main": (5, 0), "TEE@main": (3, 0)}
    assert not Reservation.objects.exists()
    assert not StockMovement.objects.exclude(kind="receipt").exists()
    assert not OutboxEvent.objects.exists()


def test_an_order_that_is_short_names_the_missing_sku() -> None:
    add_stock("MUG", 5)
    add_stock("TEE", 3)
    order = basket(("MUG", 1), ("TEE", 4))

    short = services.reserve({order.order_id: order.lines}, {order.order_id: order.correlation_id})

    assert short == {order.order_id: "TEE"}


def test_the_last_piece_can_be_reserved() -> None:
    add_stock("MUG", 5)

    assert reserve(basket(("MUG", 5))) == []
    assert levels() == {"MUG@main": (5, 5)}


def test_orders_in_one_call_are_served_in_turn_while_stock_lasts() -> None:
    add_stock("MUG", 5)
    add_stock("TEE", 5)
    first, second, third, fourth = (
        basket(("MUG", 3)),
        basket(("TEE", 2), ("MUG", 3)),
        basket(("MUG", 2)),
        basket(("MUG", 1), ("TEE", 1)),
    )

    short = reserve(first, second, third, fourth)

    assert short == [second, fourth]
    assert levels() == {"MUG@main": (5, 5), "TEE@main": (5, 0)}
    assert [statuses(order) for order in (first, second, third, fourth)] == [
        ["held"],
        [],
        ["held"],
        [],
    ]
    assert set(OutboxEvent.objects.values_list("key", flat=True)) == {
        first.order_id,
        third.order_id,
    }
    assert_stock_adds_up()


def test_a_line_is_reserved_in_the_first_warehouse_that_has_all_of_it() -> None:
    add_stock("MUG", 2, warehouse="near")
    add_stock("MUG", 4, warehouse="far")

    reserve(basket(("MUG", 1)))
    reserve(basket(("MUG", 2)))
    reserve(basket(("MUG", 1)))

    assert levels() == {"MUG@near": (2, 2), "MUG@far": (4, 2)}
    assert_stock_adds_up()


def test_a_line_is_never_split_between_warehouses() -> None:
    add_stock("MUG", 2, warehouse="near")
    add_stock("MUG", 2, warehouse="far")
    order = basket(("MUG", 3))

    assert reserve(order) == [order]
    assert levels() == {"MUG@near": (2, 0), "MUG@far": (2, 0)}


def test_lines_can_come_from_different_warehouses() -> None:
    add_stock("MUG", 2, warehouse="near")
    add_stock("TEE", 2, warehouse="far")
    order = basket(("MUG", 2), ("TEE", 1))

    reserve(order)
    held = levels()
    release(order)

    assert held == {"MUG@near": (2, 2), "TEE@far": (2, 1)}
    assert levels() == {"MUG@near": (2, 0), "TEE@far": (2, 0)}
    assert_stock_adds_up()


def test_the_database_refuses_to_reserve_an_order_twice() -> None:
    add_stock("MUG", 5)
    order = basket(("MUG", 1))
    reserve(order)

    with pytest.raises(IntegrityError, match=r"inventory_(line_reserved|movement)_once"):
        reserve(order)

    assert levels() == {"MUG@main": (5, 1)}
    assert_stock_adds_up()


@pytest.mark.django_db(transaction=True)
def test_reserving_needs_a_transaction() -> None:
    add_stock("MUG", 5)
    order = basket(("MUG", 1))

    with pytest.raises(TransactionManagementError):
        services.reserve({order.order_id: order.lines}, {order.order_id: order.correlation_id})

    assert levels() == {"MUG@main": (5, 0)}


def test_a_release_makes_all_stock_available_again() -> None:
    add_stock("MUG", 5)
    add_stock("TEE", 3)
    order, other = basket(("MUG", 2), ("TEE", 3)), basket(("MUG", 1))
    reserve(order, other)

    release(order)

    assert levels() == {"MUG@main": (5, 1), "TEE@main": (3, 0)}
    assert statuses(order) == ["released", "released"]
    assert statuses(other) == ["held"]
    event = OutboxEvent.objects.get(name="stock.released")
    assert (event.key, event.correlation_id) == (order.order_id, order.correlation_id)
    assert event.payload == {
        "lines": [{"sku": "MUG", "quantity": 2}, {"sku": "TEE", "quantity": 3}]
    }
    assert_stock_adds_up()


def test_releasing_again_changes_nothing() -> None:
    add_stock("MUG", 5)
    order = basket(("MUG", 2))
    reserve(order)
    release(order)
    movements = list(StockMovement.objects.order_by("pk").values_list())

    release(order)

    assert levels() == {"MUG@main": (5, 0)}
    assert list(StockMovement.objects.order_by("pk").values_list()) == movements
    assert OutboxEvent.objects.filter(name="stock.released").count() == 1


def test_releasing_an_order_without_reservations_changes_nothing() -> None:
    add_stock("MUG", 5)
    reserve(basket(("MUG", 2)))

    release(basket(("MUG", 2)))

    assert levels() == {"MUG@main": (5, 2)}
    assert not OutboxEvent.objects.filter(name="stock.released").exists()


def test_confirmed_stock_can_be_released() -> None:
    add_stock("MUG", 5)
    order = basket(("MUG", 2))
    reserve(order)
    confirm(order)

    release(order)

    assert statuses(order) == ["released"]
    assert levels() == {"MUG@main": (5, 0)}
    assert_stock_adds_up()


def test_several_orders_are_released_together() -> None:
    add_stock("MUG", 9)
    first, second, third = (basket(("MUG", number)) for number in (1, 2, 3))
    reserve(first, second, third)
    confirm(second)

    release(first, second)

    assert levels() == {"MUG@main": (9, 3)}
    assert OutboxEvent.objects.filter(name="stock.released").count() == 2
    assert_stock_adds_up()


@pytest.mark.django_db(transaction=True)
def test_a_release_waits_for_another_change_of_the_same_stock_level() -> None:
    add_stock("MUG", 9)
    first, second = basket(("MUG", 2)), basket(("MUG", 3))
    reserve(first, second)

    with transaction.atomic():
        release(first)
        released = start_thread(release, second)
        wait_until_blocking()
    released.result()

    assert levels() == {"MUG@main": (9, 0)}
    assert_stock_adds_up()


def test_received_goods_can_be_reserved() -> None:
    level = add_stock("MUG", 1)
    order = basket(("MUG", 2))
    assert reserve(order) == [order]

    services.receive(level, 1, "a second one")

    assert reserve(order) == []
    assert list(
        StockMovement.objects.filter(kind="receipt").order_by("pk").values_list("quantity", "note")
    ) == [
        (1, "for a test"),
        (1, "a second one"),
    ]
    assert_stock_adds_up()


@pytest.mark.django_db(transaction=True)
def test_concurrent_orders_in_opposite_order_neither_oversell_nor_deadlock() -> None:
    add_stock("MUG", 7)
    add_stock("TEE", 7)
    forwards, backwards = (("MUG", 1), ("TEE", 1)), (("TEE", 1), ("MUG", 1))
    orders = [basket(*(forwards if number % 2 else backwards)) for number in range(12)]

    unserved = run_at_once(*(partial(reserve, order) for order in orders))

    assert unserved.count([]) == 7
    assert all(result in ([], [order]) for order, result in zip(orders, unserved, strict=True))
    assert levels() == {"MUG@main": (7, 7), "TEE@main": (7, 7)}
    assert_stock_adds_up()
