"""How orders and products look from outside.

Amounts are in minor units of their currency, moments in UTC. What is not there is null; what was not
asked for by ``expand`` is left out.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from inventory.services import ProductForSale
from orders import models, services
from orders.cancellation_messages import words
from orders.customer_timeline import Kind, TimelineEvent
from orders.states import TRANSITIONS, OrderStatus
from payments.history import PaymentRecord, payment_record
from payments.states import PaymentStatus

Minor = Annotated[int, Field(ge=0, description="In minor units of the currency.")]
Currency = Annotated[str, Field(pattern="^[a-z]{3}$", examples=["eur"])]

Money = Literal["not_started", "pending", "authorized", "captured", "voided", "refunded"]

_MONEY: Mapping[str, Money] = {
    PaymentStatus.INTENDED: "pending",
    PaymentStatus.AUTHORIZED: "authorized",
    PaymentStatus.CAPTURED: "captured",
    PaymentStatus.VOIDED: "voided",
    PaymentStatus.REFUNDED: "refunded",
}


CancelRequestedAt = Annotated[
    datetime | None,
    Field(
        description=(
            "When it was accepted that the order be cancelled, whatever its status still is; null"
            " where nobody asked."
        )
    ),
]

Expanded = Field(exclude_if=lambda value: value is None)
"""Of what is shown where it is asked for; the placing and the detail of an order always have items."""


NOT_TOLD: Final = ""
"""As whose order it is: nobody's name. (None is nobody's, too: a guest's.)"""


class Representation(BaseModel):
    """Something as it is shown."""

    model_config = ConfigDict(frozen=True)

    def as_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json")


class OrderLine(Representation):
    """One product of an order, called and price_cart as it was when it was ordered."""

    sku: str
    name: str
    quantity: int
    unit_price_minor: Minor

    @classmethod
    def of(cls, line: models.OrderLine) -> Self:
        return cls(
            sku=line.sku,
            name=line.name,
            quantity=line.quantity,
            unit_price_minor=line.unit_price_minor,
        )


class PaymentSummary(Representation):
    """Where an order's money is. An amount that has been reached stays."""

    status: Money
    authorized_minor: Minor = 0
    captured_minor: Minor = 0
    refunded_minor: Minor = 0

    @classmethod
    def of(cls, payment: PaymentRecord | None) -> Self:
        if payment is None:
            return cls(status="not_started")
        return cls(
            status=_MONEY[payment.status],
            authorized_minor=payment.authorized_minor,
            captured_minor=payment.captured_minor,
            refunded_minor=payment.refunded_minor,
        )


class Payment(PaymentSummary):
    """One payment for an order, and when it got where."""

    currency: Currency
    created_at: datetime
    authorized_at: datetime | None
    captured_at: datetime | None

    @classmethod
    def made(cls, payment: PaymentRecord) -> Self:
        return cls(
            **dict(PaymentSummary.of(payment)),
            currency=payment.currency,
            created_at=payment.created_at,
            authorized_at=payment.authorized_at,
            captured_at=payment.captured_at,
        )


class TimelineEntry(Representation):
    """One thing that happened to an order: codes for programs, and a sentence for its customer."""

    at: datetime
    kind: Kind
    what: str
    words: str
    attempt: Annotated[int | None, Field(description="Which one it was, of a step.")] = None

    @classmethod
    def of(cls, happening: TimelineEvent) -> Self:
        return cls(
            at=happening.at,
            kind=happening.kind,
            what=happening.what,
            words=happening.words,
            attempt=happening.attempt,
        )


class Timeline(Representation):
    """What happened to an order, oldest first; of its attempts, the last hundred."""

    entries: Sequence[TimelineEntry]


class OrderLinks(Representation):
    """Where more of an order is found, and where it is cancelled while it can be."""

    self: str
    timeline: str
    events: str
    cancel: str | None = None


class Order(Representation):
    """An order, as its customer sees it; the shop's own server is told whose it is besides."""

    id: str
    customer: Annotated[
        str | None,
        Field(
            description="Whose it is; null for a guest's. Shown to a token with the scope `shop`.",
            exclude_if=lambda name: name == NOT_TOLD,
            json_schema_extra=lambda schema: schema.pop("default"),
        ),
    ] = NOT_TOLD
    status: OrderStatus
    reference: Annotated[str | None, Field(description="The storefront's own name for it.")] = None
    version: Annotated[int, Field(ge=0, description="How often its status has changed.")]
    total_minor: Minor
    currency: Currency
    reason: Annotated[str, Field(description="Why it was cancelled, in words; else empty.")]
    reason_code: Annotated[str, Field(description="The same for programs.")]
    created_at: datetime
    updated_at: Annotated[datetime, Field(description="When its status last changed.")]
    cancel_requested_at: CancelRequestedAt
    payment: PaymentSummary
    allowed_transitions: Sequence[OrderStatus]
    can_cancel: bool
    links: OrderLinks
    items: Annotated[Sequence[OrderLine] | None, Expanded] = None
    timeline: Annotated[Sequence[TimelineEntry] | None, Expanded] = None
    payments: Annotated[Sequence[Payment] | None, Expanded] = None

    @classmethod
    def of(
        cls,
        order: models.Order,
        path: str,
        *,
        customer: str | None = NOT_TOLD,
        may_cancel: bool = True,
        lines: Iterable[models.OrderLine] | None = None,
        happenings: Iterable[TimelineEvent] | None = None,
        payments: Iterable[PaymentRecord] | None = None,
    ) -> Self:
        """Show an order that is found at ``path``, with no more statements than its caller made.

        Its payment, the time of its last move and the wish to cancel it are known if it was read
        ``with_progress``; one that has just been placed has none of them.
        """
        is_asked_for = order.cancel_requested_at is not None
        allowed = still_allowed(OrderStatus(order.status), is_cancel_requested=is_asked_for)
        can_cancel = may_cancel and OrderStatus.CANCELLING in allowed and not is_asked_for
        return cls(
            id=str(order.pk),
            customer=customer,
            status=OrderStatus(order.status),
            reference=order.reference,
            version=order.version,
            total_minor=order.total_minor,
            currency=order.currency,
            reason=words(order),
            reason_code=order.reason,
            created_at=order.created_at,
            updated_at=order.moved_at or order.created_at,
            cancel_requested_at=order.cancel_requested_at,
            payment=PaymentSummary.of(payment_record(order.latest_payment)),
            allowed_transitions=allowed,
            can_cancel=can_cancel,
            links=_links(path, can_cancel=can_cancel),
            items=None if lines is None else [OrderLine.of(each) for each in lines],
            timeline=None if happenings is None else [TimelineEntry.of(e) for e in happenings],
            payments=None if payments is None else [Payment.made(each) for each in payments],
        )


def still_allowed(status: OrderStatus, *, is_cancel_requested: bool) -> list[OrderStatus]:
    """Return what an order can become; once it is asked back, its run confirms nothing any more."""
    allowed = TRANSITIONS[status] - ({OrderStatus.CONFIRMED} if is_cancel_requested else set())
    return [each for each in OrderStatus if each in allowed]


def _links(path: str, *, can_cancel: bool) -> OrderLinks:
    return OrderLinks(
        self=path,
        timeline=f"{path}/timeline",
        events=f"{path}/events",
        cancel=f"{path}/cancel" if can_cancel else None,
    )


CANCEL_REQUESTED: Final = "cancel_requested"
"""The name of the event that is no move; of all others it is the status."""


class ProgressEvent(Representation):
    """That an order has a status or is to be cancelled, and since when."""

    order_id: str
    status: OrderStatus
    version: int
    at: datetime
    cancel_requested_at: CancelRequestedAt
    reason: str
    reason_code: str

    @classmethod
    def of(
        cls, order: models.Order, status: str, reached: models.OrderCursor, at: datetime
    ) -> Self:
        """Show what an order was when it had got so far."""
        is_known = status in (OrderStatus.CANCELLING, OrderStatus.CANCELLED)
        return cls(
            order_id=str(order.pk),
            status=OrderStatus(status),
            version=reached.version,
            at=at,
            cancel_requested_at=order.cancel_requested_at if reached.is_cancel_requested else None,
            reason=words(order) if is_known else "",
            reason_code=order.reason if is_known else "",
        )


class OrderPage(Representation):
    """Some of the caller's orders, newest first, and where the pages beside it are."""

    results: Sequence[Order]
    next: Annotated[str | None, Field(description="The page of older ones.")]
    previous: Annotated[str | None, Field(description="The page of newer ones.")]


class Product(Representation):
    """Something that is for sale; ``available`` is how many could be ordered at this moment."""

    sku: str
    name: str
    price_minor: Minor
    currency: Currency
    available: Annotated[int, Field(ge=0)]

    @classmethod
    def of(cls, product: ProductForSale) -> Self:
        return cls(
            sku=product.sku,
            name=product.name,
            price_minor=product.price_minor,
            currency=product.currency,
            available=product.available,
        )


class ProductPage(Representation):
    """Some of what is for sale, by SKU, and where it goes on."""

    results: Sequence[Product]
    next: Annotated[str | None, Field(description="The page of those that follow.")]


class Link(Representation):
    """A way to one order for whoever has no account; whoever has it may use it."""

    url: str
    token: Annotated[str, Field(description="The part of the address that counts.")]
    may_cancel: bool
    expires_at: datetime


class QuotedLine(Representation):
    """One line of a cart, as it would be ordered now."""

    sku: str
    name: str
    quantity: int
    unit_price_minor: Minor
    line_total_minor: Minor
    available: Annotated[bool, Field(description="Whether this quantity could be had now.")]
    available_quantity: Annotated[
        int, Field(ge=0, description="The most that one order could have now.")
    ]


class Quote(Representation):
    """What a cart costs and whether it can be had at one moment. Nothing is held for it."""

    items: Sequence[QuotedLine]
    total_minor: Minor
    currency: Currency
    available: Annotated[bool, Field(description="Whether all of it could be had now.")]
    quoted_at: datetime

    @classmethod
    def of(cls, quote: services.Quote) -> Self:
        lines = [
            QuotedLine(
                **asdict(line),
                line_total_minor=line.unit_price_minor * line.quantity,
                available=line.quantity <= quote.most[line.sku],
                available_quantity=quote.most[line.sku],
            )
            for line in quote.cart.lines
        ]
        return cls(
            items=lines,
            total_minor=quote.cart.total_minor,
            currency=quote.cart.currency,
            available=all(each.available for each in lines),
            quoted_at=quote.cart.at,
        )
