"""The scenarios of the proof as data: what happens to one or two orders, and how it must end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from proof.effects import Effects, OrderEffects
from proof.scenario_acts import (
    Act,
    BrokerLosesMessages,
    CancelOrder,
    PlaceOrder,
    ReleaseHeldCall,
    ResumeSweep,
    RunSweep,
    RunWorker,
    ServiceFails,
    ServiceRecovers,
    StartPausedSweep,
    StartSlowWorker,
    TimePasses,
)

CONFIRMED: Final = {"confirmed": 1}
CANCELLED: Final = {"cancelled": 1}

CONFIRM, CAPTURE, CANCEL = (f"payment_intents.{name}" for name in ("confirm", "capture", "cancel"))


@dataclass(frozen=True)
class Scenario:
    """What happens, in order, and how it must end with any fault."""

    name: str
    acts: Sequence[Act]
    ends: Mapping[str, int]
    """The number of orders that must end in each status."""
    expected_effects: Mapping[str, Effects] = field(default_factory=dict)
    """How often outside services must act in the whole scenario, where ORDER_EFFECTS does not fit."""


ORDER_EFFECTS: Final[Mapping[str, OrderEffects]] = {}
"""What each outside service except Stripe must do for each order; a service not listed must not act."""


SCENARIOS: Final = (
    Scenario("paid", (PlaceOrder(), RunWorker()), CONFIRMED),
    Scenario(
        "declined",
        (PlaceOrder(card="pm_card_visa_chargeDeclined"), RunWorker()),
        CANCELLED,
    ),
    Scenario("out-of-stock", (PlaceOrder(lamps=6), RunWorker()), CANCELLED),
    Scenario(
        "last-unit",
        (PlaceOrder("alice", lamps=5), PlaceOrder("bob", lamps=5), RunWorker()),
        {"confirmed": 1, "cancelled": 1},
    ),
    Scenario("cancelled-before-the-charge", (PlaceOrder(), CancelOrder(), RunWorker()), CANCELLED),
    Scenario(
        "cancelled-during-the-charge",
        (
            PlaceOrder(),
            StartSlowWorker(operation=CONFIRM),
            CancelOrder(),
            ReleaseHeldCall(),
            RunWorker(),
        ),
        CANCELLED,
    ),
    Scenario(
        "cancelled-after-the-charge",
        (PlaceOrder(), RunWorker(queues=("checkout",)), CancelOrder(), RunWorker()),
        CANCELLED,
    ),
    Scenario(
        "cancelled-during-the-capture",
        (
            PlaceOrder(),
            StartSlowWorker(operation=CAPTURE),
            CancelOrder(),
            ReleaseHeldCall(),
            RunWorker(),
        ),
        CANCELLED,
    ),
    Scenario(
        "cancelled-after-the-capture",
        (PlaceOrder(), RunWorker(), CancelOrder(), RunWorker()),
        CANCELLED,
    ),
    Scenario(
        "unknown-resolved-to-paid",
        (
            PlaceOrder(),
            ServiceFails(CONFIRM, "reset_after", times=1),
            ServiceFails(CAPTURE, "reset_after", times=1),
            RunWorker(),
        ),
        CONFIRMED,
    ),
    Scenario(
        "unknown-resolved-to-not-paid",
        (
            PlaceOrder(card="pm_card_visa_chargeDeclined"),
            ServiceFails(CONFIRM, "reset_after", times=1),
            ServiceFails(CANCEL, "reset_after", times=1),
            RunWorker(),
        ),
        CANCELLED,
    ),
    Scenario(
        "create-unanswered",
        (PlaceOrder(), ServiceFails("payment_intents.create", "reset_after", times=1), RunWorker()),
        CONFIRMED,
    ),
    Scenario(
        "stripe-repeats-a-saved-error",
        (PlaceOrder(), ServiceFails("payment_intents.create", "error_after", times=1), RunWorker()),
        CONFIRMED,
    ),
    Scenario(
        "refund-unanswered",
        (
            PlaceOrder(),
            RunWorker(),
            ServiceFails("refunds.create", "reset_after", times=1),
            CancelOrder(),
            RunWorker(),
        ),
        CANCELLED,
    ),
    Scenario(
        "stripe-down-for-an-hour",
        (
            PlaceOrder(),
            RunWorker(queues=("checkout",)),
            ServiceFails("*", "reset_before"),
            *(RunWorker(), TimePasses(timedelta(minutes=20))) * 3,
            ServiceRecovers(),
        ),
        CONFIRMED,
    ),
    Scenario(
        "stripe-down-for-an-hour-while-compensating",
        (
            PlaceOrder(),
            RunWorker(),
            ServiceFails("*", "reset_before"),
            CancelOrder(),
            *(RunWorker(), TimePasses(timedelta(minutes=20))) * 3,
            ServiceRecovers(),
        ),
        CANCELLED,
    ),
    Scenario(
        "attempt-cap-reached",
        (PlaceOrder(), ServiceFails(CONFIRM, "reset_before"), RunWorker()),
        CANCELLED,
    ),
    Scenario(
        "broker-flushed",
        (
            PlaceOrder(),
            BrokerLosesMessages(),
            RunWorker(),
            RunSweep(),
            RunWorker(queues=("checkout",)),
            BrokerLosesMessages(),
        ),
        CONFIRMED,
    ),
    Scenario(
        "sweep-races-a-live-worker",
        (
            PlaceOrder(),
            StartSlowWorker(operation=CONFIRM),
            TimePasses(timedelta(seconds=11)),
            RunSweep(),
            RunWorker(actor="rival"),
            ReleaseHeldCall(),
            RunWorker(),
        ),
        CONFIRMED,
    ),
    Scenario(
        "zombie-wakes-halfway",
        (
            PlaceOrder(),
            StartSlowWorker(operation=CONFIRM, acts_first=True),
            TimePasses(timedelta(seconds=11)),
            RunSweep(),
            RunWorker(queues=("checkout",), actor="rival"),
            ReleaseHeldCall(),
            RunWorker(),
        ),
        CONFIRMED,
    ),
    Scenario(
        "two-sweeps-at-once",
        (
            PlaceOrder(),
            BrokerLosesMessages(),
            TimePasses(timedelta(seconds=6)),
            StartPausedSweep(),
            RunSweep(actor="second-sweep"),
            ResumeSweep(),
            RunWorker(),
        ),
        CONFIRMED,
    ),
)
