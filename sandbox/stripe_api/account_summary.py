"""The account as a bank clerk would look at it: sums, and the newest payments."""

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Final

from sandbox.stripe_api.account import Account
from sandbox.stripe_api.records import IntentStatus, PaymentIntent, RefundStatus


@dataclass(frozen=True)
class Money:
    """What happened to the money of one payment, or of all in one currency. Minor units."""

    currency: str
    held: int = 0
    taken: int = 0
    returned: int = 0

    def __add__(self, other: "Money") -> "Money":
        return Money(
            self.currency,
            self.held + other.held,
            self.taken + other.taken,
            self.returned + other.returned,
        )


@dataclass(frozen=True)
class Row:
    """One payment as the page shows it."""

    intent: PaymentIntent
    created: str
    order_id: str
    money: Money
    in_words: str


@dataclass(frozen=True)
class Books:
    payments: int
    sums: list[Money]
    newest: list[Row]

    @classmethod
    def read(cls, account: Account, *, newest: int) -> "Books":
        """Add everything up, and describe the ``newest`` payments, newest first."""
        sums: dict[str, Money] = {}
        for intent in account.intents:
            sums[intent.currency] = sums.get(intent.currency, Money(intent.currency)) + _of(
                account, intent
            )
        last = islice(reversed(account.intents.ids), newest)
        rows = [_row(account, account.intents[intent_id]) for intent_id in last]
        return cls(len(account.intents), [sums[each] for each in sorted(sums)], rows)


def amount(minor: int, currency: str) -> str:
    """Write a sum as people do; the sandbox's currencies all have two decimals."""
    return f"{minor / 100:,.2f} {currency.upper()}"


def _of(account: Account, intent: PaymentIntent) -> Money:
    charge = intent.latest_charge or ""
    refunds = (account.refunds[each] for each in account.refunds_of.get(charge, ()))
    returned = sum(each.amount for each in refunds if each.status != RefundStatus.FAILED)
    return Money(intent.currency, intent.amount_capturable, intent.amount_received, returned)


def _row(account: Account, intent: PaymentIntent) -> Row:
    money = _of(account, intent)
    created = datetime.fromtimestamp(intent.created, UTC).strftime("%H:%M:%S")
    return Row(intent, created, intent.metadata.get("order_id", ""), money, _status(intent, money))


_WORDS: Final = {
    IntentStatus.REQUIRES_CONFIRMATION: "not asked for yet",
    IntentStatus.REQUIRES_ACTION: "waits for the customer",
    IntentStatus.REQUIRES_CAPTURE: "held",
    IntentStatus.CANCELED: "voided",
    IntentStatus.SUCCEEDED: "taken",
}


def _status(intent: PaymentIntent, money: Money) -> str:
    if money.returned:
        return "returned" if money.returned == money.taken else "returned in part"
    if intent.status == IntentStatus.REQUIRES_PAYMENT_METHOD:
        return "declined" if intent.last_payment_error else "without a card"
    return _WORDS[IntentStatus(intent.status)]
