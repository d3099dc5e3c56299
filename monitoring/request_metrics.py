"""Metrics of HTTP requests, counted by each process that serves the storefront or the desk."""

from typing import Final

from django.conf import settings
from prometheus_client import Counter, Histogram

REQUESTS: Final = Counter(
    "holdfast_http_requests",
    "Answered requests.",
    ["serves", "route", "method", "status"],
)
SECONDS: Final = Histogram(
    "holdfast_http_request_seconds",
    "How long it took to answer a request, `Prefer: wait` included.",
    ["serves", "route", "method"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def count(route: str, method: str, status: int, seconds: float) -> None:
    """Count one request. An unknown method counts as "other", so that clients create no series."""
    known = method if method in _METHODS else "other"
    REQUESTS.labels(settings.SERVE, route, known, status).inc()
    SECONDS.labels(settings.SERVE, route, known).observe(seconds)
