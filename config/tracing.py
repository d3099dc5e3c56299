"""Sends traces by OpenTelemetry. Imported only if OTEL_EXPORTER_OTLP_ENDPOINT is set."""

import atexit
import logging
import threading
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from celery.signals import before_task_publish
from django.conf import settings
from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.instrumentation.django import DjangoInstrumentor
from opentelemetry.instrumentation.psycopg import PsycopgInstrumentor
from opentelemetry.propagate import set_global_textmap
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from structlog.contextvars import get_contextvars

from monitoring.redaction import redact, redacted

_ATTRIBUTES: Final = {
    "correlation_id": "holdfast.correlation_id",
    "subject_id": "holdfast.order_id",
    "run_id": "holdfast.run_id",
    "step": "holdfast.step",
    "attempt": "holdfast.attempt",
}

_LEFT_OUT: Final = (
    *("http.url", "http.target", "http.user_agent", "http.request.header", "http.response.header"),
    *("url.", "user_agent.", "client.", "net.peer", "network.peer"),
)
"""Prefixes of attributes that are dropped: they identify callers or contain what they sent."""

_STATEMENT: Final = "db.statement"

_OURS: Final = frozenset(_ATTRIBUTES.values())

SHUTDOWN_SECONDS: Final = 3.0
"""How long a process tries to export its last spans before it ends."""


def start() -> None:
    """Start tracing. After a fork the SDK exports the child's spans in the child."""
    resource = Resource({"service.name": "holdfast", "service.version": settings.RELEASE})
    provider = TracerProvider(
        resource=resource.merge(OTELResourceDetector().detect()), shutdown_on_exit=False
    )
    provider.add_span_processor(_AddIds())
    provider.add_span_processor(BatchSpanProcessor(_RedactingExporter(OTLPSpanExporter())))
    trace.set_tracer_provider(provider)
    atexit.register(_shut_down, provider)
    # Baggage would copy text from clients into our messages.
    set_global_textmap(TraceContextTextMapPropagator())
    before_task_publish.connect(_forget_failed_publish, weak=False)
    DjangoInstrumentor().instrument(response_hook=_add_correlation_id, excluded_urls="health/")
    CeleryInstrumentor().instrument()
    PsycopgInstrumentor().instrument()
    _add_trace_ids_to_log_lines()


def _shut_down(provider: TracerProvider) -> None:
    """Shut down within SHUTDOWN_SECONDS. If the receiver hangs, the SDK would take up to 30 seconds."""
    thread = threading.Thread(target=provider.shutdown, daemon=True)
    thread.start()
    thread.join(SHUTDOWN_SECONDS)


def _forget_failed_publish(**_: Any) -> None:
    """Detach the span of a failed publish before the next one.

    Celery's instrumentation ends that span only after a success. Without this it stays the parent of
    all later spans of its thread.
    """
    if getattr(trace.get_current_span(), "kind", None) == trace.SpanKind.PRODUCER:
        context.attach(trace.set_span_in_context(trace.INVALID_SPAN))


class _AddIds(SpanProcessor):
    """Adds the ids of our log lines to each new span."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002 - OpenTelemetry's signature
        bound = get_contextvars()
        for name, attribute in _ATTRIBUTES.items():
            if (value := bound.get(name)) is not None:
                span.set_attribute(attribute, str(value))


def _add_correlation_id(span: Span, _: object, response: Mapping[str, str]) -> None:
    """Add the correlation id to the request's span. It does not exist when the span starts."""
    if "X-Correlation-ID" in response:
        span.set_attribute("holdfast.correlation_id", response["X-Correlation-ID"])


class _RedactingExporter(SpanExporter):
    """Exports spans redacted, and drops SQL statements without a parent span.

    These come from regular reads of the database by beat, watch, metrics and waiting requests.
    """

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._exporter.export([_redacted(span) for span in spans if not _is_alone(span)])

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


def _is_alone(span: ReadableSpan) -> bool:
    return span.parent is None and _STATEMENT in (span.attributes or {})


def _redacted(span: ReadableSpan) -> ReadableSpan:
    return ReadableSpan(
        name=redact(span.name),
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=_attributes(span.attributes),
        events=[
            Event(event.name, _attributes(event.attributes), event.timestamp)
            for event in span.events
        ],
        links=span.links,
        kind=span.kind,
        status=trace.Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _attributes(found: Mapping[str, Any] | None) -> dict[str, Any]:
    return {
        name: _value(name, value)
        for name, value in (found or {}).items()
        if not name.startswith(_LEFT_OUT)
    }


def _value(name: str, value: Any) -> Any:
    if name in _OURS:
        return value
    return _statement(value) if name == _STATEMENT else redacted(name, value)


@lru_cache(maxsize=1024)
def _statement(text: str) -> str:
    """Redact a statement. Cached: there are some hundred, without values, and each takes 0.1 ms."""
    return redact(text)


def _add_trace_ids_to_log_lines() -> None:
    make = logging.getLogRecordFactory()

    def make_with_trace(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            record.trace_id = trace.format_trace_id(context.trace_id)
            record.span_id = trace.format_span_id(context.span_id)
        return record

    logging.setLogRecordFactory(make_with_trace)
