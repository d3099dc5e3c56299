"""The scenarios of the proof as data: what happens to one or two orders, and how it must end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from proof.effects import Effects, OrderEffects
from proof.scenario_acts import (
    Act,
    Authenticate,
    BrokerLosesMessages,
    CancelOrder,
    DecideApproval,
    NudgeOrder,
    PayOtherwise,
    PlaceOrder,
    ReleaseHeldCall,
    ResumeSweep,
    RunSweep,
    RunWorker,
    ServiceFails,
    ServiceRecovers,
    SettleRefunds,
    StartPausedSweep,
    StartSlowWorker,
    TimePasses,
    WaitUntil,
    WaitUntilLate,
)

CONFIRMED: Final = {"confirmed": 1}
CANCELLED: Final = {"cancelled": 1}

CONFIRM, CAPTURE, CANCEL, RETRIEVE = (
    f"payment_intents.{name}" for name in ("confirm", "capture", "cancel", "retrieve")
)

ASKING_CARD: Final = "pm_card_authenticationRequired"
SLOW_REFUND_CARD: Final = "pm_card_pendingRefund"
AUTHENTICATION, ANOTHER_PAYMENT, REVIEW, REFUND = (
    "authentication_required",
    "another_payment_needed",
    "await_review",
    "refund_pending",
)
GRACE: Final = timedelta(minutes=15)
REVIEW_TIME: Final = timedelta(days=1)
"""The default of the setting REVIEW_HOURS."""
REFUND_TIME: Final = timedelta(minutes=11)
"""A little longer than a refund is pending at the sandbox."""
REFUND_DEADLINE: Final = timedelta(days=14)
LONGEST_LOOK: Final = timedelta(hours=6)
"""The longest time between two looks at a refund."""
CAN_PAY_LATER: Final = {"PAYMENT_GRACE": GRACE}
IS_REVIEWED: Final = {"REVIEW_ABOVE_MINOR": 1}


@dataclass(frozen=True)
class Scenario:
    """What happens, in order, and how it must end with any fault."""

    name: str
    acts: Sequence[Act]
    ends: Mapping[str, int]
    """The number of orders that must end in each status."""
    ends_with_a_fault: Mapping[str, int] | None = None
    """Another right end, where a fault delays one of two things that happen at the same time."""
    settings: Mapping[str, object] = field(default_factory=dict)
    """Settings of the application that differ from those of the proof."""
    expected_effects: Mapping[str, Effects] = field(default_factory=dict)
    """How often outside services must act in the whole scenario, where ORDER_EFFECTS does not fit."""

    def allowed_ends(self, *, with_fault: bool) -> list[Mapping[str, int]]:
        """Return how the scenario may end; with a fault there may be a second end."""
        if not with_fault or self.ends_with_a_fault is None:
            return [self.ends]
        return [self.ends, self.ends_with_a_fault]


ORDER_EFFECTS: Final[Mapping[str, OrderEffects]] = {}
"""What each outside service except Stripe must do for each order; a service not listed must not act."""


PROMPT_SCENARIOS: Final = (
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


WAIT_FOR_AUTHENTICATION: Final = (
    PlaceOrder(card=ASKING_CARD),
    RunWorker(),
    WaitUntil(AUTHENTICATION),
)
WAIT_FOR_REVIEW: Final = (PlaceOrder(), RunWorker(), WaitUntil(REVIEW))
WAIT_FOR_REFUND: Final = (
    PlaceOrder(card=SLOW_REFUND_CARD),
    RunWorker(),
    CancelOrder(),
    RunWorker(),
    WaitUntil(REFUND),
)

WAITING_SCENARIOS: Final = (
    Scenario(
        "authenticated",
        (*WAIT_FOR_AUTHENTICATION, Authenticate()),
        CONFIRMED,
        settings=CAN_PAY_LATER,
    ),
    Scenario(
        "authentication-failed-then-another-card",
        (
            *WAIT_FOR_AUTHENTICATION,
            Authenticate("fail"),
            WaitUntil(ANOTHER_PAYMENT),
            PayOtherwise(),
            RunWorker(),
        ),
        CONFIRMED,
        settings=CAN_PAY_LATER,
    ),
    Scenario(
        "authentication-abandoned",
        (*WAIT_FOR_AUTHENTICATION, TimePasses(GRACE), RunSweep(), RunWorker()),
        CANCELLED,
        settings=CAN_PAY_LATER,
    ),
    Scenario(
        "authenticated-during-the-cancel",
        (
            *WAIT_FOR_AUTHENTICATION,
            CancelOrder(),
            StartSlowWorker(operation=CANCEL),
            Authenticate(),
            ReleaseHeldCall(),
            RunWorker(),
        ),
        CANCELLED,
        settings=CAN_PAY_LATER,
    ),
    Scenario(
        "authenticated-at-the-deadline",
        (*WAIT_FOR_AUTHENTICATION, TimePasses(GRACE), Authenticate(), RunSweep(), RunWorker()),
        CONFIRMED,
        settings=CAN_PAY_LATER,
    ),
    Scenario(
        "authenticated-after-the-last-look",
        (
            *WAIT_FOR_AUTHENTICATION,
            TimePasses(GRACE),
            RunSweep(),
            StartSlowWorker(operation=RETRIEVE, acts_first=True),
            Authenticate(),
            ReleaseHeldCall(),
            RunWorker(),
        ),
        CANCELLED,
        ends_with_a_fault=CONFIRMED,
        settings=CAN_PAY_LATER,
    ),
    Scenario(
        "another-payment-during-the-look",
        (
            *WAIT_FOR_AUTHENTICATION,
            Authenticate(),
            NudgeOrder(),
            StartSlowWorker(operation=RETRIEVE, acts_first=True),
            PayOtherwise(replaces_open=True, may_be_refused=True),
            ReleaseHeldCall(),
            RunWorker(),
        ),
        CONFIRMED,
        settings=CAN_PAY_LATER,
    ),
    Scenario(
        "another-payment-after-the-authentication",
        (*WAIT_FOR_AUTHENTICATION, Authenticate(), PayOtherwise(replaces_open=True), RunWorker()),
        CONFIRMED,
        settings=CAN_PAY_LATER,
    ),
    Scenario(
        "nudged-before-the-wait",
        (
            PlaceOrder(card=ASKING_CARD),
            StartSlowWorker(operation=CONFIRM, acts_first=True),
            Authenticate(),
            NudgeOrder(),
            ReleaseHeldCall(),
            RunWorker(),
            WaitUntil(AUTHENTICATION),
            Authenticate(),
        ),
        CONFIRMED,
        settings=CAN_PAY_LATER,
    ),
    Scenario(
        "nudged-during-the-wait",
        (*WAIT_FOR_AUTHENTICATION, Authenticate(), NudgeOrder(), RunWorker()),
        CONFIRMED,
        settings=CAN_PAY_LATER,
    ),
    Scenario(
        "nudged-after-the-deadline",
        (*WAIT_FOR_AUTHENTICATION, TimePasses(GRACE), NudgeOrder(), RunWorker()),
        CANCELLED,
        settings=CAN_PAY_LATER,
    ),
    Scenario(
        "review-approved",
        (*WAIT_FOR_REVIEW, DecideApproval("approve"), RunWorker()),
        CONFIRMED,
        settings=IS_REVIEWED,
    ),
    Scenario(
        "review-rejected",
        (*WAIT_FOR_REVIEW, DecideApproval("reject"), RunWorker()),
        CANCELLED,
        settings=IS_REVIEWED,
    ),
    Scenario(
        "review-overdue",
        (*WAIT_FOR_REVIEW, TimePasses(REVIEW_TIME), RunSweep(), RunWorker()),
        CANCELLED,
        settings=IS_REVIEWED,
    ),
    Scenario(
        "review-approved-at-the-deadline",
        (
            *WAIT_FOR_REVIEW,
            TimePasses(REVIEW_TIME),
            RunSweep(),
            DecideApproval("approve"),
            RunWorker(),
        ),
        CONFIRMED,
        settings=IS_REVIEWED,
    ),
    Scenario(
        "review-approved-too-late",
        (
            *WAIT_FOR_REVIEW,
            TimePasses(REVIEW_TIME),
            RunSweep(),
            RunWorker(),
            DecideApproval("approve", may_be_refused=True),
        ),
        CANCELLED,
        ends_with_a_fault=CONFIRMED,
        settings=IS_REVIEWED,
    ),
    Scenario(
        "refund-pending-then-succeeded",
        (*WAIT_FOR_REFUND, TimePasses(REFUND_TIME), RunSweep(), RunWorker()),
        CANCELLED,
    ),
    Scenario(
        "refund-pending-while-compensating",
        (
            ServiceFails(CAPTURE, "reset_after", times=1),
            *WAIT_FOR_REFUND,
            TimePasses(REFUND_TIME),
            RunSweep(),
            RunWorker(),
        ),
        CANCELLED,
    ),
    Scenario(
        "refund-pending-past-its-deadline",
        (
            *WAIT_FOR_REFUND,
            SettleRefunds("wait"),
            TimePasses(REFUND_DEADLINE),
            RunSweep(),
            RunWorker(),
            WaitUntilLate(),
            SettleRefunds("succeed"),
            TimePasses(LONGEST_LOOK),
            RunSweep(),
            RunWorker(),
        ),
        CANCELLED,
    ),
)
"""Orders that wait: for their customers, for a review, or for their refund."""

SCENARIOS: Final = (*PROMPT_SCENARIOS, *WAITING_SCENARIOS)
