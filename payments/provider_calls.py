"""Calls to one payment's provider: under the payment's keys, with its parameters and API version."""

from collections.abc import Callable
from typing import Final, TypeVar

from django.db import transaction
from django.db.models import F

from outbound.deadline import Deadline
from payments.errors import OutcomeUnknown, WrongStatus
from payments.models import Payment
from payments.provider_types import ProviderPayment
from payments.providers.protocol import PaymentProvider
from payments.providers.registry import provider_named

T = TypeVar("T")

MAX_REPLAYED_ERRORS: Final = 2
"""When the provider has repeated a saved error twice, we look for an effect and use the next key."""


def provider_of(payment: Payment) -> PaymentProvider:
    return provider_named(payment.provider)


def retrieve(payment: Payment, payment_id: str, deadline: Deadline) -> ProviderPayment:
    return provider_of(payment).retrieve_payment(payment_id, deadline=deadline)


def confirm(payment: Payment, payment_id: str, deadline: Deadline, key: str) -> ProviderPayment:
    return provider_of(payment).confirm_payment(
        payment_id, payment.params, key=key, api_version=payment.api_version, deadline=deadline
    )


def capture(payment: Payment, payment_id: str, deadline: Deadline, key: str) -> ProviderPayment:
    return provider_of(payment).capture_payment(
        payment_id,
        amount_minor=payment.amount_minor,
        currency=payment.currency,
        key=key,
        api_version=payment.api_version,
        deadline=deadline,
    )


def cancel(payment: Payment, payment_id: str, deadline: Deadline, key: str) -> ProviderPayment:
    return provider_of(payment).cancel_payment(
        payment_id, key=key, api_version=payment.api_version, deadline=deadline
    )


def call_or_current_state(
    payment: Payment, operation: str, request: Callable[[str], ProviderPayment]
) -> ProviderPayment:
    """Make a call; if the payment's status does not allow it, return the payment as it is."""
    try:
        return call(payment, operation, request)
    except WrongStatus as error:
        return error.payment


def call(payment: Payment, operation: str, request: Callable[[str], T]) -> T:
    """Make a call under the payment's key for ``operation``, and count replayed errors."""
    try:
        return request(payment.idempotency_key(operation))
    except OutcomeUnknown as error:
        if error.replayed:
            _update_if_key_is_current(payment, replayed_error_count=F("replayed_error_count") + 1)
        raise


def use_next_key_after_replayed_errors(payment: Payment) -> None:
    """Use the next key once the provider has repeated a saved error MAX_REPLAYED_ERRORS times.

    Call it only if the new key cannot act a second time. Either the caller has looked for an effect of
    the earlier key, or the payment's status at the provider allows the operation only once.
    """
    if payment.replayed_error_count < MAX_REPLAYED_ERRORS:
        return
    _update_if_key_is_current(payment, key_version=F("key_version") + 1, replayed_error_count=0)
    payment.refresh_from_db(fields=["key_version", "replayed_error_count"])


def _update_if_key_is_current(payment: Payment, **changes: object) -> None:
    """Change the payment's row, unless another worker uses a later key already."""
    with transaction.atomic():
        own = Payment.objects.filter(pk=payment.pk, key_version=payment.key_version)
        own.update(**changes)
