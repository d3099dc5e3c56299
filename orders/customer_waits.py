"""What an order waits for, as its customer and its storefront read it, and whether it can be paid now."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from payments.errors import AnotherPaymentNeeded, AuthenticationRequired
from payments.history import PaymentRecord
from sagas.queries.waits import WaitView

PAYABLE_WAITS: Final = (AnotherPaymentNeeded.code, AuthenticationRequired.code)
"""What an order waits for while its customer may pay by another method."""

SHOP: Final = "shop_attention"
"""The code of an order that goes on only after staff have looked into it."""


@dataclass(frozen=True, slots=True)
class CustomerWait:
    """What an order waits for. Only for SHOP, no time is known."""

    code: str
    message: str
    entry: str = ""
    """The message of its entry in the order's timeline, while the order waits."""
    since: datetime | None = None
    until: datetime | None = None
    can_pay: bool = False
    """Whether the customer may pay by another method now."""
    payment_number: int = 0
    """The number of the payment that the customer is asked about; another one is another wait."""

    @property
    def can_authenticate(self) -> bool:
        """Whether the customer may authenticate the open payment now."""
        return self.can_pay and self.code == AuthenticationRequired.code


_SHOP_WAIT: Final = CustomerWait(
    SHOP, "This takes longer than usual: the shop is looking into your order."
)


def customer_wait(
    wait: WaitView | None, payment: PaymentRecord | None, *, is_flagged: bool
) -> CustomerWait | None:
    """Return what an order waits for; None if it does not wait, and while a payment is being made.

    ``wait`` is that of its run, ``payment`` its newest one. ``is_flagged`` says whether the run needs
    a person's attention.
    """
    if wait is None:
        return _SHOP_WAIT if is_flagged else None
    if wait.is_paused:
        return _SHOP_WAIT
    is_payable = wait.code in PAYABLE_WAITS
    if is_payable and not (payment and payment.needs_customer):
        return None  # a payment by another method is stored, and a worker makes it
    return CustomerWait(
        wait.code,
        _over(wait) if wait.is_over else f"We are waiting for {_awaited(wait)}",
        entry=f"Waiting for {_awaited(wait)}",
        since=wait.since,
        until=wait.until,
        can_pay=is_payable and not wait.is_over,
        payment_number=payment.number if is_payable and payment else 0,
    )


def _awaited(wait: WaitView) -> str:
    """Return what the order waits for, with what was promised for the deadline or has become of it."""
    text = wait.text
    if wait.is_over:
        return f"{text.customer}. {_over(wait)}"
    if wait.is_escalated:  # what was promised has happened
        return f"{text.late}." if text.late else f"{text.customer}. It takes longer than usual."
    return f"{text.customer}. Otherwise {text.then}."


def _over(wait: WaitView) -> str:
    return f"The time for this is over: {wait.text.then}."
