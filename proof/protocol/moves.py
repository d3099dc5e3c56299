"""Everything that can happen next: the moves of the customer, the workers, the sweep, the faults.

*Progress* happens by itself. A *choice* is the customer's: it may happen at any time, and nothing may
rely on it. *Faults* are limited in number, by kind.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from proof.protocol.calls import DONE, REQUESTS, UNKNOWN, Calls, answer_of
from proof.protocol.engine import Engine, expire_lease, queue, request_compensation
from proof.protocol.provider import (
    ACTION,
    AUTHORIZATION_EXPIRED,
    CREATED,
    DECLINED,
    HELD,
    NO_ANSWER,
    SAVED_ERROR,
    ProviderAnswer,
    possible_answers,
    save_error,
)
from proof.protocol.rules import Protocol
from proof.protocol.state import (
    ANNOUNCED,
    HELD_BY_WORKER,
    KEYS_OF_A_PAYMENT,
    NO,
    TOLD,
    YES,
    Order,
    Payment,
    Request,
    Worker,
    World,
)
from proof.protocol.steps import RECALLS
from proof.protocol.tables import (
    ANOTHER_PAYMENT,
    AUTHENTICATION,
    CANCELLING,
    CONFIRMED,
    PREPARED,
    RUNNING,
)

PAYABLE: Final = (AUTHENTICATION, ANOTHER_PAYMENT)

PROGRESS: Final = "progress"
CHOICE: Final = "choice"
FAULT: Final = "fault"


class Move(NamedTuple):
    kind: str
    text: str
    world: World


class Moves:
    """The moves that are possible under one protocol."""

    def __init__(self, protocol: Protocol) -> None:
        self.rules = protocol.rules
        self.scope = protocol.scope
        self.engine = Engine(protocol)
        self.calls = Calls(protocol)

    def beginnings(self) -> list[World]:
        """Return the worlds right after the orders were accepted.

        Without decisions, as for an order that is not reviewed, every wait is over from the start.
        """
        run = self.engine.new_run(self.engine.first)
        waits = () if self.scope.faults.decisions else self.engine.waits_of(run)
        orders = (
            Order(run=run, facts=frozenset((wait, YES) for wait in waits)),
        ) * self.scope.orders
        return [World(units, units, orders, (), self.scope.faults) for units in self.scope.units]

    def of(self, world: World) -> Iterator[Move]:
        """Return every move from ``world``."""
        for number, order in enumerate(world.orders):
            name = f"order {number + 1}: " if len(world.orders) > 1 else ""
            for kind, text, after in self._around(world, number, order):
                yield Move(kind, name + text, after)
        for worker in dict.fromkeys(world.workers):
            name = f"order {worker.order + 1}: " if len(world.orders) > 1 else ""
            overtaken = "" if worker.owns_run else ", overtaken"
            for kind, text, after in self._by(world, worker):
                yield Move(kind, f"{name}{worker.work}{overtaken}: {text}", after)

    def _around(self, world: World, number: int, order: Order) -> Iterator[Move]:
        yield from self._deliver(world, number, order)
        yield from self._sweep(world, number, order)
        yield from self._cancel(world, number, order)
        yield from self._lease_runs_out(world, number, order)
        yield from self._provider_acts_late(world, number, order)
        yield from self._messages_are_lost_or_doubled(world, number, order)
        yield from self._provider_forgets(world, number, order)
        yield from self._time_passes(world, number, order)
        yield from self._decides(world, number, order)
        yield from self._authenticates(world, number, order)
        yield from self._pays_otherwise(world, number, order)

    # -- waiting -----------------------------------------------------------------------------

    def _time_passes(self, world: World, number: int, order: Order) -> Iterator[Move]:
        """The next look at a pending call is due, or the deadline of a wait passes."""
        run = order.run
        if not run.waits_for or run.lease == HELD_BY_WORKER:
            return
        if run.rests:
            due = order._replace(run=run._replace(rests=False, wakes=True))
            yield Move(PROGRESS, "the next look is due", world.with_order(number, due))
        if not run.is_late and run.status == RUNNING:
            late = order._replace(run=run._replace(is_late=True, rests=False, wakes=True))
            yield Move(PROGRESS, "the deadline passes", world.with_order(number, late))

    def _decides(self, world: World, number: int, order: Order) -> Iterator[Move]:
        """A person answers a wait, or a fact comes from outside: a row, and a nudge with it."""
        for wait in self.engine.waits_of(order.run):
            known = dict(order.facts).get(wait, "")
            if known in (YES, NO):
                continue
            for answer in (YES, NO):
                if known == ANNOUNCED + answer:  # in a mutant that nudges first
                    told = order._replace(facts=order.facts - {(wait, known)} | {(wait, answer)})
                    yield Move(
                        PROGRESS, f"{wait}: {answer} commits", world.with_order(number, told)
                    )
                if known or not world.faults.decisions:
                    continue
                fact = answer if self.rules.nudges_with_fact else ANNOUNCED + answer
                told = self.engine.nudged(order._replace(facts=order.facts | {(wait, fact)}))
                answered = world.with_order(number, told).spending("decisions")
                yield Move(CHOICE, f"{wait}: {answer}", answered)

    def _authenticates(self, world: World, number: int, order: Order) -> Iterator[Move]:
        """The customer finishes or fails the authentication; a nudge follows, or is lost on the way."""
        for intent, status in enumerate(order.provider.intents):
            if status != ACTION:
                continue
            for end in (HELD, DECLINED):
                intents = list(order.provider.intents)
                intents[intent] = end
                ended = order._replace(provider=order.provider._replace(intents=tuple(intents)))
                text = f"the customer authenticates: {end}"
                yield Move(CHOICE, text, world.with_order(number, ended))
                told = self.engine.nudged(ended._replace(facts=ended.facts | {TOLD}))
                yield Move(CHOICE, f"{text}, and we hear of it", world.with_order(number, told))

    def _pays_otherwise(self, world: World, number: int, order: Order) -> Iterator[Move]:
        """The customer pays by another card. Mirrors ``orders.services.pay_otherwise``."""
        run = order.run
        if not world.faults.payments or run.status != RUNNING or run.waits_for not in PAYABLE:
            return
        if run.lease and self.rules.replaces_between_calls:
            return
        earlier = (*order.earlier, order.payment._replace(is_closed=True))
        newest = Payment(PREPARED, key=len(earlier) * KEYS_OF_A_PAYMENT + 1)
        replaced = self.engine.nudged(order._replace(payment=newest, earlier=earlier))
        after = world.with_order(number, replaced).spending("payments")
        yield Move(CHOICE, "the customer pays otherwise", after)

    # -- the engine at work ------------------------------------------------------------------

    def _deliver(self, world: World, number: int, order: Order) -> Iterator[Move]:
        """An idle worker takes a message, and performs a phase."""
        if not order.messages or len(world.workers) >= self.scope.workers:
            return
        taken = world.with_order(number, order._replace(messages=order.messages - 1))
        if not self.rules.reads_under_lock:
            worker = Worker(number, "look", at="read", stale=(order,))
            yield Move(
                PROGRESS, "a worker reads the run", taken.with_workers(*taken.workers, worker)
            )
            return
        arrived = self.engine.arrive(taken, number)
        yield Move(
            PROGRESS, f"a worker takes a message: {phase_summary(world, arrived, number)}", arrived
        )
        yield from self._tears(taken, arrived, number)

    def _tears(self, before: World, after: World, number: int) -> Iterator[Move]:
        """In mutants: the stock has moved, and the worker dies before it journals that."""
        rules, is_compensation = self.rules, after.shelf > before.shelf
        together = (
            rules.journals_with_compensation if is_compensation else rules.journals_with_effect
        )
        if together or not before.faults.crashes or after.shelf == before.shelf:
            return
        reservation = after.orders[number].reservation
        torn = before.with_order(
            number, before.orders[number]._replace(reservation=reservation)
        )._replace(shelf=after.shelf)
        text = "a worker dies between an effect and its journal row"
        yield Move(FAULT, text, torn.spending("crashes"))

    def _sweep(self, world: World, number: int, order: Order) -> Iterator[Move]:
        """A live run that no worker advances is queued."""
        idle = order.run.is_live and not order.messages and order.run.lease != HELD_BY_WORKER
        idle = idle and (order.run.wakes or bool(order.run.lease))
        if idle and self.rules.sweeps:
            yield Move(PROGRESS, "the sweep queues it", world.with_order(number, queue(order)))

    def _lease_runs_out(self, world: World, number: int, order: Order) -> Iterator[Move]:
        """Time passes. A live worker outlasts its lease only by sleeping, which is a fault."""
        if order.run.lease != HELD_BY_WORKER or not self.rules.leases_expire:
            return
        expired = expire_lease(world, number)
        if not any(worker.order == number and worker.owns_run for worker in world.workers):
            yield Move(PROGRESS, "the dead worker's lease runs out", expired)
        elif world.faults.sleeps:
            yield Move(FAULT, "a worker sleeps past its lease", expired.spending("sleeps"))

    # -- the customer ------------------------------------------------------------------------

    def _cancel(self, world: World, number: int, order: Order) -> Iterator[Move]:
        """Mirrors ``orders.services.cancel_order``."""
        if not world.faults.cancels:
            return
        if order.run.is_live:
            if order.run.saga == self.engine.cancellation:
                return
            requested = request_compensation(order)
            if requested is order:
                return
        elif order.status == CONFIRMED:
            requested = queue(
                order._replace(status=CANCELLING, run=self.engine.new_run(self.engine.cancellation))
            )
        else:
            return
        world = world.with_order(number, requested).spending("cancels")
        yield Move(CHOICE, "the customer cancels", world)

    # -- a worker in the middle of something -------------------------------------------------

    def _by(self, world: World, worker: Worker) -> Iterator[Move]:
        if worker.at == "read":
            order = world.orders[worker.order]
            acted = self.engine.arrive(world.without(worker), worker.order, worker.stale[0])
            yield Move(PROGRESS, f"acts on what it read: {order.status}", acted)
        elif worker.at == "answer":
            settled = self.engine.settle(world, worker)
            summary = phase_summary(world, settled, worker.order)
            yield Move(PROGRESS, f"settles {worker.seen}: {summary}", settled)
            yield from self._dies(world, worker)
            yield from self._tears(world.without(worker), settled, worker.order)
        elif worker.at in REQUESTS:
            yield from self._asks(world, worker)
        elif self.engine.effects[worker.work] == RECALLS:
            yield self._recalls_children(world, worker)
            yield from self._dies(world, worker)
        elif self.calls.asks_another_system(worker):
            yield from self._asks_another_system(world, worker)
        else:
            yield self._writes(world, worker)
            yield from self._dies(world, worker)

    def _asks(self, world: World, worker: Worker) -> Iterator[Move]:
        """The provider answers or fails, or the worker receives no answer, or dies."""
        number = worker.order
        order = world.orders[number]
        request = self.calls.request(worker)
        for suffix, provider, answer in possible_answers(order.provider, request):
            received = self._receives(world, worker, order._replace(provider=provider), answer)
            yield Move(PROGRESS, worker.at + suffix, received)
            if world.faults.errors and request.operation not in (
                "find",
                "retrieve",
                "list_refunds",
            ):
                yield from self._fails_at_the_provider(
                    world, worker, request, order._replace(provider=provider)
                )
        yield from self._must_authenticate(world, worker, request, order)
        in_flight = self._sent(order, request)
        if world.faults.no_answers:
            silent = self._receives(world, worker, in_flight, ProviderAnswer(NO_ANSWER)).spending(
                "no_answers"
            )
            yield Move(FAULT, f"{worker.at}, and gets no answer", silent)
        if world.faults.crashes:
            dead = world.without(worker).with_order(number, in_flight).spending("crashes")
            yield Move(FAULT, f"{worker.at}: the worker dies", dead)

    def _must_authenticate(
        self, world: World, worker: Worker, request: Request, order: Order
    ) -> Iterator[Move]:
        """The provider asks the customer to authenticate, before it holds any money."""
        intents = order.provider.intents
        is_new = request.operation == "confirm" and intents[request.intent] == CREATED
        is_replay = any(
            saved[:2] == (request.operation, request.key) for saved in order.provider.answers
        )
        if not is_new or is_replay or not world.faults.authentications:
            return
        waiting = (*intents[: request.intent], ACTION, *intents[request.intent + 1 :])
        provider = order.provider._replace(intents=waiting)
        answer = ProviderAnswer(ACTION, request.intent)
        received = self._receives(world, worker, order._replace(provider=provider), answer)
        yield Move(FAULT, "confirm, action", received.spending("authentications"))

    def _asks_another_system(self, world: World, worker: Worker) -> Iterator[Move]:
        """The system answers, or the worker receives no answer, or dies.

        The model stores nothing of the system. So it makes no difference whether the system acted
        before the answer was lost.
        """
        others = world.without(worker)
        for answered in self.calls.answers_of_another_system(worker):
            text = f"asks, {answered.seen.partition(':')[0]}"
            yield Move(PROGRESS, text, others.with_workers(*others.workers, answered))
        if world.faults.no_answers:
            silent = others.with_workers(*others.workers, answer_of(worker, UNKNOWN))
            yield Move(FAULT, "asks, and gets no answer", silent.spending("no_answers"))
        yield from self._dies(world, worker)

    def _recalls_children(self, world: World, worker: Worker) -> Move:
        """Request that the live children compensate; the answer is pending while one is live.

        Mirrors ``sagas/children.py``.
        """
        live = [
            number
            for number, order in enumerate(world.orders)
            if order.parent == worker.order and order.run.is_live
        ]
        for number in live:
            world = world.with_order(number, request_compensation(world.orders[number]))
        answered = self.calls.pending(worker) if live else answer_of(worker, DONE)
        others = world.without(worker)
        return Move(PROGRESS, "calls back", others.with_workers(*others.workers, answered))

    def _receives(
        self, world: World, worker: Worker, order: Order, answer: ProviderAnswer
    ) -> World:
        payment = order.payment_of(worker.key)
        after, payment = self.calls.receive(worker, payment, answer)
        world = world.without(worker).with_order(worker.order, order.with_payment(payment))
        return world.with_workers(*world.workers, after)

    def _fails_at_the_provider(
        self, world: World, worker: Worker, request: Request, acted: Order
    ) -> Iterator[Move]:
        """The provider saves a 500 under the key; it may have acted before."""
        untouched = world.orders[worker.order]
        for words, order in (("before", untouched), ("after", acted)):
            failed = order._replace(provider=save_error(order.provider, request))
            received = self._receives(world, worker, failed, ProviderAnswer(SAVED_ERROR)).spending(
                "errors"
            )
            yield Move(FAULT, f"{worker.at}: a 500 {words} the provider acted, saved", received)

    def _sent(self, order: Order, request: Request) -> Order:
        """Put a request in flight. A read does nothing when it arrives."""
        if request.operation in ("find", "retrieve", "list_refunds"):
            return order
        in_flight = order.provider.in_flight | {request}
        return order._replace(provider=order.provider._replace(in_flight=in_flight))

    def _writes(self, world: World, worker: Worker) -> Move:
        """The worker reads, or commits a short transaction, between two requests."""
        order = world.orders[worker.order]
        after: Worker | None
        if worker.at == "begin":
            after, payment = self.calls.begin(worker, order)
        elif worker.at == "store":
            after, payment = self.calls.store(worker, order.payment_of(worker.key))
        else:
            after, payment = self.calls.checkpoint(worker, order.payment_of(worker.key))
        world = world.without(worker).with_order(worker.order, order.with_payment(payment))
        if after is None:
            return Move(PROGRESS, f"{worker.at}: the lease is lost", world)
        return Move(PROGRESS, worker.at, world.with_workers(*world.workers, after))

    def _dies(self, world: World, worker: Worker) -> Iterator[Move]:
        if world.faults.crashes:
            dead = world.without(worker).spending("crashes")
            yield Move(FAULT, f"the worker dies before: {worker.at}", dead)

    # -- faults ------------------------------------------------------------------------------

    def _provider_acts_late(self, world: World, number: int, order: Order) -> Iterator[Move]:
        """A request arrives whose sender is dead, or no longer waits."""
        for request in order.provider.in_flight:
            provider = order.provider._replace(in_flight=order.provider.in_flight - {request})
            for suffix, acted, _ in possible_answers(provider, request):
                text = f"a {request.operation} arrives late at the provider{suffix}"
                late = world.with_order(number, order._replace(provider=acted))
                yield Move(FAULT, text, late)

    def _messages_are_lost_or_doubled(
        self, world: World, number: int, order: Order
    ) -> Iterator[Move]:
        if not order.messages:
            return
        if world.faults.losses:
            empty = tuple(order._replace(messages=0) for order in world.orders)
            yield Move(FAULT, "Redis is flushed", world._replace(orders=empty).spending("losses"))
        doubled = queue(order)
        if world.faults.doubles and doubled != order:
            twice = world.with_order(number, doubled).spending("doubles")
            yield Move(FAULT, "a message is doubled", twice)

    def _provider_forgets(self, world: World, number: int, order: Order) -> Iterator[Move]:
        provider = order.provider
        if world.faults.expiries and provider.answers:
            forgot = provider._replace(answers=frozenset(), may_forget=True)
            world_then = world.with_order(number, order._replace(provider=forgot))
            yield Move(FAULT, "the provider forgets its keys", world_then.spending("expiries"))
        if world.faults.expirations and HELD in provider.intents:
            expired = provider._replace(
                intents=tuple(
                    AUTHORIZATION_EXPIRED if intent == HELD else intent
                    for intent in provider.intents
                )
            )
            world_then = world.with_order(number, order._replace(provider=expired))
            yield Move(FAULT, "the authorization expires", world_then.spending("expirations"))


def phase_summary(before: World, after: World, number: int) -> str:
    """Return what a phase did, in the words of the order's rows."""
    was, is_ = before.orders[number], after.orders[number]
    if after.workers != before.workers and is_.run.lease == HELD_BY_WORKER != was.run.lease:
        claimed = next(
            worker.work for worker in after.workers if worker.order == number and worker.owns_run
        )
        return f"{is_.status}, claims {claimed}"
    if was.run == is_.run:
        return "nothing to do"
    return f"{is_.status}, {is_.run.status} {is_.run.step}".rstrip()
