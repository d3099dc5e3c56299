"""The installation as a Django app, for its management commands and for what watches it."""

from django.apps import AppConfig
from django.conf import settings


class ConfigConfig(AppConfig):
    name = "config"

    def ready(self) -> None:
        """Start what reports elsewhere; nothing of it is imported where it is not wished for."""
        if settings.SENTRY_DSN:
            from config import sentry  # noqa: PLC0415

            sentry.start()
        if settings.OTEL_EXPORTER_OTLP_ENDPOINT:
            from config import tracing  # noqa: PLC0415

            tracing.start()
