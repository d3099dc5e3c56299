"""Settings of logs, metrics, Sentry and OpenTelemetry."""

from pathlib import Path
from typing import Any

from config.env import Section
from config.logging import logging_config
from monitoring.metric_files import count_in_files

SECTION: Section = Section("Monitoring")

LOG_LEVEL: str = SECTION.text("LOG_LEVEL", "The least severe level that is logged.", "INFO")
LOG_FORMAT: str = SECTION.text(
    "LOG_FORMAT",
    "`json` (a line for each event) or `console` (columns). If empty: `console` on a terminal, "
    "else `json`.",
    "",
)
LOGGING: dict[str, Any] = logging_config(level=LOG_LEVEL, kind=LOG_FORMAT)

METRICS_ADDRESS: str = SECTION.text(
    "METRICS_ADDRESS", "The address on which `manage.py serve_metrics` listens.", "127.0.0.1"
)
METRICS_PORT: int = SECTION.number(
    "METRICS_PORT", "The port of `manage.py serve_metrics`.", 9200, at_least=1
)
PROMETHEUS_MULTIPROC_DIR: str = SECTION.text(
    "PROMETHEUS_MULTIPROC_DIR",
    "A folder on this host in which all its processes write their counters. Without it only the "
    "gauges from the database are served.",
    "",
)
if PROMETHEUS_MULTIPROC_DIR:
    count_in_files(Path(PROMETHEUS_MULTIPROC_DIR))

SENTRY_DSN: str = SECTION.address(
    "SENTRY_DSN", "Sentry's address for errors. Nothing is sent without it.", "", is_secret=True
)
SENTRY_ENVIRONMENT: str = SECTION.text(
    "SENTRY_ENVIRONMENT", "The environment's name in Sentry.", "production"
)
RELEASE: str = SECTION.text("RELEASE", "The running version, for Sentry and OpenTelemetry.", "")
OTEL_EXPORTER_OTLP_ENDPOINT: str = SECTION.address(
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "Receiver of traces, by OTLP over HTTP. Without it there are no traces. OpenTelemetry's other "
    "variables (`OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_TRACES_SAMPLER`, …) apply too.",
    "",
)
