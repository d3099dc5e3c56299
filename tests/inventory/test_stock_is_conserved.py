"""Whatever is reserved, confirmed and released, in whatever order: the shelves stay right."""

import pytest
from django.db import transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.inventory.stockroom import (
    Basket,
    assert_shelves_are_right,
    basket,
    confirm,
    levels,
    put,
    release,
    reserve,
    statuses,
)

SHELVES = {"MUG": 5, "TEE": 3, "CUP": 0}
ORDERS = 4

lines = st.dictionaries(st.sampled_from(sorted(SHELVES)), st.integers(1, 4), min_size=1)
carts = st.lists(lines, min_size=ORDERS, max_size=ORDERS)
some_orders = st.sets(st.integers(0, ORDERS - 1), min_size=1)
moves = st.lists(
    st.tuples(st.sampled_from(["reserve", "confirm", "release"]), some_orders), max_size=10
)


@pytest.mark.django_db
@settings(max_examples=30, deadline=None)  # how fast the database is today is not under test
@given(carts=carts, moves=moves)
def test_any_sequence_of_moves_leaves_the_shelves_right(
    carts: list[dict[str, int]], moves: list[tuple[str, set[int]]]
) -> None:
    with transaction.atomic():
        for sku, quantity in SHELVES.items():
            put(sku, quantity)
        orders = [basket(*cart.items()) for cart in carts]

        for name, numbers in moves:
            carry_out(name, [orders[number] for number in sorted(numbers)])
            assert_shelves_are_right()

        release(*orders)
        assert levels() == {f"{sku}@main": (quantity, 0) for sku, quantity in SHELVES.items()}
        transaction.set_rollback(True)


def carry_out(name: str, orders: list[Basket]) -> None:
    """Do one thing to several orders at once; an order is reserved only once, as sagas do it."""
    if name == "reserve":
        reserve(*(each for each in orders if not statuses(each)))
    elif name == "release":
        release(*orders)
    else:
        broken = {each.order_id for each in orders if set(statuses(each)) != {"held"}}
        assert confirm(*orders) == broken
