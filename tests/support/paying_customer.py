"""A customer whose order waits for them: for 3-D Secure, or for another payment after a decline."""

from datetime import timedelta
from typing import Any, Final
from uuid import uuid4

from payments.models import Payment
from sagas.sweep import sweep
from sandbox.stripe_process import SandboxServer
from tests.support.clock import advance
from tests.support.in_memory_broker import MessageQueue
from tests.support.provider_ledger import intents_for
from tests.support.storefront_client import ORDERS, ApiResponse, Storefront, cart

ASKING: Final = "pm_card_authenticationRequired"
DECLINED: Final = "pm_card_chargeDeclinedInsufficientFunds"
GOOD: Final = "pm_card_visa"
GRACE: Final = timedelta(minutes=15)


class PayingCustomer:
    """Places one order through the API, and delivers its messages."""

    def __init__(
        self, storefront: Storefront, messages: MessageQueue, stripe: SandboxServer
    ) -> None:
        self.storefront = storefront
        self.messages = messages
        self.stripe = stripe
        self.order_id: Any = None

    def order(self, payment_method: str) -> dict[str, Any]:
        placed = self.storefront.order(cart(("MUG", 1), payment_method=payment_method))
        self.order_id = placed.order_id
        return self.deliver()

    def deliver(self) -> dict[str, Any]:
        self.messages.deliver_all()
        return self.read()

    def read(self, query: str = "") -> dict[str, Any]:
        body: dict[str, Any] = self.storefront.get(f"{ORDERS}/{self.order_id}{query}").body
        return body

    def pay(self, payment_method: str, key: str | None = None, **body: Any) -> ApiResponse:
        return self.storefront.send(
            "POST",
            f"{ORDERS}/{self.order_id}/payments",
            {"payment_method": payment_method, **body},
            {"Idempotency-Key": key or uuid4().hex},
        )

    def check(self) -> ApiResponse:
        """Say that the customer is back from their bank."""
        return self.storefront.send("POST", f"{ORDERS}/{self.order_id}/payments/check", {})

    def authenticate(self, result: str) -> None:
        """End the authentication of the newest payment, as the customer does at their bank."""
        payment = Payment.objects.latest("created_at")
        self.stripe.authenticate(str(payment.provider_payment_id), result)

    def look(self) -> dict[str, Any]:
        """Advance until the next look at the provider, and return the order."""
        advance(timedelta(minutes=1))
        sweep()
        return self.deliver()

    @property
    def timeline(self) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = self.read("/timeline")["entries"]
        return entries

    @property
    def intents(self) -> list[str]:
        """The statuses of the order's payments at the provider, oldest first."""
        found = intents_for(self.stripe.ledger(), self.order_id)
        return [intent["status"] for intent in sorted(found, key=lambda one: one["created"])]

    @property
    def payments(self) -> list[str]:
        return list(Payment.objects.order_by("pk").values_list("status", flat=True))
