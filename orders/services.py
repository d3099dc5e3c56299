"""What the world may ask of orders: place one, cancel one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, transaction
from psycopg.errors import UniqueViolation

import inventory.services
import payments.services
import sagas.services
from events.services import outbox
from orders.errors import (
    IllegalTransition,
    PriceChanged,
    ReferenceTaken,
    TooManyOpenOrders,
    TotalBelowMinimum,
    TotalTooLarge,
    UnchargeablePrices,
    UnknownProducts,
)
from orders.events import ORDER_PLACED
from orders.metrics import count_after_commit
from orders.models import REFERENCE_ONCE, Cause, Order, OrderLine
from orders.saga import CANCELLATION, CHECKOUT
from orders.states import TRANSITIONS, OrderStatus
from payments.services import ChargeLimits
from sagas.batch import Rejection
from sagas.bulk_sql import Insert
from sagas.correlation import current_correlation_id
from sagas.services import CompensationRequest


@dataclass(frozen=True, slots=True)
class PricedLine:
    """One line of a cart at its current price."""

    sku: str
    name: str
    quantity: int
    unit_price_minor: int


@dataclass(frozen=True, slots=True)
class PricedCart:
    """A cart at the prices of one moment, by the database's clock."""

    lines: Sequence[PricedLine]
    currency: str
    priced_at: datetime

    @property
    def total_minor(self) -> int:
        return sum(line.unit_price_minor * line.quantity for line in self.lines)

    @property
    def prices(self) -> dict[str, int]:
        """The unit price of each SKU, in minor units."""
        return {line.sku: line.unit_price_minor for line in self.lines}


@dataclass(frozen=True, slots=True)
class Quote:
    """A priced cart, and the largest quantity of each SKU that one order could have."""

    cart: PricedCart
    max_orderable: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class PriceExpectation:
    """The total and currency that a customer saw; None for what the storefront did not send."""

    total_minor: int | None = None
    currency: str | None = None

    def is_met_by(self, cart: PricedCart) -> bool:
        is_same_total = self.total_minor in (None, cart.total_minor)
        return is_same_total and self.currency in (None, cart.currency)


NO_EXPECTATION: Final = PriceExpectation()


@dataclass(frozen=True, slots=True)
class PlacedOrder:
    """An order as it was accepted."""

    order: Order
    lines: list[OrderLine]


def price_cart(quantities: Mapping[str, int], payment_method: str | None = None) -> PricedCart:
    """Return what a cart costs, in one statement.

    Raises UnknownProducts, and what the provider of the payment method cannot charge (any provider,
    without a method) as UnchargeablePrices, TotalBelowMinimum and TotalTooLarge.
    """
    products = inventory.services.products_for_sale(quantities)
    unknown = sorted(quantities.keys() - products.keys())
    if unknown:
        raise UnknownProducts(unknown)
    lines = [
        PricedLine(sku, products[sku].name, quantity, products[sku].price_minor)
        for sku, quantity in quantities.items()
    ]
    priced_at = max(product.read_at for product in products.values())
    cart = PricedCart(lines, settings.CURRENCY, priced_at)
    _check_chargeable(cart, payments.services.charge_limits(cart.currency, payment_method))
    return cart


def _check_chargeable(cart: PricedCart, limits: ChargeLimits) -> None:
    unchargeable = [line.sku for line in cart.lines if line.unit_price_minor % limits.step_minor]
    if unchargeable:
        raise UnchargeablePrices(unchargeable)
    if cart.total_minor < limits.minimum_minor:
        raise TotalBelowMinimum(cart.total_minor, limits.minimum_minor, cart.currency)
    if cart.total_minor > limits.maximum_minor:
        raise TotalTooLarge(cart.total_minor, limits.maximum_minor)


def quote_cart(quantities: Mapping[str, int]) -> Quote:
    """Return a cart's price and availability. Reserves nothing, stores nothing.

    Two statements read them at two moments, and either may change before an order is placed.
    Raises as ``price_cart``.
    """
    return Quote(price_cart(quantities), inventory.services.max_orderable(quantities))


def enforce_open_order_limit(customer: User) -> None:
    """Raise TooManyOpenOrders when the customer has reached MOST_OPEN_ORDERS unfinished orders.

    Keeps one customer from reserving all the stock. Concurrent calls for one customer run one after
    the other: each waits until the transaction of the one before has ended.
    """
    if not settings.MOST_OPEN_ORDERS:
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT orders_count_open(%s)", [customer.pk])
        (count,) = cursor.fetchone()
    if count >= settings.MOST_OPEN_ORDERS:
        raise TooManyOpenOrders(settings.MOST_OPEN_ORDERS)


@transaction.atomic(savepoint=False)
def place_order(
    order_id: UUID,
    customer: User | None,
    quantities: Mapping[str, int],
    payment_method: str,
    *,
    reference: str | None = None,
    expected: PriceExpectation = NO_EXPECTATION,
) -> PlacedOrder:
    """Accept an order, of a customer or a guest, at our prices, and start its checkout.

    One transaction, no call to anyone: when it commits the order will end confirmed or
    cancelled, whatever dies afterwards; when it does not, nothing has happened. Its run and events
    carry the correlation id of the request. A ``reference`` is good for one order of a customer,
    at any time. Raises as ``price_cart``, and PriceChanged and ReferenceTaken.
    """
    cart = price_cart(quantities, payment_method)
    if not expected.is_met_by(cart):
        raise PriceChanged(cart.total_minor, cart.currency, cart.prices)
    order = Order(
        pk=order_id,
        customer=customer,
        currency=cart.currency,
        total_minor=cart.total_minor,
        payment_method=payment_method,
        reference=reference,
        # Without asking for it: the answer shows it.
        created_at=cart.priced_at,
    )
    lines = [
        OrderLine(order=order, position=position, **asdict(line))
        for position, line in enumerate(cart.lines, start=1)
    ]
    try:
        _start_checkout(order, lines)
    except IntegrityError as error:
        if reference is None or not _is_about(REFERENCE_ONCE, error):
            raise
        raise ReferenceTaken(order.customer_id, reference) from None
    return PlacedOrder(order, lines)


def _start_checkout(order: Order, lines: list[OrderLine]) -> None:
    """Write an order down together with its run and what the world is told of it."""
    correlation_id = current_correlation_id()
    placed = _placed(order, lines, correlation_id)
    sagas.services.start(CHECKOUT, order.pk, correlation_id, Insert([order]), Insert(lines), placed)


def _is_about(constraint: str, error: IntegrityError) -> bool:
    cause = error.__cause__
    return isinstance(cause, UniqueViolation) and cause.diag.constraint_name == constraint


def _placed(order: Order, lines: Iterable[OrderLine], correlation_id: UUID) -> Insert:
    """Count a new order once it has committed, and return what tells the world of it."""
    count_after_commit([order], OrderStatus.PLACED)
    bought = [{"sku": each.sku, "quantity": each.quantity} for each in lines]
    payload = {"total_minor": order.total_minor, "currency": order.currency, "lines": bought}
    return outbox([ORDER_PLACED.of(order.pk, correlation_id, payload)])


@transaction.atomic(savepoint=False)
def cancel_order(order_id: UUID, *, reason: str, actor: str) -> None:
    """See to it that an order ends cancelled, with its money back and its stock on the shelf.

    During checkout the run is asked to turn back, which it does before its next step; after
    checkout a cancellation run starts. Asking again, or for an order that is being cancelled or
    is cancelled, changes nothing. Raises IllegalTransition where the saga is past the point where
    all of it can be undone. Locks the run, then the order, as everything does.
    """
    asked = sagas.services.request_compensation(order_id, Rejection(reason), actor)
    if asked in (CompensationRequest.REQUESTED, CompensationRequest.UNDERWAY):
        return
    order = Order.objects.select_for_update(no_key=True).get(pk=order_id)
    if (
        asked is CompensationRequest.TOO_LATE
        and OrderStatus.CANCELLING in TRANSITIONS[OrderStatus(order.status)]
    ):
        raise IllegalTransition(order_id, OrderStatus(order.status), OrderStatus.CANCELLING)
    if order.status != OrderStatus.CONFIRMED:
        return
    Order.objects.transition({order_id: Cause(reason, actor=actor)}, OrderStatus.CANCELLING)
    sagas.services.start(CANCELLATION, order_id, current_correlation_id())
