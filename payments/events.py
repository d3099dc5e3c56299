"""The events of payments. One order may have several payments, one after another."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from events.event_types import Currency, MinorUnits, Payload


class Money(Payload):
    """What all events of payments carry."""

    payment_id: UUID
    provider: str
    provider_payment_id: Annotated[
        str, Field(description="The provider's id of the payment; empty if it never had one.")
    ]
    amount_minor: MinorUnits
    currency: Currency


class PaymentAuthorized(Money, name="payment.authorized", version=1):
    """The customer's bank holds the money for the shop."""


class PaymentCaptured(Money, name="payment.captured", version=1):
    """The money that was held is taken."""


class PaymentVoided(Money, name="payment.voided", version=1):
    """The payment is cancelled at the provider: nothing was taken, and nothing can be."""

    decline_code: Annotated[
        str, Field(description="Why the last try was declined; empty if none was.")
    ]


class PaymentRefunded(Money, name="payment.refunded", version=1):
    """The money that was taken is returned."""
