"""The order of the scenarios: nearly all at once for `make smoke`, in readable groups for `make demo`."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from sandbox.drive.scenarios import (
    ANOTHER_CARD,
    APPROVAL,
    AUTHENTICATED,
    Scenario,
    demo_only_scenarios,
    scenarios,
    scenarios_in_which_time_passes,
)
from sandbox.drive.shop import ShopProduct


class ScenarioGroup(NamedTuple):
    """Scenarios that run at the same time, with the text that the demo shows."""

    title: str
    text: str
    scenarios: tuple[Scenario, ...]
    at_least_seconds: float = 0.0  # time to read the text


_READABLE_SECONDS: Final = 5.0
_DEMO: Final = (
    (
        "Customers order",
        "Some send the request five times: its idempotency key makes it one order.",
        ("paid", "same request sent five times"),
    ),
    (
        "Not every order succeeds",
        "Declined, sold out or cancelled: each order is compensated completely.",
        (
            "card declined",
            "more customers than items",
            "unknown payment method",
            "cancelled after confirmation",
            "cancelled after the capture",
        ),
    ),
    (
        "Orders wait for their customers, and for the shop",
        "3-D Secure, another card after a decline, and a review of large orders.",
        (AUTHENTICATED, ANOTHER_CARD, APPROVAL),
    ),
    (
        "Stripe takes 2.5 seconds for every charge",
        "And some customers cancel meanwhile.",
        ("slow provider", "cancelled while paying"),
    ),
    (
        "Stripe charges the card, and then answers nothing, or error 500",
        "The outcome is unknown: the next attempt first looks it up at Stripe.",
        ("charged, then no answer", "charged, then error 500"),
    ),
    (
        "A worker is killed with SIGKILL in the middle of a charge",
        "Its lease of 10 s expires; another worker looks up what Stripe has done.",
        ("worker killed while paying",),
    ),
    (
        "All four workers are killed at once, during a burst of orders",
        "Their work is in the journal; the sweep finds it and sends it again.",
        ("all workers killed during a burst",),
    ),
    (
        "The broker is flushed during a burst of orders, and once more after it",
        "It only carried messages: the work to do is in PostgreSQL.",
        ("broker flushed during a burst",),
    ),
    (
        "PostgreSQL is killed with SIGKILL, during a burst of orders",
        "Customers repeat unanswered requests; committed data is still there.",
        ("PostgreSQL killed during a burst",),
    ),
)


def smoke_groups(products: Mapping[str, ShopProduct]) -> list[ScenarioGroup]:
    """Return the scenarios in three groups.

    The first one also warms up the workers; in the last one the sandbox's clock is moved.
    """
    first, *others = scenarios(products)
    in_time = scenarios_in_which_time_passes(products)
    return [
        ScenarioGroup("Customers order", "", (first,)),
        ScenarioGroup("Everything that can go wrong, at once", "", tuple(others)),
        ScenarioGroup("A day passes, and some orders wait in vain", "", tuple(in_time)),
    ]


def demo_groups(products: Mapping[str, ShopProduct]) -> list[ScenarioGroup]:
    """Return the same scenarios and a few more, in groups that people can follow."""
    by_name = {
        scenario.name: scenario
        for scenario in (*scenarios(products), *demo_only_scenarios(products))
    }
    return [
        ScenarioGroup(title, text, tuple(by_name[name] for name in names), _READABLE_SECONDS)
        for title, text, names in _DEMO
    ]
