"""Data for every operation of the API, and the invariants after the run."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

from access.links import new_link
from invariants.checking import Finding, Strictness, check
from orders.models import Order
from sagas.models import LIVE, SagaRun
from tests.support.provider_ledger import reading_of
from tests.support.shelf import Shelf
from tests.support.shop import Shop

PLENTY: Final = 1_000_000
IN_STOCK: Final = {"MUG": PLENTY, "MUG-BLUE": PLENTY, "TEE": PLENTY, "TEE-M": 3}
PRICE_MINOR: Final = 60
"""Low enough for the provider to accept the largest cart."""
CARDS: Final = (
    "pm_card_visa",
    "pm_card_visa_chargeDeclined",
    "pm_card_authenticationRequired",
    "pm_that_nobody_knows",
)
MOST_ROUNDS: Final = 50


def fill(shelf: Shelf) -> None:
    for sku, quantity in IN_STOCK.items():
        shelf.put(sku, quantity, PRICE_MINOR)


def existing_values(shop: Shop) -> Mapping[str, Sequence[str]]:
    """Return existing values for parameters and fields."""
    orders = [shop.place(card, mugs=1) for card in (*CARDS, CARDS[0])]
    return {
        "body.payment_method": CARDS,
        "path.order_id": [str(order.pk) for order in orders],
        "path.token": [link_to(order, may_cancel=may) for order in orders for may in (True, False)],
    }


def link_to(order: Order, *, may_cancel: bool) -> str:
    assert order.customer is not None
    return new_link(order.pk, order.customer, days=1, may_cancel=may_cancel).token()


def findings_at_rest(shop: Shop) -> list[Finding]:
    """Let every order end; then check all invariants against the provider's ledger."""
    for _ in range(MOST_ROUNDS):
        if not SagaRun.objects.filter(status__in=LIVE).exists():
            break
        shop.recover()
    reading = reading_of(shop.sandbox_stripe.ledger())
    return check(reading=reading, grace=timedelta(), strictness=Strictness.AT_REST).findings
