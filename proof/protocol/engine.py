"""The saga engine: what one transaction does with a run.

``sagas/decision.py`` decides, here as in production. This module keeps the modelled rows, and does the
work of local steps. A phase commits at once, so it is one move.

The model has one moment, NOW. A lease, a look or a wait ends before it or after it; moves let time
pass. The back-off of a run that does not wait may be over at any time.
"""

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Final

from proof.protocol.rules import Protocol
from proof.protocol.state import (
    EXPIRED,
    HELD,
    HELD_BY_WORKER,
    NO,
    NOT_RESERVED,
    RELEASED,
    SOLD,
    TOLD,
    YES,
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
    STARTS,
    WHEN_CHILDREN_HAVE_ENDED,
    capture_before_confirming,
    with_patience,
)
from proof.protocol.tables import (
    AUTHORIZED,
    CANCELLED,
    CANCELLING,
    CAPTURED,
    COMPENSATED,
    COMPENSATING,
    CONFIRMED,
    PREPARED,
    RUNNING,
    VOIDED,
)
from sagas import decision
from sagas.batch import Rejection
from sagas.compensating import Compensating
from sagas.decision import Way
from sagas.definition import Saga, Step
from sagas.forward import Forward
from sagas.models import Outcome, RunStatus
from sagas.run_state import Answer, Moment, RunState, Settled, StepHistory, StepProgress
from sagas.work import Escalate, Remote, Wait, Work

NOW: Final = datetime(2030, 1, 1, tzinfo=UTC)
BEFORE: Final = NOW - timedelta(days=1)
AFTER: Final = NOW + timedelta(days=1000)
MOMENT: Final = Moment(NOW, jitter=0.0)

MAX_MESSAGES = 2
"""A third message for a run could do nothing that a second cannot."""

RECORDED_AS = {AUTHORIZES: AUTHORIZED, CAPTURES: CAPTURED}


class Engine:
    """The phases of runs, under the rules of one protocol."""

    def __init__(self, protocol: Protocol) -> None:
        self.rules = protocol.rules
        self.patience = protocol.scope.patience
        sagas = protocol.sagas
        if not self.rules.confirms_before_capturing:
            sagas = capture_before_confirming(sagas)
        self.effects = sagas.effects
        self.first, self.cancellation = sagas.first.name, sagas.cancellation.name
        self.child = sagas.child.name if sagas.child else ""
        self.sagas = {saga.name: with_patience(saga, self.patience) for saga in sagas.all}
        self.steps = {
            name: step
            for saga in self.sagas.values()
            for step in saga.steps
            for name, _ in step.action_and_compensation
        }

    def new_run(self, saga: str) -> Run:
        """Return a run at the first step of ``saga``."""
        return Run(saga, step=self.sagas[saga].steps[0].name)

    def waits_of(self, run: Run) -> list[str]:
        """Return the waits of a live run's saga that a fact from outside ends."""
        if not run.is_live:
            return []
        return [
            step.name
            for step in self.sagas[run.saga].steps
            if isinstance(step.action, Wait) and not self.effects[step.name]
        ]

    def is_compensation(self, work: str) -> bool:
        return work == self.steps[work].compensation_name

    # -- loading -----------------------------------------------------------------------------

    def arrive(self, world: World, number: int, stale: Order | None = None) -> World:
        """Perform the phase of a worker that comes with a message."""
        order = world.orders[number] if stale is None else stale
        if not order.run.is_live or order.run.lease == HELD_BY_WORKER:
            return world
        current = world.orders[number]
        order = current._replace(run=order.run._replace(lease=""), facts=order.facts)
        world = fence_off(world, number).with_order(number, order)
        return self._advance(world, number)

    def settle(self, world: World, worker: Worker) -> World:
        """Perform the phase of a worker that comes with the result of its call.

        A worker that has lost its lease writes nothing.
        """
        number, work = worker.order, worker.work
        order = world.orders[number]
        world = world.without(worker)
        if not self._is_same_direction(work, order.run):
            return world
        if self.rules.fences_settling and not worker.owns_run:
            return world
        world = fence_off(world, number)
        if not self.rules.journals_before_call:
            order = journal(order, work)
        outcome, _, answer = worker.seen.partition(":")
        settled = self._settled(order.run, work, Answer(Outcome(outcome), answer))
        order = self._apply(order, work, settled)
        if settled.has_passed:
            order = record(order, self.effects[work], answer)
        world = world.with_order(number, order)
        if self.is_compensation(work):
            # A compensation that must wait lets the next one start.
            is_backing_off = settled.outcome not in (Outcome.DONE, Outcome.PENDING)
            return self._advance(world, number, resting=work if is_backing_off else "")
        if order.run.status == COMPENSATING:
            return world
        if settled.has_passed or order.run.waits_for:
            return self._advance(world, number, link=self.steps[work].queue)
        return world.with_order(number, queue(order))

    def _is_same_direction(self, work: str, run: Run) -> bool:
        if self.is_compensation(work):
            return run.status == COMPENSATING
        return run.status == RUNNING and self.steps[work] in self.sagas[run.saga].steps

    # -- deciding ----------------------------------------------------------------------------

    def _way(self, run: Run) -> Way:
        return _ways(self.sagas[run.saga])[run.status == COMPENSATING]

    def _forward(self, run: Run) -> Forward:
        return _ways(self.sagas[run.saga])[0]

    def _state(self, run: Run) -> RunState:
        state = state_of(self.sagas[run.saga], run)
        if run.compensation_requested and not self._heeds_request(run):
            return state._replace(is_compensation_requested=False)
        return state

    def _heeds_request(self, run: Run) -> bool:
        return self.rules.checks_request_at_the_end or bool(run.step and not run.lease)

    def _settled(self, run: Run, work: str, answer: Answer) -> Settled:
        step = self.steps[work]
        if self.is_compensation(work):
            return self._way(run).settled(self._state(run), step, answer, MOMENT)
        state = self._state(run)._replace(step=step.name)  # another one only without the fence
        return self._way(run).settled(state, step, answer, MOMENT)

    def _apply(self, order: Order, work: str, settled: Settled) -> Order:
        """Journal the end of an attempt, and change the run as it was decided."""
        if settled.has_passed and self.is_compensation(work):
            run = order.run
            done = run._replace(compensations_done=run.compensations_done | {work})
            order = order._replace(run=done)
        return self._change(order, settled.state)

    def _change(self, order: Order, state: RunState) -> Order:
        """Write the state of the order's run."""
        run, waits = order.run, bool(state.waits_for)
        starts_to_compensate = run.status == RUNNING and state.status == COMPENSATING
        if starts_to_compensate and not self.rules.compensates_attempted_steps:
            run = run._replace(begun=run.begun - {run.step})
        run = run._replace(
            status=str(state.status),
            step=state.step,
            lease="" if state.leased_until is None else run.lease,
            retry_count=min(state.retry_count, self.patience),
            cause=state.reason,
            waits_for=state.waits_for,
            is_late=waits and state.waiting_until == BEFORE,
            rests=waits and _rests(state),
            nudged=state.nudge_count != state.nudges_seen,
            wakes=not waits,
        )
        order = order._replace(run=run)
        return queue(order._replace(status=CANCELLING)) if starts_to_compensate else order

    # -- advancing ---------------------------------------------------------------------------

    def _advance(self, world: World, number: int, *, link: str = "", resting: str = "") -> World:
        """Do what is due until a call is claimed, the link ends, or nothing is left."""
        while True:
            order = world.orders[number]
            run, way = order.run, self._way(order.run)
            state = way.nudged(self._state(run))
            order = self._change(order, state)
            world = world.with_order(number, order)
            forward = self._forward(run)
            if forward.must_compensate(state):
                compensating = forward.compensate(state, Rejection(run.cause))
                return world.with_order(number, self._change(order, compensating))
            if way.has_finished(state):
                return self._end(world, number, way.ended(state))
            step = self._next_step(run, way, state, resting)
            if step is None:
                return world.with_order(number, self._rest(order, way, state, resting))
            link = link or step.queue
            if run.status == RUNNING and step.queue != link:  # the chain's next message
                return world.with_order(number, queue(order))
            work = step.compensation_name if run.status == COMPENSATING else step.name
            definition = step.compensating_action if run.status == COMPENSATING else step.action
            claimed, world = self._work(world, number, work, definition)
            run = world.orders[number].run
            if claimed or (run.status == COMPENSATING and way.status == RUNNING):
                return world
            if run.waits_for and not run.nudged and isinstance(definition, Wait):
                return world

    def _next_step(self, run: Run, way: Way, state: RunState, resting: str) -> Step | None:
        """Return the first step that is due, in the run's direction."""
        steps = self.sagas[run.saga].steps
        for step in steps[::-1] if run.status == COMPENSATING else steps:
            if way.is_due(state, step, NOW) and step.compensation_name != (resting or None):
                return step
        return None

    def _rest(self, order: Order, way: Way, state: RunState, resting: str) -> Order:
        """Leave the run until its back-off is over, or until it is woken where it waits."""
        if resting or not state.waits_for:
            return queue(order)
        wakes = decision.next_wake_at(way, state, NOW) <= NOW
        return order._replace(run=order.run._replace(wakes=wakes))

    def _work(
        self, world: World, number: int, work: str, definition: Work | None
    ) -> tuple[bool, World]:
        """Do or claim one step; return whether it was claimed, and the world after it."""
        order = world.orders[number]
        match definition:
            case Remote():
                return self._claim(world, number, work)
            case Wait():
                return False, world.with_order(number, self._look(world, number, work))
        world, rejection = self._act(world, number, work)
        order = world.orders[number]
        answer = Answer(Outcome.REJECTED, rejection) if rejection else Answer(Outcome.DONE)
        if not rejection:
            order = journal(order, work)
        settled = self._settled(order.run, work, answer)
        return False, world.with_order(number, self._apply(order, work, settled))

    def _claim(self, world: World, number: int, work: str) -> tuple[bool, World]:
        order = world.orders[number]
        run, step, way = order.run, self.steps[work], self._way(order.run)
        state, forward = self._state(run), self._forward(run)
        if run.status == RUNNING and forward.tries_are_spent(state, step):
            settled = forward.spent(state, step, Answer(Outcome.LOST, "lost"))
            if settled.has_passed:
                order = journal(order, work)
            return False, world.with_order(number, self._apply(order, work, settled))
        order = self._change(order, way.attempted(state, step)._replace(leased_until=AFTER))
        order = prepare(order, self.effects[work])
        worker = Worker(number, work, is_repeat=work in run.begun)
        order = order._replace(
            run=order.run._replace(lease=HELD_BY_WORKER), facts=order.facts - {TOLD}
        )
        if self.rules.journals_before_call:
            order = journal(order, work)
        return True, world.with_order(number, order).with_workers(*world.workers, worker)

    def _look(self, world: World, number: int, work: str) -> Order:
        """Try the condition of a wait: it is over, overdue, or the run waits on."""
        order = world.orders[number]
        run, step, way = order.run, self.steps[work], self._forward(order.run)
        state, answer = self._state(run), self._answer(world, number, work)
        if answer:
            outcome = Outcome.DONE if answer == YES else Outcome.REJECTED
            settled = way.settled(state, step, Answer(outcome, work), MOMENT)
        elif way.is_overdue(state, NOW):
            settled = way.overdue(state, step, Outcome.REJECTED, NOW)
        else:
            return self._change(order, way.began_waiting(state, work, BEFORE, AFTER))
        return self._apply(journal(order, work), work, settled)

    def _answer(self, world: World, number: int, work: str) -> str:
        """Return whether the condition of a wait is met, or rejects; empty while it is neither.

        Past a deadline that escalates it rejects: as was promised to the order, or as staff decide.
        """
        if self.effects[work] == WHEN_CHILDREN_HAVE_ENDED:
            live = [child for child in world.orders if child.parent == number and child.run.is_live]
            return "" if live else YES
        order, wait = world.orders[number], self.steps[work].action
        ends_late = isinstance(wait, Wait) and isinstance(wait.overdue, Escalate)
        rest = NO if ends_late and order.run.is_late else ""
        return next((answer for answer in (YES, NO) if (work, answer) in order.facts), rest)

    def _end(self, world: World, number: int, state: RunState) -> World:
        """End the run; in the same transaction it nudges its parent."""
        order = self._change(world.orders[number], state)
        if state.status == COMPENSATED:
            order = order._replace(status=CANCELLED)
        world = world.with_order(number, order)
        if order.parent < 0 or not self.rules.nudges_parent:
            return world
        return world.with_order(order.parent, self.nudged(world.orders[order.parent]))

    def nudged(self, order: Order) -> Order:
        """Return the order after a nudge of its run. Mirrors ``sagas/nudges.py``."""
        run = order.run
        if not run.is_live:
            return order
        is_waiting = bool(run.waits_for) and not run.lease
        counts = self.rules.counts_nudges or is_waiting
        run = run._replace(nudged=run.nudged or counts, wakes=run.wakes or is_waiting)
        order = order._replace(run=run)
        return queue(order) if is_waiting else order

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
        elif effect == STARTS:
            child = Order(run=self.new_run(self.child), parent=number)
            world = world._replace(orders=(*world.orders, child))
        return world.with_order(number, order), ""


@cache
def _ways(saga: Saga) -> tuple[Forward, Compensating]:
    return Forward(saga), Compensating(saga)


@cache
def state_of(saga: Saga, run: Run) -> RunState:
    """Return the state of a modelled run as production reads it."""
    pending: tuple[StepProgress, ...] = ()
    if run.status == COMPENSATING:
        history = {step.name: _history(step, run) for step in saga.steps if step.name in run.begun}
        pending = decision.pending_compensations(saga, history)
    waits = bool(run.waits_for)
    return RunState(
        status=RunStatus(run.status),
        step=run.step,
        retry_count=run.retry_count,
        leased_until={"": None, HELD_BY_WORKER: AFTER}.get(run.lease, BEFORE),
        not_before=AFTER if run.rests else None,
        nudge_count=int(run.nudged),
        waits_for=run.waits_for,
        waiting_since=BEFORE if waits else None,
        waiting_until=(BEFORE if run.is_late else AFTER) if waits else None,
        is_compensation_requested=run.compensation_requested,
        reason=run.cause,
        compensations=pending,
    )


def _history(step: Step, run: Run) -> StepHistory:
    if step.compensation_name in run.compensations_done:
        return StepHistory(Outcome.DONE, Outcome.DONE)
    if run.waits_for and step.compensation_name in run.begun:
        not_before = AFTER if run.rests else None
        return StepHistory(Outcome.DONE, Outcome.PENDING, run.waits_for, not_before=not_before)
    return StepHistory(Outcome.DONE)


def _rests(state: RunState) -> bool:
    """Return whether the next look at what a run waits for is not due."""
    if state.status == COMPENSATING:
        return all(
            left.waits_for and left.not_before is not None and left.not_before > NOW
            for left in state.compensations
        )
    return state.not_before is not None and state.not_before > NOW


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
        earlier = tuple(replaced._replace(status=VOIDED) for replaced in order.earlier)
        return order._replace(payment=payment._replace(status=answer), earlier=earlier)
    if effect not in RECORDED_AS or payment.is_closed:
        return order
    return order._replace(payment=payment._replace(status=RECORDED_AS[effect]))


def journal(order: Order, work: str) -> Order:
    return order._replace(run=order.run._replace(begun=order.run.begun | {work}))


def queue(order: Order) -> Order:
    return order._replace(messages=min(order.messages + 1, MAX_MESSAGES))


def request_compensation(order: Order) -> Order:
    """Return the order after a request that its run compensates. A repeated one changes nothing.

    Mirrors ``sagas.services.request_compensation``.
    """
    run = order.run
    if run.status != RUNNING or run.compensation_requested:
        return order
    run = run._replace(compensation_requested=True, cause="requested", wakes=True)
    return queue(order._replace(run=run))


def expire_lease(world: World, number: int) -> World:
    order = world.orders[number]
    return world.with_order(number, order._replace(run=order.run._replace(lease=EXPIRED)))
