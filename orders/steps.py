"""The steps that sagas of orders are made of, each with its compensation right below it.

Each declaration has all that the engine, staff and customers need to know of the step. A local step
changes our database for a batch of orders. A remote step calls another system for one order,
between the transaction that claims the step and the one that records the result.
"""

from collections import defaultdict
from datetime import timedelta
from functools import partial
from typing import Final
from uuid import UUID

from django.conf import settings

import inventory.services
import payments.services
from events.event_types import Event
from events.services import outbox, record
from inventory.services import StockRequest
from orders.events import OrderCancelled, OrderConfirmationWithdrawn, OrderConfirmed
from orders.metrics import count_after_commit
from orders.models import Cause, Order, lines_of, orders_by_id
from orders.payment_failures import PAYMENT_FAILURES
from orders.payment_waits import CUSTOMER_WAITS, OVERDUE_PAYMENT, REFUND_WAIT
from orders.states import OrderStatus
from payments.decline_messages import DECLINE_MESSAGES, DECLINED
from payments.errors import (
    AnotherPaymentNeeded,
    AuthenticationAbandoned,
    AuthenticationRequired,
    DeadlinePassed,
    EarlierRefundPending,
    NotDoneYet,
    NotPaidInTime,
    OutcomeUnknown,
    PaymentClosed,
    PaymentDeclined,
    PaymentError,
    RefundPending,
    RequestRejected,
)
from payments.services import Charge
from sagas.batch import Batch, Output
from sagas.definition import local_step, remote_step
from sagas.descriptions import RejectionText, StepText
from sagas.retry_policy import RetryPolicy
from sagas.work import Attempt, Compensate

CHECKOUT_QUEUE: Final = "checkout"
SETTLEMENT_QUEUE: Final = "settlement"

PAYMENT_PROVIDER: Final = "payment_provider"
PAYMENT_TRANSIENT: Final = (NotDoneYet, DeadlinePassed)
"""The payment provider has not acted: try again."""

CHECKOUT_RETRY: Final = RetryPolicy(
    initial_delay=timedelta(milliseconds=500), max_delay=timedelta(seconds=20), max_attempts=8
)
"""About half a minute if calls fail at once, and two minutes if every call times out."""

UNLIMITED_RETRY: Final = RetryPolicy(
    initial_delay=timedelta(seconds=1), max_delay=timedelta(minutes=5)
)
"""For captures and compensations, which must succeed. The run is flagged after some attempts."""

DECLINED_PAYMENT: Final = {
    PaymentDeclined.code: RejectionText(DECLINED, by_detail=DECLINE_MESSAGES),
}
"""The decline code of the provider is the rejection's detail."""

REJECTED_PAYMENT: Final = {
    RequestRejected.code: RejectionText(
        "This order cannot be paid. You have not been charged.",
        staff="The payment provider can never accept this payment ({detail}): a developer must look.",
        by_detail={
            "amount_too_small": "The total is too small to be charged. You have not been charged.",
            "amount_too_large": "The total is too large to be charged. You have not been charged.",
        },
        until_compensated="This order cannot be paid.",
    ),
}
"""The provider's code is the rejection's detail."""

CLOSE_REQUEST_TEXT: Final = "Cancel the payment of {amount}; if it was taken, refund it."
CLOSE_OPERATIONS: Final = ("cancel", "refund")


@local_step(
    queue=CHECKOUT_QUEUE,
    describe=StepText(staff="stock reservation", customer="Reserving your items"),
    rejections={"out_of_stock": RejectionText("Not enough of {detail} is left.")},
)
def reserve_stock(batch: Batch) -> None:
    """Reserve every line of each order. Rejects an order if one line is out of stock."""
    requests: dict[UUID, list[StockRequest]] = defaultdict(list)
    for line in lines_of(batch.subject_ids):
        requests[line.order_id].append(StockRequest(line.pk, line.sku, line.quantity))
    missing_sku_by_order = inventory.services.reserve(requests, batch.correlation_ids)
    for order_id, sku in missing_sku_by_order.items():
        batch.reject(order_id, "out_of_stock", sku)


@reserve_stock.compensation(
    describe=StepText(staff="stock release", customer="Releasing your items"),
)
def release_stock(batch: Batch) -> None:
    """Release the reserved stock of each order."""
    inventory.services.release(batch.correlation_ids)


def prepare_payment(batch: Batch) -> None:
    """Store the payments before the provider is called."""
    batch.write(
        payments.services.prepare_payments(
            Charge(
                order_id=order.pk,
                correlation_id=batch.correlation_ids[order.pk],
                amount_minor=order.total_minor,
                currency=order.currency,
                payment_method=order.payment_method,
            )
            for order in orders_by_id(batch.subject_ids)
        )
    )


def record_authorization(batch: Batch) -> None:
    """Record that the payments are authorized."""
    payments.services.record_authorizations(batch.subject_ids)


def mark_closing(batch: Batch) -> None:
    """Mark the payments before they are cancelled: no worker stores a provider's id for them any more."""
    payments.services.mark_closing(batch.subject_ids)


def record_closing(batch: Batch) -> None:
    """Record whether the payments were voided or refunded."""
    payments.services.record_closings(batch.results)


@remote_step(
    queue=CHECKOUT_QUEUE,
    system=PAYMENT_PROVIDER,
    describe=StepText(
        staff="payment authorization",
        customer="Asking your bank to reserve the money",
        request_text="Authorize {amount} on {method}.",
    ),
    operations=("create", "confirm"),
    prepare=prepare_payment,
    record=record_authorization,
    rejected_by=(PaymentDeclined, RequestRejected),  # the first includes those whose time is over
    rejections=DECLINED_PAYMENT | OVERDUE_PAYMENT | REJECTED_PAYMENT,
    transient=PAYMENT_TRANSIENT,
    unknown=(OutcomeUnknown,),
    pending=CUSTOMER_WAITS,
    failures=PAYMENT_FAILURES,
    retry=CHECKOUT_RETRY,
    when_spent=Compensate(
        RejectionText(
            "The payment service did not answer. You have not been charged.",
            until_compensated="The payment service did not answer. Any reserved money is being released.",
        )
    ),
)
def authorize_payment(attempt: Attempt) -> Output:
    """Authorize the customer's money, without taking it yet.

    After a time-out the next attempt first finds out what happened. While the customer has to
    authenticate, or may pay otherwise after a decline, the order keeps its stock and waits. After as
    many payments as are allowed, a decline is final. The order also waits while a payment that was
    replaced is refunded, within the same time. Past that time the order is cancelled, and the
    compensation waits for that refund.
    """
    try:
        return payments.services.authorize(attempt.subject_id, attempt)
    except AuthenticationRequired as required:
        if attempt.is_overdue:
            raise AuthenticationAbandoned(required.payment) from None
        if not settings.PAYMENT_GRACE:
            raise PaymentDeclined(required.decline_code, payment=required.payment) from None
        required.until = attempt.waiting_until
        raise
    except RefundPending as pending:
        if attempt.is_overdue:
            raise NotPaidInTime(EarlierRefundPending.code) from None
        raise EarlierRefundPending(str(pending), attempt.waiting_until) from None
    except PaymentClosed:
        raise
    except PaymentDeclined as declined:
        raise _after_decline(attempt, declined) from None


def _after_decline(attempt: Attempt, declined: PaymentDeclined) -> PaymentError:
    """Return the error that waits for another payment, or that rejects the order."""
    decline_code = declined.decline_code
    if attempt.is_overdue and payments.services.was_declined_before(attempt.subject_id):
        return NotPaidInTime(decline_code)
    if attempt.is_overdue or not settings.PAYMENT_GRACE:
        return declined
    if not payments.services.accepts_another_payment(attempt.subject_id):
        return declined
    attempt.checkpoint(partial(payments.services.record_decline, attempt.subject_id, decline_code))
    return AnotherPaymentNeeded(decline_code, attempt.waiting_until)


@authorize_payment.remote_compensation(
    system=PAYMENT_PROVIDER,
    describe=StepText(
        staff="authorization void",
        customer="Asking your bank to release the money",
        request_text=CLOSE_REQUEST_TEXT,
    ),
    operations=CLOSE_OPERATIONS,
    prepare=mark_closing,
    record=record_closing,
    transient=PAYMENT_TRANSIENT,
    unknown=(OutcomeUnknown,),
    pending=(REFUND_WAIT,),
    failures=PAYMENT_FAILURES,
    retry=UNLIMITED_RETRY,
)
def void_authorization(attempt: Attempt) -> Output:
    """Cancel the payment at the provider, even a declined one, so that it can never charge.

    If the money has been taken meanwhile, it is refunded.
    """
    return payments.services.close(attempt.subject_id, attempt)


@local_step(
    queue=CHECKOUT_QUEUE,
    describe=StepText(staff="order confirmation", customer="Confirming your order"),
    rejections={
        "stock_lost": RejectionText("Some items of this order are no longer available."),
    },
)
def confirm_order(batch: Batch) -> None:
    """Confirm orders whose stock is held and whose payment is authorized.

    Rejects an order whose stock is no longer held in full.
    """
    locked = Order.objects.locked(batch.subject_ids)
    incomplete = inventory.services.confirm({order.pk: order.line_count for order in locked})
    for order_id in incomplete:
        batch.reject(order_id, "stock_lost")
    complete = [order for order in locked if order.pk not in incomplete]
    causes = {order.pk: Cause("paid") for order in complete}
    confirmed = Order.objects.transition_locked(complete, causes, OrderStatus.CONFIRMED)
    count_after_commit(confirmed, OrderStatus.CONFIRMED)
    confirmations = [
        Event(
            order.pk,
            batch.correlation_ids[order.pk],
            OrderConfirmed(total_minor=order.total_minor, currency=order.currency),
        )
        for order in confirmed
    ]
    batch.write(outbox(confirmations))


@confirm_order.compensation(
    describe=StepText(staff="confirmation withdrawal", customer="Withdrawing the confirmation"),
)
def withdraw_confirmation(batch: Batch) -> None:
    """Record the event that the confirmation was withdrawn."""
    record(
        Event(
            run.subject_id,
            run.correlation_id,
            OrderConfirmationWithdrawn(reason=run.reason.code if run.reason else ""),
        )
        for run in batch.runs.values()
    )


def record_capture(batch: Batch) -> None:
    """Record that the payments are captured."""
    payments.services.record_captures(batch.subject_ids)


@remote_step(
    queue=SETTLEMENT_QUEUE,
    system=PAYMENT_PROVIDER,
    describe=StepText(
        staff="payment capture", customer="Taking the payment", request_text="Take {amount}."
    ),
    operations=("capture",),
    record=record_capture,
    rejected_by=(PaymentDeclined,),
    rejections=DECLINED_PAYMENT,
    transient=PAYMENT_TRANSIENT,
    unknown=(OutcomeUnknown,),
    failures=PAYMENT_FAILURES,
    retry=UNLIMITED_RETRY,
)
def capture_payment(attempt: Attempt) -> Output:
    """Take the money that is held. Rejected only if the authorization has expired."""
    return payments.services.capture(attempt.subject_id, attempt)


@capture_payment.remote_compensation(
    system=PAYMENT_PROVIDER,
    describe=StepText(
        staff="payment refund", customer="Returning the money", request_text=CLOSE_REQUEST_TEXT
    ),
    operations=CLOSE_OPERATIONS,
    prepare=mark_closing,
    record=record_closing,
    transient=PAYMENT_TRANSIENT,
    unknown=(OutcomeUnknown,),
    pending=(REFUND_WAIT,),
    failures=PAYMENT_FAILURES,
    retry=UNLIMITED_RETRY,
)
def refund_payment(attempt: Attempt) -> Output:
    """Refund what was taken; if nothing was, cancel the payment at the provider."""
    return payments.services.close(attempt.subject_id, attempt)


@remote_step(
    queue=SETTLEMENT_QUEUE,
    system=PAYMENT_PROVIDER,
    describe=StepText(
        staff="payment return", customer="Returning the money", request_text=CLOSE_REQUEST_TEXT
    ),
    operations=CLOSE_OPERATIONS,
    prepare=mark_closing,
    record=record_closing,
    transient=PAYMENT_TRANSIENT,
    unknown=(OutcomeUnknown,),
    pending=(REFUND_WAIT,),
    failures=PAYMENT_FAILURES,
    retry=UNLIMITED_RETRY,
)
def return_payment(attempt: Attempt) -> Output:
    """Return the money of a cancelled order. Cannot be rejected: it waits until the money is back."""
    return payments.services.close(attempt.subject_id, attempt)


@local_step(
    queue=SETTLEMENT_QUEUE,
    describe=StepText(staff="release of reserved stock", customer="Releasing your items"),
)
def release_reserved_stock(batch: Batch) -> None:
    """Release the stock of orders that are being cancelled."""
    inventory.services.release(batch.correlation_ids)


@local_step(
    queue=SETTLEMENT_QUEUE,
    describe=StepText(staff="end of the cancellation", customer="Finishing the cancellation"),
)
def finish_cancelling(batch: Batch) -> None:
    """Move the orders to cancelled, now that stock and money are returned."""
    mark_cancelled(batch)


def begin_cancelling(batch: Batch) -> None:
    """Move the orders to cancelling, with their reason, before the first compensation."""
    causes = {
        run.subject_id: Cause(run.reason.code, run.reason.detail, run.actor)
        for run in batch.runs.values()
        if run.reason is not None
    }
    Order.objects.transition(causes, OrderStatus.CANCELLING)


def mark_cancelled(batch: Batch) -> None:
    """Move the orders to cancelled, now that every compensation is done."""
    causes = dict.fromkeys(batch.subject_ids, Cause("compensated"))
    cancelled = Order.objects.transition(causes, OrderStatus.CANCELLED)
    count_after_commit(cancelled, OrderStatus.CANCELLED)
    record(
        Event(order.pk, batch.correlation_ids[order.pk], OrderCancelled(reason=order.reason))
        for order in cancelled
    )
