"""What the drive orders, what goes wrong meanwhile, and how each order must end: one list, as data."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from sandbox.drive.placing import (
    Place,
    broker_flushed_in_a_rush,
    cancelled_after_capture,
    cancelled_after_confirmation,
    cancelled_while_paying,
    each_at_once,
    killed_in_a_rush,
    same_request_again,
    worker_killed_while_paying,
)
from sandbox.drive.provider_faults import Fault
from sandbox.drive.shop import Cart, Product

CONFIRMED: Final = "confirmed"
REFUSED: Final = "cancelled: payment_declined"
SOLD_OUT: Final = "cancelled: out_of_stock"
CALLED_OFF: Final = "cancelled: cancelled_by_customer"

KILLED: Final = "worker killed while paying"
REFUNDED: Final = "cancelled after the money was taken"
WORKERS_KILLED: Final = (
    "worker-checkout",
    "worker-settlement",
    "worker-compensation",
    "worker-sweeps",
)
SCARCE: Final = "LAMP-LAST"
CARTS_FOR_SCARCE: Final = 12
ENOUGH: Final = 100  # a shelf with less is not ordered from, so that nothing runs out by chance

DECLINING_CARDS: Final = (
    "pm_card_chargeDeclined",
    "pm_card_chargeDeclinedInsufficientFunds",
    "pm_card_chargeDeclinedLostCard",
    "pm_card_chargeDeclinedExpiredCard",
    "pm_card_chargeDeclinedIncorrectCvc",
    "pm_card_chargeDeclinedProcessingError",
)


class Scenario(NamedTuple):
    """Some carts that share a fate. A fault strikes their card only, so scenarios run together."""

    name: str
    carts: tuple[Cart, ...]
    expected: Mapping[str, int]  # orders by outcome
    place: Place = each_at_once
    fault: Fault | None = None
    kills: bool = False

    @property
    def is_invasive(self) -> bool:
        """Tell whether it may only be played on a system that is ours: it harms something."""
        return self.fault is not None or self.kills


def scenarios(products: Mapping[str, Product]) -> list[Scenario]:
    """Return the whole list for what is on the shelves now."""
    shelves = itertools.cycle(skus_with_enough(products))
    left = min(products[SCARCE].available, CARTS_FOR_SCARCE)
    return [
        Scenario("paid", _carts(shelves, 24), {CONFIRMED: 24}),
        Scenario(
            "card declined",
            tuple(Cart(((next(shelves), 1),), card) for card in DECLINING_CARDS),
            {REFUSED: len(DECLINING_CARDS)},
        ),
        Scenario(
            "last items wanted by more",
            (Cart(((SCARCE, 1),), "pm_card_visa"),) * CARTS_FOR_SCARCE,
            {CONFIRMED: left, SOLD_OUT: CARTS_FOR_SCARCE - left},
        ),
        Scenario("unknown payment method", _carts(shelves, 2, "pm_card_of_nobody"), {REFUSED: 2}),
        Scenario(
            "same request sent five times",
            _carts(shelves, 3),
            {CONFIRMED: 3},
            same_request_again,
        ),
        Scenario(
            "cancelled after confirmation",
            _carts(shelves, 3, "pm_card_mastercard_debit"),
            {CALLED_OFF: 3},
            cancelled_after_confirmation,
        ),
        *_with_a_failing_bank(shelves),
        Scenario(
            KILLED,
            _carts(shelves, 1, "pm_card_jcb"),
            {CONFIRMED: 1},
            worker_killed_while_paying,
            Fault("hold", times=1),
            kills=True,
        ),
        Scenario(
            "broker flushed in a rush",
            _carts(shelves, 12, "pm_card_visa_debit"),
            {CONFIRMED: 12},
            broker_flushed_in_a_rush,
            kills=True,
        ),
    ]


def more_for_the_show(products: Mapping[str, Product]) -> list[Scenario]:
    """Return what only `make demo` plays: more to look at, and more that is killed."""
    shelves = itertools.cycle(skus_with_enough(products))
    return [
        Scenario(
            REFUNDED,
            _carts(shelves, 2, "pm_card_us"),
            {CALLED_OFF: 2},
            cancelled_after_capture,
        ),
        Scenario(
            "all workers killed in a rush",
            _carts(shelves, 10, "pm_card_gb"),
            {CONFIRMED: 10},
            killed_in_a_rush(*WORKERS_KILLED),
            kills=True,
        ),
        Scenario(
            "PostgreSQL killed in a rush",
            _carts(shelves, 10, "pm_card_fr"),
            {CONFIRMED: 10},
            killed_in_a_rush("postgres"),
            kills=True,
        ),
    ]


def everyday_carts(products: Mapping[str, Product]) -> Iterator[Cart]:
    """Yield small carts for ever, from the shelves that have enough."""
    shelves = itertools.cycle(skus_with_enough(products))
    while True:
        yield from _carts(shelves, 3)


def skus_with_enough(products: Mapping[str, Product]) -> list[str]:
    """Return those of which there is so much that nothing runs out by chance."""
    return sorted(sku for sku, product in products.items() if product.available >= ENOUGH)


def _with_a_failing_bank(shelves: Iterator[str]) -> list[Scenario]:
    return [
        Scenario(
            "slow bank",
            _carts(shelves, 5, "pm_card_mastercard"),
            {CONFIRMED: 5},
            fault=Fault("latency", latency_ms=2500),
        ),
        Scenario(
            "charged, then no answer",
            _carts(shelves, 3, "pm_card_amex"),
            {CONFIRMED: 3},
            fault=Fault("timeout_after"),
        ),
        Scenario(
            "charged, then error 500",
            _carts(shelves, 3, "pm_card_discover"),
            {CONFIRMED: 3},
            fault=Fault("error_after"),
        ),
        Scenario(
            "cancelled while paying",
            _carts(shelves, 3, "pm_card_diners"),
            {CALLED_OFF: 3},
            cancelled_while_paying,
            Fault("latency", latency_ms=1500),
        ),
    ]


def _carts(shelves: Iterator[str], number: int, card: str = "pm_card_visa") -> tuple[Cart, ...]:
    """Return carts of one to three different products."""
    return tuple(
        Cart(tuple((next(shelves), 1 + line) for line in range(1 + position % 3)), card)
        for position in range(number)
    )
