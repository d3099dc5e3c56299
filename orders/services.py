"""The interface of orders for views and commands: price a cart, place an order, cancel it."""

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
from bulk_sql.statements import Insert
from events.event_types import Event, OrderedItem
from events.services import outbox
from orders.customer_waits import PAYABLE_WAITS
from orders.errors import (
    IllegalTransition,
    NotAwaitedReason,
    PaymentNotAwaited,
    PriceChanged,
    ReferenceTaken,
    TooManyOpenOrders,
    TotalBelowMinimum,
    TotalTooLarge,
    UnchargeablePrices,
    UnknownProducts,
)
from orders.events import OrderPlaced
from orders.metrics import count_after_commit
from orders.models import REFERENCE_CONSTRAINT, Cause, Order, OrderLine
from orders.review import review_input
from orders.saga import CANCELLATION, CHECKOUT
from orders.states import TRANSITIONS, OrderStatus
from payments.errors import AuthenticationRequired
from payments.history import payments_of
from payments.services import Charge, ChargeLimits
from sagas.batch import Rejection
from sagas.correlation import current_correlation_id
from sagas.queries.waits import waits_of
from sagas.services import CompensationRequest


@dataclass(frozen=True, slots=True)
class PricedLine:
    """One line of a cart at its current price, in minor units."""

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
    """A priced cart, and the largest quantity of each SKU that one order could get."""

    cart: PricedCart
    max_orderable: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class PriceExpectation:
    """The total in minor units and the currency that a customer saw; None for a value not sent."""

    total_minor: int | None = None
    currency: str | None = None

    def is_met_by(self, cart: PricedCart) -> bool:
        is_same_total = self.total_minor in (None, cart.total_minor)
        return is_same_total and self.currency in (None, cart.currency)


NO_EXPECTATION: Final = PriceExpectation()


@dataclass(frozen=True, slots=True)
class PlacedOrder:
    """An accepted order and its lines."""

    order: Order
    lines: list[OrderLine]


def price_cart(quantities: Mapping[str, int], payment_method: str | None = None) -> PricedCart:
    """Return the current prices of a cart, in minor units. One statement; stores nothing.

    Raises UnknownProducts. Raises UnchargeablePrices, TotalBelowMinimum or TotalTooLarge if the
    provider of the payment method cannot charge the cart; without a method, if no provider can.
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
    unchargeable = [
        line.sku for line in cart.lines if line.unit_price_minor % limits.increment_minor
    ]
    if unchargeable:
        raise UnchargeablePrices(unchargeable)
    if cart.total_minor < limits.min_minor:
        raise TotalBelowMinimum(cart.total_minor, limits.min_minor, cart.currency)
    if cart.total_minor > limits.max_minor:
        raise TotalTooLarge(cart.total_minor, limits.max_minor)


def quote_cart(quantities: Mapping[str, int]) -> Quote:
    """Return a cart's price and availability. Reserves nothing and stores nothing.

    Price and availability are read in two statements, and may change before an order is placed.
    Raises what ``price_cart`` raises.
    """
    return Quote(price_cart(quantities), inventory.services.max_orderable(quantities))


def enforce_open_order_limit(customer: User) -> None:
    """Raise TooManyOpenOrders when the customer has reached MAX_OPEN_ORDERS unfinished orders.

    The limit keeps one customer from reserving all the stock. Call it in the transaction that
    places the order: concurrent calls for one customer run one after the other, each waiting for
    the end of the earlier transaction.
    """
    if not settings.MAX_OPEN_ORDERS:
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT orders_count_open(%s)", [customer.pk])
        (count,) = cursor.fetchone()
    if count >= settings.MAX_OPEN_ORDERS:
        raise TooManyOpenOrders(settings.MAX_OPEN_ORDERS)


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
    """Accept an order of a customer or a guest (None) at current prices, and start its checkout.

    One transaction without outside calls. After its commit, the order ends confirmed or cancelled,
    whichever process crashes. Without the commit, nothing has happened.

    Repeating with the same ``order_id`` raises IntegrityError; the API's idempotency key keeps
    repetitions away. A customer can use a ``reference`` for one order only, without a time
    limit: of concurrent calls one succeeds. The run and the events carry the request's correlation id.

    Raises what ``price_cart`` raises, PriceChanged if ``expected`` is not met, and ReferenceTaken.
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
        # Set here, not by the database, because the response shows it.
        created_at=cart.priced_at,
    )
    lines = [
        OrderLine(order=order, position=position, **asdict(line))
        for position, line in enumerate(cart.lines, start=1)
    ]
    _start_checkout(order, lines)
    return PlacedOrder(order, lines)


def _start_checkout(order: Order, lines: list[OrderLine]) -> None:
    """Store an order, its lines, its run and its event together. Raises ReferenceTaken."""
    correlation_id = current_correlation_id()
    changes = Insert([order]), Insert(lines), _placed_event(order, lines, correlation_id)
    try:
        sagas.services.start(
            CHECKOUT, order.pk, correlation_id, *changes, input=review_input(order, lines)
        )
    except IntegrityError as error:
        if order.reference is None or not _violates(REFERENCE_CONSTRAINT, error):
            raise
        raise ReferenceTaken(order.customer_id, order.reference) from None


def _violates(constraint: str, error: IntegrityError) -> bool:
    cause = error.__cause__
    return isinstance(cause, UniqueViolation) and cause.diag.constraint_name == constraint


def _placed_event(order: Order, lines: Iterable[OrderLine], correlation_id: UUID) -> Insert:
    """Return the insert of ``order.placed``, and count the order when it commits."""
    count_after_commit([order], OrderStatus.PLACED)
    placed = OrderPlaced(
        total_minor=order.total_minor,
        currency=order.currency,
        lines=[OrderedItem(sku=line.sku, quantity=line.quantity) for line in lines],
    )
    return outbox([Event(order.pk, correlation_id, placed)])


@transaction.atomic(savepoint=False)
def pay_otherwise(order_id: UUID, payment_method: str, *, replaces: UUID | None = None) -> UUID:
    """Pay an order by another payment method, and return the id of the new payment.

    For an order that waits for its customer, within the time of the setting PAYMENT_GRACE. After the
    commit the earlier payment can no longer charge: it is cancelled at its provider before the new
    one is created there. Concurrent calls wait for each other, and for the run.

    ``replaces`` names a payment that the customer has not authenticated. A payment that is stored and
    not made yet cannot be replaced. Raises PaymentNotAwaited, PaymentInProgress, TooManyPayments,
    UnknownPaymentMethod, CurrencyNotCharged, TotalBelowMinimum or TotalTooLarge; then nothing is
    changed.
    """
    sagas.services.lock_run(order_id)
    order = Order.objects.get(pk=order_id)
    if reason := _why_not_payable(order_id):
        raise PaymentNotAwaited(order_id, OrderStatus(order.status), reason)
    _check_total(order, payments.services.charge_limits(order.currency, payment_method))
    charge = Charge(
        order_id=order.pk,
        correlation_id=current_correlation_id(),
        amount_minor=order.total_minor,
        currency=order.currency,
        payment_method=payment_method,
    )
    payment_id = payments.services.replace_payment(charge, replaces=replaces)
    sagas.services.nudge(subject_ids=[order_id])
    return payment_id


def _why_not_payable(order_id: UUID) -> NotAwaitedReason | None:
    """Return why an order cannot be paid by another method now; None if it can. Needs the run's lock."""
    wait = waits_of([order_id]).get(order_id)
    if wait is None or wait.code not in PAYABLE_WAITS:
        return NotAwaitedReason.OTHER
    if wait.is_paused:
        return NotAwaitedReason.PAUSED
    newest = payments_of([order_id])[order_id][-1]
    if not newest.needs_customer:
        return NotAwaitedReason.BEING_MADE
    # A call in flight looks at the open payment: its result must not be recorded on the new one.
    return NotAwaitedReason.BEING_CHECKED if sagas.services.is_calling(order_id) else None


@transaction.atomic(savepoint=False)
def check_payment(order_id: UUID) -> bool:
    """Ask the payment provider now whether the customer has authenticated the open payment.

    A worker asks. Returns False, with nothing changed, for an order that does not wait for that.
    Repeating makes the worker ask again.
    """
    wait = waits_of([order_id]).get(order_id)
    if wait is None or wait.code != AuthenticationRequired.code or wait.is_paused:
        return False
    sagas.services.nudge(subject_ids=[order_id])
    return True


def _check_total(order: Order, limits: ChargeLimits) -> None:
    if order.total_minor < limits.min_minor:
        raise TotalBelowMinimum(order.total_minor, limits.min_minor, order.currency)
    if order.total_minor > limits.max_minor:
        raise TotalTooLarge(order.total_minor, limits.max_minor)


@transaction.atomic(savepoint=False)
def cancel_order(order_id: UUID, *, reason: str, actor: str) -> None:
    """Cancel an order: its money is returned and its stock is released.

    During checkout the run compensates before its next step. After checkout a cancellation run
    starts. After the commit the order ends cancelled, whichever process crashes.

    Repeating changes nothing. Concurrent calls wait for each other: the run is locked first, then
    the order. Raises IllegalTransition while the run is past the point where it can compensate.
    """
    requested = sagas.services.request_compensation(order_id, Rejection(reason), actor)
    if requested in (CompensationRequest.REQUESTED, CompensationRequest.ALREADY_REQUESTED):
        return
    order = Order.objects.select_for_update(no_key=True).get(pk=order_id)
    if (
        requested is CompensationRequest.TOO_LATE
        and OrderStatus.CANCELLING in TRANSITIONS[OrderStatus(order.status)]
    ):
        raise IllegalTransition(order_id, OrderStatus(order.status), OrderStatus.CANCELLING)
    if order.status != OrderStatus.CONFIRMED:
        return
    Order.objects.transition({order_id: Cause(reason, actor=actor)}, OrderStatus.CANCELLING)
    sagas.services.start(CANCELLATION, order_id, current_correlation_id())
