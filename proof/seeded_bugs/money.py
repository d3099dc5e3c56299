"""Bugs in the calls to the payment provider, and in how its answers are read."""

from functools import partial
from typing import Any
from uuid import UUID, uuid4

import payments.services
from orders.steps import authorize_payment
from outbound.deadline import Deadline
from payments import payment_operations
from payments.errors import OutcomeUnknown, PaymentDeclined
from payments.models import Payment
from payments.provider_types import ProviderPaymentStatus
from payments.providers.stripe.provider import StripeProvider
from payments.states import PaymentStatus
from proof.seeded_bugs.patching import change_call, replace
from sagas.batch import Output
from sagas.definition import Attempt
from sagas.descriptions import RejectionText


def fresh_key_for_each_attempt() -> None:
    """Every request to the provider has an idempotency key of its own."""

    def new_key(self: Payment, operation: str) -> str:
        return f"{self.pk}-{operation}-{uuid4()}"

    replace(Payment, "idempotency_key", new_key)


def cancelled_without_the_provider() -> None:
    """An order is cancelled although its payment was not cancelled at the provider."""
    close = payment_operations._close

    def close_only_what_was_taken(payment: Payment, attempt: Attempt, deadline: Deadline) -> Output:
        if payment.provider_payment_id is not None:
            found = payment_operations._retrieve(payment, payment.provider_payment_id, deadline)
            if found.status == ProviderPaymentStatus.CAPTURED:
                return close(payment, attempt, deadline)
        return {"payment_id": str(payment.pk), "status": PaymentStatus.VOIDED}

    replace(payment_operations, "_close", close_only_what_was_taken)


def timeout_taken_for_failure() -> None:
    """A charge that got no answer counts as declined."""
    change_call(
        authorize_payment,
        unknown=(),
        rejected_by=(PaymentDeclined, OutcomeUnknown),
        rejections={
            code: RejectionText("You have not been charged.")
            for code in (PaymentDeclined.code, OutcomeUnknown.__name__)
        },
    )


def provider_payment_id_stored_after_confirming() -> None:
    """The provider's id is stored only once the confirmation has been answered."""
    authorize = payment_operations.authorize

    def keep_nothing(_: Payment, __: Attempt, ___: str) -> bool:
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

    replace(payment_operations, "_checkpoint_provider_payment_id", keep_nothing)
    replace(payments.services, "authorize", authorize_then_store)


def refund_without_looking() -> None:
    """A refund is asked for anew, without a look for the one that may exist already."""
    key_of = Payment.idempotency_key

    def new_key_for_refunds(self: Payment, operation: str) -> str:
        key = key_of(self, operation)
        return f"{key}-{uuid4()}" if operation == "refund" else key

    def see_none(_: StripeProvider, __: str, **___: Any) -> list[Any]:
        return []

    replace(Payment, "idempotency_key", new_key_for_refunds)
    replace(StripeProvider, "list_refunds", see_none)
