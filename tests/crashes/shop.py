"""Orders brought to the moment before a message is delivered, and what recovers them later."""

from dataclasses import dataclass
from datetime import timedelta

from django.contrib.auth.models import User
from django.db.models.functions import Now

from orders.models import Order
from orders.services import cancel_order, place_order
from sagas.dispatch import remaining_links
from sagas.identifiers import new_id
from sagas.models import LIVE, SagaRun
from sagas.registry import all_sagas
from sagas.sweep import sweep
from tests.message_queue import Message, MessageQueue
from tests.sandbox_server import SandboxServer

IN_STOCK = 5
LONG_AGO = timedelta(seconds=1)


@dataclass(frozen=True)
class Shop:
    """A shop whose broker has exactly the messages that a test wants it to have."""

    customer: User
    bank: SandboxServer
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

    def let_leases_run_out(self) -> None:
        live = SagaRun.objects.filter(status__in=LIVE)
        live.filter(leased_until__isnull=False).update(leased_until=Now() - LONG_AGO)
        live.update(wake_at=Now() - LONG_AGO)

    def recover(self) -> int:
        """Let time pass until every lease has run out, sweep once, and carry what it queued.

        Returns how many runs the sweep found.
        """
        self.messages.drop_all()
        self.let_leases_run_out()
        found = sweep()
        self.messages.deliver_all()
        return found

    def deliver_everything_again(self) -> None:
        """Every message that any run of any saga ever needed, in a row."""
        definitions = {(each.name, each.version): each for each in all_sagas()}
        for run in SagaRun.objects.all():
            assert remaining_links(run) == ()
            saga = definitions[run.saga, run.version]
            for link in (*saga.links, saga.way_back):
                self.messages.deliver(Message(run.pk, (link,)))


def placed(shop: Shop) -> Order:
    return shop.place()


def placed_with_a_card_to_be_declined(shop: Shop) -> Order:
    return shop.place("pm_card_visa_chargeDeclined")


def placed_for_more_than_there_is(shop: Shop) -> Order:
    return shop.place(mugs=IN_STOCK + 1)


def authorized(shop: Shop) -> Order:
    order = shop.place()
    shop.deliver_next()
    return order


def authorized_and_asked_to_turn_back(shop: Shop) -> Order:
    order = authorized(shop)
    shop.cancel(order)
    return order


def declined(shop: Shop) -> Order:
    order = placed_with_a_card_to_be_declined(shop)
    shop.deliver_next()
    return order


def turned_back_while_authorized(shop: Shop) -> Order:
    order = authorized_and_asked_to_turn_back(shop)
    shop.deliver_next()
    return order


def turned_back_while_nobody_knows_of_the_capture(shop: Shop) -> Order:
    order = authorized(shop)
    shop.bank.add_fault("payment_intents.capture", "reset_after", times=1)
    shop.deliver_next()
    shop.cancel(order)
    shop.deliver_next()
    return order


def cancelled_after_capture(shop: Shop) -> Order:
    order = shop.place()
    shop.messages.deliver_all()
    shop.cancel(order)
    return order
