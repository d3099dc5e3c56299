"""The acts of a scenario: requests, workers, sweeps, failures of services, and passing time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from proof import actors
from proof.points import Kind
from proof.processes import State
from proof.stage import Stage

SCARCE = "LAMP-LAST"
"""The demo catalogue has five of this product."""

PLENTIFUL = "TEE-S"

STRIPE = "stripe"


class Act(Protocol):
    """One thing that happens in a scenario."""

    def perform(self, stage: Stage) -> None: ...


@dataclass(frozen=True)
class PlaceOrder:
    """A customer places an order, and repeats the request until the API accepts it."""

    customer: str = "alice"
    lamps: int = 2
    card: str = "pm_card_visa"

    def perform(self, stage: Stage) -> None:
        items = [{"sku": SCARCE, "quantity": self.lamps}, {"sku": PLENTIFUL, "quantity": 1}]
        body = {"items": items, "payment_method": self.card}
        order = stage.post("/api/v1/orders", body, key=f"cart-of-{self.customer}")
        if order is not None:
            stage.order_ids[self.customer] = order["id"]


@dataclass(frozen=True)
class CancelOrder:
    """The customer of an accepted order cancels it."""

    customer: str = "alice"

    def perform(self, stage: Stage) -> None:
        order_id = stage.order_ids.get(self.customer)
        if order_id is not None:
            key = f"cancel-of-{self.customer}"
            stage.post(f"/api/v1/orders/{order_id}/cancel", {}, key=key, actor="cancel")


@dataclass(frozen=True)
class RunWorker:
    """A worker starts, and processes its queues until they are empty."""

    queues: Sequence[str] = actors.QUEUES
    actor: str = "worker"

    def perform(self, stage: Stage) -> None:
        stage.run_process(self.actor, actors.worker(self.queues))


@dataclass(frozen=True)
class StartSlowWorker:
    """A worker starts, and waits for the answer to one call, which the service delays.

    ``ReleaseHeldCall`` lets the service answer.
    """

    operation: str
    """The operation whose answer is delayed."""
    acts_first: bool = False
    """Whether the service acts before it delays the answer."""
    service: str = STRIPE
    actor: str = "slow-worker"

    def perform(self, stage: Stage) -> None:
        service = stage.world.services[self.service]
        rule = service.add_fault(
            self.operation, "hold_after" if self.acts_first else "hold", times=1
        )
        worker = stage.start_process(self.actor, actors.worker())
        worker.run(until=lambda: service.held(rule) == 1)
        stage.slow_worker = worker
        if worker.state is not State.RUNNING:
            service.clear_faults()
        stage.react_to_fault()


@dataclass(frozen=True)
class ReleaseHeldCall:
    """The service answers the call that it delayed."""

    service: str = STRIPE

    def perform(self, stage: Stage) -> None:
        stage.world.services[self.service].clear_faults()
        if stage.slow_worker is not None and stage.slow_worker.state is State.RUNNING:
            stage.slow_worker.run()
        stage.react_to_fault()


@dataclass(frozen=True)
class RunSweep:
    """Beat sends one sweep, and a worker runs it."""

    actor: str = "sweep"

    def perform(self, stage: Stage) -> None:
        stage.run_process(self.actor, actors.sweep())


@dataclass(frozen=True)
class StartPausedSweep:
    """A sweep starts, and pauses before its commit: the rows that it found stay locked."""

    def perform(self, stage: Stage) -> None:
        stage.paused_sweep = stage.run_process("sweep", actors.sweep(), pause_before=Kind.COMMIT)


@dataclass(frozen=True)
class ResumeSweep:
    """The paused sweep continues."""

    def perform(self, stage: Stage) -> None:
        if stage.paused_sweep is not None and stage.paused_sweep.state is State.PAUSED:
            stage.paused_sweep.resume()
        stage.react_to_fault()


@dataclass(frozen=True)
class ServiceFails:
    """Calls of one operation fail in one way, ``times`` times or until ``ServiceRecovers``."""

    operation: str
    fault: str
    times: int | None = None
    service: str = STRIPE

    def perform(self, stage: Stage) -> None:
        service = stage.world.services[self.service]
        service.add_fault(self.operation, self.fault, times=self.times)


@dataclass(frozen=True)
class ServiceRecovers:
    """The service stops failing."""

    service: str = STRIPE

    def perform(self, stage: Stage) -> None:
        stage.world.services[self.service].clear_faults()


@dataclass(frozen=True)
class BrokerLosesMessages:
    """Redis restarts empty: every message is lost."""

    def perform(self, stage: Stage) -> None:
        stage.world.flush_broker()


@dataclass(frozen=True)
class TimePasses:
    """Leases, back-offs and the services' clocks advance by ``time``."""

    time: timedelta

    def perform(self, stage: Stage) -> None:
        stage.pass_time(self.time)


@dataclass(frozen=True)
class WaitUntil:
    """Time passes, and workers work, until an order waits for this or all orders have ended."""

    code: str

    def perform(self, stage: Stage) -> None:
        world = stage.world
        stage.work_until(lambda: world.is_waiting_for(self.code) or world.is_at_rest())


@dataclass(frozen=True)
class Authenticate:
    """The customers end every authentication that their banks wait for: ``complete`` or ``fail``."""

    result: str = "complete"

    def perform(self, stage: Stage) -> None:
        for intent in stage.world.stripe.ledger()["payment_intents"]:
            if intent["status"] == "requires_action":
                stage.world.stripe.authenticate(intent["id"], self.result)


@dataclass(frozen=True)
class WaitUntilLate:
    """Time passes, and workers work, until an order is flagged as late or all orders have ended.

    An order whose refund is kept pending does not end. With a fault it may never have been charged.
    """

    def perform(self, stage: Stage) -> None:
        world = stage.world
        stage.work_until(lambda: world.is_flagged_as_late() or world.is_at_rest())


@dataclass(frozen=True)
class SettleRefunds:
    """The banks end every pending refund: ``succeed`` or ``fail``. With ``wait`` they take longer."""

    result: str

    def perform(self, stage: Stage) -> None:
        for refund in stage.world.stripe.ledger()["refunds"]:
            if refund["status"] == "pending":
                stage.world.stripe.settle_refund(refund["id"], self.result)


@dataclass(frozen=True)
class PayOtherwise:
    """The customer of a waiting order pays by another card.

    ``replaces_open``: in place of a payment that they could still authenticate. ``may_be_refused``:
    a call may look at the earlier payment.
    """

    card: str = "pm_card_visa"
    customer: str = "alice"
    replaces_open: bool = False
    may_be_refused: bool = False

    def perform(self, stage: Stage) -> None:
        order_id = stage.order_ids.get(self.customer)
        if order_id is None:
            return
        body = {"payment_method": self.card}
        if self.replaces_open:
            body["replaces"] = stage.world.open_payment(order_id)
        stage.post(
            f"/api/v1/orders/{order_id}/payments",
            body,
            key=f"payment-of-{self.customer}",
            actor="payment",
            may_be_refused=self.may_be_refused,
        )


@dataclass(frozen=True)
class DecideApproval:
    """The shop approves or rejects an order. ``may_be_refused``: its deadline may have passed."""

    decision: str
    may_be_refused: bool = False

    def perform(self, stage: Stage) -> None:
        for (approval_id,) in stage.world.rows("SELECT id FROM approvals_approval"):
            stage.post(
                f"/api/v1/approvals/{approval_id}/{self.decision}",
                {},
                key=f"{self.decision}-{approval_id}",
                actor="decision",
                token=stage.tokens.shop,
                may_be_refused=self.may_be_refused,
            )


@dataclass(frozen=True)
class NudgeOrder:
    """The run of an order is nudged: it looks again at what it waits for."""

    customer: str = "alice"

    def perform(self, stage: Stage) -> None:
        order_id = stage.order_ids.get(self.customer)
        if order_id is not None:
            stage.run_process("nudge", actors.nudge(order_id))
