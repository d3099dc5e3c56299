"""The plan of a chaos run: every visit and every disruption with its time, from one seed.

The same seed gives the same plan, to the millisecond. The result also depends on the machine.
"""

import random
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Final, NamedTuple

from proof.chaos.fault_proxy import Behaviour, Mode
from proof.chaos.proxy_control import EDGES, WORKERS_STRIPE
from sandbox.drive.shop import Cart
from sandbox.programs import POSTGRES, VALKEY

PREFORK: Final = "worker-prefork"
SECOND_BEAT: Final = "beat-second"
WORKERS: Final = (
    "worker-checkout",
    "worker-settlement",
    "worker-compensation",
    "worker-sweeps",
    PREFORK,
)

AMPLE: Final = tuple(f"AMPLE-{number:02}" for number in range(24))
SCARCE: Final = tuple(f"SCARCE-{number}" for number in range(6))
PLENTY: Final = 1_000_000
UNKNOWN_SKU: Final = "NEVER-SOLD"
GOOD_CARDS: Final = ("pm_card_visa", "pm_card_mastercard", "pm_card_amex")
BAD_CARDS: Final = ("pm_card_chargeDeclined", "pm_card_chargeDeclinedInsufficientFunds")
ASKING_CARD: Final = "pm_card_authenticationRequired"
SECOND_CARD: Final = "pm_card_visa"
"""The card of customers who pay otherwise."""

REVIEW_ABOVE_MINOR: Final = 20_000
LARGE_QUANTITY: Final = 50
"""So many of one product cost more than REVIEW_ABOVE_MINOR; a cart without it costs less."""
WAIT_SETTINGS: Final[Mapping[str, str]] = {
    "PAYMENT_GRACE_SECONDS": "900",  # longer than an order of a short run lasts
    "REVIEW_ABOVE_MINOR": str(REVIEW_ABOVE_MINOR),
    "REVIEW_DEFAULT": "reject",
}

SCARCE_SHARE: Final = 0.12
BAD_CARD_SHARE: Final = 0.06
ASKING_CARD_SHARE: Final = 0.12
LARGE_SHARE: Final = 0.10
UNKNOWN_SKU_SHARE: Final = 0.02
CANCEL_SHARE: Final = 0.18
DOUBLE_CLICK_SHARE: Final = 0.10
ABANDON_SHARE: Final = 0.05
WAITING_SHARE: Final = 0.20
BURST_EVERY: Final = 30.0  # seconds
BURST_SECONDS: Final = 3.0
BURST_FACTOR: Final = 3


class SubmitStyle(StrEnum):
    """How a customer sends an order."""

    PATIENT = "patient"  # repeats the request under its key until a response comes
    DOUBLE_CLICK = "double click"  # sends two requests at once, then repeats as a patient one
    ABANDON = "abandon"  # sends one request, and hangs up before a response can come


class CustomerAnswer(StrEnum):
    """What a customer does when an order waits for their authentication or another payment."""

    FINISH = "finish"  # authenticates; after a decline pays by another card
    ANOTHER_CARD = "another card"  # fails to authenticate, and pays by another card
    BOTH = "both"  # authenticates, and at the same time pays by another card
    LEAVE = "leave"  # does nothing until the deadline


class ShopDecision(StrEnum):
    """What the shop does with an order that it reviews."""

    APPROVE = "approve"
    REJECT = "reject"
    LEAVE = "leave"  # nothing until the deadline


ANSWERS: Final[Mapping[CustomerAnswer, int]] = {
    CustomerAnswer.FINISH: 4,
    CustomerAnswer.ANOTHER_CARD: 2,
    CustomerAnswer.BOTH: 2,
    CustomerAnswer.LEAVE: 2,
}
DECISIONS: Final[Mapping[ShopDecision, int]] = {
    ShopDecision.APPROVE: 4,
    ShopDecision.REJECT: 2,
    ShopDecision.LEAVE: 2,
}
"""The weight of each answer and decision."""


class Visit(NamedTuple):
    """One customer, who places one order and perhaps cancels it.

    A customer who cancels does not answer what the order waits for; neither does the shop.
    """

    number: int
    at: float  # seconds after the start
    cart: Cart
    style: SubmitStyle
    waits: int  # seconds of `Prefer: wait`; 0 sends no such header
    cancels_after: float | None  # seconds after the order was accepted
    answer: CustomerAnswer = CustomerAnswer.FINISH
    decision: ShopDecision = ShopDecision.APPROVE

    @property
    def key(self) -> str:
        return f"order-{self.number}"

    @property
    def cancel_key(self) -> str:
        return f"cancel-{self.number}"

    @property
    def payment_key(self) -> str:
        return f"payment-{self.number}"

    @property
    def is_payable(self) -> bool:
        """Return whether the customer pays in the end: at once, or when the order waits for it."""
        return self.cart.payment_method in GOOD_CARDS or self.answer != CustomerAnswer.LEAVE

    @property
    def is_large(self) -> bool:
        """Return whether the shop reviews the order."""
        return any(quantity == LARGE_QUANTITY for _, quantity in self.cart.items)

    @property
    def is_accepted(self) -> bool:
        """Return whether the shop accepts the order: without a review, or by its decision."""
        return not self.is_large or self.decision == ShopDecision.APPROVE

    @property
    def is_valid(self) -> bool:
        return all(sku != UNKNOWN_SKU for sku, _ in self.cart.items)

    @property
    def wants_scarce(self) -> bool:
        return any(sku in SCARCE for sku, _ in self.cart.items)


class DisruptionKind(StrEnum):
    """The kinds of disruption."""

    KILL = "kill"  # SIGKILL to a program
    KILL_CHILD = "kill child"  # SIGKILL to one process that a program has forked
    PAUSE = "pause"  # SIGSTOP, and SIGCONT after a while
    KILL_BACKEND = "kill backend"  # SIGKILL to one session: PostgreSQL ends them all and recovers
    END_BACKEND = "end backend"  # pg_terminate_backend
    FLUSH = "flush"  # FLUSHALL
    NETWORK = "network"  # a mode of the proxy on one edge


class Disruption(NamedTuple):
    """One disruption at one time. ``seconds`` is how long it lasts; 0 if it ends by itself."""

    at: float
    kind: DisruptionKind
    target: str
    seconds: float = 0.0
    behaviour: Behaviour | None = None


class Schedule(NamedTuple):
    """A disruption that is repeated, on average every ``every`` seconds, each time on one target."""

    every: float
    kind: DisruptionKind
    targets: tuple[str, ...]
    shortest: float = 0.0
    longest: float = 0.0


SCHEDULES: Final = (
    Schedule(20, DisruptionKind.KILL, WORKERS),
    Schedule(40, DisruptionKind.KILL, (PREFORK,)),
    Schedule(30, DisruptionKind.KILL_CHILD, (PREFORK,)),
    # Web takes about ten seconds to restart, and customers cannot order meanwhile.
    Schedule(90, DisruptionKind.KILL, ("web",)),
    Schedule(60, DisruptionKind.KILL_CHILD, ("web",)),
    Schedule(60, DisruptionKind.KILL, ("beat", SECOND_BEAT)),
    Schedule(60, DisruptionKind.KILL, ("watch",)),
    Schedule(40, DisruptionKind.KILL, ("relay",)),
    Schedule(55, DisruptionKind.KILL, (VALKEY,)),
    Schedule(50, DisruptionKind.KILL, (POSTGRES,)),
    Schedule(60, DisruptionKind.KILL_BACKEND, (POSTGRES,)),
    Schedule(30, DisruptionKind.END_BACKEND, (POSTGRES,)),
    Schedule(40, DisruptionKind.FLUSH, (VALKEY,)),
    # Longer than a lease of ten seconds: a worker that resumes has lost its runs.
    Schedule(45, DisruptionKind.PAUSE, WORKERS, shortest=11, longest=15),
    Schedule(7, DisruptionKind.NETWORK, tuple(edge.name for edge in EDGES), shortest=1, longest=8),
)

MODES: Final[Mapping[Mode, int]] = {
    Mode.LOSE_REPLY: 3,
    Mode.BLACK_HOLE: 2,
    Mode.RESET: 2,
    Mode.LATENCY: 1,
    Mode.SLICE: 1,
}
"""The weight of each mode. Modes that leave an outcome unknown are the most frequent."""

PROVIDER_FAULTS: Final[Mapping[str, float]] = {
    "latency": 0.03,
    "error_before": 0.02,
    "error_after": 0.02,
    "timeout_before": 0.01,
    "timeout_after": 0.02,
    "reset_before": 0.02,
    "reset_after": 0.02,
    "truncated_body": 0.02,
    "rate_limit": 0.02,
    "lock_timeout": 0.01,
    "conflict": 0.01,
}
"""The share of the provider's calls with each fault of the sandbox; together one call in five."""
PROVIDER_LATENCY_MS: Final = 1500


class Plan(NamedTuple):
    """The plan of one run. ``stock`` is the initial quantity of each product, by SKU."""

    seed: int
    seconds: float
    visits: tuple[Visit, ...]
    disruptions: tuple[Disruption, ...]
    stock: Mapping[str, int]


def make_plan(*, seed: int, minutes: float, rate: float) -> Plan:
    """Plan a run with ``rate`` orders a second beside the bursts."""
    seconds = minutes * 60
    visits = tuple(_visits(_dice(seed, "customers"), seconds, rate))
    disruptions = [
        disruption
        for number, schedule in enumerate(SCHEDULES)
        for disruption in _disruptions(_dice(seed, f"nemesis {number}"), schedule, seconds)
    ]
    wanted = sum(visit.wants_scarce for visit in visits)
    stock = dict.fromkeys(AMPLE, PLENTY) | {
        sku: 1 + wanted * (position + 1) // (8 * len(SCARCE)) for position, sku in enumerate(SCARCE)
    }
    in_order = tuple(sorted(disruptions, key=lambda disruption: disruption.at))
    return Plan(seed, seconds, visits, in_order, stock)


def _dice(seed: int, purpose: str) -> random.Random:
    return random.Random(f"{seed}/{purpose}")  # noqa: S311 - chance that can be repeated


def _visits(dice: random.Random, seconds: float, rate: float) -> Iterator[Visit]:
    number, at = 0, 0.0
    while True:
        in_burst = at >= BURST_EVERY and at % BURST_EVERY < BURST_SECONDS
        at += dice.expovariate(rate * BURST_FACTOR if in_burst else rate)
        if at >= seconds:
            return
        yield _visit(dice, number, round(at, 3))
        number += 1


def _visit(dice: random.Random, number: int, at: float) -> Visit:
    skus = set(dice.choices(AMPLE, [1 / (rank + 2) for rank in range(len(AMPLE))], k=5))
    chosen = sorted(skus)[: dice.randint(1, 5)]
    if dice.random() < SCARCE_SHARE:
        chosen[0] = dice.choice(SCARCE)
    if dice.random() < UNKNOWN_SKU_SHARE:
        chosen[-1] = UNKNOWN_SKU
    card = dice.choice(BAD_CARDS if dice.random() < BAD_CARD_SHARE else GOOD_CARDS)
    style = dice.choices(
        tuple(SubmitStyle),
        (1 - DOUBLE_CLICK_SHARE - ABANDON_SHARE, DOUBLE_CLICK_SHARE, ABANDON_SHARE),
    )[0]
    waits = dice.randint(1, 5) if dice.random() < WAITING_SHARE else 0
    cancels = round(dice.uniform(0, 12), 3) if dice.random() < CANCEL_SHARE else None
    card = ASKING_CARD if dice.random() < ASKING_CARD_SHARE else card
    is_large = dice.random() < LARGE_SHARE
    answer = dice.choices(tuple(ANSWERS), tuple(ANSWERS.values()))[0]
    decision = dice.choices(tuple(DECISIONS), tuple(DECISIONS.values()))[0]
    if style == SubmitStyle.ABANDON:  # who hangs up does not learn what the order waits for
        card, is_large = dice.choice(GOOD_CARDS), False
    items = tuple((sku, _quantity(dice, sku, is_large=is_large)) for sku in chosen)
    return Visit(number, at, Cart(items, card), style, waits, cancels, answer, decision)


def _quantity(dice: random.Random, sku: str, *, is_large: bool) -> int:
    if sku in SCARCE:
        return 1
    return LARGE_QUANTITY if is_large else dice.randint(1, 3)


def _disruptions(dice: random.Random, schedule: Schedule, seconds: float) -> Iterator[Disruption]:
    """Yield at least one disruption, and none that lasts beyond the end."""
    at = dice.uniform(0.1, 0.8) * min(schedule.every, seconds)
    free_at = dict.fromkeys(schedule.targets, 0.0)
    while at < seconds:
        lasting = min(dice.uniform(schedule.shortest, schedule.longest), seconds - at)
        idle = [target for target in schedule.targets if free_at[target] <= at]
        if idle:
            target = dice.choice(idle)
            behaviour = (
                _behaviour(dice, target) if schedule.kind == DisruptionKind.NETWORK else None
            )
            free_at[target] = at + lasting
            yield Disruption(round(at, 3), schedule.kind, target, round(lasting, 3), behaviour)
        at += schedule.every * dice.uniform(0.6, 1.4)


def _behaviour(dice: random.Random, edge: str) -> Behaviour:
    mode = dice.choices(tuple(MODES), tuple(MODES.values()))[0]
    to_stripe = edge == WORKERS_STRIPE.name
    # A call to Stripe is one round trip; an order takes dozens of round trips to the database.
    latency = dice.randint(50, 2000) if to_stripe else dice.randint(5, 150)
    rate = 0.5 if to_stripe else dice.uniform(0.02, 0.2)
    return Behaviour(mode, latency, round(rate, 3))
