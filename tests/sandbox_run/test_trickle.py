"""The trickle continues after errors, orders nothing while paused, and refills low stock."""

import shutil
from collections.abc import Iterator
from uuid import uuid4

import pytest

from sandbox.demo import status_line
from sandbox.drive.api_client import ShopRefused
from sandbox.drive.deadlines import StopSignal
from sandbox.drive.shop import Cart, Shop, ShopOrder, ShopProduct
from sandbox.drive.trickle import MAX_UNDER_WAY, ORDERS_PER_STOCK_CHECK, Trickle, Visit
from sandbox.run_directory import RunDirectory

CART = Cart((("MUG", 1),), "pm_card_visa")


class FakeShop(Shop):
    """A shop in which the test sets the status of each order."""

    def __init__(self) -> None:
        self.stock = 1000
        self.is_down = False
        self.orders: dict[str, ShopOrder] = {}
        self.cancelled: list[str] = []

    def products(self) -> dict[str, ShopProduct]:
        return {"MUG": ShopProduct(500, self.stock), "LAMP-LAST": ShopProduct(900, 0)}

    def place(self, cart: Cart, *, key: str) -> ShopOrder:
        if self.is_down:
            raise ShopRefused("no\nresponse")
        order = ShopOrder(f"order-{len(self.orders)}", "placed", "", 500, "eur", {})
        self.orders[order.id] = order
        return order

    def get_order(self, order_id: str) -> ShopOrder:
        if self.is_down:
            raise ShopRefused("no\nresponse")
        return self.orders[order_id]

    def cancel(self, order_id: str) -> None:
        self.cancelled.append(order_id)

    def set_status(
        self, order_id: str, status: str, *, is_captured: bool = False, waits_for: str = ""
    ) -> None:
        was = self.orders[order_id]
        self.orders[order_id] = was._replace(
            status=status, is_captured=is_captured, waits_for=waits_for
        )


class FakeSystem:
    """Whether orders are paused, and how often stock was refilled."""

    def __init__(self) -> None:
        self.is_paused = False
        self.refills = 0

    def refill(self) -> None:
        self.refills += 1


@pytest.fixture
def shop() -> FakeShop:
    return FakeShop()


@pytest.fixture
def fake_system() -> FakeSystem:
    return FakeSystem()


@pytest.fixture
def trickle(shop: FakeShop, fake_system: FakeSystem) -> Trickle:
    trickle = Trickle(
        shop, None, StopSignal(), is_paused=lambda: fake_system.is_paused, refill=fake_system.refill
    )
    trickle._visits = iter(lambda: Visit(CART), None)
    return trickle


def run_steps(trickle: Trickle, number: int) -> None:
    for _ in range(number):
        trickle._step(is_time=True)


def test_orders_are_followed_to_their_end(trickle: Trickle, shop: FakeShop) -> None:
    run_steps(trickle, 3)
    shop.set_status("order-0", "confirmed")
    shop.set_status("order-1", "cancelled")

    trickle._step(is_time=False)

    status = trickle.status()
    assert (status.placed, status.under_way) == (3, 1)
    assert status.ended == {"confirmed": 1, "cancelled": 1}
    assert status_line(status).startswith(
        "An order every 4 s: 3 placed, 1 cancelled, 1 confirmed, 1 under way."
    )


def test_nothing_is_ordered_while_paused(
    trickle: Trickle, shop: FakeShop, fake_system: FakeSystem
) -> None:
    fake_system.is_paused = True
    run_steps(trickle, 5)
    assert shop.orders == {}
    assert status_line(trickle.status()) == (
        "No new orders: `make check` is comparing orders, payments and stock."
    )

    fake_system.is_paused = False
    run_steps(trickle, 1)

    assert len(shop.orders) == 1


def test_an_error_is_shown_until_the_next_order_succeeds(trickle: Trickle, shop: FakeShop) -> None:
    run_steps(trickle, 1)
    shop.is_down = True
    run_steps(trickle, 2)
    assert status_line(trickle.status()) == "The next order waits: ShopRefused: no"

    shop.is_down = False
    run_steps(trickle, 1)

    assert len(shop.orders) == 2
    assert trickle.status().problem == ""


def test_at_most_max_under_way_orders_are_under_way(trickle: Trickle, shop: FakeShop) -> None:
    run_steps(trickle, MAX_UNDER_WAY + 10)

    assert len(shop.orders) == MAX_UNDER_WAY


def test_a_customer_who_changes_their_mind_cancels_once_and_after_the_capture(
    trickle: Trickle, shop: FakeShop
) -> None:
    trickle._visits = iter([Visit(CART, changes_mind=True)])
    run_steps(trickle, 1)
    shop.set_status("order-0", "confirmed")
    trickle._step(is_time=False)
    assert shop.cancelled == []

    shop.set_status("order-0", "confirmed", is_captured=True)
    for _ in range(3):
        trickle._step(is_time=False)
    assert shop.cancelled == ["order-0"]
    assert trickle.status().under_way == 1
    shop.set_status("order-0", "cancelled")
    trickle._step(is_time=False)

    assert trickle.status().ended == {"cancelled": 1}


def test_a_customer_whose_payment_is_declined_gives_up_once(
    trickle: Trickle, shop: FakeShop
) -> None:
    run_steps(trickle, 1)
    shop.set_status("order-0", "placed", waits_for="authentication_required")
    trickle._step(is_time=False)
    assert shop.cancelled == []

    shop.set_status("order-0", "placed", waits_for="another_payment_needed")
    for _ in range(3):
        trickle._step(is_time=False)
    assert shop.cancelled == ["order-0"]
    assert trickle.status().under_way == 1
    shop.set_status("order-0", "cancelled")
    trickle._step(is_time=False)

    assert trickle.status().ended == {"cancelled": 1}


@pytest.mark.parametrize(("left", "refills"), [(100, 0), (99, 1)])
def test_low_stock_is_refilled(
    trickle: Trickle, shop: FakeShop, fake_system: FakeSystem, left: int, refills: int
) -> None:
    shop.stock = left

    run_steps(trickle, ORDERS_PER_STOCK_CHECK)

    assert fake_system.refills == refills


@pytest.fixture
def directory() -> Iterator[RunDirectory]:
    name = f"test-{uuid4().hex}"
    directory = RunDirectory(name, published=f"var/{name}/up.json")
    directory.prepare()
    yield directory
    shutil.rmtree(directory.path)


def test_ordering_is_paused_until_the_block_ends(directory: RunDirectory) -> None:
    assert not directory.is_ordering_paused()
    with directory.ordering_paused():
        assert directory.is_ordering_paused()
        assert directory.is_ordering_paused()
    assert not directory.is_ordering_paused()
