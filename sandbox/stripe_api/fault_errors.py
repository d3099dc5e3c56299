"""Stripe's error responses for the faults that respond without any effect."""

from sandbox.http_service.faults import Fault
from sandbox.stripe_api.errors import (
    ApiError,
    key_in_use,
    lock_timeout,
    rate_limited,
    server_error,
    unauthorized,
)


def fault_error(fault: Fault, key: str) -> ApiError | None:
    """Return the error response for a fault; None if the fault lets the call take effect."""
    match fault:
        case Fault.ERROR_BEFORE:
            return server_error()
        case Fault.RATE_LIMIT:
            return rate_limited()
        case Fault.LOCK_TIMEOUT:
            return lock_timeout()
        case Fault.CONFLICT:
            return key_in_use(key)
        case Fault.REFUSE_KEY:
            return unauthorized("Invalid API Key provided.")
        case _:
            return None
