"""Bugs in the calls to the payment provider, and in how its responses are interpreted."""

from functools import partial
from typing import Any
from uuid import UUID, uuid4

import payments.services
from orders.steps import authorize_payment
from outbound.deadline import Deadline
from payments import payment_operations, provider_calls
from payments.errors import OutcomeUnknown, PaymentDeclined
from payments.models import Payment
from payments.provider_types import ProviderPaymentStatus
from payments.providers.stripe.provider import StripeProvider
from payments.states import PaymentStatus
from proof.seeded_bugs.patching import change_call, replace
from sagas.batch import Output
from sagas.descriptions import RejectionText
from sagas.work import Attempt


def new_key_for_each_attempt() -> None:
    """Every request to the provider has a new idempotency key."""

    def new_key(self: Payment, operation: str) -> str:
        return f"{self.pk}-{operation}-{uuid4()}"

    replace(Payment, "idempotency_key", new_key)


def cancelled_without_provider() -> None:
    """An order is cancelled although its payment was not cancelled at the provider."""
    close = payment_operations._close

    def close_if_captured(payment: Payment, attempt: Attempt, deadline: Deadline) -> Output:
        if payment.provider_payment_id is not None:
            found = provider_calls.retrieve(payment, payment.provider_payment_id, deadline)
            if found.status == ProviderPaymentStatus.CAPTURED:
                return close(payment, attempt, deadline)
        return {"payment_id": str(payment.pk), "status": PaymentStatus.VOIDED}

    replace(payment_operations, "_close", close_if_captured)


def timeout_treated_as_decline() -> None:
    """A charge without a response counts as declined."""
    change_call(
        authorize_payment,
        unknown=(),
        rejected_by=(PaymentDeclined, OutcomeUnknown),
        rejections={
            code: RejectionText("You have not been charged.")
            for code in (PaymentDeclined.code, OutcomeUnknown.__name__)
        },
    )


def payment_id_stored_after_confirming() -> None:
    """The provider's payment id is stored only after the response to the confirmation."""
    authorize = payment_operations.authorize

    def store_nothing(_: Payment, __: Attempt, ___: str) -> bool:
        return True

    def authorize_then_store(order_id: UUID, attempt: Attempt) -> Output:
        output = authorize(order_id, attempt)
        payment = Payment.objects.get(order_id=order_id)
        attempt.checkpoint(
            partial(
                payment_operations._store_provider_payment_id,
                payment,
                output["provider_payment_id"],
            )
        )
        return output

    replace(payment_operations, "_checkpoint_provider_payment_id", store_nothing)
    replace(payments.services, "authorize", authorize_then_store)


def refund_without_lookup() -> None:
    """A repeated refund is created again, without looking up the one that may exist."""
    key_of = Payment.idempotency_key

    def new_key_for_refunds(self: Payment, operation: str) -> str:
        key = key_of(self, operation)
        return f"{key}-{uuid4()}" if operation == "refund" else key

    def find_no_refunds(_: StripeProvider, __: str, **___: Any) -> list[Any]:
        return []

    replace(Payment, "idempotency_key", new_key_for_refunds)
    replace(StripeProvider, "list_refunds", find_no_refunds)
