"""What the proof plays through: the stories of one or two orders, as data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from proof.acts import (
    Act,
    BankFails,
    BankHeals,
    BeginSweep,
    BeginWork,
    BrokerForgets,
    Cancel,
    GoOn,
    Place,
    Release,
    Sweep,
    TimePasses,
    Work,
)

CONFIRMED: Final = {"confirmed": 1}
CANCELLED: Final = {"cancelled": 1}

CONFIRM, CAPTURE, CANCEL = (f"payment_intents.{each}" for each in ("confirm", "capture", "cancel"))


@dataclass(frozen=True)
class Scenario:
    """What happens, in order, and how many orders end in which status, whatever is struck."""

    name: str
    acts: Sequence[Act]
    ends: Mapping[str, int]


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
        (Place(), BeginWork(held_in=CONFIRM), Cancel(), Release(), Work()),
        CANCELLED,
    ),
    Scenario(
        "cancelled-after-the-charge",
        (Place(), Work(queues=("checkout",)), Cancel(), Work()),
        CANCELLED,
    ),
    Scenario(
        "cancelled-during-the-capture",
        (Place(), BeginWork(held_in=CAPTURE), Cancel(), Release(), Work()),
        CANCELLED,
    ),
    Scenario("cancelled-after-the-capture", (Place(), Work(), Cancel(), Work()), CANCELLED),
    Scenario(
        "unknown-resolved-to-paid",
        (
            Place(),
            BankFails(CONFIRM, "reset_after", times=1),
            BankFails(CAPTURE, "reset_after", times=1),
            Work(),
        ),
        CONFIRMED,
    ),
    Scenario(
        "unknown-resolved-to-not-paid",
        (
            Place(card="pm_card_visa_chargeDeclined"),
            BankFails(CONFIRM, "reset_after", times=1),
            BankFails(CANCEL, "reset_after", times=1),
            Work(),
        ),
        CANCELLED,
    ),
    Scenario(
        "create-unanswered",
        (Place(), BankFails("payment_intents.create", "reset_after", times=1), Work()),
        CONFIRMED,
    ),
    Scenario(
        "bank-repeats-a-saved-error",
        (Place(), BankFails("payment_intents.create", "error_after", times=1), Work()),
        CONFIRMED,
    ),
    Scenario(
        "refund-unanswered",
        (Place(), Work(), BankFails("refunds.create", "reset_after", times=1), Cancel(), Work()),
        CANCELLED,
    ),
    Scenario(
        "bank-down-for-an-hour",
        (
            Place(),
            Work(queues=("checkout",)),
            BankFails("*", "reset_before"),
            *(Work(), TimePasses(timedelta(minutes=20))) * 3,
            BankHeals(),
        ),
        CONFIRMED,
    ),
    Scenario(
        "bank-down-for-an-hour-while-undoing",
        (
            Place(),
            Work(),
            BankFails("*", "reset_before"),
            Cancel(),
            *(Work(), TimePasses(timedelta(minutes=20))) * 3,
            BankHeals(),
        ),
        CANCELLED,
    ),
    Scenario(
        "attempt-cap-reached",
        (Place(), BankFails(CONFIRM, "reset_before"), Work()),
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
            BeginWork(held_in=CONFIRM),
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
            BeginWork(held_in=CONFIRM, once_done=True),
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
            BeginSweep(),
            Sweep(actor="second-sweep"),
            GoOn(),
            Work(),
        ),
        CONFIRMED,
    ),
)
