"""What a bank can say, in our words: the vocabulary between the services and the gateway."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class IntentStatus(StrEnum):
    """Where a PaymentIntent stands at the bank; the values are Stripe's own."""

    REQUIRES_PAYMENT_METHOD = "requires_payment_method"  # new without a method, or declined
    REQUIRES_CONFIRMATION = "requires_confirmation"  # created; cannot charge before it is confirmed
    REQUIRES_ACTION = "requires_action"  # the customer's bank wants to see the customer
    PROCESSING = "processing"  # the answer is still on its way
    REQUIRES_CAPTURE = "requires_capture"  # the money is set aside for us
    CANCELED = "canceled"  # final: nothing held, and nothing can be charged any more
    SUCCEEDED = "succeeded"  # final: the money is ours, until it is refunded


class RefundStatus(StrEnum):
    """Where a refund stands at the bank; the values are Stripe's own."""

    PENDING = "pending"  # asked for; the money is on its way back
    REQUIRES_ACTION = "requires_action"  # the customer has to do something to receive it
    SUCCEEDED = "succeeded"  # the money has gone back
    FAILED = "failed"  # final: the money has not gone back
    CANCELED = "canceled"  # final: withdrawn before it went


@dataclass(frozen=True, slots=True)
class Intent:
    """A PaymentIntent as the bank describes it at one moment. Amounts are in minor units."""

    id: str
    status: IntentStatus
    amount_minor: int
    capturable_minor: int
    received_minor: int
    currency: str
    decline_code: str
    """Why the last confirmation was declined, in the bank's code; empty if none was."""
    metadata: Mapping[str, str]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ProviderRefund:
    """A refund as the bank describes it at one moment. Amounts are in minor units."""

    id: str
    intent_id: str
    status: RefundStatus
    amount_minor: int
    currency: str
    metadata: Mapping[str, str]
    failure_reason: str
    created_at: datetime
