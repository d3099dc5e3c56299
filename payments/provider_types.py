"""Payments and refunds at a provider, in types that are the same for every provider."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal, NamedTuple


class ProviderPaymentStatus(StrEnum):
    """The status of a payment at its provider."""

    CREATED = "created"  # takes no money before it is confirmed
    DECLINED = (
        "declined"  # the last confirmation failed; the provider would still allow another one
    )
    REQUIRES_ACTION = "requires_action"  # the issuer asks the customer to authenticate
    PROCESSING = "processing"  # confirmed; the result comes later
    AUTHORIZED = "authorized"  # the money is held for us
    CAPTURED = "captured"  # final: the money is taken; only a refund returns it
    CANCELLED = "cancelled"  # final: nothing is held, and no confirmation can succeed any more


class RefundStatus(StrEnum):
    """The status of a refund at its provider."""

    PENDING = "pending"  # accepted; the money is on its way back
    REQUIRES_ACTION = "requires_action"  # the customer has to do something to receive it
    SUCCEEDED = "succeeded"  # the money is back
    FAILED = "failed"  # final: the money did not go back
    CANCELLED = "cancelled"  # final: withdrawn before the money went back


@dataclass(frozen=True, slots=True)
class ChargeLimits:
    """Which amounts a provider charges in one currency, in minor units."""

    min_minor: int
    """The smallest amount of one payment. For some accounts, the provider demands more."""
    max_minor: int
    increment_minor: int
    """Every amount is a multiple of it."""


@dataclass(frozen=True, slots=True)
class PaymentRequest:
    """The payment that a provider will be asked for. The amount is in minor units."""

    amount_minor: int
    currency: str
    payment_method: str
    """The reference that the storefront sent, never card data."""
    metadata: Mapping[str, str]
    """Marks the payment as ours. The provider returns it with the payment."""
    return_url: str = ""
    """Where the customer returns to the storefront from a page of the provider; empty for nowhere."""


@dataclass(frozen=True, slots=True)
class CustomerAction:
    """What the customer has to do before a payment goes on: authenticate at the issuer."""

    type: Literal["redirect", "provider_sdk"]
    """``redirect``: the storefront opens ``url`` in the customer's browser. ``provider_sdk``: it
    gives the payment's client secret to the provider's library, which does the rest."""
    url: str = field(repr=False)
    """Empty for ``provider_sdk``. Treat it like a secret: it may be enough to act as the customer."""


@dataclass(frozen=True, slots=True)
class ProviderPayment:
    """A payment as its provider describes it at one moment. Amounts are in minor units."""

    id: str
    status: ProviderPaymentStatus
    amount_minor: int
    held_minor: int
    captured_minor: int
    """The amount taken, including what was refunded since."""
    currency: str
    decline_code: str
    """Why the last confirmation failed, in the provider's code of at most 64 characters; empty if
    none failed. Customers read a text of their own for each key of ``DECLINE_MESSAGES``."""
    metadata: Mapping[str, str]
    created_at: datetime
    next_action: CustomerAction | None = None
    """Set while the payment is REQUIRES_ACTION, and only then."""
    client_secret: str = field(default="", repr=False)
    """With it, a storefront can act as the customer. Empty unless the payment is REQUIRES_ACTION."""


@dataclass(frozen=True, slots=True)
class ProviderRefund:
    """A refund as its provider describes it at one moment. Amounts are in minor units."""

    id: str
    payment_id: str
    """The provider's id of the payment that it returns."""
    status: RefundStatus
    amount_minor: int
    currency: str
    metadata: Mapping[str, str]
    failure_reason: str
    created_at: datetime


class PaymentKey(NamedTuple):
    """Names one payment among all providers."""

    provider: str
    provider_payment_id: str
