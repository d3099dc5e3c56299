"""How a call to an outside service can fail: each class says whether the service may have acted."""

from collections.abc import Mapping
from typing import Any


class OutboundError(Exception):
    """A call to an outside service that brought no usable answer."""

    outcome = "bug"
    """The label under which the metrics count it."""


class CallInsideTransaction(OutboundError):
    """A database transaction is open, so the call was refused. The service received nothing."""

    outcome = "not_sent"


class DeadlinePassed(OutboundError):
    """The deadline passed before the call was made. The service received nothing."""

    outcome = "not_sent"


class RateLimited(OutboundError):
    """Our own rate limit is used up. The service received nothing."""

    outcome = "busy"


class ServiceBusy(OutboundError):
    """The service answered 408, 409, 425 or 429: it has not acted, and may do so on a later try."""

    outcome = "busy"


class NoAnswer(OutboundError):
    """No whole, readable answer came, or one with a 5xx status. The service may have acted."""

    outcome = "unknown"


class AccessDenied(OutboundError):
    """The service answered 401 or 403: it does not accept our credentials. It has not acted."""

    outcome = "access_denied"


class RequestRejected(OutboundError):
    """The service answered with another 4xx: it will not act on this request.

    ``code`` is the answer's member ``code`` if it is a text, else the status.
    """

    outcome = "rejected"

    def __init__(self, message: str, *, status: int, answer: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.status = status
        self.answer = answer
        code = answer.get("code")
        self.code = code if isinstance(code, str) else str(status)


OUTBOUND_TRANSIENT = (DeadlinePassed, RateLimited, ServiceBusy)
"""The service has done nothing. A step that declares these as ``transient`` tries again."""
