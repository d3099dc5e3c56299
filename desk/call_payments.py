"""Which payment each call to the payment provider was about, with its ids and keys."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from orders.steps import PAYMENT_PROVIDER
from payments.admin_queries import PaymentDetail
from sagas.queries.attempts import AttemptView
from sagas.work import Remote


def payment_operations(attempt: AttemptView) -> Sequence[str]:
    """Return the payment provider's operations that a call may use; empty for another system."""
    work = attempt.work
    if isinstance(work, Remote) and work.system == PAYMENT_PROVIDER:
        return work.operations
    return ()


def payment_at(attempt: AttemptView, payments: Sequence[PaymentDetail]) -> PaymentDetail | None:
    """Return an order's newest payment at the time of an attempt; None for an order without one.

    The first payment is stored while its call begins. No other one is stored before that call has
    ended: ``orders.services.pay_otherwise`` refuses it.
    """
    if attempt.ended_at is None:
        return payments[-1] if payments else None
    known = [payment for payment in payments if payment.created_at <= attempt.ended_at]
    return next(reversed(known or payments[:1]), None)


def payments_of_calls(
    attempts: Sequence[AttemptView], payments: Sequence[PaymentDetail]
) -> Mapping[int, PaymentDetail]:
    """Return the payment of each call to the payment provider, by the id of its attempt."""
    return {
        attempt.id: payment
        for attempt in attempts
        if payment_operations(attempt) and (payment := payment_at(attempt, payments)) is not None
    }


def replaced_at(
    payment: PaymentDetail | None, payments: Sequence[PaymentDetail]
) -> datetime | None:
    """Return when the customer chose another payment instead of this one; None if they did not."""
    if payment is None:
        return None
    following = payments.index(payment) + 1
    return payments[following].created_at if following < len(payments) else None


def ids_and_keys(
    attempt: AttemptView, payment: PaymentDetail | None, *, is_first: bool
) -> Iterator[tuple[str, object]]:
    """Yield the provider's id and the idempotency keys of a call to the payment provider.

    ``is_first`` is whether it was the step's first call about this payment. Later ones have equal keys.
    """
    if payment is None:
        return
    if payment.provider_payment_id:
        yield "provider payment", payment.provider_payment_id
    if not is_first:
        yield "keys", "the same as before"
        return
    for name in payment_operations(attempt):
        yield f"key of {name}", payment.keys[name]


def refund_ids(payments: Sequence[PaymentDetail]) -> list[tuple[str, object]]:
    """Return the provider's id of each refund."""
    return [
        ("refund", payment.refund.provider_refund_id)
        for payment in payments
        if payment.refund is not None and payment.refund.provider_refund_id
    ]
