"""Traces by OpenTelemetry. Imported only where OTEL_EXPORTER_OTLP_ENDPOINT says where they go."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.conf import settings
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.instrumentation.django import DjangoInstrumentor
from opentelemetry.instrumentation.psycopg import PsycopgInstrumentor
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from structlog.contextvars import get_contextvars

from monitoring.redaction import redact, redacted

_ABOUT: Final = {
    "correlation_id": "holdfast.correlation_id",
    "subject_id": "holdfast.order_id",
    "run_id": "holdfast.run_id",
    "step": "holdfast.step",
    "attempt": "holdfast.attempt",
}

_LEFT_OUT: Final = ("http.url", "http.target", "http.user_agent", "net.peer", "client.", "url.")
"""Attributes, by how they begin, that hold what callers sent or who they are."""


def start() -> None:
    """Make spans from now on. After a fork the child exports its own: the SDK sees to that."""
    resource = Resource({"service.name": "holdfast", "service.version": settings.RELEASE})
    provider = TracerProvider(resource=resource.merge(OTELResourceDetector().detect()))
    provider.add_span_processor(_NameTheOrder())
    provider.add_span_processor(BatchSpanProcessor(_Redacting(OTLPSpanExporter())))
    trace.set_tracer_provider(provider)
    DjangoInstrumentor().instrument(response_hook=_name_the_request, excluded_urls="health/")
    CeleryInstrumentor().instrument()
    PsycopgInstrumentor().instrument()
    _name_the_trace_in_lines()


class _NameTheOrder(SpanProcessor):
    """Gives each span what lines would say at its start."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002 - OpenTelemetry's signature
        bound = get_contextvars()
        for name, attribute in _ABOUT.items():
            if (value := bound.get(name)) is not None:
                span.set_attribute(attribute, str(value))


def _name_the_request(span: Span, _: object, response: Mapping[str, str]) -> None:
    """The request's span begins before the request has its id."""
    if "X-Correlation-ID" in response:
        span.set_attribute("holdfast.correlation_id", response["X-Correlation-ID"])


class _Redacting(SpanExporter):
    """Hands spans on without what must not be told."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._exporter.export([_redacted(each) for each in spans])

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


def _redacted(span: ReadableSpan) -> ReadableSpan:
    return ReadableSpan(
        name=redact(span.name),
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=_attributes(span.attributes),
        events=[
            Event(each.name, _attributes(each.attributes), each.timestamp) for each in span.events
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
        name: redacted(name, value)
        for name, value in (found or {}).items()
        if not name.startswith(_LEFT_OUT)
    }


def _name_the_trace_in_lines() -> None:
    make = logging.getLogRecordFactory()

    def make_with_trace(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            record.trace_id = trace.format_trace_id(context.trace_id)
            record.span_id = trace.format_span_id(context.span_id)
        return record

    logging.setLogRecordFactory(make_with_trace)
