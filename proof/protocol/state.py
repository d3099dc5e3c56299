"""One state of the modelled world: orders with their rows, the provider, the workers, the faults left.

States are nested tuples, equal if they have the same content. Three things are simplified. Queued
messages are only counted, because the run decides what a message does. A fence is not a number but
whether an attempt still owns its run. Time passes only as an expired lease.
"""

from typing import Final, NamedTuple

from proof.protocol.tables import COMPENSATING, PLACED, RUNNING

NO_INTENT: Final = -1
NO_PARENT: Final = -1

NOT_RESERVED: Final = ""
HELD: Final = "held"
SOLD: Final = "confirmed"
RELEASED: Final = "released"

HELD_BY_WORKER: Final = "leased"
EXPIRED: Final = "expired"

YES: Final = "yes"
NO: Final = "no"
ANNOUNCED: Final = "announced: "
"""Before an answer whose nudge has come, and which is not committed yet; only in a mutant."""

TOLD: Final = ("provider", "told")
"""The fact that we heard of a change at the provider, until a call has looked."""


class Request(NamedTuple):
    """A request to the provider. Its idempotency key is the operation and the number ``key``."""

    operation: str
    intent: int
    key: int


class Provider(NamedTuple):
    """What the provider has of one order.

    ``intents`` are statuses by number, ``answers`` those saved under idempotency keys, and
    ``in_flight`` the requests without a sender, which arrive some time or never.
    """

    intents: tuple[str, ...] = ()
    answers: frozenset[tuple[str, int, str, int]] = frozenset()
    in_flight: frozenset[Request] = frozenset()
    may_forget: bool = False  # a key has expired or has a saved error: a second intent is no fault


KEYS_OF_A_PAYMENT: Final = 10
"""Idempotency keys 1 to 9 are of an order's first payment, 11 to 19 of its second, and so on."""


class Payment(NamedTuple):
    status: str = ""
    intent: int = NO_INTENT
    is_closed: bool = False
    refund_prepared: bool = False
    key: int = 1
    saved_errors: int = 0


class Run(NamedTuple):
    saga: str = "checkout"
    status: str = RUNNING
    step: str = ""
    lease: str = ""
    retry_count: int = 0
    compensation_requested: bool = False
    cause: str = ""  # why it compensates
    begun: frozenset[str] = frozenset()  # actions and compensations with a journalled attempt
    compensations_done: frozenset[str] = frozenset()
    waits_for: str = ""
    is_late: bool = False  # the deadline of the wait has passed
    rests: bool = False  # it waits, and its next look is not due
    nudged: bool = False  # a nudge has come that no phase has seen
    wakes: bool = True  # the time has come at which the sweep queues it

    @property
    def is_live(self) -> bool:
        return self.status in (RUNNING, COMPENSATING)


class Order(NamedTuple):
    status: str = PLACED
    reservation: str = NOT_RESERVED
    payment: Payment = Payment()
    run: Run = Run()
    messages: int = 1
    provider: Provider = Provider()
    facts: frozenset[tuple[str, str]] = frozenset()  # the answer to each wait, once it is there
    parent: int = NO_PARENT
    earlier: tuple[Payment, ...] = ()  # those that the customer replaced, oldest first

    @property
    def payments(self) -> tuple[Payment, ...]:
        return (*self.earlier, self.payment)

    def payment_of(self, key: int) -> Payment:
        """Return the payment to which this idempotency key belongs."""
        return self.payments[key // KEYS_OF_A_PAYMENT]

    def with_payment(self, payment: Payment) -> "Order":
        """Return the order with this payment in place of the one with the same keys."""
        number = payment.key // KEYS_OF_A_PAYMENT
        if number == len(self.earlier):
            return self._replace(payment=payment)
        return self._replace(earlier=(*self.earlier[:number], payment, *self.earlier[number + 1 :]))


class Worker(NamedTuple):
    """A worker in the middle of a phase or a call; idle workers are not part of a state.

    ``at`` is its position in the call, ``seen`` the last status or result, ``key`` the number of the
    idempotency key that it read. ``owns_run`` says whether its fence is still the run's.
    """

    order: int
    work: str
    owns_run: bool = True
    is_repeat: bool = False
    at: str = "begin"
    seen: str = ""
    intent: int = NO_INTENT
    key: int = 1
    stale: tuple[Order, ...] = ()  # only in a mutant that reads without locking


class Faults(NamedTuple):
    """How often each fault may still happen."""

    cancels: int = 0  # by the customer: not a fault, but nothing may rely on it
    crashes: int = 0  # a worker dies, anywhere
    sleeps: int = 0  # a worker sleeps past its lease and goes on later: the zombie
    no_answers: int = 0  # no answer from the provider; the request arrives now, later or never
    losses: int = 0  # Redis forgets all messages
    doubles: int = 0  # a message is delivered twice
    expiries: int = 0  # the provider forgets all idempotency keys
    expirations: int = 0  # the provider lets an authorization expire
    errors: int = 0  # the provider answers 500, and saves that under the key
    authentications: int = 0  # the provider asks the customer to authenticate
    decisions: int = 0  # a person answers a wait: not a fault, but nothing may rely on it
    payments: int = 0  # the customer pays otherwise: not a fault, but nothing may rely on it


class World(NamedTuple):
    units: int  # on the shelf at the start
    shelf: int
    orders: tuple[Order, ...]
    workers: tuple[Worker, ...]
    faults: Faults

    def with_order(self, number: int, order: Order) -> "World":
        return self._replace(orders=(*self.orders[:number], order, *self.orders[number + 1 :]))

    def with_workers(self, *workers: Worker) -> "World":
        """Return the world with these workers, sorted: workers have no identity."""
        return self._replace(workers=tuple(sorted(workers)))

    def without(self, worker: Worker) -> "World":
        position = self.workers.index(worker)
        return self._replace(workers=self.workers[:position] + self.workers[position + 1 :])

    def spending(self, fault: str) -> "World":
        left = getattr(self.faults, fault) - 1
        return self._replace(faults=self.faults._replace(**{fault: left}))
