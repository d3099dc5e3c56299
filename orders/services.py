"""What the world may ask of orders: place one, cancel one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction

import inventory.services
import sagas.services
from events.services import outbox
from orders.errors import TotalTooLarge, UnknownProducts
from orders.facts import ORDER_PLACED
from orders.models import Cause, Order, OrderLine
from orders.saga import CANCELLATION, CHECKOUT
from orders.states import OrderStatus
from sagas.correlation import current_correlation_id
from sagas.definition import Refusal
from sagas.row_sets import Insert
from sagas.services import TurnBack

LARGEST_TOTAL_MINOR: Final = 99_999_999
"""Stripe's largest amount for one payment."""


@dataclass(frozen=True, slots=True)
class PlacedOrder:
    """An order as it was accepted."""

    order: Order
    lines: list[OrderLine]


@transaction.atomic(savepoint=False)
def place_order(
    order_id: UUID, customer: User | None, quantities: Mapping[str, int], payment_method: str
) -> PlacedOrder:
    """Accept an order, of a customer or a guest, at our prices, and start its checkout.

    One transaction, no call to anyone: when it commits the order will end confirmed or
    cancelled, whatever dies afterwards; when it does not, nothing has happened. Its run and facts
    carry the correlation id of the request. Raises UnknownProducts and TotalTooLarge.
    """
    products = inventory.services.products_for_sale(quantities)
    unknown = sorted(quantities.keys() - products.keys())
    if unknown:
        raise UnknownProducts(unknown)
    total_minor = sum(products[sku].price_minor * count for sku, count in quantities.items())
    if total_minor > LARGEST_TOTAL_MINOR:
        raise TotalTooLarge(total_minor, LARGEST_TOTAL_MINOR)
    order = Order(
        pk=order_id,
        customer=customer,
        currency=settings.CURRENCY,
        total_minor=total_minor,
        payment_method=payment_method,
        # Now, by the database's clock, without asking for it: the answer shows it.
        created_at=max(each.read_at for each in products.values()),
    )
    lines = [
        OrderLine(
            order=order,
            position=position,
            sku=sku,
            name=products[sku].name,
            quantity=count,
            unit_price_minor=products[sku].price_minor,
        )
        for position, (sku, count) in enumerate(quantities.items(), start=1)
    ]
    correlation_id = current_correlation_id()
    placed = _placed(order, lines, correlation_id)
    sagas.services.start(CHECKOUT, order.pk, correlation_id, Insert([order]), Insert(lines), placed)
    return PlacedOrder(order, lines)


def _placed(order: Order, lines: Iterable[OrderLine], correlation_id: UUID) -> Insert:
    """Return what tells the world of a new order."""
    bought = [{"sku": each.sku, "quantity": each.quantity} for each in lines]
    payload = {"total_minor": order.total_minor, "currency": order.currency, "lines": bought}
    return outbox([ORDER_PLACED.of(order.pk, correlation_id, payload)])


@transaction.atomic(savepoint=False)
def cancel_order(order_id: UUID, *, reason: str, actor: str) -> None:
    """See to it that an order ends cancelled, with its money back and its stock on the shelf.

    During checkout the run is asked to turn back, which it does before its next step; after
    checkout a cancellation run starts. Asking again, or for an order that is being cancelled or
    is cancelled, changes nothing. Locks the run, then the order, as everything does.
    """
    if sagas.services.request_turn_back(order_id, Refusal(reason), actor) is not TurnBack.ENDED:
        return
    order = Order.objects.select_for_update(no_key=True).get(pk=order_id)
    if order.status != OrderStatus.CONFIRMED:
        return
    Order.objects.transition({order_id: Cause(reason, actor=actor)}, OrderStatus.CANCELLING)
    sagas.services.start(CANCELLATION, order_id, current_correlation_id())
