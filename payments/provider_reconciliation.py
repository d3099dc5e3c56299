"""Reads from the providers what they hold and took of our customers' money. Changes nothing."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final, TypeVar
from uuid import UUID

from django.conf import settings

from clock.now import now
from outbound.deadline import Deadline
from payments.errors import UnknownPayment
from payments.models import Payment
from payments.payment_operations import CLOCK_TOLERANCE
from payments.provider_types import PaymentKey, ProviderPayment, ProviderRefund, RefundStatus
from payments.providers.protocol import PaymentProvider
from payments.providers.registry import provider_named, providers

T = TypeVar("T", ProviderPayment, ProviderRefund)

BEFORE_ALL_PAYMENTS: Final = datetime(2011, 1, 1, tzinfo=UTC)
"""Older than every payment at a provider."""

LISTING_TIME_LIMIT: Final = timedelta(minutes=10)
MAX_RECENT_OBJECTS: Final = 10_000
"""The most payments, and the most refunds, that ``read_recent`` reads from each provider. That is 100
pages of 100: an hour with 10,000 orders, or the last 15 minutes of an hour with 40,000."""

LISTING_PRECISION: Final = timedelta(seconds=1)
"""The precision of times in a provider's lists."""


@dataclass(frozen=True, slots=True)
class ProviderPaymentState:
    """One payment as its provider has it, with what was refunded of it. Amounts are in minor units."""

    provider: str
    provider_payment_id: str
    order_id: str
    status: str
    currency: str
    held_minor: int
    captured_minor: int
    refunded_minor: int

    @property
    def net_minor(self) -> int:
        """How much of the customer's money is held for us or was taken and not refunded."""
        return self.held_minor + self.captured_minor - self.refunded_minor

    @property
    def key(self) -> PaymentKey:
        return PaymentKey(self.provider, self.provider_payment_id)


@dataclass(frozen=True, slots=True)
class ProviderReading:
    """The payments at the providers, all read after ``read_at`` on our database's clock.

    A state is not from one moment: the refunds were read before the payment. Captured amounts only
    grow, so ``refunded_minor`` never exceeds ``captured_minor``. It is too small if money was
    refunded during the reading. That money was still with us after ``read_at``, so it contradicts
    nothing that our database had settled by then.

    Payments that we stored before ``complete_since`` may be missing. If it is None, none is missing.
    """

    payments: list[ProviderPaymentState]
    read_at: datetime
    complete_since: datetime | None = None


def read_providers(*, within: timedelta | None = None) -> ProviderReading:
    """Read every payment with our installation id, or only those created ``within`` that time.

    Leaves out payments of other systems on the same account. Reads one list of refunds and one of
    payments per provider, page by page. May be repeated at any time. Raises PaymentError if a call
    fails.
    """
    return _read(within, at_most=None)


def read_recent(within: timedelta) -> ProviderReading:
    """Read as ``read_providers`` does, but at most the newest MAX_RECENT_OBJECTS payments and refunds of each provider.

    The reading is complete from its ``complete_since`` on.
    """
    return _read(within, at_most=MAX_RECENT_OBJECTS)


def _read(within: timedelta | None, *, at_most: int | None) -> ProviderReading:
    read_at = now()
    deadline = Deadline.after(LISTING_TIME_LIMIT)
    since = read_at - within if within else BEFORE_ALL_PAYMENTS
    states: list[ProviderPaymentState] = []
    complete_from = since
    for name, provider in providers().items():
        found, begin = _read_provider(name, provider, since, at_most, deadline)
        states += found
        complete_from = max(complete_from, begin)
    return ProviderReading(
        payments=states,
        read_at=read_at,
        # Our clock, on which payments are dated, may be ahead of the provider's.
        complete_since=None
        if complete_from == BEFORE_ALL_PAYMENTS
        else complete_from + CLOCK_TOLERANCE,
    )


def _read_provider(
    name: str, provider: PaymentProvider, since: datetime, at_most: int | None, deadline: Deadline
) -> tuple[list[ProviderPaymentState], datetime]:
    """Read the refunds first, then the payments: refunded money was captured before.

    Also returns from which moment on the payments are complete.
    """
    refunds, begin = _newest(provider.list_refunds_since(since, deadline=deadline), at_most, since)
    # A refund is never older than its payment: payments from here on have all of theirs.
    listing = provider.list_payments(created_from=begin, deadline=deadline)
    payments, begin = _newest(listing, at_most, begin)
    complete = (payment for payment in payments if payment.created_at >= begin)
    return _payment_states(name, complete, refunds), begin


def read_payments(keys: Iterable[PaymentKey]) -> ProviderReading:
    """Read these payments, refunds first. Leaves out payments that the provider does not know.

    Raises PaymentError if a provider does not answer.
    """
    read_at = now()
    deadline = Deadline.after(LISTING_TIME_LIMIT)
    states: list[ProviderPaymentState] = []
    for name, payment_id in keys:
        provider = provider_named(name)
        try:
            refunds = provider.list_refunds(payment_id, deadline=deadline)
            payment = provider.retrieve_payment(payment_id, deadline=deadline)
        except UnknownPayment:
            continue
        states += _payment_states(name, [payment], refunds)
    return ProviderReading(payments=states, read_at=read_at)


def provider_payments_of(order_id: UUID) -> set[PaymentKey]:
    """Return the provider payments of an order whose ids we have stored."""
    stored = Payment.objects.filter(order_id=order_id, provider_payment_id__isnull=False)
    keys = stored.values_list("provider", "provider_payment_id")
    return {PaymentKey(provider, str(payment_id)) for provider, payment_id in keys}


def _newest(found: Iterator[T], at_most: int | None, begin: datetime) -> tuple[list[T], datetime]:
    """Return the newest ``at_most`` objects, and the moment from which on none is missing."""
    taken = list(found if at_most is None else islice(found, at_most))
    if at_most is None or len(taken) < at_most:
        return taken, begin
    # More objects of the oldest one's second may have been left out.
    return taken, max(begin, taken[-1].created_at + LISTING_PRECISION)


def _payment_states(
    provider: str, payments: Iterable[ProviderPayment], refunds: Iterable[ProviderRefund]
) -> list[ProviderPaymentState]:
    refunded: Counter[str] = Counter()
    for refund in refunds:
        if refund.status == RefundStatus.SUCCEEDED:
            refunded[refund.payment_id] += refund.amount_minor
    return [
        ProviderPaymentState(
            provider=provider,
            provider_payment_id=payment.id,
            order_id=payment.metadata.get("order_id", ""),
            status=payment.status.value,
            currency=payment.currency,
            held_minor=payment.held_minor,
            captured_minor=payment.captured_minor,
            refunded_minor=refunded[payment.id],
        )
        for payment in payments
        if payment.metadata.get("installation_id") == settings.INSTALLATION_ID
    ]
