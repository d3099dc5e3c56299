"""A bug that the proof must find."""

from uuid import uuid4

from outbound.deadline import Deadline
from payments.models import Payment
from payments.provider_types import ProviderPayment
from payments.providers.stripe.provider import PROVIDER


def pay_again_after_an_unknown_outcome() -> None:
    """Pay again under a new key, instead of reading the outcome of the attempt before."""

    def create_another(payment_id: str, *, deadline: Deadline) -> ProviderPayment:
        payment = Payment.objects.get(provider_payment_id=payment_id)
        key, version = str(uuid4()), payment.api_version
        return PROVIDER.create_payment(
            payment.params, key=key, api_version=version, deadline=deadline
        )

    def new_key(self: Payment, operation: str) -> str:
        return f"{self.pk}-{operation}-{uuid4()}"

    PROVIDER.retrieve_payment = create_another  # type: ignore[method-assign]
    Payment.idempotency_key = new_key  # type: ignore[method-assign]
