"""What is counted of the calls to the bank, in each process, and the span that each has in a trace."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from opentelemetry import trace
from prometheus_client import Counter, Histogram

from payments.errors import (
    AccessDenied,
    CallInsideTransaction,
    DeadlinePassed,
    OutcomeUnknown,
    PaymentDeclined,
    ProviderBusy,
    RefundRejected,
    RequestRejected,
    UnexpectedState,
)

CALLS: Final = Counter(
    "holdfast_bank_calls",
    "Requests to the bank, by operation and by what came of them.",
    ["operation", "outcome"],
)
SECONDS: Final = Histogram(
    "holdfast_bank_call_seconds",
    "How long requests to the bank took, our own limit on them included.",
    ["operation"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8),
)

_OUTCOMES: Final[dict[type[Exception], str]] = {
    PaymentDeclined: "refused",
    RefundRejected: "refused",
    UnexpectedState: "unexpected_state",
    ProviderBusy: "busy",
    OutcomeUnknown: "unknown",
    AccessDenied: "denied",
    RequestRejected: "rejected",
    DeadlinePassed: "not_asked",
    CallInsideTransaction: "not_asked",
}


_ANSWERS: Final = frozenset({"ok", "refused", "unexpected_state"})

_tracer = trace.get_tracer("holdfast.payments")  # makes nothing unless traces are switched on


@contextmanager
def counted(operation: str) -> Iterator[None]:
    """Count one request, take its time, and make a span of it, however it ends."""
    began = time.perf_counter()
    outcome = "ok"
    with _tracer.start_as_current_span(
        f"bank/{operation}",
        kind=trace.SpanKind.CLIENT,
        record_exception=False,  # a bank's words are not for every eye
        set_status_on_exception=False,
    ) as span:
        try:
            yield
        except Exception as error:
            outcome = next(
                (told for kind, told in _OUTCOMES.items() if isinstance(error, kind)), "bug"
            )
            raise
        finally:
            CALLS.labels(operation, outcome).inc()
            SECONDS.labels(operation).observe(time.perf_counter() - began)
            span.set_attribute("holdfast.outcome", outcome)
            if outcome not in _ANSWERS:
                span.set_status(trace.StatusCode.ERROR)
