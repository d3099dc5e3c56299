"""Sends errors to Sentry. Imported only if SENTRY_DSN is set."""

from typing import cast

import sentry_sdk
from django.conf import settings
from sentry_sdk.integrations.atexit import AtexitIntegration
from sentry_sdk.integrations.celery import CeleryIntegration
from sentry_sdk.integrations.django import DjangoIntegration
from sentry_sdk.types import Event, Hint
from structlog.contextvars import get_contextvars

from monitoring.redaction import redacted


def start() -> None:
    """Start to send errors. Each forked process has its own sending thread."""
    sentry_sdk.init(
        dsn=settings.SENTRY_DSN,
        environment=settings.SENTRY_ENVIRONMENT,
        release=settings.RELEASE or None,
        send_default_pii=False,
        include_local_variables=False,
        max_request_body_size="never",
        max_breadcrumbs=0,  # the log has the earlier lines, by correlation id
        before_send=scrub,
        integrations=[
            DjangoIntegration(middleware_spans=False, signals_spans=False),
            # Adds no headers to messages.
            CeleryIntegration(propagate_traces=False),
            # By default it prints a text between our log lines.
            AtexitIntegration(callback=lambda _pending, _timeout: None),
        ],
    )


def scrub(event: Event, _: Hint) -> Event | None:
    """Remove request and user, redact the rest, and add our context fields as tags."""
    for name in ("request", "user", "breadcrumbs", "modules"):
        event.pop(name, None)  # type: ignore[misc]  # the key is not a literal
    tags = {
        {"subject_id": "order_id"}.get(name, name): str(value)
        for name, value in get_contextvars().items()
        if value is not None
    }
    return cast("Event", {**redacted("event", event), "tags": redacted("tags", tags)})
