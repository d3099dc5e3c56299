"""One order's payment, and attempts at its calls as the engine makes them; no order is needed."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

from django.db import transaction

from bulk_sql.statements import write
from payments import services
from payments.models import Payment
from payments.services import Charge
from sagas.batch import Output
from sagas.identifiers import new_id

T = TypeVar("T")

PRICE = 1200
REPEATED_ATTEMPT = 2
"""The number of an attempt after the first."""

UNANSWERED_FAULTS = (
    "timeout_before",
    "timeout_after",
    "reset_before",
    "reset_after",
    "truncated_body",
    "error_before",
)
"""Faults that leave us without a response: some after the provider acted, some before."""

BUSY_FAULTS = ("rate_limit", "lock_timeout", "conflict")
"""Faults after which we know that nothing was done."""

LONG_TIME_LIMIT = timedelta(seconds=20)
SHORT_TIME_LIMIT = timedelta(seconds=1.5)
"""The time limit of a call that gets no response."""


def time_limit_for(fault: str) -> timedelta:
    """Return a short time limit for time-outs only: a call waits for the whole of it only there."""
    return SHORT_TIME_LIMIT if fault.startswith("timeout") else LONG_TIME_LIMIT


@dataclass
class FakeAttempt:
    """One attempt. ``meanwhile`` happens between its call and its checkpoint."""

    subject_id: UUID
    number: int = 1
    time_limit: timedelta = LONG_TIME_LIMIT
    run_id: UUID = field(default_factory=new_id)
    input: Output = field(default_factory=dict)
    waiting_until: datetime | None = None
    is_overdue: bool = False
    meanwhile: Callable[[], object] = lambda: None

    def output_of(self, step: str) -> Output:
        return {}

    def checkpoint(self, write: Callable[[], T]) -> T:
        self.meanwhile()
        with transaction.atomic():
            return write()


def prepared_payment(payment_method: str = "pm_card_visa", amount_minor: int = PRICE) -> Payment:
    """Return a payment that is stored, and unknown to the provider."""
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
    """Return a payment that is authorized, at the provider and in our row."""
    payment = prepared_payment(payment_method)
    services.authorize(payment.order_id, FakeAttempt(payment.order_id))
    with transaction.atomic():
        services.record_authorizations([payment.order_id])
    payment.refresh_from_db()
    return payment


def captured(payment_method: str = "pm_card_visa") -> Payment:
    """Return a payment that is captured, at the provider and in our row."""
    payment = authorized(payment_method)
    services.capture(payment.order_id, FakeAttempt(payment.order_id))
    with transaction.atomic():
        services.record_captures([payment.order_id])
    payment.refresh_from_db()
    return payment


def mark_closing(payment: Payment) -> Payment:
    """Allow no further charge of the order: the first step of closing a payment."""
    services.mark_closing([payment.order_id])
    payment.refresh_from_db()
    return payment
