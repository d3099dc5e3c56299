"""What the bank has of our customers' money, by its own books. Asks only, and changes nothing."""

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
from payments.errors import RequestRejected
from payments.models import Payment
from payments.payment_operations import LOOKING_BACK, gateway
from payments.provider_types import Intent, ProviderRefund, RefundStatus

T = TypeVar("T", Intent, ProviderRefund)

THE_BEGINNING: Final = datetime(2011, 1, 1, tzinfo=UTC)
"""Older than every object of Stripe's."""

LISTING_TAKES_AT_MOST: Final = timedelta(minutes=10)
MOST_OF_RECENT: Final = 10_000
"""A hundred pages a minute are 2 % of what we may ask Stripe for, and cover all of an hour up to
10,000 orders, and the last quarter of one at 40,000."""

A_SECOND: Final = timedelta(seconds=1)
"""How exactly the bank tells times."""


@dataclass(frozen=True, slots=True)
class ProviderBalance:
    """One PaymentIntent by the bank's books. Amounts are in minor units."""

    intent_id: str
    order_id: str
    status: str
    currency: str
    held_minor: int
    taken_minor: int
    returned_minor: int

    @property
    def net_minor(self) -> int:
        """What of the customer's money is with us, or set aside for us."""
        return self.held_minor + self.taken_minor - self.returned_minor


@dataclass(frozen=True, slots=True)
class ProviderReading:
    """What the bank had: nothing in it is older than ``read_at``, on our database's clock.

    An account is not of one moment: its refunds were read before its intent. What is taken only
    grows, so ``returned_minor`` is never too much for ``taken_minor``, whatever the bank did
    between. It may be too little, where money went back meanwhile: that money was still with us
    after ``read_at``, so nothing that our books had settled by then is contradicted.

    Payments that we wrote down before ``complete_since`` may be missing in it; none if it is None.
    """

    accounts: list[ProviderBalance]
    read_at: datetime
    complete_since: datetime | None = None


def read_provider(*, within: timedelta | None = None) -> ProviderReading:
    """Read every intent that carries our installation id, or those created ``within`` so long.

    What other systems have on the same account is passed over. One listing of refunds and one of
    intents, page by page. Raises PaymentError when the bank does not answer.
    """
    return _read(within, at_most=None)


def read_recent(within: timedelta) -> ProviderReading:
    """Read the same, and at most the newest MOST_OF_RECENT intents and refunds of the account.

    The reading says from when on it is complete.
    """
    return _read(within, at_most=MOST_OF_RECENT)


def _read(within: timedelta | None, *, at_most: int | None) -> ProviderReading:
    """Read the refunds first, then the intents: whatever went back had been taken before."""
    read_at = database_now()
    deadline = Deadline.after(LISTING_TAKES_AT_MOST)
    begin = read_at - within if within else THE_BEGINNING
    returns = gateway.list_refunds_since(begin, deadline=deadline)
    refunds, begin = _newest(returns, at_most, begin)
    # A refund is never older than its intent: those from here on have all of theirs.
    listing = gateway.list_intents(created_from=begin, deadline=deadline)
    intents, begin = _newest(listing, at_most, begin)
    return ProviderReading(
        accounts=_accounts((each for each in intents if each.created_at >= begin), refunds),
        read_at=read_at,
        # Our clock, on which payments are dated, may be ahead of the bank's.
        complete_since=None if begin == THE_BEGINNING else begin + LOOKING_BACK,
    )


def read_again(intent_ids: Iterable[str]) -> ProviderReading:
    """Read a few intents one by one, refunds first; one that the bank does not know is left out.

    Raises PaymentError when the bank does not answer.
    """
    read_at = database_now()
    deadline = Deadline.after(LISTING_TAKES_AT_MOST)
    accounts: list[ProviderBalance] = []
    for intent_id in intent_ids:
        try:
            refunds = gateway.list_refunds(intent_id, deadline=deadline)
            intent = gateway.retrieve_intent(intent_id, deadline=deadline)
        except RequestRejected:
            continue
        accounts += _accounts([intent], refunds)
    return ProviderReading(accounts=accounts, read_at=read_at)


def intents_of(order_id: UUID) -> set[str]:
    """Return the ids, at the bank, of what we asked for an order."""
    stored = Payment.objects.filter(order_id=order_id).values_list("intent_id", flat=True)
    return {each for each in stored if each is not None}


def _newest(found: Iterator[T], at_most: int | None, begin: datetime) -> tuple[list[T], datetime]:
    """Take the newest ``at_most``, and say from which moment on none is missing."""
    taken = list(found if at_most is None else islice(found, at_most))
    if at_most is None or len(taken) < at_most:
        return taken, begin
    # More of the oldest one's second may have been left behind.
    return taken, max(begin, taken[-1].created_at + A_SECOND)


def _accounts(
    intents: Iterable[Intent], refunds: Iterable[ProviderRefund]
) -> list[ProviderBalance]:
    returned: Counter[str] = Counter()
    for each in refunds:
        if each.status == RefundStatus.SUCCEEDED:
            returned[each.intent_id] += each.amount_minor
    return [
        ProviderBalance(
            intent_id=each.id,
            order_id=each.metadata.get("order_id", ""),
            status=each.status.value,
            currency=each.currency,
            held_minor=each.capturable_minor,
            taken_minor=each.received_minor,
            returned_minor=returned[each.id],
        )
        for each in intents
        if each.metadata.get("installation_id") == settings.INSTALLATION_ID
    ]


def database_now() -> datetime:
    """The time on the clock by which our rows are dated."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        now: datetime = cursor.fetchone()[0]
        return now
