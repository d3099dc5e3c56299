"""The saga engine: what one transaction does with a run. Mirrors ``sagas/phase.py``.

A phase settles a result, compensates if requested, does the due local steps, and claims the next
remote one. It commits at once, so it is one move.
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
from proof.protocol.steps import (
    AUTHORIZES,
    CAPTURES,
    CLOSES,
    CONFIRMS,
    FINISHES,
    RELEASES,
    RESERVES,
    Step,
    capture_before_confirming,
)
from proof.protocol.tables import (
    AUTHORIZED,
    CANCELLED,
    CANCELLING,
    CAPTURED,
    COMPENSATED,
    COMPENSATING,
    COMPLETED,
    CONFIRMED,
    PREPARED,
    RUNNING,
)

DONE = "done"
REJECTED = "rejected"
UNKNOWN = "unknown"
FAILED = "failed"

MAX_MESSAGES = 2
"""A third message for a run could do nothing that a second cannot."""

RECORDED_AS = {AUTHORIZES: AUTHORIZED, CAPTURES: CAPTURED}


class Engine:
    """The phases of runs, under the rules of one protocol."""

    def __init__(self, protocol: Protocol) -> None:
        self.rules = protocol.rules
        self.patience = protocol.scope.patience
        checkout, cancellation = protocol.sagas
        if not self.rules.confirms_before_capturing:
            checkout = capture_before_confirming(checkout)
        self.sagas = {"checkout": checkout, "cancellation": cancellation}
        self.effects = protocol.sagas.effects
        self.steps_by_compensation = {step.compensation: step for step in checkout}

    def new_run(self, saga: str) -> Run:
        """Return a run at the first step of ``saga``."""
        return Run(saga, step=self.sagas[saga][0].name)

    # -- loading -----------------------------------------------------------------------------

    def arrive(self, world: World, number: int, stale: Run | None = None) -> World:
        """Perform the phase of a worker that comes with a message."""
        order = world.orders[number]
        run = order.run if stale is None else stale
        if not run.is_live or run.lease == HELD_BY_WORKER:
            return world
        world = fence_off(world, number)
        order = order._replace(run=run._replace(lease=""))
        return self._advance(world.with_order(number, order), number)

    def settle(self, world: World, worker: Worker) -> World:
        """Perform the phase of a worker that comes with the result of its call.

        A worker that has lost its lease writes nothing.
        """
        number = worker.order
        order = world.orders[number]
        world = world.without(worker)
        if not self._is_same_direction(worker, order.run):
            return world
        if self.rules.fences_settling and not worker.owns_run:
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
        order = self._done(record(order, self.effects[worker.work], answer), worker.work)
        return self._advance(world.with_order(number, order), number, link=self._queue(worker))

    def _is_same_direction(self, worker: Worker, run: Run) -> bool:
        if worker.work in self.steps_by_compensation:
            return run.status == COMPENSATING
        names = {step.name for step in self.sagas[run.saga]}
        return run.status == RUNNING and worker.work in names

    def _queue(self, worker: Worker) -> str:
        if worker.work in self.steps_by_compensation:
            return ""
        return next(
            step.queue for saga in self.sagas.values() for step in saga if step.name == worker.work
        )

    def _done(self, order: Order, work: str) -> Order:
        run = order.run
        if run.status == COMPENSATING:
            return order._replace(
                run=run._replace(compensations_done=run.compensations_done | {work})
            )
        if run.compensation_requested and self.rules.checks_request_at_the_end:
            return order
        names = [step.name for step in self.sagas[run.saga]]
        after = (*names, "")[names.index(work) + 1]
        return order._replace(run=run._replace(step=after, retry_count=0))

    def _unanswered(self, world: World, order: Order, worker: Worker, outcome: str) -> World:
        """Handle a call without an answer: the retries are spent, or a message follows the back-off."""
        number, run = worker.order, order.run
        if run.status == COMPENSATING:  # a compensation that must wait lets the next one start
            return self._advance(world.with_order(number, order), number, resting=worker.work)
        if outcome == FAILED:
            run = run._replace(retry_count=max(run.retry_count - 1, 0))
        elif self._is_spent(run):
            return self._give_up(world, order, number)
        return world.with_order(number, queue(order._replace(run=run)))

    def _is_spent(self, run: Run) -> bool:
        return not self._step(run).is_patient and run.retry_count >= self.patience

    def _give_up(self, world: World, order: Order, number: int) -> World:
        """Do what the step declares for spent retries: compensate, or proceed."""
        step = self._step(order.run)
        if not step.proceeds:
            return world.with_order(number, self._start_compensating(order, "unanswered"))
        order = self._done(journal(order, step.name), step.name)
        return self._advance(world.with_order(number, order), number, link=step.queue)

    # -- advancing ---------------------------------------------------------------------------

    def _advance(self, world: World, number: int, *, link: str = "", resting: str = "") -> World:
        """Do what is due until a call is claimed, the link ends, or nothing is left."""
        while True:
            order = world.orders[number]
            run = order.run
            if run.status == COMPENSATING:
                work, is_remote = self._next_compensation(run, resting)
            elif run.compensation_requested and (run.step or self.rules.checks_request_at_the_end):
                return world.with_order(number, self._start_compensating(order, "requested"))
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
            world, rejection = self._act(world, number, work)
            order = world.orders[number]
            if rejection:
                return world.with_order(number, self._start_compensating(order, rejection))
            order = self._done(journal(order, work), work)
            world = world.with_order(number, order)

    def _next_compensation(self, run: Run, resting: str) -> tuple[str, bool]:
        """Return the due compensation, last step first, and whether it is remote; empty without one."""
        for step in reversed(self.sagas[run.saga]):
            is_pending = step.name in run.begun and step.compensation not in run.compensations_done
            if is_pending and step.compensation != resting:
                return step.compensation, step.compensation_is_remote
        return "", False

    def _step(self, run: Run) -> Step:
        return next(step for step in self.sagas[run.saga] if step.name == run.step)

    def _claim(self, world: World, number: int, work: str) -> World:
        order = world.orders[number]
        run = order.run
        if run.status == RUNNING:
            if self._is_spent(run):
                return self._give_up(world, order, number)
            run = run._replace(retry_count=min(run.retry_count + 1, self.patience))
        order = prepare(order, self.effects[work])
        worker = Worker(number, work, is_repeat=work in run.begun)
        order = order._replace(run=run._replace(lease=HELD_BY_WORKER))
        if self.rules.journals_before_call:
            order = journal(order, work)
        return world.with_order(number, order).with_workers(*world.workers, worker)

    def _start_compensating(self, order: Order, cause: str) -> Order:
        cause = "requested" if order.run.compensation_requested else cause
        begun = order.run.begun
        if not self.rules.compensates_attempted_steps:
            begun -= {order.run.step}
        run = order.run._replace(
            status=COMPENSATING, step="", retry_count=0, cause=cause, begun=begun
        )
        return queue(order._replace(status=CANCELLING, run=run))

    # -- local steps -------------------------------------------------------------------------

    def _act(self, world: World, number: int, work: str) -> tuple[World, str]:
        """Do a local step; return the world after it, and the code of a rejection, if any."""
        order = world.orders[number]
        effect = self.effects[work]
        if effect == RESERVES:
            if world.shelf == 0 and self.rules.counts_under_lock:
                return world, "out_of_stock"
            order = order._replace(reservation=HELD)
            world = world._replace(shelf=world.shelf - 1)
        elif effect == CONFIRMS:
            if order.reservation != HELD:
                return world, "stock_lost"
            order = order._replace(reservation=SOLD, status=CONFIRMED)
        elif effect == RELEASES:
            if order.reservation in (HELD, SOLD) or not self.rules.releases_once:
                world = world._replace(shelf=world.shelf + 1)
            if order.reservation != NOT_RESERVED:
                order = order._replace(reservation=RELEASED)
        elif effect == FINISHES:
            order = order._replace(status=CANCELLED)
        return world.with_order(number, order), ""


def fence_off(world: World, number: int) -> World:
    """Raise the fence, so that no worker in the middle of an attempt owns the order's run."""
    if not any(worker.order == number and worker.owns_run for worker in world.workers):
        return world
    return world.with_workers(
        *(
            worker._replace(owns_run=False) if worker.order == number else worker
            for worker in world.workers
        )
    )


def prepare(order: Order, effect: str) -> Order:
    """Record, with the claim, what the provider will be asked for."""
    payment = order.payment
    if effect == AUTHORIZES:
        return order if payment.status else order._replace(payment=Payment(PREPARED))
    if effect == CLOSES:
        return order._replace(payment=payment._replace(is_closed=True))
    return order


def record(order: Order, effect: str, answer: str) -> Order:
    """Record, with the result, what happened to the money."""
    payment = order.payment
    if effect == CLOSES:
        return order._replace(payment=payment._replace(status=answer))
    if effect not in RECORDED_AS or payment.is_closed:
        return order
    return order._replace(payment=payment._replace(status=RECORDED_AS[effect]))


def journal(order: Order, work: str) -> Order:
    return order._replace(run=order.run._replace(begun=order.run.begun | {work}))


def queue(order: Order) -> Order:
    return order._replace(messages=min(order.messages + 1, MAX_MESSAGES))


def end(order: Order) -> Order:
    """End the run: no step and no compensation is left."""
    if order.run.status == RUNNING:
        return order._replace(run=order.run._replace(status=COMPLETED, step=""))
    return order._replace(status=CANCELLED, run=order.run._replace(status=COMPENSATED))


def expire_lease(world: World, number: int) -> World:
    order = world.orders[number]
    return world.with_order(number, order._replace(run=order.run._replace(lease=EXPIRED)))
