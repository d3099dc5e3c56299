"""What the proof plays through: the stories of one or two orders, as data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from proof.acts import (
    Act,
    BrokerForgets,
    Cancel,
    Place,
    Release,
    ResumeSweep,
    ServiceFails,
    ServiceRecovers,
    StartSweep,
    StartWork,
    Sweep,
    TimePasses,
    Work,
)

CONFIRMED: Final = {"confirmed": 1}
CANCELLED: Final = {"cancelled": 1}

CONFIRM, CAPTURE, CANCEL = (f"payment_intents.{name}" for name in ("confirm", "capture", "cancel"))


@dataclass(frozen=True)
class Scenario:
    """What happens, in order, and how it must end, whatever fault is injected."""

    name: str
    acts: Sequence[Act]
    ends: Mapping[str, int]
    """How many orders end in which status."""
    outside_acts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """How often each outside service but Stripe acts, by its operations; the rest must not act."""


SCENARIOS: Final = (
    Scenario("paid", (Place(), Work()), CONFIRMED),
    Scenario(
        "declined",
        (Place(card="pm_card_visa_chargeDeclined"), Work()),
        CANCELLED,
    ),
    Scenario("out-of-stock", (Place(lamps=6), Work()), CANCELLED),
    Scenario(
        "last-unit",
        (Place("alice", lamps=5), Place("bob", lamps=5), Work()),
        {"confirmed": 1, "cancelled": 1},
    ),
    Scenario("cancelled-before-the-charge", (Place(), Cancel(), Work()), CANCELLED),
    Scenario(
        "cancelled-during-the-charge",
        (Place(), StartWork(held_in=CONFIRM), Cancel(), Release(), Work()),
        CANCELLED,
    ),
    Scenario(
        "cancelled-after-the-charge",
        (Place(), Work(queues=("checkout",)), Cancel(), Work()),
        CANCELLED,
    ),
    Scenario(
        "cancelled-during-the-capture",
        (Place(), StartWork(held_in=CAPTURE), Cancel(), Release(), Work()),
        CANCELLED,
    ),
    Scenario("cancelled-after-the-capture", (Place(), Work(), Cancel(), Work()), CANCELLED),
    Scenario(
        "unknown-resolved-to-paid",
        (
            Place(),
            ServiceFails(CONFIRM, "reset_after", times=1),
            ServiceFails(CAPTURE, "reset_after", times=1),
            Work(),
        ),
        CONFIRMED,
    ),
    Scenario(
        "unknown-resolved-to-not-paid",
        (
            Place(card="pm_card_visa_chargeDeclined"),
            ServiceFails(CONFIRM, "reset_after", times=1),
            ServiceFails(CANCEL, "reset_after", times=1),
            Work(),
        ),
        CANCELLED,
    ),
    Scenario(
        "create-unanswered",
        (Place(), ServiceFails("payment_intents.create", "reset_after", times=1), Work()),
        CONFIRMED,
    ),
    Scenario(
        "stripe-repeats-a-saved-error",
        (Place(), ServiceFails("payment_intents.create", "error_after", times=1), Work()),
        CONFIRMED,
    ),
    Scenario(
        "refund-unanswered",
        (Place(), Work(), ServiceFails("refunds.create", "reset_after", times=1), Cancel(), Work()),
        CANCELLED,
    ),
    Scenario(
        "stripe-down-for-an-hour",
        (
            Place(),
            Work(queues=("checkout",)),
            ServiceFails("*", "reset_before"),
            *(Work(), TimePasses(timedelta(minutes=20))) * 3,
            ServiceRecovers(),
        ),
        CONFIRMED,
    ),
    Scenario(
        "stripe-down-for-an-hour-while-undoing",
        (
            Place(),
            Work(),
            ServiceFails("*", "reset_before"),
            Cancel(),
            *(Work(), TimePasses(timedelta(minutes=20))) * 3,
            ServiceRecovers(),
        ),
        CANCELLED,
    ),
    Scenario(
        "attempt-cap-reached",
        (Place(), ServiceFails(CONFIRM, "reset_before"), Work()),
        CANCELLED,
    ),
    Scenario(
        "broker-flushed",
        (Place(), BrokerForgets(), Work(), Sweep(), Work(queues=("checkout",)), BrokerForgets()),
        CONFIRMED,
    ),
    Scenario(
        "sweep-races-a-live-worker",
        (
            Place(),
            StartWork(held_in=CONFIRM),
            TimePasses(timedelta(seconds=11)),
            Sweep(),
            Work(actor="rival"),
            Release(),
            Work(),
        ),
        CONFIRMED,
    ),
    Scenario(
        "zombie-wakes-halfway",
        (
            Place(),
            StartWork(held_in=CONFIRM, once_done=True),
            TimePasses(timedelta(seconds=11)),
            Sweep(),
            Work(queues=("checkout",), actor="rival"),
            Release(),
            Work(),
        ),
        CONFIRMED,
    ),
    Scenario(
        "two-sweeps-at-once",
        (
            Place(),
            BrokerForgets(),
            TimePasses(timedelta(seconds=6)),
            StartSweep(),
            Sweep(actor="second-sweep"),
            ResumeSweep(),
            Work(),
        ),
        CONFIRMED,
    ),
)
