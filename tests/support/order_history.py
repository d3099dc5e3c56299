"""Books with a history, to plant violations on: orders confirmed, cancelled and under way."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.db import connection
from django.db.models.functions import Now

from inventory.models import Product, StockLevel, Warehouse
from inventory.services import receive
from payments.provider_reconciliation import ProviderBalance, ProviderReading, read_providers
from sagas.identifiers import new_id
from sagas.models import LIVE, SagaRun
from sandbox.stripe_process import SandboxServer
from tests.support.in_memory_broker import MessageQueue
from tests.support.shop import Shop

IN_STOCK = 20


@dataclass
class Books:
    """Orders by name, and what the provider had when it was read."""

    orders: dict[str, UUID]
    reading: ProviderReading

    def __getitem__(self, name: str) -> str:
        """The subject of findings about an order."""
        return str(self.orders[name])

    def execute(self, *statements: str) -> None:
        """Change our rows as no code of ours would, as a superuser whom no trigger stops.

        A statement may name ``%(confirmed)s`` and the other orders, and ``%(unknown)s``.
        """
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL session_replication_role = replica")
            for statement in statements:
                cursor.execute(statement, self.orders if "%(" in statement else None)

    def change_at_provider(self, order: str, **changes: Any) -> None:
        """Change what the reading says of an order's payment."""
        wanted = self[order]
        self._set(
            replace(each, **changes) if each.order_id == wanted else each
            for each in self.reading.balances
        )

    def add_at_provider(self, order: str, **changes: Any) -> None:
        """Add a payment to the reading, with 4500 of an order's money."""
        balance = ProviderBalance(
            provider="stripe",
            provider_payment_id="pi_planted",
            order_id=self[order],
            status="captured",
            currency="eur",
            held_minor=0,
            captured_minor=4500,
            refunded_minor=0,
        )
        self._set([*self.reading.balances, replace(balance, **changes)])

    def remove_at_provider(self, order: str) -> None:
        wanted = self[order]
        self._set(each for each in self.reading.balances if each.order_id != wanted)

    def _set(self, balances: Iterable[ProviderBalance]) -> None:
        self.reading = replace(self.reading, balances=list(balances))


def keep_books(sandbox_stripe: SandboxServer, messages: MessageQueue) -> Books:
    """Place orders of every kind, each of two mugs and a T-shirt for 4500."""
    _put_on_the_shelf("MUG", 1000)
    _put_on_the_shelf("TEE", 2500)
    shop = Shop(User.objects.create(username="alice"), sandbox_stripe, messages)
    User.objects.create(username="mallory")

    confirmed, refunded = shop.place(), shop.place()
    declined = shop.place("pm_card_visa_chargeDeclined")
    messages.deliver_all()
    shop.cancel(refunded)
    messages.deliver_all()
    doubtful = shop.place()
    sandbox_stripe.add_fault("payment_intents.confirm", "error_after")
    messages.deliver_all()
    sandbox_stripe.clear_faults()
    capturing = shop.place()
    shop.deliver_next()
    messages.drop_all()
    waiting = shop.place()
    messages.drop_all()
    # No run is late, however long the tests take.
    SagaRun.objects.filter(status__in=LIVE).update(wake_at=Now() + timedelta(minutes=30))

    orders = {
        "confirmed": confirmed.pk,
        "refunded": refunded.pk,
        "declined": declined.pk,
        "doubtful": doubtful.pk,
        "capturing": capturing.pk,
        "waiting": waiting.pk,
        "unknown": new_id(),
    }
    return Books(orders, read_providers())


def _put_on_the_shelf(sku: str, price_minor: int) -> None:
    warehouse, _ = Warehouse.objects.get_or_create(code="main", defaults={"name": "Main"})
    product = Product.objects.create(sku=sku, name=sku.title(), price_minor=price_minor)
    level = StockLevel.objects.create(product=product, warehouse=warehouse)
    receive(level, IN_STOCK, "for a test")
