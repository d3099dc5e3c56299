"""Everything that a test needs to have orders without the API: stock, and a shop that takes orders.

The fixtures of ``tests/conftest.py`` give one of each: ``shelf``, ``mugs_and_tees``, ``customer``,
``shop`` and ``storefront``. To order through the API, see ``storefront_client``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from django.contrib.auth.models import User
from django.db import connection

from inventory.models import MovementKind, StockLevel, Warehouse
from orders.models import Order
from orders.services import cancel_order, place_order
from sagas.dispatch import remaining_links
from sagas.identifiers import new_id
from sagas.models import SagaRun
from sagas.registry import all_sagas
from sagas.sweep import sweep
from sandbox.stripe_process import SandboxServer
from tests.support.clock import A_DAY, advance
from tests.support.in_memory_broker import Message, MessageQueue

IN_STOCK: Final = 5
PRICES_MINOR: Final = {"MUG": 1000, "TEE": 2500}


NOTE: Final = "for a test"

_PUT: Final = """
    WITH given AS (
        SELECT * FROM unnest(%s::text[], %s::text[], %s::bigint[])
            AS given(sku, name, price_minor)
    ), added AS (
        INSERT INTO inventory_product (sku, name, price_minor, is_withdrawn)
        SELECT sku, name, price_minor, false FROM given
        ON CONFLICT (sku) DO NOTHING
        RETURNING id
    ), levels AS (
        INSERT INTO inventory_stocklevel (product_id, warehouse_id, on_hand, reserved)
        SELECT id, %s, %s, 0 FROM added
        UNION ALL SELECT id, %s, %s, 0 FROM inventory_product JOIN given USING (sku)
        RETURNING id, on_hand
    )
    INSERT INTO inventory_stockmovement (stock_level_id, kind, quantity, note)
    SELECT id, %s, on_hand, %s FROM levels
    RETURNING stock_level_id
"""
"""Nearly every test needs stock: this writes what ``inventory.services.receive`` writes, at once."""


class Shelf:
    """The stock of one warehouse, which is created unless it exists."""

    def __init__(self, warehouse: str = "main") -> None:
        name = warehouse.title()
        Warehouse.objects.bulk_create([Warehouse(code=warehouse, name=name)], ignore_conflicts=True)
        self._warehouse = Warehouse.objects.get(code=warehouse)

    def put(self, sku: str, quantity: int, price_minor: int = 1000) -> StockLevel:
        """Receive a product for the first time here; create it when no warehouse has it."""
        [level_id] = self._put({sku: price_minor}, quantity)
        return StockLevel.objects.get(pk=level_id)

    def put_mugs_and_tees(self, quantity: int = IN_STOCK) -> None:
        """Receive the two products that ``Shop.place`` orders, at ``PRICES_MINOR``."""
        self._put(PRICES_MINOR, quantity)

    def _put(self, prices_minor: Mapping[str, int], quantity: int) -> list[int]:
        names = [sku.title() for sku in prices_minor]
        level = [self._warehouse.pk, quantity]
        with connection.cursor() as cursor:
            cursor.execute(
                _PUT,
                [
                    *(list(prices_minor), names, list(prices_minor.values())),
                    *(*level, *level),
                    *(MovementKind.RECEIPT, NOTE),
                ],
            )
            return [level_id for (level_id,) in cursor.fetchall()]

    def level(self, sku: str) -> tuple[int, int]:
        """Return the quantity on hand, and how much of it is reserved."""
        found = StockLevel.objects.get(product__sku=sku, warehouse=self._warehouse)
        return found.on_hand, found.reserved


@dataclass(frozen=True)
class Shop:
    """Places, cancels and recovers orders of one customer; its messages wait in memory."""

    customer: User
    sandbox_stripe: SandboxServer
    messages: MessageQueue

    def place(self, payment_method: str = "pm_card_visa", *, mugs: int = 2) -> Order:
        """Place an order of some mugs and one T-shirt: 45.00 with two mugs."""
        cart = {"MUG": mugs, "TEE": 1}
        return place_order(new_id(), self.customer, cart, payment_method).order

    def cancel(self, order: Order) -> None:
        """Cancel an order as its customer does. All other messages are lost."""
        self.messages.drop_all()
        cancel_order(order.pk, reason="cancelled_by_customer", actor="alice")

    def deliver_next(self) -> None:
        """Deliver the oldest message."""
        self.messages.deliver(self.messages.take())

    def take_only(self) -> Message:
        """Remove and return the one message that waits. Fails when more or fewer wait."""
        assert len(self.messages.waiting) == 1
        return self.messages.take()

    def let_time_pass(self) -> None:
        """Expire every lease and end every back-off; every run is due for the sweep."""
        advance(A_DAY)

    def recover(self) -> int:
        """End all waits, sweep once, and deliver what was queued. Returns how many runs were found."""
        self.messages.drop_all()
        self.let_time_pass()
        found = sweep()
        self.messages.deliver_all()
        return found

    def deliver_everything_again(self) -> None:
        """Deliver once more every message that any run of any saga ever needed."""
        definitions = {(saga.name, saga.version): saga for saga in all_sagas()}
        for run in SagaRun.objects.all():
            assert remaining_links(run) == ()
            saga = definitions[run.saga, run.version]
            for link in (*saga.links, saga.compensation_link):
                self.messages.deliver(Message(run.pk, (link,)))
