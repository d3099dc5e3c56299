"""A shop for property tests: its messages, workers, provider and time move only when a test moves them."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import pytest
from django.contrib.auth.models import User
from kombu.message import Message

from sagas import dispatch
from sagas.sweep import sweep
from sandbox.stripe_process import SandboxServer
from tests.support.clock import advance, bring_nearer, reset_if_moved
from tests.support.database import empty_all_tables
from tests.support.drained_broker import DrainedBroker
from tests.support.shop import PRICES_MINOR, Shelf
from tests.support.storefront_client import Storefront
from tests.support.worker_threads import Fault, State, Worker

LONGEST_BACKOFF: Final = timedelta(minutes=10)


class WorkerHarness:
    """Everything that one history of orders needs. ``open`` starts the next history."""

    def __init__(self, sandbox_stripe: SandboxServer, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sandbox_stripe = sandbox_stripe
        self.broker = DrainedBroker()
        self.workers: list[Worker] = []
        self.sleepers: list[Worker] = []
        self._all_workers: list[Worker] = []
        monkeypatch.setattr(dispatch.publisher, "enqueue", self.broker.enqueue)

    def open(self, stock: Sequence[int]) -> None:
        """Start from empty tables, with these quantities in stock."""
        self.dismiss_all()  # workers that still sleep after a history that failed
        empty_all_tables()
        reset_if_moved()
        self.sandbox_stripe.start_over()
        self.broker.collect()
        self.broker.waiting.clear()
        self.passed = timedelta()
        self.delivered: list[Message] = []
        self.storefront = Storefront(User.objects.create(username="alice"))
        shelf = Shelf()
        for (sku, price_minor), quantity in zip(PRICES_MINOR.items(), stock, strict=True):
            shelf.put(sku, quantity, price_minor)

    def deliver(self, message: Message, fault: Fault | None = None) -> State:
        """Give a message to an idle worker; a worker that sleeps or dies is replaced."""
        self.delivered.append(message)
        worker = self.workers.pop() if self.workers else self._new_worker()
        state = worker.carry_out(message, fault)
        if state is State.IDLE:
            self.workers.append(worker)
        elif state is State.ASLEEP:
            self.sleepers.append(worker)
        self.broker.collect()
        return state

    def _new_worker(self) -> Worker:
        self._all_workers.append(Worker())
        return self._all_workers[-1]

    def wake(self, worker: Worker) -> None:
        """Wake a sleeping worker, which finishes its message."""
        self.sleepers.remove(worker)
        worker.wake()
        self.workers.append(worker)
        self.broker.collect()

    def sweep(self) -> int:
        """Send messages for all runs that are due. Returns how many runs were found."""
        found = sweep()
        self.broker.collect()
        return found

    def pass_time(self, duration: timedelta) -> None:
        """Bring the times of all runs nearer, and advance the provider's clock."""
        bring_nearer(duration, sandbox_stripe=self.sandbox_stripe)
        self.passed += duration

    def move_clock(self, duration: timedelta) -> None:
        """Move the one clock of all processes, and the provider's."""
        advance(duration)
        self.sandbox_stripe.advance(int(duration.total_seconds()))
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
        """End every worker's thread and connection, whatever its state."""
        for worker in self._all_workers:
            worker.dismiss()
        for workers in (self._all_workers, self.workers, self.sleepers):
            workers.clear()

    def close(self) -> None:
        self.sandbox_stripe.clear_faults()
        self.dismiss_all()
        self.broker.close()
