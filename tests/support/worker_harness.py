"""A shop whose messages, workers, provider and time move only when a test moves them."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import pytest
from django.contrib.auth.models import User
from kombu.message import Message

from inventory.models import Product, StockLevel, Warehouse
from inventory.services import receive
from sagas import dispatch
from sagas.sweep import sweep
from sandbox.stripe_process import SandboxServer
from tests.support.database import empty_all_tables
from tests.support.fake_broker import FakeBroker
from tests.support.interruptible_workers import Fault, State, Worker
from tests.support.run_clock import advance
from tests.support.storefront_client import Storefront

PRICES: Final = {"MUG": 1000, "TEE": 2500}
LONGEST_BACKOFF: Final = timedelta(minutes=10)


class WorkerHarness:
    """Everything that one history of orders needs; ``open`` starts the next one."""

    def __init__(self, sandbox_stripe: SandboxServer, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sandbox_stripe = sandbox_stripe
        self.broker = FakeBroker()
        self.workers: list[Worker] = []
        self.sleepers: list[Worker] = []
        self._hired: list[Worker] = []
        monkeypatch.setattr(dispatch.publisher, "hand_over", self.broker.hand_over)

    def open(self, stock: Sequence[int]) -> None:
        """Start from empty tables, with these quantities in stock."""
        self.dismiss_all()  # workers that still sleep after a history that failed
        empty_all_tables()
        self.sandbox_stripe.start_over()
        self.broker.collect()
        self.broker.waiting.clear()
        self.passed = timedelta()
        self.delivered: list[Message] = []
        self.storefront = Storefront(User.objects.create(username="alice"))
        warehouse = Warehouse.objects.create(code="main", name="Main")
        for (sku, price), quantity in zip(PRICES.items(), stock, strict=True):
            product = Product.objects.create(sku=sku, name=sku, price_minor=price)
            level = StockLevel.objects.create(product=product, warehouse=warehouse)
            receive(level, quantity, "for a test")

    def deliver(self, message: Message, fault: Fault | None = None) -> State:
        """Give a message to an idle worker; a worker that sleeps or dies is replaced."""
        self.delivered.append(message)
        worker = self.workers.pop() if self.workers else self._hire()
        state = worker.carry_out(message, fault)
        if state is State.IDLE:
            self.workers.append(worker)
        elif state is State.ASLEEP:
            self.sleepers.append(worker)
        self.broker.collect()
        return state

    def _hire(self) -> Worker:
        self._hired.append(Worker())
        return self._hired[-1]

    def wake(self, worker: Worker) -> None:
        self.sleepers.remove(worker)
        worker.wake()
        self.workers.append(worker)
        self.broker.collect()

    def sweep(self) -> int:
        found = sweep()
        self.broker.collect()
        return found

    def pass_time(self, duration: timedelta) -> None:
        """Advance the clocks of all runs and of the provider."""
        advance(duration, sandbox_stripe=self.sandbox_stripe)
        self.passed += duration

    def recover(self) -> int:
        """End all waits, sweep, and deliver what was queued. Returns how many runs the sweep found."""
        self.pass_time(LONGEST_BACKOFF)
        found = self.sweep()
        while self.broker.waiting:
            self.deliver(self.broker.take(0))
        return found

    def heal(self) -> None:
        """Remove the provider's faults and wake all sleeping workers."""
        self.sandbox_stripe.clear_faults()
        for worker in list(self.sleepers):
            self.wake(worker)

    def dismiss_all(self) -> None:
        """End every worker's thread and connection, in whatever state it is."""
        for worker in self._hired:
            worker.dismiss()
        for workers in (self._hired, self.workers, self.sleepers):
            workers.clear()

    def close(self) -> None:
        self.sandbox_stripe.clear_faults()
        self.dismiss_all()
        self.broker.close()
