"""The order in which the scenarios are played: all at once for a test, one after the other to watch."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from sandbox.drive.scenarios import Scenario, more_for_the_show, scenarios
from sandbox.drive.shop import Product


class Act(NamedTuple):
    """Scenarios that are played together, and what a spectator is told of them."""

    title: str
    words: str
    scenarios: tuple[Scenario, ...]
    at_least_seconds: float = 0.0  # so that it can be read


_READABLE_SECONDS: Final = 5.0
_SHOW: Final = (
    (
        "Customers order",
        "Some press the button five times: the key of a request makes it one order.",
        ("paid", "same request sent five times"),
    ),
    (
        "Not every order can be",
        "Declined cards, more customers than lamps, second thoughts: each is undone completely.",
        (
            "card declined",
            "last items wanted by more",
            "unknown payment method",
            "cancelled after confirmation",
            "cancelled after the money was taken",
        ),
    ),
    (
        "The bank takes 2.5 seconds for every charge",
        "And some customers cancel while it is thinking.",
        ("slow bank", "cancelled while paying"),
    ),
    (
        "The bank charges the card, and then answers nothing, or error 500",
        "Neither yes nor no: the next attempt first looks what became of the one before.",
        ("charged, then no answer", "charged, then error 500"),
    ),
    (
        "A worker is killed with SIGKILL in the middle of a charge",
        "Its lease of 10 seconds runs out; then another looks what the bank has done.",
        ("worker killed while paying",),
    ),
    (
        "All four workers are killed at once, in a rush of orders",
        "What they had in hand is in the journal; the sweep finds it again.",
        ("all workers killed in a rush",),
    ),
    (
        "The broker is flushed in a rush of orders, and once more after it",
        "It only carried messages: what is to be done is in PostgreSQL.",
        ("broker flushed in a rush",),
    ),
    (
        "PostgreSQL is killed with SIGKILL, in a rush of orders",
        "Customers without an answer ask again; what was committed is still there.",
        ("PostgreSQL killed in a rush",),
    ),
)


def for_a_test(products: Mapping[str, Product]) -> list[Act]:
    """Return the scenarios in two acts: the first one finds the workers starting."""
    first, *others = scenarios(products)
    return [
        Act("Customers order", "", (first,)),
        Act("Everything that can go wrong, at once", "", tuple(others)),
    ]


def for_spectators(products: Mapping[str, Product]) -> list[Act]:
    """Return the same scenarios and a few more, in acts that can be followed."""
    listed = {each.name: each for each in (*scenarios(products), *more_for_the_show(products))}
    return [
        Act(title, words, tuple(listed[name] for name in names), _READABLE_SECONDS)
        for title, words, names in _SHOW
    ]
