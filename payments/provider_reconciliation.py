"""What the providers hold and took of our customers' money. Reads only, and changes nothing."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final, TypeVar
from uuid import UUID

from django.conf import settings
from django.db import connection

from outbound.deadline import Deadline
from payments.errors import UnknownPayment
from payments.models import Payment
from payments.payment_operations import LOOKING_BACK
from payments.provider_types import PaymentKey, ProviderPayment, ProviderRefund, RefundStatus
from payments.providers.protocol import PaymentProvider
from payments.providers.registry import provider_named, providers

T = TypeVar("T", ProviderPayment, ProviderRefund)

THE_BEGINNING: Final = datetime(2011, 1, 1, tzinfo=UTC)
"""Older than every payment at a provider."""

LISTING_TAKES_AT_MOST: Final = timedelta(minutes=10)
MOST_OF_RECENT: Final = 10_000
"""Per provider. That is 100 pages of 100, which cover an hour of 10,000 orders, and the last quarter
of an hour of 40,000."""

A_SECOND: Final = timedelta(seconds=1)
"""How exactly a provider tells times."""


@dataclass(frozen=True, slots=True)
class ProviderBalance:
    """One payment by the provider's books. Amounts are in minor units."""

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
        """How much of the customer's money we have, or is held for us."""
        return self.held_minor + self.captured_minor - self.refunded_minor

    @property
    def key(self) -> PaymentKey:
        return PaymentKey(self.provider, self.provider_payment_id)


@dataclass(frozen=True, slots=True)
class ProviderReading:
    """What the providers had: nothing in it is older than ``read_at``, on our database's clock.

    A balance is not of one moment: its refunds were read before its payment. Captured money only
    grows, so ``refunded_minor`` is never too much for ``captured_minor``. It may be too little if
    money went back during the reading. That money was still with us after ``read_at``, so it
    contradicts nothing that our books had settled by then.

    Payments that we stored before ``complete_since`` may be missing in it; with None none is.
    """

    balances: list[ProviderBalance]
    read_at: datetime
    complete_since: datetime | None = None


def read_providers(*, within: timedelta | None = None) -> ProviderReading:
    """Read every payment that carries our installation id, or those created ``within`` that time.

    Payments of other systems on the same account are left out. Each provider is asked for one
    listing of refunds and one of payments, page by page. Raises PaymentError if one fails.
    """
    return _read(within, at_most=None)


def read_recent(within: timedelta) -> ProviderReading:
    """Read the same, but at most the newest MOST_OF_RECENT payments and refunds of each provider.

    The reading's ``complete_since`` says from when on it is complete.
    """
    return _read(within, at_most=MOST_OF_RECENT)


def _read(within: timedelta | None, *, at_most: int | None) -> ProviderReading:
    read_at = database_now()
    deadline = Deadline.after(LISTING_TAKES_AT_MOST)
    since = read_at - within if within else THE_BEGINNING
    balances: list[ProviderBalance] = []
    complete_from = since
    for name, provider in providers().items():
        found, begin = _read_provider(name, provider, since, at_most, deadline)
        balances += found
        complete_from = max(complete_from, begin)
    return ProviderReading(
        balances=balances,
        read_at=read_at,
        # Our clock, on which payments are dated, may be ahead of the provider's.
        complete_since=None if complete_from == THE_BEGINNING else complete_from + LOOKING_BACK,
    )


def _read_provider(
    name: str, provider: PaymentProvider, since: datetime, at_most: int | None, deadline: Deadline
) -> tuple[list[ProviderBalance], datetime]:
    """Read the refunds first, then the payments: refunded money was captured before.

    Also returns from which moment on the balances are complete.
    """
    refunds, begin = _newest(provider.list_refunds_since(since, deadline=deadline), at_most, since)
    # A refund is never older than its payment: payments from here on have all of theirs.
    listing = provider.list_payments(created_from=begin, deadline=deadline)
    payments, begin = _newest(listing, at_most, begin)
    complete = (payment for payment in payments if payment.created_at >= begin)
    return _balances(name, complete, refunds), begin


def read_again(keys: Iterable[PaymentKey]) -> ProviderReading:
    """Read a few payments one by one, refunds first; leave out those that the provider lacks.

    Raises PaymentError if a provider does not answer.
    """
    read_at = database_now()
    deadline = Deadline.after(LISTING_TAKES_AT_MOST)
    balances: list[ProviderBalance] = []
    for name, payment_id in keys:
        provider = provider_named(name)
        try:
            refunds = provider.list_refunds(payment_id, deadline=deadline)
            payment = provider.retrieve_payment(payment_id, deadline=deadline)
        except UnknownPayment:
            continue
        balances += _balances(name, [payment], refunds)
    return ProviderReading(balances=balances, read_at=read_at)


def provider_payments_of(order_id: UUID) -> set[PaymentKey]:
    """Return the provider payments of an order whose ids we have stored."""
    stored = Payment.objects.filter(order_id=order_id, provider_payment_id__isnull=False)
    keys = stored.values_list("provider", "provider_payment_id")
    return {PaymentKey(provider, str(payment_id)) for provider, payment_id in keys}


def _newest(found: Iterator[T], at_most: int | None, begin: datetime) -> tuple[list[T], datetime]:
    """Take the newest ``at_most``, and return from which moment on none is missing."""
    taken = list(found if at_most is None else islice(found, at_most))
    if at_most is None or len(taken) < at_most:
        return taken, begin
    # More of the oldest one's second may have been left out.
    return taken, max(begin, taken[-1].created_at + A_SECOND)


def _balances(
    provider: str, payments: Iterable[ProviderPayment], refunds: Iterable[ProviderRefund]
) -> list[ProviderBalance]:
    refunded: Counter[str] = Counter()
    for refund in refunds:
        if refund.status == RefundStatus.SUCCEEDED:
            refunded[refund.payment_id] += refund.amount_minor
    return [
        ProviderBalance(
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


def database_now() -> datetime:
    """Return the time on the clock by which our rows are dated."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        now: datetime = cursor.fetchone()[0]
        return now
