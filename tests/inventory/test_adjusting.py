"""Stock changes by hand: with a reason, once for each form, and never below what orders hold."""

import threading
from uuid import uuid4

import pytest
from django.db import connection, transaction

from inventory import services
from inventory.errors import BelowReserved
from inventory.models import MovementKind, StockEntry, StockLevel, StockMovement
from inventory.services import ManualEntry
from sagas.identifiers import new_id
from tests.support.shelf import Shelf

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def level(shelf: Shelf) -> StockLevel:
    """Ten mugs, of which four are reserved."""
    level = shelf.put("MUG", 10)
    order_id = new_id()
    demand = services.StockRequest(line_id=new_id(), sku="MUG", quantity=4)
    with transaction.atomic():
        assert services.reserve({order_id: [demand]}, {order_id: new_id()}) == {}
    return level


def entered(reason: str = "counted") -> ManualEntry:
    return ManualEntry(uuid4(), "grace", reason)


def counts(level: StockLevel) -> tuple[int, int]:
    level.refresh_from_db()
    return level.on_hand, level.reserved


@pytest.mark.parametrize(("change", "left"), [(5, 15), (-1, 9), (-6, 4)])
def test_a_level_becomes_what_was_counted(level: StockLevel, change: int, left: int) -> None:
    services.adjust(level, change, entered("dropped one"))

    assert counts(level) == (left, 4)
    movement = StockMovement.objects.get(kind=MovementKind.ADJUST)
    assert (movement.quantity, movement.note, movement.line_id) == (change, "dropped one", None)
    assert (movement.entry.actor, movement.entry.reason) == ("grace", "dropped one")


def test_what_orders_hold_is_not_taken_away(level: StockLevel) -> None:
    with pytest.raises(BelowReserved, match="10 are on hand and 4 of them are reserved"):
        services.adjust(level, -7, entered())

    assert counts(level) == (10, 4)
    assert not StockMovement.objects.filter(kind=MovementKind.ADJUST).exists()
    assert StockEntry.objects.count() == 0


def test_the_same_form_counts_once(level: StockLevel) -> None:
    form = entered()

    services.adjust(level, -1, form)
    services.adjust(level, -1, form)
    services.receive(level, 3, "a box", form)

    assert counts(level) == (9, 4)
    assert StockEntry.objects.count() == 1


def test_a_double_click_counts_once(level: StockLevel) -> None:
    form = entered()
    together = threading.Barrier(4)
    failed = []

    def click() -> None:
        together.wait()
        try:
            services.adjust(level, -1, form)
        except Exception as error:  # noqa: BLE001 - whatever it is, the test is to see it
            failed.append(error)
        finally:
            connection.close()

    clicks = [threading.Thread(target=click) for _ in range(4)]
    for each in clicks:
        each.start()
    for each in clicks:
        each.join()

    assert failed == []
    assert counts(level) == (9, 4)


def test_goods_that_a_person_received_have_their_name(level: StockLevel) -> None:
    services.receive(level, 3, "a box", entered("a box"))

    assert counts(level) == (13, 4)
    assert StockEntry.objects.get().movement.kind == MovementKind.RECEIPT
