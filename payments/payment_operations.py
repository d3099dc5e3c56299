"""The money protocol: authorize, capture and close one order's payment, at any provider.

Any worker may repeat each operation at any time, after any crash or time-out:

* The payment is created unconfirmed, and the provider's id is stored before it is confirmed. So a
  create without an answer takes no money, and every later call uses the stored id.
* If an earlier attempt's outcome is unknown, the next attempt reads the payment before it acts.
* If the issuer asks the customer to authenticate, what the storefront needs is stored. A later attempt
  reads the payment, and finds out how the authentication ended.
* Closing cancels the payment at the provider. No confirmation can succeed after that, however late
  a delayed worker sends it. If the money was already taken, closing refunds it.

``payments.providers.protocol`` says what a provider must promise for this to hold.
"""

from dataclasses import asdict
from datetime import timedelta
from functools import partial
from typing import Final, TypeVar
from uuid import UUID

from bulk_sql.statements import Update, select, write
from outbound.deadline import Deadline
from payments import provider_calls as calls
from payments.errors import (
    AmountMismatch,
    AuthenticationRequired,
    NotDoneYet,
    PaymentClosed,
    PaymentDeclined,
    RefundFailed,
    RefundPending,
)
from payments.models import Payment, Refund
from payments.provider_types import (
    ProviderPayment,
    ProviderPaymentStatus,
    ProviderRefund,
    RefundStatus,
)
from payments.recording import record_closings
from payments.states import PaymentStatus
from sagas.batch import Output
from sagas.errors import LeaseLost
from sagas.work import Attempt

T = TypeVar("T")

CLOCK_TOLERANCE: Final = timedelta(minutes=5)
"""How far the provider's clock may be behind ours when it dates a payment."""


def authorize(order_id: UUID, attempt: Attempt) -> Output:
    """Authorize the order's money, or take it where it cannot be held, and return the payment.

    Repeating never holds the money twice: the payment has one id and one key at its provider.
    Concurrent calls are safe, too; a worker that has lost its lease raises LeaseLost. Amounts are
    in minor units.

    Raises PaymentDeclined or RequestRejected if the payment fails for good. Raises PaymentClosed if it
    was marked for closing meanwhile, and AmountMismatch if the provider holds a different amount. Raises
    NotDoneYet, DeadlinePassed or OutcomeUnknown if the attempt must be repeated, and RefundPending while
    an earlier payment of the order is being refunded. Raises AuthenticationRequired while the customer
    has to authenticate; what they need is stored by then.
    """
    deadline = Deadline.after(attempt.time_limit)
    payment, *earlier = select(
        Payment, "WHERE order_id = %s ORDER BY created_at DESC, id DESC", [order_id]
    )
    if payment.closing_since is not None:
        raise PaymentClosed
    for replaced in earlier:
        _close_replaced(replaced, attempt, deadline)
    if payment.provider_payment_id is None:
        provider_payment = _create(payment, attempt, deadline)
    else:
        provider_payment = calls.retrieve(payment, payment.provider_payment_id, deadline)
        calls.use_next_key_after_replayed_errors(payment)
    if provider_payment.status == ProviderPaymentStatus.CREATED:
        provider_payment = calls.call_or_current_state(
            payment, "confirm", partial(calls.confirm, payment, provider_payment.id, deadline)
        )
    _store_customer_action(payment, attempt, provider_payment)
    _check_authorization(payment, provider_payment)
    return {
        "provider_payment_id": provider_payment.id,
        "status": provider_payment.status,
        "amount_minor": payment.amount_minor,
    }


def _close_replaced(payment: Payment, attempt: Attempt, deadline: Deadline) -> None:
    """Cancel a payment that was replaced by a newer one, and record that, unless it is done."""
    if payment.status in (PaymentStatus.VOIDED, PaymentStatus.REFUNDED):
        return
    ended = _close(payment, attempt, deadline)
    attempt.checkpoint(partial(record_closings, {payment.order_id: {"payments": [ended]}}))


def _create(payment: Payment, attempt: Attempt, deadline: Deadline) -> ProviderPayment:
    """Create the payment at its provider, or find the one of a lost create, and store its id."""
    provider_payment = None
    if payment.replayed_error_count >= calls.MAX_REPLAYED_ERRORS:
        provider_payment = _find_created(payment, deadline)
        if provider_payment is None:
            calls.use_next_key_after_replayed_errors(payment)
    if provider_payment is None:
        provider_payment = calls.call(
            payment,
            "create",
            lambda key: calls.provider_of(payment).create_payment(
                payment.params, key=key, api_version=payment.api_version, deadline=deadline
            ),
        )
    if not _checkpoint_provider_payment_id(payment, attempt, provider_payment.id):
        # Marked for closing during the call, and no other worker knows this id: cancel it here. The
        # attempt's time may be spent, so the cancel gets a deadline of its own. It may outlive the
        # lease: it stores nothing, and if it fails, an unconfirmed payment takes no money.
        own_deadline = Deadline.after(attempt.time_limit)
        calls.cancel(payment, provider_payment.id, own_deadline, payment.idempotency_key("cancel"))
        raise PaymentClosed
    return provider_payment


def _find_created(payment: Payment, deadline: Deadline) -> ProviderPayment | None:
    listed = calls.provider_of(payment).list_payments(
        created_from=payment.created_at - CLOCK_TOLERANCE, deadline=deadline
    )
    own_id = str(payment.pk)
    for provider_payment in listed:
        if provider_payment.metadata.get("payment_id") == own_id:
            return provider_payment
    return None


def _checkpoint_provider_payment_id(
    payment: Payment, attempt: Attempt, provider_payment_id: str
) -> bool:
    """Store the id; return False if the payment was marked for closing since the call began.

    Raises LeaseLost if another worker continues with the payment. The same key gives that worker the
    same provider payment, so this one must leave it alone.
    """
    try:
        return attempt.checkpoint(partial(_store_provider_payment_id, payment, provider_payment_id))
    except LeaseLost:
        if Payment.objects.filter(pk=payment.pk, closing_since__isnull=True).exists():
            raise
        return False


def _store_provider_payment_id(payment: Payment, provider_payment_id: str) -> bool:
    """Store the id unless the payment is marked for closing; return whether it is stored."""
    payment.provider_payment_id = provider_payment_id
    return write(Update([payment], ["provider_payment_id"], only_if="closing_since IS NULL")) == 1


def _store_customer_action(
    payment: Payment, attempt: Attempt, provider_payment: ProviderPayment
) -> None:
    """Store what the storefront needs while the customer has to authenticate; remove it after that.

    For an authorized payment ``record_authorizations`` removes it. Raises PaymentClosed if the payment
    was marked for closing, and LeaseLost if another worker continues with it.
    """
    if provider_payment.status in (
        ProviderPaymentStatus.AUTHORIZED,
        ProviderPaymentStatus.CAPTURED,
    ):
        return
    action = provider_payment.next_action
    if action is None and payment.next_action is None:
        return
    payment.next_action = None if action is None else asdict(action)
    payment.client_secret = provider_payment.client_secret
    if not attempt.checkpoint(partial(_write_customer_action, payment)):
        raise PaymentClosed


def _write_customer_action(payment: Payment) -> bool:
    """Write the action unless the payment is marked for closing; return whether it is written."""
    changed = ["next_action", "client_secret"]
    return write(Update([payment], changed, only_if="closing_since IS NULL")) == 1


def _newest_payment(order_id: UUID) -> Payment:
    """Return the payment to act on: an order may get another one after the first was closed."""
    (payment,) = select(Payment, "WHERE order_id = %s ORDER BY created_at DESC LIMIT 1", [order_id])
    return payment


def _check_authorization(payment: Payment, provider_payment: ProviderPayment) -> None:
    """Raise unless the provider holds, or has taken, exactly what the order costs."""
    match provider_payment.status:
        case ProviderPaymentStatus.AUTHORIZED | ProviderPaymentStatus.CAPTURED:
            _check_amount(
                payment,
                provider_payment,
                provider_payment.held_minor + provider_payment.captured_minor,
            )
        case ProviderPaymentStatus.DECLINED:
            raise PaymentDeclined(
                provider_payment.decline_code or "declined", payment=provider_payment
            )
        case ProviderPaymentStatus.REQUIRES_ACTION:
            raise AuthenticationRequired(provider_payment)
        case ProviderPaymentStatus.CANCELLED:
            raise PaymentDeclined("cancelled", payment=provider_payment)
        case ProviderPaymentStatus.PROCESSING | ProviderPaymentStatus.CREATED:
            raise NotDoneYet(f"{provider_payment.id} is {provider_payment.status}")


def capture(order_id: UUID, attempt: Attempt) -> Output:
    """Take the money that is held, and return the captured amount in minor units.

    Repeating takes nothing more: a later attempt first reads the payment. Raises PaymentDeclined if
    the authorization has expired; otherwise what ``authorize`` raises.
    """
    deadline = Deadline.after(attempt.time_limit)
    payment = _newest_payment(order_id)
    payment_id = _provider_id_or_decline(payment)
    provider_payment = None
    if attempt.number > 1:
        provider_payment = calls.retrieve(payment, payment_id, deadline)
        calls.use_next_key_after_replayed_errors(payment)
    if provider_payment is None or provider_payment.status == ProviderPaymentStatus.AUTHORIZED:
        provider_payment = calls.call_or_current_state(
            payment, "capture", partial(calls.capture, payment, payment_id, deadline)
        )
    if provider_payment.status == ProviderPaymentStatus.CANCELLED:
        raise PaymentDeclined("authorization_expired", payment=provider_payment)
    if provider_payment.status != ProviderPaymentStatus.CAPTURED:
        raise NotDoneYet(f"{provider_payment.id} is {provider_payment.status}")
    _check_amount(payment, provider_payment, provider_payment.captured_minor)
    return {
        "provider_payment_id": provider_payment.id,
        "captured_minor": provider_payment.captured_minor,
    }


def close(order_id: UUID, attempt: Attempt) -> Output:
    """Cancel or refund every payment of an order, and return how each payment ended.

    The caller has set ``closing_since`` on the payments and committed it. When this returns, no
    worker can charge the customer any more, however late it wakes. A payment without a stored id was
    never confirmed, and never will be: it is voided without a call. Repeating moves no more money:
    the provider cancels a payment once, and our refund is found again by its id.

    Raises NotDoneYet, DeadlinePassed or OutcomeUnknown if the attempt must be repeated. Raises
    RefundPending until the refund has succeeded. Raises RefundRejected or RefundFailed if the provider
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
    # Without a stored id nothing was ever confirmed. Because of closing_since nothing ever will be.
    if payment.provider_payment_id is not None:
        cancel = partial(calls.cancel, payment, payment.provider_payment_id, deadline)
        if attempt.number > 1:
            calls.use_next_key_after_replayed_errors(payment)
        provider_payment = calls.call_or_current_state(payment, "cancel", cancel)
        decline_code = provider_payment.decline_code
        if provider_payment.status == ProviderPaymentStatus.CAPTURED:
            _refund(payment, provider_payment, attempt, deadline)
            status = PaymentStatus.REFUNDED
        elif provider_payment.status != ProviderPaymentStatus.CANCELLED:
            raise NotDoneYet(f"{provider_payment.id} is {provider_payment.status}")
    return {"payment_id": str(payment.pk), "status": status, "decline_code": decline_code}


def _refund(
    payment: Payment, captured: ProviderPayment, attempt: Attempt, deadline: Deadline
) -> None:
    """Refund all that was taken. Raises RefundPending until the money is returned.

    The provider's refund carries our refund's id in its metadata, so it is found again
    after a lost answer. Refunds that staff made in the provider's dashboard count too: after ours has
    failed, such a one takes its place. Without it raises RefundFailed.
    """
    refunds = calls.provider_of(payment).list_refunds(captured.id, deadline=deadline)
    missing = captured.captured_minor - _sum_returned(refunds)
    refund = payment.refunds.first()
    ours = next((listed for listed in refunds if refund and _is_ours(listed, refund)), None)
    if ours is None:
        if missing <= 0:
            return
        refund = refund or attempt.checkpoint(partial(_prepare_refund, payment, missing))
        create = partial(_create_refund, payment, refund, captured.id, deadline)
        ours = calls.call(payment, "refund", create)
        refunds = [*(listed for listed in refunds if listed.id != ours.id), ours]
        missing = captured.captured_minor - _sum_returned(refunds)
    counting = _in_place_of(ours, refunds, missing)
    attempt.checkpoint(partial(_store_refund, payment, counting))
    if missing <= 0:
        return
    if counting.status in _NOT_RETURNED:
        raise RefundFailed(f"{ours.id} {ours.status}: {ours.failure_reason}")
    raise RefundPending(f"{counting.id} is {counting.status}")


def _create_refund(
    payment: Payment, refund: Refund, payment_id: str, deadline: Deadline, key: str
) -> ProviderRefund:
    return calls.provider_of(payment).create_refund(
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


def _is_ours(provider_refund: ProviderRefund, refund: Refund) -> bool:
    return provider_refund.metadata.get("refund_id") == str(refund.pk)


def _store_refund(payment: Payment, provider_refund: ProviderRefund) -> None:
    payment.refunds.update(status=provider_refund.status, provider_refund_id=provider_refund.id)


_NOT_RETURNED: Final = (RefundStatus.FAILED, RefundStatus.CANCELLED)


def _in_place_of(
    ours: ProviderRefund, refunds: list[ProviderRefund], missing: int
) -> ProviderRefund:
    """Return our refund or, if it failed, one that staff made and that returns what is ``missing``."""
    if ours.status not in _NOT_RETURNED:
        return ours
    if missing <= 0:
        return next(listed for listed in refunds if listed.status == RefundStatus.SUCCEEDED)
    ended = (*_NOT_RETURNED, RefundStatus.SUCCEEDED)
    under_way = [listed for listed in refunds if listed.status not in ended]
    return under_way[0] if sum(listed.amount_minor for listed in under_way) >= missing else ours


def _sum_returned(refunds: list[ProviderRefund]) -> int:
    return sum(refund.amount_minor for refund in refunds if refund.status == RefundStatus.SUCCEEDED)


def _provider_id_or_decline(payment: Payment) -> str:
    """Return the provider's id. Raises PaymentDeclined for a payment that was never authorized."""
    if payment.provider_payment_id is None:
        raise PaymentDeclined("never_authorized")
    return payment.provider_payment_id


def _check_amount(payment: Payment, provider_payment: ProviderPayment, amount_minor: int) -> None:
    if (amount_minor, provider_payment.currency) != (payment.amount_minor, payment.currency):
        raise AmountMismatch(
            provider_payment, expected_minor=payment.amount_minor, currency=payment.currency
        )
