"""Everything that can happen next: the moves of the customer, the workers, the sweep, the faults.

Three kinds. *Progress* goes on by itself. *Choice* is the customer's: it may happen at any time, and
nothing may rely on it. *Faults* are the nemesis', and only so many of each happen.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from proof.protocol.bank import (
    HELD,
    LAPSED,
    NO_ANSWER,
    SAVED_ERROR,
    Answer,
    answers,
    save_error,
)
from proof.protocol.calls import REQUESTS, Calls
from proof.protocol.engine import Engine, expire_lease, queue
from proof.protocol.rules import Protocol
from proof.protocol.state import (
    HELD_BY_WORKER,
    Order,
    Request,
    Run,
    Worker,
    World,
)
from proof.protocol.tables import CANCELLING, COMPENSATING, CONFIRMED

PROGRESS: Final = "progress"
CHOICE: Final = "choice"
FAULT: Final = "fault"


class Move(NamedTuple):
    kind: str
    says: str
    world: World


class Moves:
    """The moves that are possible under one protocol."""

    def __init__(self, protocol: Protocol) -> None:
        self.rules = protocol.rules
        self.scope = protocol.scope
        self.engine = Engine(protocol)
        self.calls = Calls(protocol)

    def beginnings(self) -> list[World]:
        """Return the worlds in which the orders have just been accepted."""
        orders = (Order(),) * self.scope.orders
        return [World(units, units, orders, (), self.scope.faults) for units in self.scope.units]

    def of(self, world: World) -> Iterator[Move]:
        """Return every move from ``world``."""
        for number, order in enumerate(world.orders):
            name = f"order {number + 1}: " if len(world.orders) > 1 else ""
            for kind, says, after in self._around(world, number, order):
                yield Move(kind, name + says, after)
        for worker in dict.fromkeys(world.workers):
            name = f"order {worker.order + 1}: " if len(world.orders) > 1 else ""
            overtaken = "" if worker.holds else ", overtaken"
            for kind, says, after in self._by(world, worker):
                yield Move(kind, f"{name}{worker.work}{overtaken}: {says}", after)

    def _around(self, world: World, number: int, order: Order) -> Iterator[Move]:
        yield from self._deliver(world, number, order)
        yield from self._sweep(world, number, order)
        yield from self._cancel(world, number, order)
        yield from self._lease_runs_out(world, number, order)
        yield from self._bank_acts_late(world, number, order)
        yield from self._messages_go_astray(world, number, order)
        yield from self._bank_forgets(world, number, order)

    # -- the engine at work ------------------------------------------------------------------

    def _deliver(self, world: World, number: int, order: Order) -> Iterator[Move]:
        """An idle worker takes a message, and carries out a phase."""
        if not order.messages or len(world.workers) >= self.scope.workers:
            return
        taken = world.with_order(number, order._replace(messages=order.messages - 1))
        if not self.rules.reads_under_lock:
            worker = Worker(number, "look", at="read", stale=(order.run,))
            yield Move(
                PROGRESS, "a worker reads the run", taken.with_workers(*taken.workers, worker)
            )
            return
        arrived = self.engine.arrive(taken, number)
        yield Move(PROGRESS, f"a worker takes a message: {told(world, arrived, number)}", arrived)
        yield from self._tears(taken, arrived, number)

    def _tears(self, before: World, after: World, number: int) -> Iterator[Move]:
        """Of mutants: the stock has moved, and the worker dies before the journal knows."""
        rules, is_undo = self.rules, after.shelf > before.shelf
        together = rules.journals_with_undo if is_undo else rules.journals_with_effect
        if together or not before.faults.crashes or after.shelf == before.shelf:
            return
        reservation = after.orders[number].reservation
        torn = before.with_order(
            number, before.orders[number]._replace(reservation=reservation)
        )._replace(shelf=after.shelf)
        says = "a worker dies between an effect and its journal row"
        yield Move(FAULT, says, torn.spending("crashes"))

    def _sweep(self, world: World, number: int, order: Order) -> Iterator[Move]:
        """A live run that nobody carries is queued."""
        idle = order.run.is_live and not order.messages and order.run.lease != HELD_BY_WORKER
        if idle and self.rules.sweeps:
            yield Move(PROGRESS, "the sweep queues it", world.with_order(number, queue(order)))

    def _lease_runs_out(self, world: World, number: int, order: Order) -> Iterator[Move]:
        """Time passes. A live worker outlasts its lease only by sleeping: that is a fault."""
        if order.run.lease != HELD_BY_WORKER or not self.rules.leases_expire:
            return
        expired = expire_lease(world, number)
        if not any(each.order == number and each.holds for each in world.workers):
            yield Move(PROGRESS, "the dead worker's lease runs out", expired)
        elif world.faults.sleeps:
            yield Move(FAULT, "a worker sleeps past its lease", expired.spending("sleeps"))

    # -- the customer ------------------------------------------------------------------------

    def _cancel(self, world: World, number: int, order: Order) -> Iterator[Move]:
        """Mirrors ``orders.services.cancel_order``."""
        if not world.faults.cancels:
            return
        run = order.run
        if run.is_live:
            if run.status == COMPENSATING or run.turn_back_wished or run.saga != "checkout":
                return
            wished = queue(order._replace(run=run._replace(turn_back_wished=True)))
        elif order.status == CONFIRMED:
            wished = queue(
                order._replace(
                    status=CANCELLING, run=Run(saga="cancellation", step="return_payment")
                )
            )
        else:
            return
        world = world.with_order(number, wished).spending("cancels")
        yield Move(CHOICE, "the customer cancels", world)

    # -- a worker in the middle of something -------------------------------------------------

    def _by(self, world: World, worker: Worker) -> Iterator[Move]:
        if worker.at == "read":
            order = world.orders[worker.order]
            acted = self.engine.arrive(world.without(worker), worker.order, worker.stale[0])
            yield Move(PROGRESS, f"acts on what it read: {order.status}", acted)
        elif worker.at == "answer":
            settled = self.engine.settle(world, worker)
            told_so = told(world, settled, worker.order)
            yield Move(PROGRESS, f"settles {worker.seen}: {told_so}", settled)
            yield from self._dies(world, worker)
            yield from self._tears(world.without(worker), settled, worker.order)
        elif worker.at in REQUESTS:
            yield from self._asks(world, worker)
        else:
            yield self._writes(world, worker)
            yield from self._dies(world, worker)

    def _asks(self, world: World, worker: Worker) -> Iterator[Move]:
        """The bank is asked, and answers; or fails; or the worker hears nothing, or dies."""
        number = worker.order
        order = world.orders[number]
        request = self.calls.request(worker)
        for suffix, bank, said in answers(order.bank, request):
            heard = self._hears(world, worker, order._replace(bank=bank), said)
            yield Move(PROGRESS, worker.at + suffix, heard)
            if world.faults.errors and request.operation not in (
                "find",
                "retrieve",
                "list_refunds",
            ):
                yield from self._fails_at_the_bank(
                    world, worker, request, order._replace(bank=bank)
                )
        flying = self._sent(order, request)
        if world.faults.silences:
            silent = self._hears(world, worker, flying, Answer(NO_ANSWER)).spending("silences")
            yield Move(FAULT, f"{worker.at}, and gets no answer", silent)
        if world.faults.crashes:
            dead = world.without(worker).with_order(number, flying).spending("crashes")
            yield Move(FAULT, f"{worker.at}: the worker dies", dead)

    def _hears(self, world: World, worker: Worker, order: Order, said: Answer) -> World:
        after, payment = self.calls.hear(worker, order.payment, said)
        world = world.without(worker).with_order(worker.order, order._replace(payment=payment))
        return world.with_workers(*world.workers, after)

    def _fails_at_the_bank(
        self, world: World, worker: Worker, request: Request, acted: Order
    ) -> Iterator[Move]:
        """A 500, saved under the key; the bank may have acted before it failed."""
        untouched = world.orders[worker.order]
        for words, order in (("before", untouched), ("after", acted)):
            failed = order._replace(bank=save_error(order.bank, request))
            heard = self._hears(world, worker, failed, Answer(SAVED_ERROR)).spending("errors")
            yield Move(FAULT, f"{worker.at}: a 500 {words} the bank acted, saved", heard)

    def _sent(self, order: Order, request: Request) -> Order:
        """The request is on its way. One that only reads does nothing when it arrives."""
        if request.operation in ("find", "retrieve", "list_refunds"):
            return order
        flying = order.bank.flying | {request}
        return order._replace(bank=order.bank._replace(flying=flying))

    def _writes(self, world: World, worker: Worker) -> Move:
        """A read or a short transaction of ours between two requests."""
        order = world.orders[worker.order]
        after: Worker | None
        if worker.at == "begin":
            after, payment = self.calls.begin(worker, order)
        elif worker.at == "store":
            after, payment = self.calls.store(worker, order.payment)
        else:
            after, payment = self.calls.checkpoint(worker, order.payment)
        world = world.without(worker).with_order(worker.order, order._replace(payment=payment))
        if after is None:
            return Move(PROGRESS, f"{worker.at}: the lease is lost", world)
        return Move(PROGRESS, worker.at, world.with_workers(*world.workers, after))

    def _dies(self, world: World, worker: Worker) -> Iterator[Move]:
        if world.faults.crashes:
            dead = world.without(worker).spending("crashes")
            yield Move(FAULT, f"the worker dies before: {worker.at}", dead)

    # -- the nemesis -------------------------------------------------------------------------

    def _bank_acts_late(self, world: World, number: int, order: Order) -> Iterator[Move]:
        """A request arrives whose sender is dead, or has stopped waiting."""
        for request in order.bank.flying:
            bank = order.bank._replace(flying=order.bank.flying - {request})
            for suffix, acted, _ in answers(bank, request):
                says = f"a {request.operation} arrives late at the bank{suffix}"
                late = world.with_order(number, order._replace(bank=acted))
                yield Move(FAULT, says, late)

    def _messages_go_astray(self, world: World, number: int, order: Order) -> Iterator[Move]:
        if not order.messages:
            return
        if world.faults.losses:
            empty = tuple(each._replace(messages=0) for each in world.orders)
            yield Move(FAULT, "Redis is flushed", world._replace(orders=empty).spending("losses"))
        doubled = queue(order)
        if world.faults.doubles and doubled != order:
            twice = world.with_order(number, doubled).spending("doubles")
            yield Move(FAULT, "a message is doubled", twice)

    def _bank_forgets(self, world: World, number: int, order: Order) -> Iterator[Move]:
        bank = order.bank
        if world.faults.expiries and bank.answers:
            forgot = bank._replace(answers=frozenset(), may_forget=True)
            world_then = world.with_order(number, order._replace(bank=forgot))
            yield Move(FAULT, "the bank forgets its keys", world_then.spending("expiries"))
        if world.faults.lapses and HELD in bank.intents:
            lapsed = bank._replace(
                intents=tuple(LAPSED if each == HELD else each for each in bank.intents)
            )
            world_then = world.with_order(number, order._replace(bank=lapsed))
            yield Move(FAULT, "the authorization expires", world_then.spending("lapses"))


def told(before: World, after: World, number: int) -> str:
    """What a phase did, in the words of the order's rows."""
    was, is_ = before.orders[number], after.orders[number]
    if after.workers != before.workers and is_.run.lease == HELD_BY_WORKER != was.run.lease:
        claimed = next(each.work for each in after.workers if each.order == number and each.holds)
        return f"{is_.status}, claims {claimed}"
    if was.run == is_.run:
        return "nothing to do"
    return f"{is_.status}, {is_.run.status} {is_.run.step}".rstrip()
