"""A way to break the code that the proof has to notice."""

from uuid import uuid4

from outbound.deadline import Deadline
from payments.models import Payment
from payments.payment_operations import gateway
from payments.provider_types import Intent


def ask_anew_after_a_doubt() -> None:
    """Instead of looking what became of the attempt before, pay once more under a fresh key."""

    def create_another(intent_id: str, *, deadline: Deadline) -> Intent:
        payment = Payment.objects.get(intent_id=intent_id)
        key, version = str(uuid4()), payment.api_version
        return gateway.create_intent(
            payment.params, key=key, api_version=version, deadline=deadline
        )

    def fresh_key(self: Payment, operation: str) -> str:
        return f"{self.pk}-{operation}-{uuid4()}"

    gateway.retrieve_intent = create_another  # type: ignore[method-assign]
    Payment.idempotency_key = fresh_key  # type: ignore[method-assign]
