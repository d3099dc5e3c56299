"""What is counted of requests, in each web process."""

from typing import Final

from prometheus_client import Counter, Histogram

REQUESTS: Final = Counter(
    "holdfast_http_requests", "Requests that were answered.", ["route", "method", "status"]
)
SECONDS: Final = Histogram(
    "holdfast_http_request_seconds",
    "How long a request took to be answered, `Prefer: wait` included.",
    ["route", "method"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def count(route: str, method: str, status: int, seconds: float) -> None:
    """Count one request. A client may send any word as its method: that must make no new series."""
    known = method if method in _METHODS else "other"
    REQUESTS.labels(route, known, status).inc()
    SECONDS.labels(route, known).observe(seconds)
