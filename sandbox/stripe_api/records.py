"""The sandbox's objects: immutable versions, as the ledger stores them."""

from dataclasses import dataclass, field
from enum import StrEnum

from sandbox.http_service.json_values import JsonObject


class IntentStatus(StrEnum):
    REQUIRES_PAYMENT_METHOD = "requires_payment_method"  # new without a method, or declined
    REQUIRES_CONFIRMATION = "requires_confirmation"  # has a method, not confirmed
    REQUIRES_ACTION = "requires_action"  # the customer has to authenticate
    REQUIRES_CAPTURE = "requires_capture"  # authorized: the money is held
    CANCELED = "canceled"  # final
    SUCCEEDED = "succeeded"  # final: the money is captured


class RefundStatus(StrEnum):
    PENDING = "pending"  # will succeed later
    SUCCEEDED = "succeeded"  # can still become failed
    FAILED = "failed"  # final: no money was refunded


@dataclass(frozen=True)
class PaymentIntent:
    """Amounts are in Stripe's units, times in unix seconds. ``serial`` is the order of creation."""

    id: str
    serial: int
    created: int
    amount: int
    currency: str
    status: str
    capture_method: str
    client_secret: str
    payment_method: str | None = None
    customer: str | None = None
    description: str | None = None
    receipt_email: str | None = None
    statement_descriptor: str | None = None
    statement_descriptor_suffix: str | None = None
    setup_future_usage: str | None = None
    allowed_payment_method_types: list[str] | None = None
    automatic_payment_methods: JsonObject | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    amount_capturable: int = 0
    amount_received: int = 0
    latest_charge: str | None = None
    last_payment_error: JsonObject | None = None
    next_action: JsonObject | None = None
    canceled_at: int | None = None
    cancellation_reason: str | None = None


@dataclass(frozen=True)
class Charge:
    """One attempt to charge a card, also a declined one."""

    id: str
    serial: int
    created: int
    payment_intent: str
    amount: int
    currency: str
    payment_method: str
    status: str
    customer: str | None = None
    description: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    captured: bool = False
    amount_captured: int = 0
    amount_refunded: int = 0
    capture_before: int | None = None
    failure_code: str | None = None
    failure_message: str | None = None
    decline_code: str | None = None
    is_authenticated: bool = False
    """Whether the customer has authenticated with 3D Secure."""


@dataclass(frozen=True)
class Refund:
    id: str
    serial: int
    created: int
    payment_intent: str
    charge: str
    payment_method: str
    amount: int
    currency: str
    status: str
    reason: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    settles_at: int | None = None
    """When it will succeed or fail; None if its status is final."""
    failure_reason: str | None = None


Record = PaymentIntent | Charge | Refund
