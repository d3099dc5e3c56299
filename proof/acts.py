"""What can happen in a scenario, and how it is done."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from proof import actors
from proof.points import Kind
from proof.processes import State
from proof.stage import Stage

LAST_PIECES = "LAMP-LAST"
"""What the demo catalogue has five of."""

IN_STOCK = "TEE-S"

STRIPE = "stripe"


class Act(Protocol):
    def perform(self, stage: Stage) -> None: ...


@dataclass(frozen=True)
class Place:
    """A customer orders, and repeats the request until it is answered."""

    customer: str = "alice"
    lamps: int = 2
    card: str = "pm_card_visa"

    def perform(self, stage: Stage) -> None:
        items = [{"sku": LAST_PIECES, "quantity": self.lamps}, {"sku": IN_STOCK, "quantity": 1}]
        body = {"items": items, "payment_method": self.card}
        answer = stage.ask("/api/v1/orders", body, key=f"cart-of-{self.customer}")
        if answer is not None:
            stage.placed[self.customer] = answer["id"]


@dataclass(frozen=True)
class Cancel:
    """The customer of an accepted order cancels it."""

    customer: str = "alice"

    def perform(self, stage: Stage) -> None:
        order_id = stage.placed.get(self.customer)
        if order_id is not None:
            key = f"cancel-of-{self.customer}"
            stage.ask(f"/api/v1/orders/{order_id}/cancel", {}, key=key, actor="cancel")


@dataclass(frozen=True)
class Work:
    """A worker processes its queues until they are empty."""

    queues: Sequence[str] = actors.QUEUES
    actor: str = "worker"

    def perform(self, stage: Stage) -> None:
        stage.run_process(self.actor, actors.worker(self.queues))


@dataclass(frozen=True)
class StartWork:
    """A worker starts, and waits for the answer to one call, which the service holds back."""

    held_in: str
    once_done: bool = False
    """The service acts before it holds the answer back."""
    service: str = STRIPE
    actor: str = "slow-worker"

    def perform(self, stage: Stage) -> None:
        service = stage.world.services[self.service]
        rule = service.add_fault(self.held_in, "hold_after" if self.once_done else "hold", times=1)
        slow = stage.process(self.actor, actors.worker())
        slow.run(until=lambda: service.held(rule) == 1)
        stage.held = slow
        if slow.state is not State.RUNNING:
            service.clear_faults()
        stage.handle_fault()


@dataclass(frozen=True)
class Release:
    """The service answers the call that it held."""

    service: str = STRIPE

    def perform(self, stage: Stage) -> None:
        stage.world.services[self.service].clear_faults()
        if stage.held is not None and stage.held.state is State.RUNNING:
            stage.held.run()
        stage.handle_fault()


@dataclass(frozen=True)
class Sweep:
    """The sweep looks once."""

    actor: str = "sweep"

    def perform(self, stage: Stage) -> None:
        stage.run_process(self.actor, actors.sweep())


@dataclass(frozen=True)
class StartSweep:
    """A sweep looks, and pauses before its commit: the rows that it found stay locked."""

    def perform(self, stage: Stage) -> None:
        stage.paused = stage.run_process("sweep", actors.sweep(), pause_before=Kind.COMMIT)


@dataclass(frozen=True)
class ResumeSweep:
    """The paused sweep goes on."""

    def perform(self, stage: Stage) -> None:
        if stage.paused is not None and stage.paused.state is State.PAUSED:
            stage.paused.go_on()
        stage.handle_fault()


@dataclass(frozen=True)
class ServiceFails:
    """From now on calls of one operation fail in one way, ``times`` times or until it recovers."""

    operation: str
    fault: str
    times: int | None = None
    service: str = STRIPE

    def perform(self, stage: Stage) -> None:
        service = stage.world.services[self.service]
        service.add_fault(self.operation, self.fault, times=self.times)


@dataclass(frozen=True)
class ServiceRecovers:
    service: str = STRIPE

    def perform(self, stage: Stage) -> None:
        stage.world.services[self.service].clear_faults()


@dataclass(frozen=True)
class BrokerForgets:
    """Redis comes back empty."""

    def perform(self, stage: Stage) -> None:
        stage.world.flush_broker()


@dataclass(frozen=True)
class TimePasses:
    time: timedelta

    def perform(self, stage: Stage) -> None:
        stage.world.let_pass(self.time)
