"""The money protocol: authorize, capture and close one order's payment, at any provider.

Any worker may repeat each operation at any time, after any crash or time-out:

* The payment is created unconfirmed and the provider's id is stored before it is confirmed. So a
  lost create takes no money, and every later call names *that id*.
* If an earlier attempt's outcome is unknown, it is looked up first, never guessed.
* Closing cancels the payment at the provider. No confirmation can succeed after that, however late
  a delayed worker sends it. If the money was already taken, it is refunded.

``payments.providers.protocol`` says what a provider must promise for this to hold.
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
from payments.provider_types import (
    ProviderPayment,
    ProviderPaymentStatus,
    ProviderRefund,
    RefundStatus,
)
from payments.providers.protocol import PaymentProvider
from payments.providers.registry import provider_named
from payments.states import PaymentStatus
from sagas.batch import Output
from sagas.bulk_sql import Update, select, write
from sagas.definition import Attempt
from sagas.errors import LeaseLost

T = TypeVar("T")

REPLAYED_ERRORS_BEFORE_LOOKING: Final = 2
"""After this many repeats of a saved error (three equal results), we look, and take the next key."""

CLOCK_TOLERANCE: Final = timedelta(minutes=5)
"""How far the provider's clock may be behind ours when it dates a payment."""


def authorize(order_id: UUID, attempt: Attempt) -> Output:
    """Have the order's money held, or taken where it cannot be held, and return the payment.

    Repeating never holds the money twice: the payment has one id and one key at its provider.
    Concurrent calls are safe, too; a worker that has lost its lease raises LeaseLost. Amounts are
    in minor units.

    Raises PaymentDeclined or RequestRejected if the payment fails for good. Raises PaymentClosed if it
    was closed meanwhile, and AmountMismatch if the provider holds a different amount. Raises
    ProviderBusy, DeadlinePassed or OutcomeUnknown if the attempt must be repeated.
    """
    deadline = Deadline.after(attempt.time_limit)
    payment = _newest(order_id)
    if payment.closed_at is not None:
        raise PaymentClosed
    if payment.provider_payment_id is None:
        found = _create(payment, attempt, deadline)
    else:
        found = _retrieve(payment, payment.provider_payment_id, deadline)
        _take_next_key_if_stuck(payment)
    if found.status == ProviderPaymentStatus.CREATED:
        found = _call_or_look(payment, "confirm", partial(_confirm, payment, found.id, deadline))
    _check_authorization(payment, found)
    return {
        "provider_payment_id": found.id,
        "status": found.status,
        "amount_minor": payment.amount_minor,
    }


def _create(payment: Payment, attempt: Attempt, deadline: Deadline) -> ProviderPayment:
    """Create the payment at its provider, or find the one of a lost create, and store its id."""
    found = None
    if payment.replayed_error_count >= REPLAYED_ERRORS_BEFORE_LOOKING:
        found = _find_created(payment, deadline)
        if found is None:
            _take_next_key_if_stuck(payment)
    if found is None:
        found = _call(
            payment,
            "create",
            lambda key: _provider(payment).create_payment(
                payment.params, key=key, api_version=payment.api_version, deadline=deadline
            ),
        )
    if not _checkpoint_provider_payment_id(payment, attempt, found.id):
        # Closed during the call, and no other worker knows this id: cancel it here. The attempt's
        # time is spent by now, so the cancel gets a deadline of its own.
        own_deadline = Deadline.after(attempt.time_limit)
        _cancel(payment, found.id, own_deadline, payment.idempotency_key("cancel"))
        raise PaymentClosed
    return found


def _find_created(payment: Payment, deadline: Deadline) -> ProviderPayment | None:
    listed = _provider(payment).list_payments(
        created_from=payment.created_at - CLOCK_TOLERANCE, deadline=deadline
    )
    own_id = str(payment.pk)
    return next((found for found in listed if found.metadata.get("payment_id") == own_id), None)


def _checkpoint_provider_payment_id(
    payment: Payment, attempt: Attempt, provider_payment_id: str
) -> bool:
    """Store the id; return False if the payment was closed since the call began.

    Raises LeaseLost if another worker continues with the payment. The same key gives that worker the
    same provider payment, so this one must leave it alone.
    """
    try:
        return attempt.checkpoint(partial(_store_provider_payment_id, payment, provider_payment_id))
    except LeaseLost:
        if Payment.objects.filter(pk=payment.pk, closed_at__isnull=True).exists():
            raise
        return False


def _store_provider_payment_id(payment: Payment, provider_payment_id: str) -> bool:
    """Store the id unless the payment has been closed; return whether it is stored."""
    payment.provider_payment_id = provider_payment_id
    return write(Update([payment], ["provider_payment_id"], only_if="closed_at IS NULL")) == 1


def _newest(order_id: UUID) -> Payment:
    (payment,) = select(Payment, "WHERE order_id = %s ORDER BY created_at DESC LIMIT 1", [order_id])
    return payment


def _check_authorization(payment: Payment, found: ProviderPayment) -> None:
    """Raise unless the provider holds, or has taken, exactly what the order costs."""
    match found.status:
        case ProviderPaymentStatus.AUTHORIZED | ProviderPaymentStatus.CAPTURED:
            _check_amount(payment, found, found.held_minor + found.captured_minor)
        case ProviderPaymentStatus.DECLINED:
            raise PaymentDeclined(found.decline_code or "declined", payment=found)
        case ProviderPaymentStatus.REQUIRES_ACTION:
            raise PaymentDeclined("authentication_required", payment=found)
        case ProviderPaymentStatus.CANCELLED:
            raise PaymentDeclined("cancelled", payment=found)
        case ProviderPaymentStatus.PROCESSING | ProviderPaymentStatus.CREATED:
            raise ProviderBusy(f"{found.id} is {found.status}")


def capture(order_id: UUID, attempt: Attempt) -> Output:
    """Take the money that is held, and return the captured amount in minor units.

    Repeating takes nothing more: a later attempt first reads the payment. Raises PaymentDeclined if
    the authorization has lapsed; otherwise what ``authorize`` raises.
    """
    deadline = Deadline.after(attempt.time_limit)
    payment = _newest(order_id)
    payment_id = _known_id(payment)
    found = None
    if attempt.number > 1:
        found = _retrieve(payment, payment_id, deadline)
        _take_next_key_if_stuck(payment)
    if found is None or found.status == ProviderPaymentStatus.AUTHORIZED:
        found = _call_or_look(payment, "capture", partial(_capture, payment, payment_id, deadline))
    if found.status == ProviderPaymentStatus.CANCELLED:
        raise PaymentDeclined("authorization_expired", payment=found)
    if found.status != ProviderPaymentStatus.CAPTURED:
        raise ProviderBusy(f"{found.id} is {found.status}")
    _check_amount(payment, found, found.captured_minor)
    return {"provider_payment_id": found.id, "captured_minor": found.captured_minor}


def close(order_id: UUID, attempt: Attempt) -> Output:
    """Cancel or refund every payment of an order, and return how each payment ended.

    Call it after ``closed_at`` was set and committed on the payments. Then no worker can charge
    the customer any more, however late it wakes. Repeating moves nothing more: the provider cancels
    a payment once, and our refund is found again by its id.

    Raises ProviderBusy, DeadlinePassed or OutcomeUnknown if the attempt must be repeated. Raises
    RefundPending until the refund has arrived. Raises RefundRejected or RefundFailed if the provider
    does not return the money.
    """
    deadline = Deadline.after(attempt.time_limit)
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
    if payment.provider_payment_id is not None:
        cancel = partial(_cancel, payment, payment.provider_payment_id, deadline)
        if attempt.number > 1:
            _take_next_key_if_stuck(payment)
        found = _call_or_look(payment, "cancel", cancel)
        decline_code = found.decline_code
        if found.status == ProviderPaymentStatus.CAPTURED:
            _refund(payment, found, attempt, deadline)
            status = PaymentStatus.REFUNDED
        elif found.status != ProviderPaymentStatus.CANCELLED:
            raise ProviderBusy(f"{found.id} is {found.status}")
    return {"payment_id": str(payment.pk), "status": status, "decline_code": decline_code}


def _refund(
    payment: Payment, captured: ProviderPayment, attempt: Attempt, deadline: Deadline
) -> None:
    """Refund all that was taken. Raises RefundPending until the refund has arrived.

    The provider's refund carries our refund's id in its metadata, so it is found again after a lost
    answer. Refunds that staff made in the provider's dashboard count too.
    """
    known = _provider(payment).list_refunds(captured.id, deadline=deadline)
    missing = captured.captured_minor - _sum_returned(known)
    refund = payment.refunds.first()
    ours = next((found for found in known if refund and _is_ours(found, refund)), None)
    if ours is None:
        if missing <= 0:
            return
        refund = refund or attempt.checkpoint(partial(_prepare_refund, payment, missing))
        create = partial(_create_refund, payment, refund, captured.id, deadline)
        ours = _call(payment, "refund", create)
    attempt.checkpoint(partial(_store_refund, payment, ours))
    if missing <= 0:
        return
    if ours.status in (RefundStatus.FAILED, RefundStatus.CANCELLED):
        raise RefundFailed(f"{ours.id} {ours.status}: {ours.failure_reason}")
    if ours.status != RefundStatus.SUCCEEDED:
        raise RefundPending(f"{ours.id} is {ours.status}")


def _create_refund(
    payment: Payment, refund: Refund, payment_id: str, deadline: Deadline, key: str
) -> ProviderRefund:
    return _provider(payment).create_refund(
        payment_id,
        amount_minor=refund.amount_minor,
        currency=payment.currency,
        metadata={"refund_id": str(refund.pk), **payment.metadata},
        key=key,
        api_version=payment.api_version,
        deadline=deadline,
    )


def _prepare_refund(payment: Payment, amount_minor: int) -> Refund:
    refund, _ = Refund.objects.get_or_create(
        payment=payment, defaults={"amount_minor": amount_minor, "currency": payment.currency}
    )
    return refund


def _is_ours(found: ProviderRefund, refund: Refund) -> bool:
    return found.metadata.get("refund_id") == str(refund.pk)


def _store_refund(payment: Payment, found: ProviderRefund) -> None:
    payment.refunds.update(status=found.status, provider_refund_id=found.id)


def _sum_returned(refunds: list[ProviderRefund]) -> int:
    return sum(refund.amount_minor for refund in refunds if refund.status == RefundStatus.SUCCEEDED)


# -- calls to the provider -----------------------------------------------------------------------


def _provider(payment: Payment) -> PaymentProvider:
    return provider_named(payment.provider)


def _retrieve(payment: Payment, payment_id: str, deadline: Deadline) -> ProviderPayment:
    return _provider(payment).retrieve_payment(payment_id, deadline=deadline)


def _confirm(payment: Payment, payment_id: str, deadline: Deadline, key: str) -> ProviderPayment:
    return _provider(payment).confirm_payment(
        payment_id, key=key, api_version=payment.api_version, deadline=deadline
    )


def _capture(payment: Payment, payment_id: str, deadline: Deadline, key: str) -> ProviderPayment:
    return _provider(payment).capture_payment(
        payment_id,
        amount_minor=payment.amount_minor,
        currency=payment.currency,
        key=key,
        api_version=payment.api_version,
        deadline=deadline,
    )


def _cancel(payment: Payment, payment_id: str, deadline: Deadline, key: str) -> ProviderPayment:
    return _provider(payment).cancel_payment(
        payment_id, key=key, api_version=payment.api_version, deadline=deadline
    )


def _call_or_look(
    payment: Payment, operation: str, call: Callable[[str], ProviderPayment]
) -> ProviderPayment:
    """Make a call; if the payment's status does not allow it, return the payment as it is."""
    try:
        return _call(payment, operation, call)
    except UnexpectedState as error:
        return error.payment


def _call(payment: Payment, operation: str, call: Callable[[str], T]) -> T:
    """Make a call under the payment's key for ``operation``, and count replayed errors."""
    try:
        return call(payment.idempotency_key(operation))
    except OutcomeUnknown as error:
        if error.replayed:
            _update_unless_newer_key(payment, replayed_error_count=F("replayed_error_count") + 1)
        raise


def _take_next_key_if_stuck(payment: Payment) -> None:
    """Stop repeating a key under which the provider has saved an error, and take the next one.

    The caller has looked for an effect of the earlier key, or repeats an operation that the provider
    payment's own status allows only once.
    """
    if payment.replayed_error_count < REPLAYED_ERRORS_BEFORE_LOOKING:
        return
    _update_unless_newer_key(
        payment, key_generation=F("key_generation") + 1, replayed_error_count=0
    )
    payment.refresh_from_db(fields=["key_generation", "replayed_error_count"])


def _update_unless_newer_key(payment: Payment, **changes: object) -> None:
    """Change the payment's row, unless another worker has taken a later key meanwhile."""
    with transaction.atomic():
        own = Payment.objects.filter(pk=payment.pk, key_generation=payment.key_generation)
        own.update(**changes)


def _known_id(payment: Payment) -> str:
    if payment.provider_payment_id is None:
        raise PaymentDeclined("never_authorized")
    return payment.provider_payment_id


def _check_amount(payment: Payment, found: ProviderPayment, amount_minor: int) -> None:
    if (amount_minor, found.currency) != (payment.amount_minor, payment.currency):
        raise AmountMismatch(found, expected_minor=payment.amount_minor, currency=payment.currency)
