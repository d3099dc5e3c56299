"""Orders, their timelines and their events in responses."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Annotated, Final, Literal, Self, TypeVar

from pydantic import Field

from orders import models
from orders.api.http.response_schemas import Currency, MinorUnits, ResponseSchema
from orders.api.orders.payment_schemas import Payment, PaymentSummary
from orders.cancellation_messages import cancellation_message
from orders.customer_timeline import Kind, TimelineEvent
from orders.customer_waits import CustomerWait
from orders.states import TRANSITIONS, OrderStatus
from payments.history import PaymentRecord, payment_record
from payments.services import PendingAction

T = TypeVar("T")
R = TypeVar("R")

CancelRequestedAt = Annotated[
    datetime | None,
    Field(
        description=(
            "When the cancellation was accepted, whatever the status still is; null when no"
            " cancellation was requested."
        )
    ),
]

Expandable = Field(exclude_if=lambda value: value is None)
"""A field that is left out unless ``expand`` names it."""

HIDDEN: Final = ""
"""As ``customer``: the field is left out. None is shown as null, for the order of a guest."""


class OrderLine(ResponseSchema):
    """One product of an order, with the name and price of the time when it was ordered."""

    sku: str
    name: str
    quantity: int
    unit_price_minor: MinorUnits

    @classmethod
    def of(cls, line: models.OrderLine) -> Self:
        return cls(
            sku=line.sku,
            name=line.name,
            quantity=line.quantity,
            unit_price_minor=line.unit_price_minor,
        )


class TimelineEntry(ResponseSchema):
    """One event of an order: a code for programs, and a sentence for the customer."""

    at: datetime
    kind: Kind
    code: str
    message: str
    attempt: Annotated[int | None, Field(description="The number of the attempt, for a step.")] = (
        None
    )
    until: Annotated[
        datetime | None, Field(description="The deadline, for a wait that has not ended.")
    ] = None

    @classmethod
    def of(cls, event: TimelineEvent) -> Self:
        return cls(
            at=event.at,
            kind=event.kind,
            code=event.code,
            message=event.message,
            attempt=event.attempt,
            until=event.until,
        )


class Timeline(ResponseSchema):
    """The events of an order, oldest first, with at most its last hundred attempts."""

    entries: Sequence[TimelineEntry]


class Waiting(ResponseSchema):
    """What an order waits for, since when, until when, and what happens then."""

    code: str
    message: Annotated[str, Field(description="A sentence for the customer.")]
    since: Annotated[datetime | None, Field(description="Null for `shop_attention`.")]
    until: Annotated[datetime | None, Field(description="Null for `shop_attention`.")]

    @classmethod
    def of(cls, wait: CustomerWait | None) -> Self | None:
        """Return what an order waits for; None if it does not wait."""
        if wait is None:
            return None
        return cls(code=wait.code, message=wait.message, since=wait.since, until=wait.until)


class NextAction(ResponseSchema):
    """What the customer has to do before the payment goes on: authenticate it at their bank.

    ``redirect``: open ``url`` in the customer's browser. ``provider_sdk``: give ``client_secret`` to the
    payment provider's library, which does the rest. When the customer is back, send a POST to
    ``links.check`` of the order, and follow the order.
    """

    type: Literal["redirect", "provider_sdk"]
    url: Annotated[str, Field(description="For `redirect`; otherwise empty.")]
    client_secret: Annotated[str, Field(description="Only for this customer. Never log it.")]
    payment_id: Annotated[str, Field(description="As `replaces`, to pay otherwise.")]
    until: datetime

    @classmethod
    def of(cls, pending: PendingAction | None, wait: CustomerWait | None) -> Self | None:
        """Return the action of an order that waits for it; None for every other order."""
        if pending is None or wait is None or wait.until is None:
            return None
        return cls(
            type=pending.action.type,
            url=pending.action.url,
            client_secret=pending.client_secret,
            payment_id=str(pending.payment_id),
            until=wait.until,
        )


class OrderLinks(ResponseSchema):
    """Paths of the order and its parts; ``cancel`` is null once it cannot be cancelled.

    ``pay`` is null unless the order waits for its customer to pay, and ``check`` unless it waits for
    its customer to authenticate the payment.
    """

    self: str
    timeline: str
    events: str
    cancel: str | None = None
    pay: str | None = None
    check: str | None = None

    @classmethod
    def below(
        cls, path: str, *, can_cancel: bool, can_pay: bool = False, can_check: bool = False
    ) -> Self:
        return cls(
            pay=f"{path}/payments" if can_pay else None,
            check=f"{path}/payments/check" if can_check else None,
            self=path,
            timeline=f"{path}/timeline",
            events=f"{path}/events",
            cancel=f"{path}/cancel" if can_cancel else None,
        )


class Order(ResponseSchema):
    """An order as its customer sees it. The shop's server also sees the customer."""

    id: str
    customer: Annotated[
        str | None,
        Field(
            description="The customer; null for a guest. Only for a token with the scope `shop`.",
            exclude_if=lambda name: name == HIDDEN,
            json_schema_extra=lambda schema: schema.pop("default"),
        ),
    ] = HIDDEN
    status: OrderStatus
    reference: Annotated[
        str | None, Field(description="The storefront's own name for the order.")
    ] = None
    version: Annotated[int, Field(ge=0, description="How often the status has changed.")]
    total_minor: MinorUnits
    currency: Currency
    reason: Annotated[
        str, Field(description="Why the order was cancelled, as a sentence; otherwise empty.")
    ]
    reason_code: Annotated[str, Field(description="The same for programs.")]
    created_at: datetime
    updated_at: Annotated[datetime, Field(description="When the status last changed.")]
    cancel_requested_at: CancelRequestedAt
    payment: PaymentSummary
    waiting_for: Annotated[
        Waiting | None, Field(description="What the order waits for; null while it does not wait.")
    ] = None
    next_action: Annotated[
        NextAction | None, Field(description="What the customer has to do now; null for nothing.")
    ] = None
    allowed_transitions: Sequence[OrderStatus]
    can_cancel: bool
    links: OrderLinks
    items: Annotated[Sequence[OrderLine] | None, Expandable] = None
    timeline: Annotated[Sequence[TimelineEntry] | None, Expandable] = None
    payments: Annotated[Sequence[Payment] | None, Expandable] = None

    @classmethod
    def of(
        cls,
        order: models.Order,
        path: str,
        *,
        customer: str | None = HIDDEN,
        may_cancel: bool = True,
        lines: Iterable[models.OrderLine] | None = None,
        timeline: Iterable[TimelineEvent] | None = None,
        payments: Iterable[PaymentRecord] | None = None,
        action: PendingAction | None = None,
    ) -> Self:
        """Build the response for an order that is read at ``path``. Runs no statement.

        What ``with_progress`` reads is included; a newly placed order has none of it.
        """
        links = _links(order, path) if may_cancel else OrderLinks.below(path, can_cancel=False)
        return cls(
            id=str(order.pk),
            customer=customer,
            status=OrderStatus(order.status),
            reference=order.reference,
            version=order.version,
            total_minor=order.total_minor,
            currency=order.currency,
            reason=cancellation_message(order),
            reason_code=order.reason,
            created_at=order.created_at,
            updated_at=order.transitioned_at or order.created_at,
            cancel_requested_at=order.cancel_requested_at,
            payment=PaymentSummary.of(payment_record(order.latest_payment)),
            waiting_for=Waiting.of(order.wait),
            next_action=NextAction.of(action, order.wait) if links.pay else None,
            allowed_transitions=_allowed_transitions(order),
            can_cancel=links.cancel is not None,
            links=links,
            items=_each(OrderLine.of, lines),
            timeline=_each(TimelineEntry.of, timeline),
            payments=_each(Payment.of_record, payments),
        )


def _links(order: models.Order, path: str) -> OrderLinks:
    """Return the links of an order for a caller that may cancel and pay it."""
    is_requested = order.cancel_requested_at is not None
    can_cancel = OrderStatus.CANCELLING in _allowed_transitions(order) and not is_requested
    wait = order.wait
    return OrderLinks.below(
        path,
        can_cancel=can_cancel,
        can_pay=wait is not None and wait.can_pay,
        can_check=wait is not None and wait.can_authenticate,
    )


def _allowed_transitions(order: models.Order) -> list[OrderStatus]:
    is_requested = order.cancel_requested_at is not None
    return remaining_transitions(OrderStatus(order.status), is_cancel_requested=is_requested)


def _each(convert: Callable[[T], R], rows: Iterable[T] | None) -> list[R] | None:
    """Return every row converted; None for None."""
    return None if rows is None else [convert(row) for row in rows]


def remaining_transitions(status: OrderStatus, *, is_cancel_requested: bool) -> list[OrderStatus]:
    """Return the statuses that can follow. After a cancellation request, CONFIRMED cannot."""
    allowed = TRANSITIONS[status] - ({OrderStatus.CONFIRMED} if is_cancel_requested else set())
    return [candidate for candidate in OrderStatus if candidate in allowed]


class OrderPage(ResponseSchema):
    """One page of the caller's orders, newest first, and the addresses of its neighbours."""

    results: Sequence[Order]
    next: Annotated[str | None, Field(description="The page of older orders.")]
    previous: Annotated[str | None, Field(description="The page of newer orders.")]


CANCEL_REQUESTED: Final = "cancel_requested"
WAITING: Final = "waiting"
"""The names of the events that are not a status."""


class StreamEvent(ResponseSchema):
    """The data of a server-sent event: a change of status, a cancellation request, or a new wait."""

    order_id: str
    status: OrderStatus
    version: int
    at: datetime
    cancel_requested_at: CancelRequestedAt
    reason: str
    reason_code: str
    waiting_for: Waiting | None = None

    @classmethod
    def of(
        cls, order: models.Order, status: str, progress: models.OrderProgress, at: datetime
    ) -> Self:
        """Build the event for an order as it was at ``progress``."""
        has_reason = status in (OrderStatus.CANCELLING, OrderStatus.CANCELLED)
        return cls(
            order_id=str(order.pk),
            status=OrderStatus(status),
            version=progress.version,
            at=at,
            cancel_requested_at=order.cancel_requested_at if progress.is_cancel_requested else None,
            reason=cancellation_message(order) if has_reason else "",
            reason_code=order.reason if has_reason else "",
            waiting_for=Waiting.of(order.wait),
        )
