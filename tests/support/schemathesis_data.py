"""Data for the tests by schemathesis: stock, existing values, and the invariants after the run."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

from access.links import new_link
from invariants.checking import Finding, Strictness, check
from orders.models import Order
from sagas.models import LIVE, SagaRun
from tests.support.approval_helpers import decide, open_approval
from tests.support.provider_ledger import reading_of
from tests.support.shop import Shelf, Shop

MANY: Final = 1_000_000
IN_STOCK: Final = {"MUG": MANY, "MUG-BLUE": MANY, "TEE": MANY, "TEE-M": 3}
PRICE_MINOR: Final = 60
"""Low enough for the provider to accept the largest cart."""
CARDS: Final = (
    "pm_card_visa",
    "pm_card_visa_chargeDeclined",
    "pm_card_authenticationRequired",
    "pm_that_does_not_exist",
)
MAX_ROUNDS: Final = 50


def fill(shelf: Shelf) -> None:
    """Put all products of IN_STOCK on the shelf."""
    for sku, quantity in IN_STOCK.items():
        shelf.put(sku, quantity, PRICE_MINOR)


def existing_values(shop: Shop) -> Mapping[str, Sequence[str]]:
    """Place orders, open an approval of each, and return existing values for parameters and fields."""
    orders = [shop.place(card, mugs=1) for card in (*CARDS, CARDS[0])]
    approvals = [open_approval(order.pk) for order in orders]
    decide(approvals[0])
    return {
        "body.payment_method": CARDS,
        "path.approval_id": [str(approval.pk) for approval in approvals],
        "path.order_id": [str(order.pk) for order in orders],
        "path.token": [link_to(order, may_cancel=may) for order in orders for may in (True, False)],
    }


def link_to(order: Order, *, may_cancel: bool) -> str:
    """Return the token of a new guest link to the order."""
    assert order.customer is not None
    return new_link(order.pk, order.customer, days=1, may_cancel=may_cancel).token()


def findings_at_rest(shop: Shop) -> list[Finding]:
    """Deliver until every order has ended; then check all invariants against the provider's ledger."""
    for _ in range(MAX_ROUNDS):
        if not SagaRun.objects.filter(status__in=LIVE).exists():
            break
        shop.recover()
    reading = reading_of(shop.sandbox_stripe.ledger())
    return check(reading=reading, grace=timedelta(), strictness=Strictness.AT_REST).findings
