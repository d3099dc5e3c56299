"""What we hold of our customers' money: by our own books, and by the bank's."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from django.conf import settings

from payments.bank import Intent, IntentStatus, RefundStatus
from payments.bank_calls import gateway
from payments.deadline import Deadline
from payments.models import Payment

LISTING_TAKES_AT_MOST: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class PaymentAccount:
    """One payment by our books. Amounts are in minor units."""

    order_id: str
    payment_id: str
    intent_id: str
    status: str
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class BankAccount:
    """One PaymentIntent by the bank's books. Amounts are in minor units."""

    intent_id: str
    order_id: str
    currency: str
    held_minor: int
    taken_minor: int
    returned_minor: int

    @property
    def net_minor(self) -> int:
        """What of the customer's money is with us, or set aside for us."""
        return self.held_minor + self.taken_minor - self.returned_minor


def our_accounts() -> Iterator[PaymentAccount]:
    """Every payment, by our books."""
    for each in Payment.objects.order_by("pk").iterator(chunk_size=2000):
        yield PaymentAccount(
            order_id=str(each.order_id),
            payment_id=str(each.pk),
            intent_id=each.intent_id or "",
            status=each.status,
            amount_minor=each.amount_minor,
            currency=each.currency,
        )


def bank_accounts(since: datetime | None = None) -> Iterator[BankAccount]:
    """Every intent at the bank that carries our installation id, by the bank's books.

    Reads only. What other systems have on the same account is passed over. Raises PaymentError
    when the bank does not answer.
    """
    deadline = Deadline.after(LISTING_TAKES_AT_MOST)
    begin = since or datetime(2011, 1, 1, tzinfo=UTC)
    for intent in gateway.list_intents(created_from=begin, created_before=None, deadline=deadline):
        if intent.metadata.get("installation_id") == settings.INSTALLATION_ID:
            yield BankAccount(
                intent_id=intent.id,
                order_id=intent.metadata.get("order_id", ""),
                currency=intent.currency,
                held_minor=intent.capturable_minor,
                taken_minor=intent.received_minor,
                returned_minor=_returned(intent, deadline),
            )


def _returned(intent: Intent, deadline: Deadline) -> int:
    if intent.status != IntentStatus.SUCCEEDED:
        return 0
    refunds = gateway.list_refunds(intent.id, deadline=deadline)
    return sum(each.amount_minor for each in refunds if each.status == RefundStatus.SUCCEEDED)
