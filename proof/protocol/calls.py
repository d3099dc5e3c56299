"""The calls to the bank, one request or one short transaction at a time.

Mirrors ``payments/payment_operations.py``: authorize, capture and close. Between any two of these moves the
worker may die, sleep past its lease, or be overtaken.
"""

from proof.protocol.bank import (
    CREATED,
    DECLINED,
    GIVEN_BACK,
    HELD,
    LAPSED,
    NO_ANSWER,
    REFUND_REFUSED,
    SAVED_ERROR,
    TAKEN,
    Answer,
)
from proof.protocol.engine import DONE, FAILED, REJECTED, UNKNOWN
from proof.protocol.rules import Protocol
from proof.protocol.state import NO_INTENT, Order, Payment, Request, Worker
from proof.protocol.tables import REFUNDED, VOIDED

FORWARD = ("authorize_payment", "capture_payment")
REQUESTS = {
    "find": "find",
    "create": "create",
    "charge": "charge",
    "retrieve": "retrieve",
    "confirm": "confirm",
    "capture": "capture",
    "cancel": "cancel",
    "cancel the intent that came too late": "cancel",
    "list refunds": "list_refunds",
    "refund": "refund",
}
"""Where a worker is about to ask the bank, and what."""


class Calls:
    """What a worker does within its call, under the rules of one protocol."""

    def __init__(self, protocol: Protocol) -> None:
        self.rules = protocol.rules
        self.saved_errors_before_looking = protocol.scope.saved_errors_before_looking

    def request(self, worker: Worker) -> Request:
        """Return what a worker that stands before a request asks the bank."""
        key = worker.key
        if not self.rules.keeps_keys:  # as many keys as attempts: the model needs two
            key = 2 if worker.is_repeat else 1
        return Request(REQUESTS[worker.at], worker.intent, key)

    # -- without the bank --------------------------------------------------------------------

    def begin(self, worker: Worker, order: Order) -> tuple[Worker, Payment]:
        """Read the payment, and see what to ask first."""
        payment = order.payment
        worker = worker._replace(intent=payment.intent, key=payment.key)
        if worker.work == "authorize_payment":
            return self._begin_authorizing(worker, payment), payment
        if worker.work == "capture_payment":
            return worker._replace(at="retrieve" if worker.is_repeat else "capture"), payment
        if payment.status in (VOIDED, REFUNDED):
            return answer(worker, DONE, payment.status), payment
        if payment.intent == NO_INTENT:
            return answer(worker, DONE, VOIDED), payment
        if not self.rules.cancels_at_bank:
            return worker._replace(at="retrieve"), payment
        if worker.is_repeat:
            worker, payment = self._next_key_if_stuck(worker, payment)
        return worker._replace(at="cancel"), payment

    def _begin_authorizing(self, worker: Worker, payment: Payment) -> Worker:
        if payment.is_closed:
            return answer(worker, REJECTED, "closed")
        if payment.intent != NO_INTENT:
            return worker._replace(at="retrieve")
        if payment.saved_errors >= self.saved_errors_before_looking:
            return worker._replace(at="find")
        return worker._replace(at="create" if self.rules.creates_unconfirmed else "charge")

    def store(self, worker: Worker, payment: Payment) -> tuple[Worker | None, Payment]:
        """Store the intent's id under the fence; None when another worker has taken over."""
        if self.rules.fences_storing and not worker.holds:
            if not payment.is_closed:
                return None, payment
            return worker._replace(at="cancel the intent that came too late"), payment
        if self.rules.stores_only_while_open and payment.is_closed:
            return worker._replace(at="cancel the intent that came too late"), payment
        payment = payment._replace(intent=worker.intent)
        if worker.seen == CREATED and self.rules.stores_before_confirming:
            return worker._replace(at="confirm"), payment
        return self._judge(worker, worker.seen), payment

    def checkpoint(self, worker: Worker, payment: Payment) -> tuple[Worker | None, Payment]:
        """Write the refund down before or after the bank hears of it, under the fence."""
        if not worker.holds:
            return None, payment
        if worker.at == "intend refund":
            return worker._replace(at="refund"), payment._replace(refund_intended=True)
        return answer(worker, DONE, REFUNDED), payment

    # -- the bank's answers ------------------------------------------------------------------

    def hear(self, worker: Worker, payment: Payment, said: Answer) -> tuple[Worker, Payment]:
        """Take the bank's answer, or that there is none, and see what to do next."""
        if said.says in (NO_ANSWER, SAVED_ERROR):
            if said.is_replay and payment.key == worker.key:
                most = self.saved_errors_before_looking
                payment = payment._replace(saved_errors=min(payment.saved_errors + 1, most))
            return self._heard_nothing(worker), payment
        found_nothing = worker.at == "find" and said.intent == NO_INTENT
        if found_nothing or (worker.at == "retrieve" and worker.work in FORWARD):
            worker, payment = self._next_key_if_stuck(worker, payment)
        if found_nothing:
            return worker._replace(at="create"), payment
        if worker.at in ("create", "find", "charge"):
            return self._created(worker, said), payment
        if worker.at == "cancel the intent that came too late":
            return answer(worker, REJECTED, "closed"), payment
        return self._go_on(worker, payment, said.says), payment

    def _heard_nothing(self, worker: Worker) -> Worker:
        if worker.work == "authorize_payment" and not self.rules.asks_again_after_silence:
            return answer(worker, REJECTED, DECLINED)
        if worker.at == "refund" and not self.rules.waits_for_refund:
            return answer(worker, DONE, REFUNDED)
        return answer(worker, UNKNOWN)

    def _created(self, worker: Worker, said: Answer) -> Worker:
        worker = worker._replace(seen=said.says, intent=said.intent)
        if self.rules.stores_before_confirming or said.says != CREATED:
            return worker._replace(at="store")
        return worker._replace(at="confirm")

    def _go_on(self, worker: Worker, payment: Payment, says: str) -> Worker:
        """See what to do about an intent that is ``says``."""
        if worker.work == "authorize_payment":
            if says == CREATED:
                return worker._replace(at="confirm")
            if not self.rules.stores_before_confirming and worker.at == "confirm":
                return worker._replace(at="store", seen=says)
            return self._judge(worker, says)
        if worker.work == "capture_payment":
            if says == HELD:
                return worker._replace(at="capture")
            return answer(worker, *((DONE, TAKEN) if says == TAKEN else (REJECTED, LAPSED)))
        return self._go_on_closing(worker, payment, says)

    def _judge(self, worker: Worker, says: str) -> Worker:
        if says in (HELD, TAKEN):
            return answer(worker, DONE, HELD)
        return answer(worker, REJECTED, says)

    def _go_on_closing(self, worker: Worker, payment: Payment, says: str) -> Worker:
        if says == REFUND_REFUSED:
            return answer(worker, FAILED)
        if worker.at == "retrieve" and says == HELD:  # of a mutant that cancels only what it sees
            return worker._replace(at="cancel")
        if worker.at in ("cancel", "retrieve"):
            if says not in (TAKEN, GIVEN_BACK):
                return answer(worker, DONE, VOIDED)
            says = TAKEN
            if self.rules.looks_for_refund:
                return worker._replace(at="list refunds")
        if says == GIVEN_BACK:
            return worker._replace(at="note refund")
        return worker._replace(at="refund" if payment.refund_intended else "intend refund")

    def _next_key_if_stuck(self, worker: Worker, payment: Payment) -> tuple[Worker, Payment]:
        """Leave a key under which the bank repeats an error, unless another worker has done so."""
        if payment.saved_errors >= self.saved_errors_before_looking and payment.key == worker.key:
            payment = payment._replace(key=payment.key + 1, saved_errors=0)
        return worker._replace(key=payment.key), payment


def answer(worker: Worker, outcome: str, details: str = "") -> Worker:
    """Bring an answer home; what was seen on the way is forgotten."""
    return Worker(
        worker.order,
        worker.work,
        worker.holds,
        at="answer",
        seen=f"{outcome}:{details}" if details else outcome,
    )
