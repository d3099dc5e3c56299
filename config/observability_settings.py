"""Settings of logs, metrics, Sentry and OpenTelemetry."""

from pathlib import Path
from typing import Any

from config.env import Section
from config.logging import logging_config
from monitoring.metric_files import count_in_files

SECTION: Section = Section("Watching")

LOG_LEVEL: str = SECTION.text("LOG_LEVEL", "The least severe level that is logged.", "INFO")
LOG_FORMAT: str = SECTION.text(
    "LOG_FORMAT",
    "`json`, a line for each event, or `console`, for people; where it is empty, `console` if "
    "standard error is a terminal.",
    "",
)
LOGGING: dict[str, Any] = logging_config(level=LOG_LEVEL, kind=LOG_FORMAT)

METRICS_ADDRESS: str = SECTION.text(
    "METRICS_ADDRESS", "Where `manage.py serve_metrics` listens.", "127.0.0.1"
)
METRICS_PORT: int = SECTION.number("METRICS_PORT", "And on which port.", 9200, at_least=1)
PROMETHEUS_MULTIPROC_DIR: str = SECTION.text(
    "PROMETHEUS_MULTIPROC_DIR",
    "A folder of this host's own, in which all processes count; without it each counts for itself, "
    "and only the gauges from the database are served.",
    "",
)
if PROMETHEUS_MULTIPROC_DIR:
    count_in_files(Path(PROMETHEUS_MULTIPROC_DIR))

SENTRY_DSN: str = SECTION.address(
    "SENTRY_DSN", "Where Sentry takes errors; nothing is sent without it.", "", is_secret=True
)
SENTRY_ENVIRONMENT: str = SECTION.text("SENTRY_ENVIRONMENT", "What Sentry calls it.", "production")
RELEASE: str = SECTION.text("RELEASE", "The version that runs, for Sentry and OpenTelemetry.", "")
OTEL_EXPORTER_OTLP_ENDPOINT: str = SECTION.address(
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "Where traces go, by OTLP over HTTP; none are made without it. OpenTelemetry's other variables "
    "(`OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_TRACES_SAMPLER`, …) are heeded, too.",
    "",
)
