"""The saga engine: what one transaction does with a run. Mirrors ``sagas/phase.py``.

A phase settles an answer, turns back where asked, does the local steps that are due, and claims the
next remote one; all of it commits at once, and so is one move.
"""

from proof.protocol.rules import Protocol
from proof.protocol.state import (
    EXPIRED,
    HELD,
    HELD_BY_WORKER,
    NOT_RESERVED,
    RELEASED,
    SOLD,
    Order,
    Payment,
    Run,
    Worker,
    World,
)
from proof.protocol.tables import (
    AUTHORIZED,
    CANCELLATION,
    CANCELLED,
    CANCELLING,
    CAPTURED,
    COMPENSATED,
    COMPENSATING,
    COMPLETED,
    CONFIRMED,
    INTENDED,
    RUNNING,
    Step,
)

DONE = "done"
REJECTED = "rejected"
UNKNOWN = "unknown"
FAILED = "failed"

MOST_MESSAGES = 2
"""A third message for the same run could do nothing that a second cannot."""

RECORDED_AS = {"authorize_payment": AUTHORIZED, "capture_payment": CAPTURED}


class Engine:
    """The phases of runs, under the rules of one protocol."""

    def __init__(self, protocol: Protocol) -> None:
        self.rules = protocol.rules
        self.patience = protocol.scope.patience
        self.sagas = {"checkout": self.rules.checkout, "cancellation": CANCELLATION}
        self.undos = {each.compensation: each for each in self.rules.checkout}

    # -- taking up ---------------------------------------------------------------------------

    def arrive(self, world: World, number: int, stale: Run | None = None) -> World:
        """Carry out the phase of a worker that comes with a message only."""
        order = world.orders[number]
        run = order.run if stale is None else stale
        if not run.is_live or run.lease == HELD_BY_WORKER:
            return world
        world = fence_off(world, number)
        order = order._replace(run=run._replace(lease=""))
        return self._carry_on(world.with_order(number, order), number)

    def settle(self, world: World, worker: Worker) -> World:
        """Carry out the phase of a worker that comes back from its call.

        One that lost the run meanwhile writes nothing.
        """
        number = worker.order
        order = world.orders[number]
        world = world.without(worker)
        if not self._goes_the_same_way(worker, order.run):
            return world
        if self.rules.fences_settling and not worker.holds:
            return world
        world = fence_off(world, number)
        order = order._replace(run=order.run._replace(lease=""))
        if not self.rules.journals_before_call:
            order = journal(order, worker.work)
        outcome, _, answer = worker.seen.partition(":")
        if outcome == REJECTED:
            return world.with_order(number, self._start_compensating(order, answer))
        if outcome != DONE:
            return self._unanswered(world, order, worker, outcome)
        order = self._done(record(order, worker.work, answer), worker.work)
        return self._carry_on(world.with_order(number, order), number, link=self._queue(worker))

    def _goes_the_same_way(self, worker: Worker, run: Run) -> bool:
        if worker.work in self.undos:
            return run.status == COMPENSATING
        names = {each.name for each in self.sagas[run.saga]}
        return run.status == RUNNING and worker.work in names

    def _queue(self, worker: Worker) -> str:
        if worker.work in self.undos:
            return ""
        return next(
            each.queue for saga in self.sagas.values() for each in saga if each.name == worker.work
        )

    def _done(self, order: Order, work: str) -> Order:
        run = order.run
        if run.status == COMPENSATING:
            return order._replace(run=run._replace(undone=run.undone | {work}))
        if run.turn_back_wished and self.rules.minds_wish_at_the_end:
            return order
        names = [each.name for each in self.sagas[run.saga]]
        after = (*names, "")[names.index(work) + 1]
        return order._replace(run=run._replace(step=after, tries=0))

    def _unanswered(self, world: World, order: Order, worker: Worker, outcome: str) -> World:
        """No yes and no no: patience is spent, or a message comes back after the back-off."""
        number, run = worker.order, order.run
        if run.status == COMPENSATING:  # an undo that must wait lets the next go on
            return self._carry_on(world.with_order(number, order), number, resting=worker.work)
        if outcome == FAILED:
            run = run._replace(tries=max(run.tries - 1, 0))
        elif not self._step(run).is_patient and run.tries >= self.patience:
            return world.with_order(number, self._start_compensating(order, "unanswered"))
        return world.with_order(number, queue(order._replace(run=run)))

    # -- carrying on -------------------------------------------------------------------------

    def _carry_on(self, world: World, number: int, *, link: str = "", resting: str = "") -> World:
        """Do what is due until a call must be made, the link ends, or nothing is left."""
        while True:
            order = world.orders[number]
            run = order.run
            if run.status == COMPENSATING:
                work, is_remote = self._next_compensation(run, resting)
            elif run.turn_back_wished and (run.step or self.rules.minds_wish_at_the_end):
                return world.with_order(number, self._start_compensating(order, "asked"))
            elif not run.step:
                return world.with_order(number, end(order))
            else:
                step = self._step(run)
                link = link or step.queue
                if step.queue != link:  # the chain's next message
                    return world.with_order(number, queue(order))
                work, is_remote = step.name, step.is_remote
            if not work:
                order = queue(order) if resting else end(order)
                return world.with_order(number, order)
            if is_remote:
                return self._claim(world, number, work)
            world, refusal = self._act(world, number, work)
            order = world.orders[number]
            if refusal:
                return world.with_order(number, self._start_compensating(order, refusal))
            order = self._done(journal(order, work), work)
            world = world.with_order(number, order)

    def _next_compensation(self, run: Run, resting: str) -> tuple[str, bool]:
        """Return the undo that is due, last step first; empty when none is."""
        for step in reversed(self.sagas[run.saga]):
            is_owed = step.name in run.begun and step.compensation not in run.undone
            if is_owed and step.compensation != resting:
                return step.compensation, step.compensation_is_remote
        return "", False

    def _step(self, run: Run) -> Step:
        return next(each for each in self.sagas[run.saga] if each.name == run.step)

    def _claim(self, world: World, number: int, work: str) -> World:
        order = world.orders[number]
        run = order.run
        if run.status == RUNNING:
            if not self._step(run).is_patient and run.tries >= self.patience:
                return world.with_order(number, self._start_compensating(order, "unanswered"))
            run = run._replace(tries=min(run.tries + 1, self.patience))
        order = intend(order, work)
        worker = Worker(number, work, is_repeat=work in run.begun)
        order = order._replace(run=run._replace(lease=HELD_BY_WORKER))
        if self.rules.journals_before_call:
            order = journal(order, work)
        return world.with_order(number, order).with_workers(*world.workers, worker)

    def _start_compensating(self, order: Order, cause: str) -> Order:
        cause = "asked" if order.run.turn_back_wished else cause
        begun = order.run.begun
        if not self.rules.undoes_what_was_begun:
            begun -= {order.run.step}
        run = order.run._replace(status=COMPENSATING, step="", tries=0, cause=cause, begun=begun)
        return queue(order._replace(status=CANCELLING, run=run))

    # -- local steps -------------------------------------------------------------------------

    def _act(self, world: World, number: int, work: str) -> tuple[World, str]:
        """Do a local step, and return the world with it and why it is refused, if it is."""
        order = world.orders[number]
        if work == "reserve_stock":
            if world.shelf == 0 and self.rules.counts_under_lock:
                return world, "out_of_stock"
            order = order._replace(reservation=HELD)
            world = world._replace(shelf=world.shelf - 1)
        elif work == "confirm_order":
            if order.reservation != HELD:
                return world, "stock_lost"
            order = order._replace(reservation=SOLD, status=CONFIRMED)
        elif work in ("release_stock", "restock"):
            if order.reservation in (HELD, SOLD) or not self.rules.releases_once:
                world = world._replace(shelf=world.shelf + 1)
            if order.reservation != NOT_RESERVED:
                order = order._replace(reservation=RELEASED)
        elif work == "finish_cancelling":
            order = order._replace(status=CANCELLED)
        return world.with_order(number, order), ""


def fence_off(world: World, number: int) -> World:
    """Raise the fence: no attempt that is under way for this order holds its run any more."""
    if not any(each.order == number and each.holds for each in world.workers):
        return world
    return world.with_workers(
        *(each._replace(holds=False) if each.order == number else each for each in world.workers)
    )


def intend(order: Order, work: str) -> Order:
    """Write down, with the claim, what the bank is about to be asked for."""
    payment = order.payment
    if work == "authorize_payment":
        return order if payment.status else order._replace(payment=Payment(INTENDED))
    if work != "capture_payment":
        return order._replace(payment=payment._replace(is_closed=True))
    return order


def record(order: Order, work: str, answer: str) -> Order:
    """Write down, with the answer, what became of the money."""
    payment = order.payment
    if work not in RECORDED_AS:
        return order._replace(payment=payment._replace(status=answer))
    if payment.is_closed:
        return order
    return order._replace(payment=payment._replace(status=RECORDED_AS[work]))


def journal(order: Order, work: str) -> Order:
    return order._replace(run=order.run._replace(begun=order.run.begun | {work}))


def queue(order: Order) -> Order:
    return order._replace(messages=min(order.messages + 1, MOST_MESSAGES))


def end(order: Order) -> Order:
    """End the run: nothing is left to do, or to undo."""
    if order.run.status == RUNNING:
        return order._replace(run=order.run._replace(status=COMPLETED, step=""))
    return order._replace(status=CANCELLED, run=order.run._replace(status=COMPENSATED))


def expire_lease(world: World, number: int) -> World:
    order = world.orders[number]
    return world.with_order(number, order._replace(run=order.run._replace(lease=EXPIRED)))
