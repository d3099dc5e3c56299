"""Everything that a test needs to have orders without the API: stock, and a shop that takes orders.

The fixtures of ``tests/conftest.py`` give one of each: ``shelf``, ``mugs_and_tees``, ``customer``,
``shop`` and ``storefront``. To order through the API, see ``storefront_client``.
"""

from dataclasses import dataclass
from typing import Final

from django.contrib.auth.models import User

from inventory.models import Product, StockLevel, Warehouse
from inventory.services import receive
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


class Shelf:
    """The stock of one warehouse, which is created unless it exists."""

    def __init__(self, warehouse: str = "main") -> None:
        self._warehouse, _ = Warehouse.objects.get_or_create(
            code=warehouse, defaults={"name": warehouse.title()}
        )

    def put(self, sku: str, quantity: int, price_minor: int = 1000) -> StockLevel:
        """Receive a product for the first time here; create it when no warehouse has it."""
        product, _ = Product.objects.get_or_create(
            sku=sku, defaults={"name": sku.title(), "price_minor": price_minor}
        )
        level = StockLevel.objects.create(product=product, warehouse=self._warehouse)
        receive(level, quantity, "for a test")
        return level

    def put_mugs_and_tees(self, quantity: int = IN_STOCK) -> None:
        """Receive the two products that ``Shop.place`` orders, at ``PRICES_MINOR``."""
        for sku, price_minor in PRICES_MINOR.items():
            self.put(sku, quantity, price_minor)

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
