"""The metrics of calls to outside services, and the span that each call has in a trace."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from opentelemetry import trace
from prometheus_client import Counter, Histogram

from outbound.errors import OutboundError

CALLS: Final = Counter(
    "holdfast_outbound_calls",
    "Calls to outside services, by outcome.",
    ["service", "operation", "outcome"],
)
SECONDS: Final = Histogram(
    "holdfast_outbound_call_seconds",
    "Duration of calls to outside services, including the wait for our own rate limit.",
    ["service", "operation"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8),
)

HEALTHY_OUTCOMES: Final = frozenset({"ok", "declined", "wrong_status"})
"""Outcomes of a service that works. The span of a call with another outcome is marked as an error."""

_tracer = trace.get_tracer("holdfast.outbound")  # does nothing unless traces are switched on


@contextmanager
def counted(
    service: str, operation: str, outcomes: Mapping[type[Exception], str]
) -> Iterator[None]:
    """Count one call, time it, and make its span, however it ends.

    ``outcomes`` names the errors that the service's own module raises inside the block.
    """
    began = time.perf_counter()
    outcome = "ok"
    with _tracer.start_as_current_span(
        f"{service}/{operation}",
        kind=trace.SpanKind.CLIENT,
        record_exception=False,  # the texts of a service's errors may hold personal data
        set_status_on_exception=False,
    ) as span:
        try:
            yield
        except Exception as error:
            outcome = _outcome(error, outcomes)
            raise
        finally:
            CALLS.labels(service, operation, outcome).inc()
            SECONDS.labels(service, operation).observe(time.perf_counter() - began)
            span.set_attribute("holdfast.outcome", outcome)
            if outcome not in HEALTHY_OUTCOMES:
                span.set_status(trace.StatusCode.ERROR)


def _outcome(error: Exception, outcomes: Mapping[type[Exception], str]) -> str:
    for kind, outcome in outcomes.items():
        if isinstance(error, kind):
            return outcome
    return error.outcome if isinstance(error, OutboundError) else "bug"
