"""The Django app of the installation: management commands, Sentry, tracing."""

from django.apps import AppConfig
from django.conf import settings


class ConfigConfig(AppConfig):
    name = "config"

    def ready(self) -> None:
        """Start Sentry and tracing if configured; otherwise neither is imported."""
        if settings.SENTRY_DSN:
            from config import sentry  # noqa: PLC0415

            sentry.start()
        if settings.OTEL_EXPORTER_OTLP_ENDPOINT:
            from config import tracing  # noqa: PLC0415

            tracing.start()
