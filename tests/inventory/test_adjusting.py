"""Manual stock changes: with a reason, once per token, and never below the reserved quantity."""

from functools import partial
from uuid import uuid4

import pytest
from django.db import transaction

from inventory import services
from inventory.errors import BelowReserved
from inventory.models import MovementKind, Product, StockEntry, StockLevel, StockMovement
from inventory.services import ManualEntry
from sagas.identifiers import new_id
from tests.support.shop import NOTE, Shelf
from tests.support.threads import run_at_once

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def level(shelf: Shelf) -> StockLevel:
    """Ten mugs, of which four are reserved."""
    level = shelf.put("MUG", 10)
    order_id = new_id()
    request = services.StockRequest(line_id=new_id(), sku="MUG", quantity=4)
    with transaction.atomic():
        assert services.reserve({order_id: [request]}, {order_id: new_id()}) == {}
    return level


def make_entry(reason: str = "counted") -> ManualEntry:
    return ManualEntry(uuid4(), "grace", reason)


def quantities(level: StockLevel) -> tuple[int, int]:
    level.refresh_from_db()
    return level.on_hand, level.reserved


@pytest.mark.parametrize(("change", "left"), [(5, 15), (-1, 9), (-6, 4)])
def test_adjusting_changes_the_quantity_on_hand(level: StockLevel, change: int, left: int) -> None:
    services.adjust(level, change, make_entry("dropped one"))

    assert quantities(level) == (left, 4)
    movement = StockMovement.objects.get(kind=MovementKind.ADJUST)
    assert (movement.quantity, movement.note, movement.line_id) == (change, "dropped one", None)
    assert (movement.entry.actor, movement.entry.reason) == ("grace", "dropped one")


def test_reserved_stock_cannot_be_adjusted_away(level: StockLevel) -> None:
    with pytest.raises(BelowReserved, match="10 are on hand and 4 of them are reserved"):
        services.adjust(level, -7, make_entry())

    assert quantities(level) == (10, 4)
    assert not StockMovement.objects.filter(kind=MovementKind.ADJUST).exists()
    assert StockEntry.objects.count() == 0


def test_the_same_token_changes_stock_once(level: StockLevel) -> None:
    form = make_entry()

    services.adjust(level, -1, form)
    services.adjust(level, -1, form)
    services.receive(level, 3, "a box", form)

    assert quantities(level) == (9, 4)
    assert StockEntry.objects.count() == 1


def test_concurrent_uses_of_a_token_change_stock_once(level: StockLevel) -> None:
    form = make_entry()

    results = run_at_once(*[partial(services.adjust, level, -1, form)] * 4)

    assert results == [None] * 4
    assert quantities(level) == (9, 4)


def test_received_goods_record_the_staff_member(level: StockLevel) -> None:
    services.receive(level, 3, "a box", make_entry("a box"))

    assert quantities(level) == (13, 4)
    assert StockEntry.objects.get().movement.kind == MovementKind.RECEIPT


def test_the_stock_of_tests_is_what_receiving_goods_writes(shelf: Shelf) -> None:
    shelf.put("MUG", 7, price_minor=900)
    product = Product.objects.get()
    level = StockLevel.objects.create(
        product=Product.objects.create(sku="TEE", name="Tee", price_minor=900),
        warehouse=StockLevel.objects.get().warehouse,
    )
    services.receive(level, 7, NOTE)

    assert (product.name, product.price_minor, product.is_withdrawn) == ("Mug", 900, False)
    levels = StockLevel.objects.values_list("on_hand", "reserved")
    assert list(levels) == [(7, 0)] * 2
    movements = StockMovement.objects.values_list("kind", "quantity", "line_id", "note")
    assert list(movements) == [(MovementKind.RECEIPT, 7, None, NOTE)] * 2
    assert all(movement.at is not None for movement in StockMovement.objects.all())


def test_a_second_warehouse_of_tests_has_the_same_product(shelf: Shelf) -> None:
    shelf.put("MUG", 1)
    level = Shelf("second").put("MUG", 2)

    assert Product.objects.count() == 1
    assert (level.on_hand, level.warehouse.code) == (2, "second")
