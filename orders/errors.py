"""The errors of orders: one class for each situation that callers handle differently."""

from collections.abc import Mapping
from enum import StrEnum
from uuid import UUID

from orders.states import OrderStatus


class OrderError(Exception):
    """Base class of the errors that this app raises on purpose."""


class IllegalTransition(OrderError):
    """An order cannot move from its status to the requested one."""

    def __init__(self, order_id: UUID, source: OrderStatus, target: OrderStatus) -> None:
        super().__init__(f"order {order_id} cannot go from {source} to {target}")
        self.source = source
        self.target = target


class UnknownProducts(OrderError):
    """A cart names SKUs that are not for sale."""

    def __init__(self, skus: list[str]) -> None:
        super().__init__(f"not for sale: {', '.join(skus)}")
        self.skus = skus


class UnchargeablePrices(OrderError):
    """The payment provider cannot charge the prices of these SKUs. Staff have to correct them."""

    def __init__(self, skus: list[str]) -> None:
        super().__init__(f"cannot be charged: {', '.join(skus)}")
        self.skus = skus


class TotalBelowMinimum(OrderError):
    """A cart costs less than the payment provider charges in one payment."""

    def __init__(self, total_minor: int, minimum_minor: int, currency: str) -> None:
        super().__init__(f"{total_minor} is less than {minimum_minor} {currency}")
        self.total_minor = total_minor
        self.minimum_minor = minimum_minor
        self.currency = currency


class TotalTooLarge(OrderError):
    """A cart costs more than the payment provider charges in one payment."""

    def __init__(self, total_minor: int, max_minor: int) -> None:
        super().__init__(f"{total_minor} is more than {max_minor}")
        self.total_minor = total_minor
        self.max_minor = max_minor


class NotAwaitedReason(StrEnum):
    """Why an order waits for no payment."""

    BEING_MADE = "being made"  # a payment is stored, and a worker makes it
    BEING_CHECKED = "being checked"  # the provider is being asked about the open payment
    PAUSED = "paused"  # staff have to resume the order first
    OTHER = "other"  # it was paid, or it waits for something else, or it is cancelled


class PaymentNotAwaited(OrderError):
    """The order does not wait for a payment (any more, or yet)."""

    def __init__(
        self, order_id: UUID, status: OrderStatus, reason: NotAwaitedReason = NotAwaitedReason.OTHER
    ) -> None:
        super().__init__(f"order {order_id} is {status} and waits for no payment: {reason}")
        self.status = status
        self.reason = reason


class ReferenceTaken(OrderError):
    """The customer already has an order with this reference, placed with another idempotency key."""

    def __init__(self, customer_id: int | None, reference: str) -> None:
        super().__init__(f"customer {customer_id} has an order {reference}")
        self.customer_id = customer_id
        self.reference = reference


class PriceChanged(OrderError):
    """A cart does not cost what the customer expects. ``prices`` has the price of each SKU in minor units."""

    def __init__(self, total_minor: int, currency: str, prices: Mapping[str, int]) -> None:
        super().__init__(f"the cart costs {total_minor} {currency}")
        self.total_minor = total_minor
        self.currency = currency
        self.prices = prices


class TooManyOpenOrders(OrderError):
    """The customer has reached the limit of unfinished orders."""

    def __init__(self, most: int) -> None:
        super().__init__(
            f"You have {most} unfinished orders, which is the limit."
            " Wait until one of them ends, or cancel one."
        )
        self.most = most
