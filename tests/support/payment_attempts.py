"""One order's payment, and attempts at its calls as the engine would make them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar
from uuid import UUID

from django.db import transaction

from payments import services
from payments.models import Payment
from payments.services import Charge
from sagas.bulk_sql import write
from sagas.identifiers import new_id

T = TypeVar("T")

PRICE = 1200
ASKED_AGAIN = 2
"""The number of an attempt that an earlier one has come before."""

UNKNOWN = (
    "timeout_before",
    "timeout_after",
    "reset_before",
    "reset_after",
    "truncated_body",
    "error_before",
)
"""What leaves us without an answer; half of them when all is done, half when nothing is."""

BUSY = ("rate_limit", "lock_timeout", "conflict")
"""What tells us that nothing was done."""

IN_NO_HURRY = timedelta(seconds=20)
BRIEFLY = timedelta(seconds=1.5)
"""How long a call may take that the provider is told not to answer."""


def budget_for(fault: str) -> timedelta:
    """Only silence is waited for to its end, so only there is haste worth its risk."""
    return BRIEFLY if fault.startswith("timeout") else IN_NO_HURRY


@dataclass
class Try:
    """One attempt; ``meanwhile`` is what others do between the call and its checkpoint."""

    subject_id: UUID
    number: int = 1
    budget: timedelta = IN_NO_HURRY
    meanwhile: Callable[[], object] = lambda: None

    def checkpoint(self, write: Callable[[], T]) -> T:
        self.meanwhile()
        with transaction.atomic():
            return write()


def prepared_payment(payment_method: str = "pm_card_visa", amount_minor: int = PRICE) -> Payment:
    """A payment that is written down, and that the provider has not heard of."""
    order_id = new_id()
    with transaction.atomic():
        write(
            services.prepare_payments(
                [
                    Charge(
                        order_id=order_id,
                        correlation_id=new_id(),
                        amount_minor=amount_minor,
                        currency="eur",
                        payment_method=payment_method,
                    )
                ]
            )
        )
    return Payment.objects.get(order_id=order_id)


def authorized(payment_method: str = "pm_card_visa") -> Payment:
    """A payment whose money the provider holds, and that we know of."""
    payment = prepared_payment(payment_method)
    services.authorize(payment.order_id, Try(payment.order_id))
    with transaction.atomic():
        services.record_authorizations([payment.order_id])
    payment.refresh_from_db()
    return payment


def captured(payment_method: str = "pm_card_visa") -> Payment:
    """A payment whose money is ours."""
    payment = authorized(payment_method)
    services.capture(payment.order_id, Try(payment.order_id))
    with transaction.atomic():
        services.record_captures([payment.order_id])
    payment.refresh_from_db()
    return payment


def shut(payment: Payment) -> Payment:
    """Have the order's door closed, as whoever closes a payment does first."""
    services.begin_closing([payment.order_id])
    payment.refresh_from_db()
    return payment
