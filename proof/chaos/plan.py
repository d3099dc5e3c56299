"""Everything that a run is going to do, from one seed: what is ordered, and what is struck when.

The same seed gives the same plan, to the millisecond. What comes of it is up to the machine.
"""

import random
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Final, NamedTuple

from proof.chaos.fault_proxy import Behaviour, Mode
from proof.chaos.proxies import EDGES, WORKERS_BANK
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

SCARCE_SHARE: Final = 0.12
BAD_CARD_SHARE: Final = 0.06
UNKNOWN_SKU_SHARE: Final = 0.02
CANCEL_SHARE: Final = 0.18
DOUBLE_CLICK_SHARE: Final = 0.10
ABANDON_SHARE: Final = 0.05
WAITING_SHARE: Final = 0.20
BURST_EVERY: Final = 30.0  # seconds
BURST_SECONDS: Final = 3.0
BURST_FACTOR: Final = 3


class Manner(StrEnum):
    """How a customer sends an order."""

    PATIENT = "patient"  # once, and again under its key until there is an answer
    DOUBLE_CLICK = "double click"  # twice at the same moment, and then as a patient one
    ABANDON = "abandon"  # once, hanging up before an answer can come


class Errand(NamedTuple):
    """One customer's visit."""

    number: int
    at: float  # seconds after the start
    cart: Cart
    manner: Manner
    waits: int  # seconds of `Prefer: wait`; 0 asks for none
    cancels_after: float | None  # seconds after the order was accepted

    @property
    def key(self) -> str:
        return f"order-{self.number}"

    @property
    def cancel_key(self) -> str:
        return f"cancel-{self.number}"

    @property
    def is_payable(self) -> bool:
        return self.cart.payment_method in GOOD_CARDS

    @property
    def is_valid(self) -> bool:
        return all(sku != UNKNOWN_SKU for sku, _ in self.cart.items)

    @property
    def wants_scarce(self) -> bool:
        return any(sku in SCARCE for sku, _ in self.cart.items)


class Deed(StrEnum):
    """What the nemesis does to the system."""

    KILL = "kill"  # SIGKILL to a program
    KILL_CHILD = "kill child"  # SIGKILL to one process that a program has forked
    FREEZE = "freeze"  # SIGSTOP, and SIGCONT after a while
    KILL_BACKEND = "kill backend"  # SIGKILL to one session: PostgreSQL ends them all and recovers
    END_BACKEND = "end backend"  # pg_terminate_backend
    FLUSH = "flush"  # FLUSHALL
    DISTURB = "disturb"  # the network of one edge


class Action(NamedTuple):
    """One deed at one time. ``seconds`` is how long it lasts, where it does not end by itself."""

    at: float
    deed: Deed
    target: str
    seconds: float = 0.0
    behaviour: Behaviour | None = None


class Habit(NamedTuple):
    """A deed that is repeated, on the average every so many seconds."""

    every: float
    deed: Deed
    targets: tuple[str, ...]
    shortest: float = 0.0
    longest: float = 0.0


HABITS: Final = (
    Habit(20, Deed.KILL, WORKERS),
    Habit(40, Deed.KILL, (PREFORK,)),
    Habit(30, Deed.KILL_CHILD, (PREFORK,)),
    # It takes some ten seconds to be back, and nobody can order meanwhile.
    Habit(90, Deed.KILL, ("web",)),
    Habit(60, Deed.KILL_CHILD, ("web",)),
    Habit(60, Deed.KILL, ("beat", SECOND_BEAT)),
    Habit(60, Deed.KILL, ("watch",)),
    Habit(55, Deed.KILL, (VALKEY,)),
    Habit(50, Deed.KILL, (POSTGRES,)),
    Habit(60, Deed.KILL_BACKEND, (POSTGRES,)),
    Habit(30, Deed.END_BACKEND, (POSTGRES,)),
    Habit(40, Deed.FLUSH, (VALKEY,)),
    # Longer than a lease of ten seconds: what goes on then has lost what it held.
    Habit(45, Deed.FREEZE, WORKERS, shortest=11, longest=15),
    Habit(7, Deed.DISTURB, tuple(edge.name for edge in EDGES), shortest=1, longest=8),
)

MODES: Final[Mapping[Mode, int]] = {
    Mode.LOSE_REPLY: 3,
    Mode.BLACK_HOLE: 2,
    Mode.RESET: 2,
    Mode.LATENCY: 1,
    Mode.SLICE: 1,
}
"""How often each mode is chosen: most often what leaves somebody in doubt."""

BANK_FAULTS: Final[Mapping[str, float]] = {
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
"""Which share of all calls meets which fault of the sandbox's menu: together one in five."""
BANK_LATENCY_MS: Final = 1500


class Plan(NamedTuple):
    """One run. ``stock`` is what each shelf has at the start."""

    seed: int
    seconds: float
    errands: tuple[Errand, ...]
    actions: tuple[Action, ...]
    stock: Mapping[str, int]


def make_plan(*, seed: int, minutes: float, rate: float) -> Plan:
    """Plan a run with ``rate`` orders a second beside the bursts."""
    seconds = minutes * 60
    errands = tuple(_errands(_dice(seed, "customers"), seconds, rate))
    actions = [
        action
        for number, habit in enumerate(HABITS)
        for action in _actions(_dice(seed, f"nemesis {number}"), habit, seconds)
    ]
    wanted = sum(errand.wants_scarce for errand in errands)
    stock = dict.fromkeys(AMPLE, PLENTY) | {
        sku: 1 + wanted * (position + 1) // (8 * len(SCARCE)) for position, sku in enumerate(SCARCE)
    }
    return Plan(seed, seconds, errands, tuple(sorted(actions, key=lambda each: each.at)), stock)


def _dice(seed: int, purpose: str) -> random.Random:
    return random.Random(f"{seed}/{purpose}")  # noqa: S311 - chance that can be repeated


def _errands(dice: random.Random, seconds: float, rate: float) -> Iterator[Errand]:
    number, at = 0, 0.0
    while True:
        in_burst = at >= BURST_EVERY and at % BURST_EVERY < BURST_SECONDS
        at += dice.expovariate(rate * BURST_FACTOR if in_burst else rate)
        if at >= seconds:
            return
        yield _errand(dice, number, round(at, 3))
        number += 1


def _errand(dice: random.Random, number: int, at: float) -> Errand:
    skus = set(dice.choices(AMPLE, [1 / (rank + 2) for rank in range(len(AMPLE))], k=5))
    chosen = sorted(skus)[: dice.randint(1, 5)]
    if dice.random() < SCARCE_SHARE:
        chosen[0] = dice.choice(SCARCE)
    if dice.random() < UNKNOWN_SKU_SHARE:
        chosen[-1] = UNKNOWN_SKU
    items = tuple((sku, 1 if sku in SCARCE else dice.randint(1, 3)) for sku in chosen)
    card = dice.choice(BAD_CARDS if dice.random() < BAD_CARD_SHARE else GOOD_CARDS)
    manner = dice.choices(
        tuple(Manner),
        (1 - DOUBLE_CLICK_SHARE - ABANDON_SHARE, DOUBLE_CLICK_SHARE, ABANDON_SHARE),
    )[0]
    waits = dice.randint(1, 5) if dice.random() < WAITING_SHARE else 0
    cancels = round(dice.uniform(0, 12), 3) if dice.random() < CANCEL_SHARE else None
    return Errand(number, at, Cart(items, card), manner, waits, cancels)


def _actions(dice: random.Random, habit: Habit, seconds: float) -> Iterator[Action]:
    """Do it at least once, and never beyond the end."""
    at = dice.uniform(0.1, 0.8) * min(habit.every, seconds)
    free_at = dict.fromkeys(habit.targets, 0.0)
    while at < seconds:
        lasting = min(dice.uniform(habit.shortest, habit.longest), seconds - at)
        idle = [target for target in habit.targets if free_at[target] <= at]
        if idle:
            target = dice.choice(idle)
            behaviour = _behaviour(dice, target) if habit.deed == Deed.DISTURB else None
            free_at[target] = at + lasting
            yield Action(round(at, 3), habit.deed, target, round(lasting, 3), behaviour)
        at += habit.every * dice.uniform(0.6, 1.4)


def _behaviour(dice: random.Random, edge: str) -> Behaviour:
    mode = dice.choices(tuple(MODES), tuple(MODES.values()))[0]
    to_bank = edge == WORKERS_BANK.name
    # A bank's call is one round trip; an order takes dozens of them to the database.
    latency = dice.randint(50, 2000) if to_bank else dice.randint(5, 150)
    rate = 0.5 if to_bank else dice.uniform(0.02, 0.2)
    return Behaviour(mode, latency, round(rate, 3))
