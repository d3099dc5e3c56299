"""What every provider that makes its calls through ``outbound`` needs: errors and outcomes."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from outbound import errors as outbound_errors
from payments.errors import (
    AccessDenied,
    CallInsideTransaction,
    DeadlinePassed,
    NotDoneYet,
    OutcomeUnknown,
    PaymentDeclined,
    RefundRejected,
    RequestRejected,
    UnknownPayment,
    WrongStatus,
)

OUTCOMES: Final[Mapping[type[Exception], str]] = {
    PaymentDeclined: "declined",
    RefundRejected: "declined",
    WrongStatus: "wrong_status",
    NotDoneYet: "busy",
    OutcomeUnknown: "unknown",
    AccessDenied: "access_denied",
    RequestRejected: "rejected",
    UnknownPayment: "rejected",
    DeadlinePassed: "not_sent",
    CallInsideTransaction: "not_sent",
}
"""The ``outcomes`` of a provider's ``OutsideService``: how the metrics count each error."""


@contextmanager
def outbound_errors_translated() -> Iterator[None]:
    """Raise the errors of ``OutsideService.call`` and ``send`` as errors of ``payments.errors``.

    Put it around ``call``, which raises some of them before its block starts.
    """
    try:
        yield
    except outbound_errors.CallInsideTransaction as error:
        raise CallInsideTransaction(str(error)) from None
    except outbound_errors.DeadlinePassed as error:
        raise DeadlinePassed(str(error)) from None
    except outbound_errors.RateLimited as error:
        raise NotDoneYet(str(error)) from None
    except outbound_errors.NoAnswer as error:
        raise OutcomeUnknown(str(error)) from None
