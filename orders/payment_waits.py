"""What an order waits for at its payment provider: its customer, or a refund. See docs/waits.md."""

from datetime import timedelta
from typing import Final

from django.conf import settings

from payments.errors import (
    AnotherPaymentNeeded,
    AuthenticationAbandoned,
    AuthenticationRequired,
    EarlierRefundPending,
    NotPaidInTime,
    RefundPending,
)
from sagas.descriptions import RejectionText, WaitText
from sagas.retry_policy import RetryPolicy
from sagas.work import Escalate, PendingCall, Reject

CUSTOMER_LOOKS: Final = RetryPolicy(
    initial_delay=timedelta(seconds=2), max_delay=timedelta(minutes=1)
)
"""How often we look whether the customer has authenticated, if the provider does not tell us."""

CUSTOMERS_TIME: Final = settings.PAYMENT_GRACE or timedelta(minutes=15)
"""How long a customer can still pay. A wait needs a deadline also where PAYMENT_GRACE is 0: then none begins."""

CUSTOMER_WAITS: Final = (
    PendingCall(
        AuthenticationRequired,
        WaitText(
            staff="the customer's authentication at their bank",
            customer="you to confirm the payment at your bank",
            then="the order is cancelled, and nothing is charged",
        ),
        deadline=CUSTOMERS_TIME,
        overdue=Reject(AuthenticationAbandoned.code),
        look_again=CUSTOMER_LOOKS,
    ),
    PendingCall(
        AnotherPaymentNeeded,
        WaitText(
            staff="another payment by the customer",
            customer="you to pay with another card",
            then="the order is cancelled",
        ),
        deadline=CUSTOMERS_TIME,
        overdue=Reject(NotPaidInTime.code),
        look_again=RetryPolicy(timedelta(minutes=10), timedelta(minutes=30)),
    ),
    PendingCall(
        EarlierRefundPending,
        WaitText(
            staff="the refund of an earlier payment",
            customer="the refund of your earlier payment",
            then="the order is cancelled",
        ),
        deadline=CUSTOMERS_TIME,
        overdue=Reject(NotPaidInTime.code),
        look_again=CUSTOMER_LOOKS,
    ),
)
"""What an order waits for while its customer can still pay, within the setting PAYMENT_GRACE."""

OVERDUE_PAYMENT: Final = {
    AuthenticationAbandoned.code: RejectionText(
        "You did not confirm the payment at your bank in time. You have not been charged.",
        until_compensated="You did not confirm the payment at your bank in time.",
    ),
    NotPaidInTime.code: RejectionText(
        "The order was not paid in time. You have not been charged.",
        by_detail={
            EarlierRefundPending.code: "The order was not paid in time, because your earlier payment"
            " was not returned before. It is returned now."
        },
        until_compensated="The order was not paid in time.",
    ),
}
"""What the customer reads when that time is over."""

REFUND_WAIT: Final = PendingCall(
    RefundPending,
    WaitText(
        staff="the refund to arrive, which takes up to ten working days",
        customer="your refund, which takes up to ten working days",
        then="the shop looks into it",
        late="your refund. It takes longer than usual, and the shop is looking into it",
    ),
    deadline=timedelta(days=14),
    overdue=Escalate(timedelta(days=7), "Ask the payment provider where it is."),
    look_again=RetryPolicy(timedelta(minutes=1), timedelta(hours=6)),
)
"""What a cancelled order waits for while its refund is on its way.

Banks take five to ten working days. After fourteen days the order is flagged for staff, and again each
week. Most refunds are done within minutes, so the first looks are close together.
"""
