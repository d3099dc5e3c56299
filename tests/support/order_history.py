"""Orders that are confirmed, cancelled and under way, for ``violations`` to change."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.db import connection
from django.db.models.functions import Now

from payments.provider_reconciliation import ProviderPaymentState, ProviderReading, read_providers
from sagas.identifiers import new_id
from sagas.models import LIVE, SagaRun
from sandbox.stripe_process import SandboxServer
from tests.support.in_memory_broker import MessageQueue
from tests.support.shop import Shelf, Shop

IN_STOCK = 20


@dataclass
class OrderHistory:
    """Orders by name, and the reading of the provider at that time."""

    orders: dict[str, UUID]
    reading: ProviderReading

    def __getitem__(self, name: str) -> str:
        """Return the subject of findings about an order."""
        return str(self.orders[name])

    def execute(self, *statements: str) -> None:
        """Change our rows by SQL, with triggers and foreign keys off.

        A statement may name ``%(confirmed)s`` and the other orders, and ``%(unknown)s``.
        """
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL session_replication_role = replica")
            for statement in statements:
                cursor.execute(statement, self.orders if "%(" in statement else None)

    def change_at_provider(self, order: str, **changes: Any) -> None:
        """Change the payment of an order in the reading."""
        order_id = self[order]
        self._set(
            replace(state, **changes) if state.order_id == order_id else state
            for state in self.reading.payments
        )

    def add_at_provider(self, order: str, **changes: Any) -> None:
        """Add a captured payment of 45.00 for an order to the reading."""
        state = ProviderPaymentState(
            provider="stripe",
            provider_payment_id="pi_added",
            order_id=self[order],
            status="captured",
            currency="eur",
            held_minor=0,
            captured_minor=4500,
            refunded_minor=0,
        )
        self._set([*self.reading.payments, replace(state, **changes)])

    def remove_at_provider(self, order: str) -> None:
        """Remove the payment of an order from the reading."""
        order_id = self[order]
        self._set(state for state in self.reading.payments if state.order_id != order_id)

    def _set(self, states: Iterable[ProviderPaymentState]) -> None:
        self.reading = replace(self.reading, payments=list(states))


def place_sample_orders(sandbox_stripe: SandboxServer, messages: MessageQueue) -> OrderHistory:
    """Place one order of every kind, each of two mugs and a T-shirt for 45.00."""
    Shelf().put_mugs_and_tees(IN_STOCK)
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
    return OrderHistory(orders, read_providers())
