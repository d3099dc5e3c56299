"""A shop whose messages move only when a test delivers them."""

from dataclasses import dataclass

from django.contrib.auth.models import User

from orders.models import Order
from orders.services import cancel_order, place_order
from sagas.dispatch import remaining_links
from sagas.identifiers import new_id
from sagas.models import SagaRun
from sagas.registry import all_sagas
from sagas.sweep import sweep
from sandbox.stripe_process import SandboxServer
from tests.support.in_memory_broker import Message, MessageQueue
from tests.support.run_clock import A_DAY, advance

IN_STOCK = 5


@dataclass(frozen=True)
class Shop:
    """Places, cancels and recovers orders of one customer; its messages wait in memory."""

    customer: User
    sandbox_stripe: SandboxServer
    messages: MessageQueue

    def place(self, payment_method: str = "pm_card_visa", *, mugs: int = 2) -> Order:
        cart = {"MUG": mugs, "TEE": 1}
        return place_order(new_id(), self.customer, cart, payment_method).order

    def cancel(self, order: Order) -> None:
        self.messages.drop_all()
        cancel_order(order.pk, reason="cancelled_by_customer", actor="alice")

    def deliver_next(self) -> None:
        self.messages.deliver(self.messages.take())

    def take_only(self) -> Message:
        """Take the one message that waits."""
        assert len(self.messages.waiting) == 1
        return self.messages.take()

    def let_time_pass(self) -> None:
        """Expire every lease and end every back-off; every run is due for the sweep."""
        advance(A_DAY)

    def recover(self) -> int:
        """End all waits, sweep once, and deliver what was queued. Returns how many runs were found."""
        self.messages.drop_all()
        self.let_time_pass()
        found = sweep()
        self.messages.deliver_all()
        return found

    def deliver_everything_again(self) -> None:
        """Deliver once more every message that any run of any saga ever needed."""
        definitions = {(saga.name, saga.version): saga for saga in all_sagas()}
        for run in SagaRun.objects.all():
            assert remaining_links(run) == ()
            saga = definitions[run.saga, run.version]
            for link in (*saga.links, saga.compensation_link):
                self.messages.deliver(Message(run.pk, (link,)))
