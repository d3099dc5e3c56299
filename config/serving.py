"""What a web process serves: the storefront API, the desk, or both (``SERVE``).

The storefront's requests pass through no sessions, CSRF tokens, messages or second factor: only the
desk needs them. In a process that serves both, ``config.desk_only_middleware`` keeps it so.
"""

from enum import StrEnum
from typing import Final

from django.core.exceptions import ImproperlyConfigured

DESK_PATH: Final = "/admin/"


class Serve(StrEnum):
    """The pages that one web process serves; all others are 404."""

    STOREFRONT = "storefront"  # /api/
    DESK = "desk"  # /admin/
    BOTH = "both"  # for hosts that route requests to one process only


SHARED_MIDDLEWARE: Final = [
    "monitoring.health.HealthMiddleware",
    "monitoring.requests.RequestMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "config.headers.permissions_policy",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.common.CommonMiddleware",
    "orders.api.http.cache_control.NoStoreMiddleware",
    "orders.api.http.body_limits.BodyLimitMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
"""The middleware of both. The storefront has no other."""

DESK_MIDDLEWARE: Final = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "desk.sessions.SessionLimits",
    "django.contrib.messages.middleware.MessageMiddleware",
    "axes.middleware.AxesMiddleware",
]

MIDDLEWARE: Final = {
    Serve.STOREFRONT: SHARED_MIDDLEWARE,
    Serve.DESK: [*SHARED_MIDDLEWARE, *DESK_MIDDLEWARE],
    Serve.BOTH: [
        *SHARED_MIDDLEWARE,
        "config.desk_only_middleware.DeskOnlyMiddleware",
        *DESK_MIDDLEWARE,
    ],
}

URLCONF: Final = {
    Serve.STOREFRONT: "config.urls.storefront",
    Serve.DESK: "config.urls.desk",
    Serve.BOTH: "config.urls.both",
}

SILENCED_CHECKS: Final = {
    Serve.STOREFRONT: ["admin.E408", "admin.E409", "admin.E410", "axes.W002", "security.W003"],
    Serve.DESK: [],
    Serve.BOTH: [],
}
"""Checks that demand the desk's middleware because the desk's apps are installed everywhere."""


def parse_serve(value: str) -> Serve:
    """Return the value of ``SERVE`` as a member. Raises ImproperlyConfigured for any other."""
    try:
        return Serve(value)
    except ValueError:
        known = ", ".join(Serve)
        raise ImproperlyConfigured(f"SERVE must be one of {known}; it is {value!r}") from None


def allowed_hosts(serve: Serve, storefront: list[str], desk: list[str]) -> list[str]:
    """Return the host names that the process accepts. The desk's default is the storefront's names."""
    if serve == Serve.STOREFRONT or not desk:
        return storefront
    return desk if serve == Serve.DESK else [*storefront, *desk]
