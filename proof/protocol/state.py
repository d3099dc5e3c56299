"""One state of the modelled world: orders with their rows, the bank, the workers, the faults left.

Plain nested tuples, equal when they look the same. Abstractions: a queued message is only counted
(which link of a chain it names is what the run says when it arrives); fences are not numbers but
the question whether an attempt still holds its run; time is the nemesis letting a lease expire.
"""

from typing import Final, NamedTuple

from proof.protocol.tables import COMPENSATING, PLACED, RUNNING

NO_INTENT: Final = -1

NOT_RESERVED: Final = ""
HELD: Final = "held"
SOLD: Final = "confirmed"
RELEASED: Final = "released"

HELD_BY_WORKER: Final = "leased"
EXPIRED: Final = "expired"


class Request(NamedTuple):
    """What a worker sends to the bank. The key is the operation and its generation."""

    operation: str
    intent: int
    key: int


class Bank(NamedTuple):
    """The bank's account of one order.

    ``intents`` are statuses by number; ``answers`` what is saved under idempotency keys;
    ``flying`` the requests that arrive some time or never, their senders being gone.
    """

    intents: tuple[str, ...] = ()
    answers: frozenset[tuple[str, int, str, int]] = frozenset()
    flying: frozenset[Request] = frozenset()
    may_forget: bool = (
        False  # a key has expired or saved an error: a second intent is nobody's fault
    )


class Payment(NamedTuple):
    status: str = ""
    intent: int = NO_INTENT
    is_closed: bool = False
    refund_intended: bool = False
    key: int = 1
    saved_errors: int = 0


class Run(NamedTuple):
    saga: str = "checkout"
    status: str = RUNNING
    step: str = "reserve_stock"
    lease: str = ""
    tries: int = 0
    turn_back_wished: bool = False
    cause: str = ""  # why it turned back
    begun: frozenset[str] = frozenset()  # actions and undos that the journal knows an attempt of
    undone: frozenset[str] = frozenset()

    @property
    def is_live(self) -> bool:
        return self.status in (RUNNING, COMPENSATING)


class Order(NamedTuple):
    status: str = PLACED
    reservation: str = NOT_RESERVED
    payment: Payment = Payment()
    run: Run = Run()
    messages: int = 1
    bank: Bank = Bank()


class Worker(NamedTuple):
    """A worker in the middle of something; idle ones are not written down.

    ``at`` is where it stands in its call, ``seen`` what it has seen last, ``key`` the generation of
    idempotency keys that it read. ``holds`` says whether its fence is still the run's.
    """

    order: int
    work: str
    holds: bool = True
    is_repeat: bool = False
    at: str = "begin"
    seen: str = ""
    intent: int = NO_INTENT
    key: int = 1
    stale: tuple[Run, ...] = ()  # only where a mutant reads without locking


class Faults(NamedTuple):
    """How often each may still happen."""

    cancels: int = 0  # by the customer: no fault, but nothing to rely on either
    crashes: int = 0  # a worker dies, anywhere
    sleeps: int = 0  # a worker sleeps past its lease and goes on later: the zombie
    silences: int = 0  # no answer from the bank; the request arrives now, later or never
    losses: int = 0  # Redis forgets all messages
    doubles: int = 0  # a message is delivered twice
    expiries: int = 0  # the bank forgets all idempotency keys
    lapses: int = 0  # the bank lets an authorization expire
    errors: int = 0  # the bank answers 500, and saves that under the key


class World(NamedTuple):
    units: int  # on the shelf at the beginning
    shelf: int
    orders: tuple[Order, ...]
    workers: tuple[Worker, ...]
    faults: Faults

    def with_order(self, number: int, order: Order) -> "World":
        return self._replace(orders=(*self.orders[:number], order, *self.orders[number + 1 :]))

    def with_workers(self, *workers: Worker) -> "World":
        """Workers have no names: two worlds that differ in who does what are the same."""
        return self._replace(workers=tuple(sorted(workers)))

    def without(self, worker: Worker) -> "World":
        position = self.workers.index(worker)
        return self._replace(workers=self.workers[:position] + self.workers[position + 1 :])

    def spending(self, fault: str) -> "World":
        left = getattr(self.faults, fault) - 1
        return self._replace(faults=self.faults._replace(**{fault: left}))
