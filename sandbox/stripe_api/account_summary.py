"""A summary of the account for the control page: sums, and the newest payments."""

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Final

from sandbox.stripe_api.account import Account
from sandbox.stripe_api.currencies import DECIMALS
from sandbox.stripe_api.records import IntentStatus, PaymentIntent, RefundStatus


@dataclass(frozen=True)
class MoneyTotals:
    """The amounts of one payment, or of all payments in one currency, in Stripe's units."""

    currency: str
    held: int = 0
    captured: int = 0
    refunded: int = 0

    def __add__(self, other: "MoneyTotals") -> "MoneyTotals":
        return MoneyTotals(
            self.currency,
            self.held + other.held,
            self.captured + other.captured,
            self.refunded + other.refunded,
        )


@dataclass(frozen=True)
class PaymentRow:
    """One payment, as the page shows it."""

    intent: PaymentIntent
    created: str
    order_id: str
    money: MoneyTotals
    status: str

    @property
    def waits(self) -> bool:
        """Whether the customer can authenticate the payment now."""
        return self.intent.status == IntentStatus.REQUIRES_ACTION


@dataclass(frozen=True)
class AccountSummary:
    """What the control page shows of the account."""

    payments: int
    sums: list[MoneyTotals]
    newest: list[PaymentRow]

    @classmethod
    def read(cls, account: Account, *, newest: int) -> "AccountSummary":
        """Return the sums by currency, and the ``newest`` payments, newest first."""
        sums: dict[str, MoneyTotals] = {}
        for intent in account.intents:
            sums[intent.currency] = sums.get(
                intent.currency, MoneyTotals(intent.currency)
            ) + _totals(account, intent)
        last = islice(reversed(account.intents.ids), newest)
        rows = [payment_row(account, account.intents[intent_id]) for intent_id in last]
        return cls(len(account.intents), [sums[currency] for currency in sorted(sums)], rows)


def amount(units: int, currency: str) -> str:
    """Return an amount in Stripe's units as people read it: ``1,234.50 EUR``."""
    decimals = DECIMALS[currency]
    return f"{units / 10**decimals:,.{decimals}f} {currency.upper()}"


def _totals(account: Account, intent: PaymentIntent) -> MoneyTotals:
    charge = intent.latest_charge or ""
    refunds = (account.refunds[refund_id] for refund_id in account.refunds_of.get(charge, ()))
    refunded = sum(refund.amount for refund in refunds if refund.status != RefundStatus.FAILED)
    return MoneyTotals(intent.currency, intent.amount_capturable, intent.amount_received, refunded)


def payment_row(account: Account, intent: PaymentIntent) -> PaymentRow:
    """Return one payment, as pages show it."""
    money = _totals(account, intent)
    created = datetime.fromtimestamp(intent.created, UTC).strftime("%H:%M:%S")
    return PaymentRow(
        intent, created, intent.metadata.get("order_id", ""), money, _status(intent, money)
    )


_STATUS_TEXTS: Final = {
    IntentStatus.REQUIRES_CONFIRMATION: "not confirmed",
    IntentStatus.REQUIRES_ACTION: "waits for the customer",
    IntentStatus.REQUIRES_CAPTURE: "held",
    IntentStatus.CANCELED: "cancelled",
    IntentStatus.SUCCEEDED: "captured",
}


def _status(intent: PaymentIntent, money: MoneyTotals) -> str:
    if money.refunded:
        return "refunded" if money.refunded == money.captured else "refunded in part"
    if intent.status == IntentStatus.REQUIRES_PAYMENT_METHOD:
        return "declined" if intent.last_payment_error else "without a card"
    return _STATUS_TEXTS[IntentStatus(intent.status)]
