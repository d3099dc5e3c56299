"""The trickle goes on whatever happens, orders nothing when it must not, and keeps its shelves full."""

import shutil
from collections.abc import Iterator
from uuid import uuid4

import pytest

from sandbox.demo import in_words
from sandbox.drive.deadlines import Patience
from sandbox.drive.shop import Cart, Order, Product, Shop, ShopRefused
from sandbox.drive.trickle import MOST_UNDER_WAY, STOCKTAKING, Trickle, Visit
from sandbox.run_directory import RunDirectory

CART = Cart((("MUG", 1),), "pm_card_visa")


class Counter(Shop):
    """A shop whose orders stand as the test says; real ones are in the tests of whole runs."""

    def __init__(self) -> None:
        self.stock = 1000
        self.is_closed = False
        self.standing: dict[str, Order] = {}
        self.cancelled: list[str] = []

    def products(self) -> dict[str, Product]:
        return {"MUG": Product(500, self.stock), "LAMP-LAST": Product(900, 0)}

    def place(self, cart: Cart, *, key: str) -> Order:
        if self.is_closed:
            raise ShopRefused("no\nanswer")
        order = Order(f"order-{len(self.standing)}", "placed", "", 500, {})
        self.standing[order.id] = order
        return order

    def look(self, order_id: str) -> Order:
        if self.is_closed:
            raise ShopRefused("no\nanswer")
        return self.standing[order_id]

    def cancel(self, order_id: str) -> None:
        self.cancelled.append(order_id)

    def let(self, order_id: str, status: str, *, is_taken: bool = False) -> None:
        was = self.standing[order_id]
        self.standing[order_id] = was._replace(status=status, is_taken=is_taken)


class Quiet:
    """Whether somebody wants quiet, and how often the shelves were filled."""

    def __init__(self) -> None:
        self.is_wanted = False
        self.refills = 0

    def refill(self) -> None:
        self.refills += 1


@pytest.fixture
def shop() -> Counter:
    return Counter()


@pytest.fixture
def quiet() -> Quiet:
    return Quiet()


@pytest.fixture
def trickle(shop: Counter, quiet: Quiet) -> Trickle:
    trickle = Trickle(shop, None, Patience(), is_quiet=lambda: quiet.is_wanted, refill=quiet.refill)
    trickle._visits = iter(lambda: Visit(CART), None)
    return trickle


def turns(trickle: Trickle, number: int) -> None:
    for _ in range(number):
        trickle._take_a_turn(is_time=True)


def test_orders_are_followed_to_their_end(trickle: Trickle, shop: Counter) -> None:
    turns(trickle, 3)
    shop.let("order-0", "confirmed")
    shop.let("order-1", "cancelled")

    trickle._take_a_turn(is_time=False)

    standing = trickle.standing()
    assert (standing.placed, standing.under_way) == (3, 1)
    assert standing.ended == {"confirmed": 1, "cancelled": 1}
    assert in_words(standing).startswith(
        "An order every 4 s: 3 placed, 1 cancelled, 1 confirmed, 1 under way."
    )


def test_nothing_is_ordered_while_quiet_is_wanted(
    trickle: Trickle, shop: Counter, quiet: Quiet
) -> None:
    quiet.is_wanted = True
    turns(trickle, 5)
    assert shop.standing == {}
    assert in_words(trickle.standing()) == ("No orders for a while: the books are being checked.")

    quiet.is_wanted = False
    turns(trickle, 1)

    assert len(shop.standing) == 1


def test_a_shop_without_an_answer_is_shown_and_the_next_order_may_go_well(
    trickle: Trickle, shop: Counter
) -> None:
    turns(trickle, 1)
    shop.is_closed = True
    turns(trickle, 2)
    assert in_words(trickle.standing()) == "The next order waits: ShopRefused: no"

    shop.is_closed = False
    turns(trickle, 1)

    assert len(shop.standing) == 2
    assert trickle.standing().trouble == ""


def test_where_nothing_moves_orders_do_not_pile_up(trickle: Trickle, shop: Counter) -> None:
    turns(trickle, MOST_UNDER_WAY + 10)

    assert len(shop.standing) == MOST_UNDER_WAY


def test_who_changes_their_mind_cancels_once_and_only_what_was_taken(
    trickle: Trickle, shop: Counter
) -> None:
    trickle._visits = iter([Visit(CART, changes_mind=True)])
    turns(trickle, 1)
    shop.let("order-0", "confirmed")
    trickle._take_a_turn(is_time=False)
    assert shop.cancelled == []

    shop.let("order-0", "confirmed", is_taken=True)
    for _ in range(3):
        trickle._take_a_turn(is_time=False)
    assert shop.cancelled == ["order-0"]
    assert trickle.standing().under_way == 1
    shop.let("order-0", "cancelled")
    trickle._take_a_turn(is_time=False)

    assert trickle.standing().ended == {"cancelled": 1}


@pytest.mark.parametrize(("left", "refills"), [(100, 0), (99, 1)])
def test_shelves_that_get_low_are_filled_up(
    trickle: Trickle, shop: Counter, quiet: Quiet, left: int, refills: int
) -> None:
    shop.stock = left

    turns(trickle, STOCKTAKING)

    assert quiet.refills == refills


@pytest.fixture
def directory() -> Iterator[RunDirectory]:
    name = f"test-{uuid4().hex}"
    directory = RunDirectory(name, published=f"var/{name}/up.json")
    directory.prepare()
    yield directory
    shutil.rmtree(directory.path)


def test_quiet_is_kept_for_as_long_as_somebody_holds_it(directory: RunDirectory) -> None:
    assert not directory.is_quiet()
    with directory.quiet():
        assert directory.is_quiet()
        assert directory.is_quiet()
    assert not directory.is_quiet()
