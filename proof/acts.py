"""What can happen in a scenario, and how it is done."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from proof import actors
from proof.points import Kind
from proof.processes import State

if TYPE_CHECKING:
    from proof.run import Run

LAST_PIECES = "LAMP-LAST"
"""What the demo catalogue has five of."""

IN_STOCK = "TEE-S"

CLIENTS_PATIENCE = 5
"""How often a client sends a request before it complains."""


class Act(Protocol):
    def perform(self, run: "Run") -> None: ...


@dataclass(frozen=True)
class Place:
    """A customer orders, and repeats the request until it is answered."""

    customer: str = "alice"
    lamps: int = 2
    card: str = "pm_card_visa"

    def perform(self, run: "Run") -> None:
        items = [{"sku": LAST_PIECES, "quantity": self.lamps}, {"sku": IN_STOCK, "quantity": 1}]
        body = {"items": items, "payment_method": self.card}
        answer = run.ask("/api/v1/orders", body, key=f"cart-of-{self.customer}")
        if answer is not None:
            run.placed[self.customer] = answer["id"]


@dataclass(frozen=True)
class Cancel:
    """The customer of an accepted order cancels it."""

    customer: str = "alice"

    def perform(self, run: "Run") -> None:
        order_id = run.placed.get(self.customer)
        if order_id is not None:
            key = f"cancel-of-{self.customer}"
            run.ask(f"/api/v1/orders/{order_id}/cancel", {}, key=key, actor="cancel")


@dataclass(frozen=True)
class Work:
    """A worker works its queues off."""

    queues: Sequence[str] = actors.QUEUES
    actor: str = "worker"

    def perform(self, run: "Run") -> None:
        run.process(self.actor, actors.worker(self.queues)).run()
        run.see_to_the_struck()


@dataclass(frozen=True)
class BeginWork:
    """A worker begins, and is left waiting for the bank's answer to one call."""

    held_in: str
    once_done: bool = False  # the bank has acted before it is silent
    actor: str = "slow-worker"

    def perform(self, run: "Run") -> None:
        rule = run.world.bank.add_fault(
            self.held_in, "hold_after" if self.once_done else "hold", times=1
        )
        slow = run.process(self.actor, actors.worker())
        slow.run(until=lambda: run.world.bank.held(rule) == 1)
        run.held = slow
        if slow.state is not State.RUNNING:
            run.world.bank.clear_faults()
        run.see_to_the_struck()


@dataclass(frozen=True)
class Release:
    """The bank answers what it held."""

    def perform(self, run: "Run") -> None:
        run.world.bank.clear_faults()
        if run.held is not None and run.held.state is State.RUNNING:
            run.held.run()
        run.see_to_the_struck()


@dataclass(frozen=True)
class Sweep:
    """The sweep looks once."""

    actor: str = "sweep"

    def perform(self, run: "Run") -> None:
        run.process(self.actor, actors.sweep()).run()
        run.see_to_the_struck()


@dataclass(frozen=True)
class BeginSweep:
    """A sweep looks, and stops before its commit: with the rows that it found still locked."""

    def perform(self, run: "Run") -> None:
        work = actors.sweep()
        run.paused = run.process("sweep", work, pause_before=Kind.COMMIT)
        run.paused.run()
        run.see_to_the_struck()


@dataclass(frozen=True)
class GoOn:
    """The sweep that stopped goes on."""

    def perform(self, run: "Run") -> None:
        if run.paused is not None and run.paused.state is State.PAUSED:
            run.paused.go_on()
        run.see_to_the_struck()


@dataclass(frozen=True)
class BankFails:
    """From now on calls of one operation fail in one way, ``times`` times or until it heals."""

    operation: str
    fault: str
    times: int | None = None

    def perform(self, run: "Run") -> None:
        run.world.bank.add_fault(self.operation, self.fault, times=self.times)


@dataclass(frozen=True)
class BankHeals:
    def perform(self, run: "Run") -> None:
        run.world.bank.clear_faults()


@dataclass(frozen=True)
class BrokerForgets:
    """Redis comes back empty."""

    def perform(self, run: "Run") -> None:
        run.world.flush_broker()


@dataclass(frozen=True)
class TimePasses:
    time: timedelta

    def perform(self, run: "Run") -> None:
        run.world.let_pass(self.time)
