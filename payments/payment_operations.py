"""The calls to the bank: authorize, capture and close one order's payment.

Each may be made again at any time, by any worker, after any crash or timeout:

* the PaymentIntent is created unconfirmed and its id stored before it is confirmed, so a create
  that got lost cannot charge anyone, and everything later asks about *that id*;
* whatever an earlier attempt left unknown is looked up first, never guessed;
* closing cancels the intent at the bank. From then on no confirmation of it can succeed, however
  late a sleeping worker sends one; if the cancel comes too late, the money is refunded.
"""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Final, TypeVar
from uuid import UUID

from django.db import transaction
from django.db.models import F

from outbound.deadline import Deadline
from payments.errors import (
    AmountMismatch,
    OutcomeUnknown,
    PaymentClosed,
    PaymentDeclined,
    ProviderBusy,
    RefundFailed,
    RefundPending,
    UnexpectedState,
)
from payments.models import Payment, Refund
from payments.provider_types import Intent, IntentStatus, ProviderRefund, RefundStatus
from payments.providers.stripe.gateway import StripeGateway
from payments.states import PaymentStatus
from sagas.bulk_sql import Update, select, write
from sagas.definition import Attempt, Output
from sagas.errors import LeaseLost

T = TypeVar("T")

REPLAYED_ERRORS_BEFORE_LOOKING: Final = 2
"""Repeats of one saved 5xx, so three equal answers, before we look and take the next key."""

LOOKING_BACK: Final = timedelta(minutes=5)
"""How much earlier than ours the bank's clock may put the creation of an intent."""

gateway = StripeGateway()


def authorize(order_id: UUID, attempt: Attempt) -> Output:
    """Have the bank set the order's money aside, and return what it holds.

    Raises PaymentDeclined when it will not, ProviderBusy and OutcomeUnknown when it is to be asked
    again, AmountMismatch when it holds another sum than it was asked for.
    """
    deadline = Deadline.after(attempt.budget)
    payment = _newest(order_id)
    if payment.closed_at is not None:
        raise PaymentClosed
    if payment.intent_id is None:
        intent = _create(payment, attempt, deadline)
    else:
        intent = gateway.retrieve_intent(payment.intent_id, deadline=deadline)
        _take_next_key_if_stuck(payment)
    if intent.status == IntentStatus.REQUIRES_CONFIRMATION:
        intent = _ask_or_look(payment, "confirm", partial(_confirm, payment, intent.id, deadline))
    _judge_authorization(payment, intent)
    return {"intent_id": intent.id, "status": intent.status, "amount_minor": payment.amount_minor}


def _create(payment: Payment, attempt: Attempt, deadline: Deadline) -> Intent:
    """Create the intent, or find the one that an unanswered create left, and store its id."""
    intent = None
    if payment.replayed_error_count >= REPLAYED_ERRORS_BEFORE_LOOKING:
        intent = _find_created(payment, deadline)
        if intent is None:
            _take_next_key_if_stuck(payment)
    if intent is None:
        intent = _ask(
            payment,
            "create",
            lambda key: gateway.create_intent(
                payment.params, key=key, api_version=payment.api_version, deadline=deadline
            ),
        )
    if not _keep_intent_id(payment, attempt, intent.id):
        # Closed since we asked. Nobody will ever look for this intent: cancel it here, in a time
        # of its own, since who wakes this late has none of the attempt's left.
        no_haste = Deadline.after(attempt.budget)
        _cancel(payment, intent.id, no_haste, payment.idempotency_key("cancel"))
        raise PaymentClosed
    return intent


def _find_created(payment: Payment, deadline: Deadline) -> Intent | None:
    intents = gateway.list_intents(
        created_from=payment.created_at - LOOKING_BACK, deadline=deadline
    )
    mine = str(payment.pk)
    return next((each for each in intents if each.metadata.get("payment_id") == mine), None)


def _keep_intent_id(payment: Payment, attempt: Attempt, intent_id: str) -> bool:
    """Store the id; False if the payment has been closed since the bank was asked.

    Raises LeaseLost while another worker goes on with the payment: the same key gives it the same
    intent, which must then be left alone.
    """
    try:
        return attempt.checkpoint(partial(_store_intent_id, payment, intent_id))
    except LeaseLost:
        if Payment.objects.filter(pk=payment.pk, closed_at__isnull=True).exists():
            raise
        return False


def _store_intent_id(payment: Payment, intent_id: str) -> bool:
    """Store the id unless the payment has been closed; True if it is stored."""
    payment.intent_id = intent_id
    return write(Update([payment], ["intent_id"], only_if="closed_at IS NULL")) == 1


def _newest(order_id: UUID) -> Payment:
    (payment,) = select(Payment, "WHERE order_id = %s ORDER BY created_at DESC LIMIT 1", [order_id])
    return payment


def _judge_authorization(payment: Payment, intent: Intent) -> None:
    """Raise unless the bank holds, or has taken, exactly what the order costs."""
    match intent.status:
        case IntentStatus.REQUIRES_CAPTURE | IntentStatus.SUCCEEDED:
            _check_amount(payment, intent, intent.capturable_minor + intent.received_minor)
        case IntentStatus.REQUIRES_PAYMENT_METHOD:
            raise PaymentDeclined(intent.decline_code or "declined", intent=intent)
        case IntentStatus.REQUIRES_ACTION:
            raise PaymentDeclined("authentication_required", intent=intent)
        case IntentStatus.CANCELED:
            raise PaymentDeclined("canceled", intent=intent)
        case IntentStatus.PROCESSING | IntentStatus.REQUIRES_CONFIRMATION:
            raise ProviderBusy(f"{intent.id} is {intent.status}")


def capture(order_id: UUID, attempt: Attempt) -> Output:
    """Take the money that was set aside, and return how much.

    Raises PaymentDeclined when the authorization is no more, otherwise as ``authorize``.
    """
    deadline = Deadline.after(attempt.budget)
    payment = _newest(order_id)
    intent_id = _known_id(payment)
    intent = None
    if attempt.number > 1:
        intent = gateway.retrieve_intent(intent_id, deadline=deadline)
        _take_next_key_if_stuck(payment)
    if intent is None or intent.status == IntentStatus.REQUIRES_CAPTURE:
        intent = _ask_or_look(payment, "capture", partial(_capture, payment, intent_id, deadline))
    if intent.status == IntentStatus.CANCELED:
        raise PaymentDeclined("authorization_expired", intent=intent)
    if intent.status != IntentStatus.SUCCEEDED:
        raise ProviderBusy(f"{intent.id} is {intent.status}")
    _check_amount(payment, intent, intent.received_minor)
    return {"intent_id": intent.id, "received_minor": intent.received_minor}


def close(order_id: UUID, attempt: Attempt) -> Output:
    """Make sure that none of the order's money is held or taken any more, for good.

    To be called once ``closed_at`` is set on its payments. Returns how each payment ended. Raises
    RefundPending until the money is back, RefundFailed when the bank could not give it back.
    """
    deadline = Deadline.after(attempt.budget)
    ended = [
        _close(payment, attempt, deadline) for payment in Payment.objects.filter(order_id=order_id)
    ]
    return {"payments": ended}


def _close(payment: Payment, attempt: Attempt, deadline: Deadline) -> Output:
    if payment.status in (PaymentStatus.VOIDED, PaymentStatus.REFUNDED):
        return {"payment_id": str(payment.pk), "status": payment.status}
    decline_code = ""
    status = PaymentStatus.VOIDED
    # Without a stored id nothing was ever confirmed, and closed_at keeps it that way.
    if payment.intent_id is not None:
        cancel = partial(_cancel, payment, payment.intent_id, deadline)
        if attempt.number > 1:
            _take_next_key_if_stuck(payment)
        intent = _ask_or_look(payment, "cancel", cancel)
        decline_code = intent.decline_code
        if intent.status == IntentStatus.SUCCEEDED:
            _refund(payment, intent, attempt, deadline)
            status = PaymentStatus.REFUNDED
        elif intent.status != IntentStatus.CANCELED:
            raise ProviderBusy(f"{intent.id} is {intent.status}")
    return {"payment_id": str(payment.pk), "status": status, "decline_code": decline_code}


def _refund(payment: Payment, intent: Intent, attempt: Attempt, deadline: Deadline) -> None:
    """Give everything back that was taken; return only once it has arrived.

    Our refund's id is in the metadata of the bank's: one whose answer got lost is found again.
    What somebody gave back at the bank's own desk counts too.
    """
    known = gateway.list_refunds(intent.id, deadline=deadline)
    missing = intent.received_minor - _sum_returned(known)
    refund = payment.refunds.first()
    ours = next((each for each in known if refund and _is_ours(each, refund)), None)
    if ours is None:
        if missing <= 0:
            return
        refund = refund or attempt.checkpoint(partial(_intend_refund, payment, missing))
        ours = _ask(payment, "refund", partial(_create_refund, payment, refund, intent, deadline))
    attempt.checkpoint(partial(_note_refund, payment, ours))
    if missing <= 0:
        return
    if ours.status in (RefundStatus.FAILED, RefundStatus.CANCELED):
        raise RefundFailed(f"{ours.id} {ours.status}: {ours.failure_reason}")
    if ours.status != RefundStatus.SUCCEEDED:
        raise RefundPending(f"{ours.id} is {ours.status}")


def _create_refund(
    payment: Payment, refund: Refund, intent: Intent, deadline: Deadline, key: str
) -> ProviderRefund:
    return gateway.create_refund(
        intent.id,
        amount_minor=refund.amount_minor,
        metadata={"refund_id": str(refund.pk), **_ownership(payment)},
        key=key,
        api_version=payment.api_version,
        deadline=deadline,
    )


def _intend_refund(payment: Payment, amount_minor: int) -> Refund:
    refund, _ = Refund.objects.get_or_create(
        payment=payment, defaults={"amount_minor": amount_minor, "currency": payment.currency}
    )
    return refund


def _is_ours(found: ProviderRefund, refund: Refund) -> bool:
    return found.metadata.get("refund_id") == str(refund.pk)


def _note_refund(payment: Payment, found: ProviderRefund) -> None:
    payment.refunds.update(status=found.status, provider_refund_id=found.id)


def _sum_returned(refunds: list[ProviderRefund]) -> int:
    return sum(each.amount_minor for each in refunds if each.status == RefundStatus.SUCCEEDED)


def _ownership(payment: Payment) -> dict[str, str]:
    """What marks an object at the bank as ours."""
    metadata: dict[str, str] = payment.params["metadata"]
    return metadata


# -- asking ----------------------------------------------------------------------------------


def _confirm(payment: Payment, intent_id: str, deadline: Deadline, key: str) -> Intent:
    return gateway.confirm_intent(
        intent_id, key=key, api_version=payment.api_version, deadline=deadline
    )


def _capture(payment: Payment, intent_id: str, deadline: Deadline, key: str) -> Intent:
    return gateway.capture_intent(
        intent_id,
        amount_minor=payment.amount_minor,
        key=key,
        api_version=payment.api_version,
        deadline=deadline,
    )


def _cancel(payment: Payment, intent_id: str, deadline: Deadline, key: str) -> Intent:
    return gateway.cancel_intent(
        intent_id, key=key, api_version=payment.api_version, deadline=deadline
    )


def _ask_or_look(payment: Payment, operation: str, call: Callable[[str], Intent]) -> Intent:
    """Make a call; where the intent is not in a state for it, return the intent as it is."""
    try:
        return _ask(payment, operation, call)
    except UnexpectedState as error:
        return error.intent


def _ask(payment: Payment, operation: str, call: Callable[[str], T]) -> T:
    """Make a call under the payment's key for ``operation``, counting repeats of saved errors."""
    try:
        return call(payment.idempotency_key(operation))
    except OutcomeUnknown as error:
        if error.replayed:
            _move_on(payment, replayed_error_count=F("replayed_error_count") + 1)
        raise


def _take_next_key_if_stuck(payment: Payment) -> None:
    """Stop repeating a key under which the bank has saved an error, and take the next one.

    Never blindly: the caller has looked for what the earlier key may have done, or repeats an
    operation that the intent's own state lets happen only once.
    """
    if payment.replayed_error_count < REPLAYED_ERRORS_BEFORE_LOOKING:
        return
    _move_on(payment, key_generation=F("key_generation") + 1, replayed_error_count=0)
    payment.refresh_from_db(fields=["key_generation", "replayed_error_count"])


def _move_on(payment: Payment, **changes: object) -> None:
    """Change the payment's row, unless another worker has moved it on to a later key meanwhile."""
    with transaction.atomic():
        own = Payment.objects.filter(pk=payment.pk, key_generation=payment.key_generation)
        own.update(**changes)


def _known_id(payment: Payment) -> str:
    if payment.intent_id is None:
        raise PaymentDeclined("never_authorized")
    return payment.intent_id


def _check_amount(payment: Payment, intent: Intent, amount_minor: int) -> None:
    if (amount_minor, intent.currency) != (payment.amount_minor, payment.currency):
        raise AmountMismatch(intent, expected_minor=payment.amount_minor, currency=payment.currency)
