"""The payments of orders in responses."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Final, Literal, Self

from pydantic import Field

from orders.api.http.response_schemas import Currency, MinorUnits, ResponseSchema
from payments.decline_messages import decline_for_customer
from payments.history import PaymentRecord
from payments.states import PaymentStatus as StoredPaymentStatus

PaymentStatus = Literal[
    "not_started",
    "pending",
    "action_required",
    "declined",
    "authorized",
    "captured",
    "voided",
    "refunded",
]

_PAYMENT_STATUS: Final[Mapping[str, PaymentStatus]] = {
    StoredPaymentStatus.PREPARED: "pending",
    StoredPaymentStatus.AUTHORIZED: "authorized",
    StoredPaymentStatus.CAPTURED: "captured",
    StoredPaymentStatus.VOIDED: "voided",
    StoredPaymentStatus.REFUNDED: "refunded",
}


class Decline(ResponseSchema):
    """Why a payment was declined, as far as the customer may know."""

    code: Annotated[
        str,
        Field(
            description=(
                "For programs, such as `insufficient_funds`. `card_declined` stands for all reasons"
                " that the holder of a stolen card must not learn."
            )
        ),
    ]
    message: Annotated[str, Field(description="A sentence for the customer.")]

    @classmethod
    def of(cls, payment: PaymentRecord) -> Self | None:
        if not payment.decline_code:
            return None
        decline = decline_for_customer(payment.decline_code)
        return cls(code=decline.code, message=decline.message)


class PaymentSummary(ResponseSchema):
    """The order's newest payment. Each amount stays once it is reached."""

    status: Annotated[
        PaymentStatus,
        Field(
            description=(
                "`pending`: it is being made. `action_required`: the customer has to authenticate"
                " it. `declined`: see `decline`."
            )
        ),
    ]
    id: Annotated[str | None, Field(description="As `replaces`, to pay otherwise.")] = None
    number: Annotated[
        int, Field(ge=0, description="1 for the order's first payment, 2 for the next one.")
    ] = 0
    payment_method: Annotated[
        str | None, Field(description="The payment method, as the storefront sent it.")
    ] = None
    decline: Annotated[
        Decline | None, Field(description="Why it was declined; null if it was not.")
    ] = None
    authorized_minor: MinorUnits = 0
    captured_minor: MinorUnits = 0
    refunded_minor: MinorUnits = 0

    @classmethod
    def of(cls, payment: PaymentRecord | None) -> Self:
        if payment is None:
            return cls(status="not_started")
        return cls(
            status=_payment_status(payment),
            id=str(payment.id),
            number=payment.number,
            payment_method=payment.payment_method,
            decline=Decline.of(payment),
            authorized_minor=payment.authorized_minor,
            captured_minor=payment.captured_minor,
            refunded_minor=payment.refunded_minor,
        )


def _payment_status(payment: PaymentRecord) -> PaymentStatus:
    if payment.has_action:
        return "action_required"
    return "declined" if payment.is_declined else _PAYMENT_STATUS[payment.status]


class Payment(PaymentSummary):
    """One payment for an order, with its times."""

    currency: Currency
    created_at: datetime
    authorized_at: datetime | None
    captured_at: datetime | None

    @classmethod
    def of_record(cls, payment: PaymentRecord) -> Self:
        return cls(
            **dict(PaymentSummary.of(payment)),
            currency=payment.currency,
            created_at=payment.created_at,
            authorized_at=payment.authorized_at,
            captured_at=payment.captured_at,
        )
