"""The calls of remote steps: one request to the provider, or one short transaction, at a time.

Mirrors ``payments/payment_operations.py``: authorize, capture and close. Between any two of these
moves the worker may die, sleep past its lease, or be overtaken.
"""

from proof.protocol.provider import (
    ACTION,
    AUTHORIZATION_EXPIRED,
    CREATED,
    DECLINED,
    GIVEN_BACK,
    HELD,
    NO_ANSWER,
    REFUND_REJECTED,
    SAVED_ERROR,
    TAKEN,
    ProviderAnswer,
)
from proof.protocol.rules import Protocol
from proof.protocol.state import NO_INTENT, Order, Payment, Request, Worker
from proof.protocol.steps import AUTHORIZES, CAPTURES, CLOSES, NOTHING
from proof.protocol.tables import ANOTHER_PAYMENT, AUTHENTICATION, REFUNDED, VOIDED
from sagas.models import Outcome
from sagas.work import Remote

DONE = str(Outcome.DONE)
REJECTED = str(Outcome.REJECTED)
PENDING = str(Outcome.PENDING)
UNKNOWN = str(Outcome.UNKNOWN)
FAILED = str(Outcome.FAILED)
CLOSED = "closed"

REQUESTS = {
    "find": "find",
    "create": "create",
    "charge": "charge",
    "retrieve": "retrieve",
    "confirm": "confirm",
    "capture": "capture",
    "cancel": "cancel",
    "cancel the late intent": "cancel",
    "list refunds": "list_refunds",
    "refund": "refund",
    "cancel the earlier payment": "cancel",
}
"""The operation that a worker is about to request, by its position in the call."""


class Calls:
    """What a worker does within its call, under the rules of one protocol."""

    def __init__(self, protocol: Protocol) -> None:
        self.rules = protocol.rules
        self.effects = protocol.sagas.effects
        self.calls = {
            name: work for name, work in protocol.sagas.work.items() if isinstance(work, Remote)
        }
        self.saved_errors_before_search = protocol.scope.saved_errors_before_search
        self.may_pay_otherwise = bool(protocol.scope.faults.payments)

    # -- another system --------------------------------------------------------------------------

    def asks_another_system(self, worker: Worker) -> bool:
        """Return whether the worker is about to call a system that is not the payment provider."""
        return worker.at == "begin" and self.effects[worker.work] == NOTHING

    def answers_of_another_system(self, worker: Worker) -> list[Worker]:
        """Return the worker with each answer that its call may get."""
        call = self.calls[worker.work]
        answers = [answer_of(worker, DONE)]
        if call.rejected_by:
            answers.append(answer_of(worker, REJECTED, worker.work))
        return answers + [answer_of(worker, PENDING, code) for code in call.pending_by_code]

    def pending(self, worker: Worker) -> Worker:
        """Return the worker with the answer that another one comes later."""
        return answer_of(worker, PENDING, next(iter(self.calls[worker.work].pending_by_code)))

    # -- the payment provider --------------------------------------------------------------------

    def request(self, worker: Worker) -> Request:
        """Return the request that a worker is about to send."""
        key = worker.key
        if not self.rules.reuses_keys:  # a key for each attempt: the model needs two
            key = 2 if worker.is_repeat else 1
        return Request(REQUESTS[worker.at], worker.intent, key)

    # -- without the provider --------------------------------------------------------------------

    def begin(self, worker: Worker, order: Order) -> tuple[Worker, Payment]:
        """Read the payments, and decide on the next request: replaced payments are closed first."""
        effect = self.effects[worker.work]
        if effect == AUTHORIZES and order.payment.is_closed:
            return answer_of(worker, REJECTED, CLOSED), order.payment
        for earlier in order.earlier if effect in (AUTHORIZES, CLOSES) else ():
            is_closed = worker.seen == CLOSED and earlier.key <= worker.key
            if earlier.status not in (VOIDED, REFUNDED) and not is_closed:
                return self._begin_with_earlier(worker, earlier), earlier
        return self._begin_with_newest(worker._replace(seen=""), order.payment)

    def _begin_with_earlier(self, worker: Worker, earlier: Payment) -> Worker:
        worker = worker._replace(intent=earlier.intent, key=earlier.key)
        if earlier.intent == NO_INTENT:  # it was never confirmed
            return self._closed_earlier(worker)
        return worker._replace(at="cancel the earlier payment")

    def _closed_earlier(self, worker: Worker) -> Worker:
        """Authorizing records at once that a replaced payment is closed; closing does it at its end."""
        if self.effects[worker.work] == AUTHORIZES:
            return worker._replace(at="record the earlier payment")
        return worker._replace(at="begin", seen=CLOSED)

    def _begin_with_newest(self, worker: Worker, payment: Payment) -> tuple[Worker, Payment]:
        worker = worker._replace(intent=payment.intent, key=payment.key)
        effect = self.effects[worker.work]
        if effect == AUTHORIZES:
            return self._begin_authorizing(worker, payment), payment
        if effect == CAPTURES:
            return worker._replace(at="retrieve" if worker.is_repeat else "capture"), payment
        if payment.status in (VOIDED, REFUNDED):
            return answer_of(worker, DONE, payment.status), payment
        if payment.intent == NO_INTENT:
            return answer_of(worker, DONE, VOIDED), payment
        if not self.rules.cancels_at_provider:
            return worker._replace(at="retrieve"), payment
        if worker.is_repeat:
            worker, payment = self._next_key_if_stuck(worker, payment)
        return worker._replace(at="cancel"), payment

    def _begin_authorizing(self, worker: Worker, payment: Payment) -> Worker:
        if payment.intent != NO_INTENT:
            return worker._replace(at="retrieve")
        if payment.saved_errors >= self.saved_errors_before_search:
            return worker._replace(at="find")
        return worker._replace(at="create" if self.rules.creates_unconfirmed else "charge")

    def store(self, worker: Worker, payment: Payment) -> tuple[Worker | None, Payment]:
        """Store the intent's id under the fence; return None if another worker has taken over."""
        if self.rules.fences_storing and not worker.owns_run:
            if not payment.is_closed:
                return None, payment
            return worker._replace(at="cancel the late intent"), payment
        if self.rules.stores_only_while_open and payment.is_closed:
            return worker._replace(at="cancel the late intent"), payment
        payment = payment._replace(intent=worker.intent)
        if worker.seen == CREATED and self.rules.stores_before_confirming:
            return worker._replace(at="confirm"), payment
        return self._authorization_result(worker, worker.seen), payment

    def checkpoint(self, worker: Worker, payment: Payment) -> tuple[Worker | None, Payment]:
        """Record, under the fence, what a call has found out or is about to request."""
        if not worker.owns_run:
            return None, payment
        if worker.at == "record the earlier payment":
            return worker._replace(at="begin"), payment._replace(status=VOIDED)
        if worker.at == "prepare refund":
            return worker._replace(at="refund"), payment._replace(refund_prepared=True)
        return answer_of(worker, DONE, REFUNDED), payment

    # -- the provider's answers ------------------------------------------------------------------

    def receive(
        self, worker: Worker, payment: Payment, received: ProviderAnswer
    ) -> tuple[Worker, Payment]:
        """Receive the provider's answer, or none, and decide on the next move."""
        if received.status in (NO_ANSWER, SAVED_ERROR):
            if received.is_replay and payment.key == worker.key:
                limit = self.saved_errors_before_search
                payment = payment._replace(saved_errors=min(payment.saved_errors + 1, limit))
            return self._without_answer(worker), payment
        is_forward = self.effects[worker.work] in (AUTHORIZES, CAPTURES)
        found_nothing = worker.at == "find" and received.intent == NO_INTENT
        if found_nothing or (worker.at == "retrieve" and is_forward):
            worker, payment = self._next_key_if_stuck(worker, payment)
        if found_nothing:
            return worker._replace(at="create"), payment
        if worker.at in ("create", "find", "charge"):
            return self._created(worker, received), payment
        if worker.at == "cancel the earlier payment":  # it cannot be taken before it is replaced
            return self._closed_earlier(worker), payment
        if worker.at == "cancel the late intent":
            return answer_of(worker, REJECTED, CLOSED), payment
        return self._go_on(worker, payment, received.status), payment

    def _without_answer(self, worker: Worker) -> Worker:
        if self.effects[worker.work] == AUTHORIZES and not self.rules.retries_without_answer:
            return answer_of(worker, REJECTED, DECLINED)
        if worker.at == "refund" and not self.rules.waits_for_refund:
            return answer_of(worker, DONE, REFUNDED)
        return answer_of(worker, UNKNOWN)

    def _created(self, worker: Worker, received: ProviderAnswer) -> Worker:
        worker = worker._replace(seen=received.status, intent=received.intent)
        if self.rules.stores_before_confirming or received.status != CREATED:
            return worker._replace(at="store")
        return worker._replace(at="confirm")

    def _go_on(self, worker: Worker, payment: Payment, status: str) -> Worker:
        """Decide on the next move for an intent with this status."""
        effect = self.effects[worker.work]
        if effect == AUTHORIZES:
            if status == CREATED:
                return worker._replace(at="confirm")
            if not self.rules.stores_before_confirming and worker.at == "confirm":
                return worker._replace(at="store", seen=status)
            return self._authorization_result(worker, status)
        if effect == CAPTURES:
            if status == HELD:
                return worker._replace(at="capture")
            return answer_of(
                worker, *((DONE, TAKEN) if status == TAKEN else (REJECTED, AUTHORIZATION_EXPIRED))
            )
        return self._go_on_closing(worker, payment, status)

    def _authorization_result(self, worker: Worker, status: str) -> Worker:
        if status in (HELD, TAKEN):
            return answer_of(worker, DONE, HELD)
        if status == ACTION:
            return answer_of(worker, PENDING, AUTHENTICATION)
        if status == DECLINED and self.may_pay_otherwise:
            return answer_of(worker, PENDING, ANOTHER_PAYMENT)
        return answer_of(worker, REJECTED, status)

    def _go_on_closing(self, worker: Worker, payment: Payment, status: str) -> Worker:
        if status == REFUND_REJECTED:
            return answer_of(worker, FAILED)
        if worker.at == "retrieve" and status == HELD:  # a mutant cancels only what it sees held
            return worker._replace(at="cancel")
        if worker.at in ("cancel", "retrieve"):
            if status not in (TAKEN, GIVEN_BACK):
                return answer_of(worker, DONE, VOIDED)
            status = TAKEN
            if self.rules.looks_for_refund:
                return worker._replace(at="list refunds")
        if status == GIVEN_BACK:
            return worker._replace(at="record refund")
        return worker._replace(at="refund" if payment.refund_prepared else "prepare refund")

    def _next_key_if_stuck(self, worker: Worker, payment: Payment) -> tuple[Worker, Payment]:
        """Take the next key if the provider repeats an error under this one."""
        if payment.saved_errors >= self.saved_errors_before_search and payment.key == worker.key:
            payment = payment._replace(key=payment.key + 1, saved_errors=0)
        return worker._replace(key=payment.key), payment


def answer_of(worker: Worker, outcome: str, details: str = "") -> Worker:
    """Return the worker with the result of its call, and forget what it saw during it."""
    return Worker(
        worker.order,
        worker.work,
        worker.owns_run,
        at="answer",
        seen=f"{outcome}:{details}" if details else outcome,
    )
