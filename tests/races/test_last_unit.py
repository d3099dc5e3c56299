"""Many orders compete for the same few units: exactly as many are confirmed as there are units."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from uuid import UUID

import pytest
from django.db import OperationalError
from psycopg.errors import DeadlockDetected

import inventory.services
from inventory.models import StockLevel
from inventory.services import StockRequest
from orders.models import Order
from orders.services import place_order
from orders.states import OrderStatus
from sagas.identifiers import new_id
from tests.support.in_memory_broker import deliver_as_separate_worker
from tests.support.ledger_checks import assert_ledgers_agree
from tests.support.removed_guards import without_row_locks
from tests.support.shop import Shelf, Shop
from tests.support.threads import meet_before, run_at_once

pytestmark = pytest.mark.django_db(transaction=True)

LAMP_THEN_CLOCK = {"LAMP": 1, "CLOCK": 1}
CLOCK_THEN_LAMP = {"CLOCK": 1, "LAMP": 1}


def test_one_of_twenty_orders_for_the_last_unit_is_confirmed(
    shop: Shop, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.put("LAMP", 1)
    meet_before_reserving(monkeypatch, kept_apart=True)

    outcomes = buy_at_once(shop, [{"LAMP": 1}] * 20)

    assert outcomes == [None] * 20
    assert ends() == {("confirmed", ""): 1, ("cancelled", "out_of_stock"): 19}
    assert shelf.level("LAMP") == (1, 1)
    assert_ledgers_agree(shop.sandbox_stripe)


def test_the_last_unit_is_sold_twice_without_its_row_lock(
    shop: Shop, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.put("LAMP", 1)
    meet_before_reserving(monkeypatch, kept_apart=False)
    without_row_locks(monkeypatch, StockLevel)

    buy_at_once(shop, [{"LAMP": 1}] * 2)

    assert ends() == {("confirmed", ""): 2}


def test_seven_of_twelve_orders_for_seven_pairs_are_confirmed_in_any_order_of_lines(
    shop: Shop, shelf: Shelf
) -> None:
    shelf.put("LAMP", 7)
    shelf.put("CLOCK", 7)

    outcomes = buy_at_once(shop, [LAMP_THEN_CLOCK, CLOCK_THEN_LAMP] * 6)

    assert outcomes == [None] * 12
    assert ends() == {("confirmed", ""): 7, ("cancelled", "out_of_stock"): 5}
    assert shelf.level("LAMP") == shelf.level("CLOCK") == (7, 7)
    assert_ledgers_agree(shop.sandbox_stripe)


def test_orders_with_lines_in_opposite_order_deadlock_if_each_line_locks_by_itself(
    shop: Shop, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.put("LAMP", 7)
    shelf.put("CLOCK", 7)
    reserve = inventory.services.reserve
    second_line = meet_before(reserve, 2, kept_apart=False)

    def reserve_by_line(
        requests: Mapping[UUID, Sequence[StockRequest]], correlation_ids: Mapping[UUID, UUID]
    ) -> dict[UUID, str]:
        for order_id, (first, second) in requests.items():
            reserve({order_id: [first]}, correlation_ids)
            second_line({order_id: [second]}, correlation_ids)
        return {}

    monkeypatch.setattr(inventory.services, "reserve", reserve_by_line)

    outcomes = buy_at_once(shop, [LAMP_THEN_CLOCK, CLOCK_THEN_LAMP])

    (error,) = [outcome for outcome in outcomes if outcome is not None]
    assert isinstance(error, OperationalError)
    assert isinstance(error.__cause__, DeadlockDetected)


def meet_before_reserving(monkeypatch: pytest.MonkeyPatch, *, kept_apart: bool) -> None:
    """Make two workers wait for each other after they have read the stock."""
    reserve_order = meet_before(inventory.services._reserve_order, 2, kept_apart=kept_apart)
    monkeypatch.setattr(inventory.services, "_reserve_order", reserve_order)


def buy_at_once(shop: Shop, carts: Iterable[dict[str, int]]) -> list[Exception | None]:
    """Place one order for each cart, then deliver each to its own worker at once."""
    for cart in carts:
        place_order(new_id(), shop.customer, cart, "pm_card_visa")
    messages = list(shop.messages.waiting)
    shop.messages.drop_all()
    outcomes = run_at_once(*(partial(deliver_as_separate_worker, message) for message in messages))
    shop.messages.deliver_all()
    return outcomes


def ends() -> dict[tuple[str, str], int]:
    """Return the number of orders by final status and reason."""
    assert not Order.objects.exclude(
        status__in=(OrderStatus.CONFIRMED, OrderStatus.CANCELLED)
    ).exists()
    return dict(Counter(Order.objects.values_list("status", "reason")))
