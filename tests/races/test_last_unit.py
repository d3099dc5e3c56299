"""Many carts reach for the same few things: as many are served as there are things, no more."""

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


def test_of_twenty_buyers_of_the_last_unit_exactly_one_gets_it(
    shop: Shop, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.put("LAMP", 1)
    meet_at_the_shelf(monkeypatch, kept_apart=True)

    outcomes = buy_at_once(shop, [{"LAMP": 1}] * 20)

    assert outcomes == [None] * 20
    assert ends() == {("confirmed", ""): 1, ("cancelled", "out_of_stock"): 19}
    assert shelf.level("LAMP") == (1, 1)
    assert_ledgers_agree(shop.sandbox_stripe)


def test_the_last_unit_is_sold_twice_without_the_lock_on_its_row(
    shop: Shop, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.put("LAMP", 1)
    meet_at_the_shelf(monkeypatch, kept_apart=False)
    without_row_locks(monkeypatch, StockLevel)

    buy_at_once(shop, [{"LAMP": 1}] * 2)

    assert ends() == {("confirmed", ""): 2}


def test_of_twelve_buyers_of_seven_pairs_seven_are_served_whatever_their_order(
    shop: Shop, shelf: Shelf
) -> None:
    shelf.put("LAMP", 7)
    shelf.put("CLOCK", 7)

    outcomes = buy_at_once(shop, [LAMP_THEN_CLOCK, CLOCK_THEN_LAMP] * 6)

    assert outcomes == [None] * 12
    assert ends() == {("confirmed", ""): 7, ("cancelled", "out_of_stock"): 5}
    assert shelf.level("LAMP") == shelf.level("CLOCK") == (7, 7)
    assert_ledgers_agree(shop.sandbox_stripe)


def test_carts_in_opposite_order_deadlock_if_each_line_locks_by_itself(
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

    (error,) = [each for each in outcomes if each is not None]
    assert isinstance(error, OperationalError)
    assert isinstance(error.__cause__, DeadlockDetected)


def meet_at_the_shelf(monkeypatch: pytest.MonkeyPatch, *, kept_apart: bool) -> None:
    """Two who have seen what is there wait for each other before they take it."""
    hold = meet_before(inventory.services._reserve_order, 2, kept_apart=kept_apart)
    monkeypatch.setattr(inventory.services, "_reserve_order", hold)


def buy_at_once(shop: Shop, carts: Iterable[dict[str, int]]) -> list[Exception | None]:
    """Place one order for each cart, then let a worker of its own carry each to its end."""
    for cart in carts:
        place_order(new_id(), shop.customer, cart, "pm_card_visa")
    messages = list(shop.messages.waiting)
    shop.messages.drop_all()
    outcomes = run_at_once(*(partial(deliver_as_separate_worker, each) for each in messages))
    shop.messages.deliver_all()
    return outcomes


def ends() -> dict[tuple[str, str], int]:
    """How many orders ended how."""
    assert not Order.objects.exclude(
        status__in=(OrderStatus.CONFIRMED, OrderStatus.CANCELLED)
    ).exists()
    return dict(Counter(Order.objects.values_list("status", "reason")))
