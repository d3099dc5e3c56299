"""A way to break the code that the proof has to notice."""

from uuid import uuid4

from outbound.deadline import Deadline
from payments.models import Payment
from payments.provider_types import ProviderPayment
from payments.providers.stripe.provider import PROVIDER


def ask_anew_after_a_doubt() -> None:
    """Instead of looking what became of the attempt before, pay once more under a fresh key."""

    def create_another(payment_id: str, *, deadline: Deadline) -> ProviderPayment:
        payment = Payment.objects.get(provider_payment_id=payment_id)
        key, version = str(uuid4()), payment.api_version
        return PROVIDER.create_payment(
            payment.params, key=key, api_version=version, deadline=deadline
        )

    def fresh_key(self: Payment, operation: str) -> str:
        return f"{self.pk}-{operation}-{uuid4()}"

    PROVIDER.retrieve_payment = create_another  # type: ignore[method-assign]
    Payment.idempotency_key = fresh_key  # type: ignore[method-assign]
