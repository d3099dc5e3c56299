"""A shop in which nothing happens by itself: its messages, workers, bank, and time."""

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
from tests.support.fake_broker import PostOffice
from tests.support.interruptible_workers import Blow, State, Worker
from tests.support.run_clock import advance
from tests.support.storefront_client import Storefront

PRICES: Final = {"MUG": 1000, "TEE": 2500}
LONGEST_BACKOFF: Final = timedelta(minutes=10)


class ShopFloor:
    """Everything that a history of orders happens to; begun anew for each."""

    def __init__(self, bank: SandboxServer, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bank = bank
        self.post = PostOffice()
        self.workers: list[Worker] = []
        self.sleepers: list[Worker] = []
        self._hired: list[Worker] = []
        monkeypatch.setattr(dispatch.publisher, "hand_over", self.post.hand_over)

    def open(self, stock: Sequence[int]) -> None:
        """Forget all that was, and put the same quantities on new shelves."""
        self.dismiss_all()  # whoever still sleeps over a history that failed
        empty_all_tables()
        self.bank.start_over()
        self.post.collect()
        self.post.waiting.clear()
        self.passed = timedelta()
        self.delivered: list[Message] = []
        self.storefront = Storefront(User.objects.create(username="alice"))
        warehouse = Warehouse.objects.create(code="main", name="Main")
        for (sku, price), quantity in zip(PRICES.items(), stock, strict=True):
            product = Product.objects.create(sku=sku, name=sku, price_minor=price)
            level = StockLevel.objects.create(product=product, warehouse=warehouse)
            receive(level, quantity, "for a test")

    def deliver(self, message: Message, blow: Blow | None = None) -> State:
        """Have a worker take a message; one that sleeps or dies over it is replaced."""
        self.delivered.append(message)
        worker = self.workers.pop() if self.workers else self._hire()
        state = worker.carry_out(message, blow)
        if state is State.IDLE:
            self.workers.append(worker)
        elif state is State.ASLEEP:
            self.sleepers.append(worker)
        self.post.collect()
        return state

    def _hire(self) -> Worker:
        self._hired.append(Worker())
        return self._hired[-1]

    def wake(self, worker: Worker) -> None:
        self.sleepers.remove(worker)
        worker.wake()
        self.workers.append(worker)
        self.post.collect()

    def sweep(self) -> int:
        found = sweep()
        self.post.collect()
        return found

    def pass_time(self, duration: timedelta) -> None:
        """Everything that anybody waits for comes nearer, with us and at the bank."""
        advance(duration, bank=self.bank)
        self.passed += duration

    def recover(self) -> int:
        """Let all waiting end, sweep, and carry what was queued; how many runs were found."""
        self.pass_time(LONGEST_BACKOFF)
        found = self.sweep()
        while self.post.waiting:
            self.deliver(self.post.take(0))
        return found

    def heal(self) -> None:
        """Mend whatever is broken: the bank answers, and whoever sleeps wakes up."""
        self.bank.clear_faults()
        for worker in list(self.sleepers):
            self.wake(worker)

    def dismiss_all(self) -> None:
        """Leave no thread and no connection behind, whatever happened to whom."""
        for worker in self._hired:
            worker.dismiss()
        for workers in (self._hired, self.workers, self.sleepers):
            workers.clear()

    def close(self) -> None:
        self.bank.clear_faults()
        self.dismiss_all()
        self.post.close()
