"""The steps that sagas of orders are made of, each with its compensation right below it.

A local step acts on a batch of orders in one transaction; a remote one calls the bank for one
order, between a transaction that writes down what it intends and one that records the answer.
"""

from collections import defaultdict
from datetime import timedelta
from typing import Final
from uuid import UUID

import inventory.services
import payments.services
from events.services import outbox, record
from inventory.services import StockRequest
from orders.events import ORDER_CANCELLED, ORDER_CONFIRMATION_WITHDRAWN, ORDER_CONFIRMED
from orders.metrics import count_after_commit
from orders.models import Cause, Order, lines_of, orders_by_id
from orders.states import OrderStatus
from payments.errors import (
    DeadlinePassed,
    OutcomeUnknown,
    PaymentDeclined,
    ProviderBusy,
    RefundPending,
)
from payments.services import Charge
from sagas.definition import Attempt, Batch, Output, RetryPolicy, local_step, remote_step

CHECKOUT_QUEUE: Final = "checkout"
SETTLEMENT_QUEUE: Final = "settlement"

NOT_ACTED: Final = (ProviderBusy, DeadlinePassed)
"""Not done yet: ask again."""

WHILE_THE_CUSTOMER_WAITS: Final = RetryPolicy(
    first=timedelta(milliseconds=500), longest=timedelta(seconds=20), attempts=8
)
"""Half a minute of trying where errors come at once, two where every call times out; then the
order is turned back rather than left in the air."""

UNTIL_IT_IS_DONE: Final = RetryPolicy(first=timedelta(seconds=1), longest=timedelta(minutes=5))
"""For what has to succeed: captures and undos. Flagged for a person after some tries."""


@local_step(queue=CHECKOUT_QUEUE)
def reserve_stock(orders: Batch) -> None:
    """Hold every line of each order; one that cannot be served whole is refused."""
    requests: dict[UUID, list[StockRequest]] = defaultdict(list)
    for line in lines_of(orders.subject_ids):
        requests[line.order_id].append(StockRequest(line.pk, line.sku, line.quantity))
    short = inventory.services.reserve(requests, orders.correlation_ids)
    for order_id, sku in short.items():
        orders.reject(order_id, "out_of_stock", sku)


@reserve_stock.compensation
def release_stock(orders: Batch) -> None:
    """Put what each order holds back on the shelf."""
    inventory.services.release(orders.correlation_ids)


def prepare_payment(orders: Batch) -> None:
    """Write down what the bank is about to be asked for."""
    orders.write(
        payments.services.prepare_payments(
            Charge(
                order_id=order.pk,
                correlation_id=orders.correlation_ids[order.pk],
                amount_minor=order.total_minor,
                currency=order.currency,
                payment_method=order.payment_method,
            )
            for order in orders_by_id(orders.subject_ids)
        )
    )


def record_authorization(orders: Batch) -> None:
    """Write down that the bank holds the money."""
    payments.services.record_authorizations(orders.subject_ids)


def mark_closing(orders: Batch) -> None:
    """Before the bank is asked to cancel: no worker may confirm these payments any more."""
    payments.services.begin_closing(orders.subject_ids)


def record_closing(orders: Batch) -> None:
    """Write down whether the payments were voided or refunded."""
    payments.services.record_closings(orders.results)


@remote_step(
    queue=CHECKOUT_QUEUE,
    prepare=prepare_payment,
    record=record_authorization,
    rejected_by=(PaymentDeclined,),
    transient=NOT_ACTED,
    unknown=(OutcomeUnknown,),
    retry=WHILE_THE_CUSTOMER_WAITS,
)
def authorize_payment(attempt: Attempt) -> Output:
    """Have the customer's bank set the money aside, without taking it yet.

    After a timeout nothing is assumed: the next attempt looks what became of this one.
    """
    return payments.services.authorize(attempt.subject_id, attempt)


@authorize_payment.remote_compensation(
    prepare=mark_closing,
    record=record_closing,
    transient=(*NOT_ACTED, RefundPending),
    unknown=(OutcomeUnknown,),
    retry=UNTIL_IT_IS_DONE,
)
def void_authorization(attempt: Attempt) -> Output:
    """Cancel the payment at the bank, so that it can never charge, a declined one too.

    If the money has moved meanwhile, it is refunded.
    """
    return payments.services.close(attempt.subject_id, attempt)


@local_step(queue=CHECKOUT_QUEUE)
def confirm_order(orders: Batch) -> None:
    """Promise the order to its customer: its stock is held and its money is set aside.

    An order whose hold is not whole any more is refused instead, and its money let go.
    """
    locked = Order.objects.locked(orders.subject_ids)
    broken = inventory.services.confirm({each.pk: each.line_count for each in locked})
    for order_id in broken:
        orders.reject(order_id, "stock_lost")
    whole = [each for each in locked if each.pk not in broken]
    causes = {each.pk: Cause("paid") for each in whole}
    confirmed = Order.objects.transition_locked(whole, causes, OrderStatus.CONFIRMED)
    count_after_commit(confirmed, OrderStatus.CONFIRMED)
    told = [
        ORDER_CONFIRMED.of(
            order.pk,
            orders.correlation_ids[order.pk],
            {"total_minor": order.total_minor, "currency": order.currency},
        )
        for order in confirmed
    ]
    orders.write(outbox(told))


@confirm_order.compensation
def withdraw_confirmation(orders: Batch) -> None:
    """Tell whoever heard of the confirmation that it no longer holds."""
    record(
        ORDER_CONFIRMATION_WITHDRAWN.of(
            each.subject_id,
            each.correlation_id,
            {"reason": each.reason.code if each.reason else ""},
        )
        for each in orders.runs.values()
    )


def record_capture(orders: Batch) -> None:
    """Write down that the money has been taken."""
    payments.services.record_captures(orders.subject_ids)


@remote_step(
    queue=SETTLEMENT_QUEUE,
    record=record_capture,
    rejected_by=(PaymentDeclined,),
    transient=NOT_ACTED,
    unknown=(OutcomeUnknown,),
    retry=UNTIL_IT_IS_DONE,
)
def capture_payment(attempt: Attempt) -> Output:
    """Take the money that was set aside. Refused only if the authorization is no more."""
    return payments.services.capture(attempt.subject_id, attempt)


@capture_payment.remote_compensation(
    prepare=mark_closing,
    record=record_closing,
    transient=(*NOT_ACTED, RefundPending),
    unknown=(OutcomeUnknown,),
    retry=UNTIL_IT_IS_DONE,
)
def refund_payment(attempt: Attempt) -> Output:
    """Give back what was taken; where nothing was, cancel the payment at the bank."""
    return payments.services.close(attempt.subject_id, attempt)


@remote_step(
    queue=SETTLEMENT_QUEUE,
    prepare=mark_closing,
    record=record_closing,
    transient=(*NOT_ACTED, RefundPending),
    unknown=(OutcomeUnknown,),
    retry=UNTIL_IT_IS_DONE,
)
def return_payment(attempt: Attempt) -> Output:
    """Give the money of a cancelled order back. It cannot be refused: it is tried until done."""
    return payments.services.close(attempt.subject_id, attempt)


@local_step(queue=SETTLEMENT_QUEUE)
def restock(orders: Batch) -> None:
    """Put the stock of a cancelled order back on the shelf."""
    inventory.services.release(orders.correlation_ids)


@local_step(queue=SETTLEMENT_QUEUE)
def finish_cancelling(orders: Batch) -> None:
    """Call the order cancelled, now that nothing of it is held or taken."""
    mark_cancelled(orders)


def begin_cancelling(orders: Batch) -> None:
    """Show the customer, as soon as it is known, that the order will not be, and why."""
    causes = {
        each.subject_id: Cause(each.reason.code, each.reason.detail, each.actor)
        for each in orders.runs.values()
        if each.reason is not None
    }
    Order.objects.transition(causes, OrderStatus.CANCELLING)


def mark_cancelled(orders: Batch) -> None:
    """Move the orders to their end: nothing held, nothing taken."""
    causes = dict.fromkeys(orders.subject_ids, Cause("undone"))
    cancelled = Order.objects.transition(causes, OrderStatus.CANCELLED)
    count_after_commit(cancelled, OrderStatus.CANCELLED)
    record(
        ORDER_CANCELLED.of(order.pk, orders.correlation_ids[order.pk], {"reason": order.reason})
        for order in cancelled
    )
