"""The scenarios as data: what is ordered, which fault is injected, and how each order must end."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from sandbox.drive.order_placement import (
    PlaceOrders,
    all_at_once,
    broker_flushed_during_burst,
    cancelled_after_capture,
    cancelled_after_confirmation,
    cancelled_while_paying,
    killed_during_burst,
    same_request_again,
    worker_killed_while_paying,
)
from sandbox.drive.order_waits import (
    authenticates,
    gives_up_when_declined,
    never_authenticates,
    never_reviewed,
    pays_by_another_card,
    reviewed,
)
from sandbox.drive.provider_faults import FaultSpec
from sandbox.drive.shop import Cart, ShopProduct

CONFIRMED: Final = "confirmed"
NOT_AUTHENTICATED: Final = "cancelled: authentication_abandoned"
SOLD_OUT: Final = "cancelled: out_of_stock"
REJECTED: Final = "cancelled: review_rejected"
NOT_REVIEWED: Final = "cancelled: not_reviewed"
CANCELLED_BY_CUSTOMER: Final = "cancelled: cancelled_by_customer"

KILLED: Final = "worker killed while paying"
REFUNDED: Final = "cancelled after the capture"
AUTHENTICATED: Final = "three_d_secure_finished"
ABANDONED: Final = "three_d_secure_abandoned"
ANOTHER_CARD: Final = "another_card"
APPROVAL: Final = "approval"
APPROVAL_OVERDUE: Final = "approval_overdue"
AUTHENTICATED_CARD: Final = "pm_card_authenticationRequired"
REVIEWED_QUANTITY: Final = 30
"""So many of the most expensive product cost more than the setting REVIEW_ABOVE_MINOR of the run."""
WORKERS_KILLED: Final = (
    "worker-checkout",
    "worker-settlement",
    "worker-compensation",
    "worker-sweeps",
)
SCARCE: Final = "LAMP-LAST"
CARTS_FOR_SCARCE: Final = 12
ENOUGH: Final = 100  # products with less stock are not ordered, so that none sells out by chance

DECLINING_CARDS: Final = (
    "pm_card_chargeDeclined",
    "pm_card_chargeDeclinedInsufficientFunds",
    "pm_card_chargeDeclinedLostCard",
    "pm_card_chargeDeclinedExpiredCard",
    "pm_card_chargeDeclinedIncorrectCvc",
    "pm_card_chargeDeclinedProcessingError",
)


class Scenario(NamedTuple):
    """Carts with the same treatment. A fault hits only their card, so scenarios can run together."""

    name: str
    carts: tuple[Cart, ...]
    expected: Mapping[str, int]  # orders by outcome
    place: PlaceOrders = all_at_once
    fault: FaultSpec | None = None
    kills: bool = False
    needs_sandbox: bool = False  # authenticates at Stripe's sandbox, or moves the clock

    @property
    def is_invasive(self) -> bool:
        """Return whether it harms or needs the sandbox. EXTERNAL=1 leaves such scenarios out."""
        return self.fault is not None or self.kills or self.needs_sandbox


def scenarios(products: Mapping[str, ShopProduct]) -> list[Scenario]:
    """Return all scenarios of `make smoke`, for the present stock."""
    shelves = itertools.cycle(skus_with_enough(products))
    left = min(products[SCARCE].available, CARTS_FOR_SCARCE)
    return [
        Scenario("paid", _carts(shelves, 24), {CONFIRMED: 24}),
        Scenario(
            "card declined",
            tuple(Cart(((next(shelves), 1),), card) for card in DECLINING_CARDS),
            {CANCELLED_BY_CUSTOMER: len(DECLINING_CARDS)},
            gives_up_when_declined,
        ),
        Scenario(
            "more customers than items",
            (Cart(((SCARCE, 1),), "pm_card_visa"),) * CARTS_FOR_SCARCE,
            {CONFIRMED: left, SOLD_OUT: CARTS_FOR_SCARCE - left},
        ),
        Scenario(
            "unknown payment method",
            _carts(shelves, 2, "pm_card_unknown"),
            {CANCELLED_BY_CUSTOMER: 2},
            gives_up_when_declined,
        ),
        Scenario(
            "same request sent five times",
            _carts(shelves, 3),
            {CONFIRMED: 3},
            same_request_again,
        ),
        Scenario(
            "cancelled after confirmation",
            _carts(shelves, 3, "pm_card_mastercard_debit"),
            {CANCELLED_BY_CUSTOMER: 3},
            cancelled_after_confirmation,
        ),
        *_with_waiting_orders(shelves, products),
        *_with_a_failing_provider(shelves),
        Scenario(
            KILLED,
            _carts(shelves, 1, "pm_card_jcb"),
            {CONFIRMED: 1},
            worker_killed_while_paying,
            FaultSpec("hold", times=1),
            kills=True,
        ),
        Scenario(
            "broker flushed during a burst",
            _carts(shelves, 12, "pm_card_visa_debit"),
            {CONFIRMED: 12},
            broker_flushed_during_burst,
            kills=True,
        ),
    ]


def demo_only_scenarios(products: Mapping[str, ShopProduct]) -> list[Scenario]:
    """Return the scenarios that only `make demo` runs: they take longer and kill more."""
    shelves = itertools.cycle(skus_with_enough(products))
    return [
        Scenario(
            REFUNDED,
            _carts(shelves, 2, "pm_card_us"),
            {CANCELLED_BY_CUSTOMER: 2},
            cancelled_after_capture,
        ),
        Scenario(
            "all workers killed during a burst",
            _carts(shelves, 10, "pm_card_gb"),
            {CONFIRMED: 10},
            killed_during_burst(*WORKERS_KILLED),
            kills=True,
        ),
        Scenario(
            "PostgreSQL killed during a burst",
            _carts(shelves, 10, "pm_card_fr"),
            {CONFIRMED: 10},
            killed_during_burst("postgres"),
            kills=True,
        ),
    ]


def scenarios_in_which_time_passes(products: Mapping[str, ShopProduct]) -> list[Scenario]:
    """Return the scenarios that move the sandbox's clock. Nothing else may run meanwhile."""
    shelves = itertools.cycle(skus_with_enough(products))
    return [
        Scenario(
            ABANDONED,
            _carts(shelves, 2, AUTHENTICATED_CARD),
            {NOT_AUTHENTICATED: 2},
            never_authenticates,
            needs_sandbox=True,
        ),
        Scenario(
            APPROVAL_OVERDUE,
            (large_cart(products),),
            {NOT_REVIEWED: 1},
            never_reviewed,
            needs_sandbox=True,
        ),
    ]


def large_cart(products: Mapping[str, ShopProduct]) -> Cart:
    """Return a cart that is reviewed by the shop, because its total is large."""
    skus = skus_with_enough(products)
    sku = max(skus, key=lambda sku: products[sku].price_minor)
    return Cart(((sku, REVIEWED_QUANTITY),), "pm_card_visa")


def small_carts(products: Mapping[str, ShopProduct]) -> Iterator[Cart]:
    """Yield small carts without end, of products with enough stock."""
    shelves = itertools.cycle(skus_with_enough(products))
    while True:
        yield from _carts(shelves, 3)


def skus_with_enough(products: Mapping[str, ShopProduct]) -> list[str]:
    """Return the products with so much stock that they do not sell out by chance."""
    return sorted(sku for sku, product in products.items() if product.available >= ENOUGH)


def _with_waiting_orders(
    shelves: Iterator[str], products: Mapping[str, ShopProduct]
) -> list[Scenario]:
    return [
        Scenario(
            AUTHENTICATED,
            _carts(shelves, 2, AUTHENTICATED_CARD),
            {CONFIRMED: 2},
            authenticates,
            needs_sandbox=True,
        ),
        Scenario(
            ANOTHER_CARD,
            _carts(shelves, 2, "pm_card_chargeDeclinedInsufficientFunds"),
            {CONFIRMED: 2},
            pays_by_another_card,
        ),
        Scenario(APPROVAL, (large_cart(products),) * 2, {CONFIRMED: 1, REJECTED: 1}, reviewed),
    ]


def _with_a_failing_provider(shelves: Iterator[str]) -> list[Scenario]:
    return [
        Scenario(
            "slow provider",
            _carts(shelves, 5, "pm_card_mastercard"),
            {CONFIRMED: 5},
            fault=FaultSpec("latency", latency_ms=2500),
        ),
        Scenario(
            "charged, then no answer",
            _carts(shelves, 3, "pm_card_amex"),
            {CONFIRMED: 3},
            fault=FaultSpec("timeout_after"),
        ),
        Scenario(
            "charged, then error 500",
            _carts(shelves, 3, "pm_card_discover"),
            {CONFIRMED: 3},
            fault=FaultSpec("error_after"),
        ),
        Scenario(
            "cancelled while paying",
            _carts(shelves, 3, "pm_card_diners"),
            {CANCELLED_BY_CUSTOMER: 3},
            cancelled_while_paying,
            FaultSpec("latency", latency_ms=1500),
        ),
    ]


def _carts(shelves: Iterator[str], number: int, card: str = "pm_card_visa") -> tuple[Cart, ...]:
    """Return carts of one to three different products."""
    return tuple(
        Cart(tuple((next(shelves), 1 + line) for line in range(1 + position % 3)), card)
        for position in range(number)
    )
