"""Traces of real processes: one trace for a request and its consequences, without delaying orders."""

import contextvars
import secrets
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
import urllib3
from django.contrib.auth.models import User
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from access.models import ApiToken
from config import tracing
from orders.saga import CHECKOUT
from sandbox.stripe_process import SandboxServer
from tests.support.application_environment import environment_for
from tests.support.canned_http import CannedResponse, CannedServer
from tests.support.http_storefront import HttpStorefront
from tests.support.production_processes import WORKER, Installation
from tests.support.shop import Shelf
from tests.support.source_files import ROOT
from tests.support.waits import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

FORKING_WORKER = (*WORKER, "--pool", "prefork", "--concurrency", "2")
"""Threads do not survive a fork. If the spans of this pool arrive, so do those of a thread pool."""

SPANS_OF_AN_ORDER = (
    "POST api/v1/orders",
    *(f"{span}/{link.name}" for link in CHECKOUT.links for span in ("apply_async", "run")),
    "stripe/capture_payment",
)


@contextmanager
def installed(
    sandbox_stripe: SandboxServer, folder: Path, receiver: str, worker: tuple[str, ...] = WORKER
) -> Iterator[Installation]:
    """An installation that sends spans and errors to the address ``receiver``."""
    variables = {
        "SENTRY_DSN": f"http://{secrets.token_hex(16)}@{receiver}/1",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{receiver}",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
    }
    running = Installation(sandbox_stripe, folder, variables, worker)
    try:
        running.wait_until_ready()
        yield running
    finally:
        running.stop()


@pytest.fixture
def sink() -> Iterator[CannedServer]:
    with CannedServer() as server:
        server.answer = CannedResponse("{}")
        yield server


@pytest.fixture
def silent_address() -> Iterator[str]:
    """An address that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def token(customer: User, shelf: Shelf) -> str:
    shelf.put("MUG", 5)
    return str(ApiToken.objects.issue(customer)[1])


def spans_at(sink: CannedServer) -> list[Span]:
    return [
        span
        for body in sink.bodies("/v1/traces")
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def attributes(span: Span) -> dict[str, str]:
    return {attribute.key: attribute.value.string_value for attribute in span.attributes}


def ancestry(span: Span, spans: Mapping[bytes, Span]) -> tuple[str, ...]:
    """Return the names of the span's ancestors that we created, and its own, outermost first."""
    parent = spans.get(span.parent_span_id)
    return (*(ancestry(parent, spans) if parent else ()), span.name)


def place(installation: Installation, token: str, headers: Mapping[str, str]) -> tuple[str, str]:
    """Place an order; return its id, and the correlation id of the answer."""
    answer = urllib3.request(
        "POST",
        f"{installation.url}/api/v1/orders",
        json={"items": [{"sku": "MUG", "quantity": 1}], "payment_method": "pm_card_visa"},
        headers={
            "Authorization": f"Bearer {token}",
            "Idempotency-Key": str(uuid.uuid4()),
            **headers,
        },
    )
    assert answer.status == 202, answer.data
    return answer.json()["id"], answer.headers["X-Correlation-ID"]


@pytest.mark.destructive
def test_one_trace_leads_from_a_request_through_its_messages_to_the_provider(
    sandbox_stripe: SandboxServer, tmp_path: Path, sink: CannedServer, token: str
) -> None:
    trace, canary = secrets.token_bytes(16), secrets.token_hex(8)
    traced = {
        "traceparent": f"00-{trace.hex()}-{secrets.token_hex(8)}-01",
        "baggage": f"customer={canary}",
        "User-Agent": canary,
    }

    with installed(sandbox_stripe, tmp_path, sink.address, FORKING_WORKER) as installation:
        installation.watch.kill()  # an early sweep would continue the order in its own trace
        urllib3.request("GET", f"{installation.url}/api/v1/orders?token={canary}")
        order_id, correlation_id = place(installation, token, traced)
        wait_until(
            lambda: (
                {span.name for span in spans_at(sink) if span.trace_id == trace}
                >= set(SPANS_OF_AN_ORDER)
            )
        )
        installation.web.kill()

    spans = {span.span_id: span for span in spans_at(sink)}
    [capture] = [span for span in spans.values() if span.name == "stripe/capture_payment"]
    assert ancestry(capture, spans) == SPANS_OF_AN_ORDER
    assert attributes(capture).items() >= {
        ("holdfast.correlation_id", correlation_id),
        ("holdfast.order_id", order_id),
        ("holdfast.step", "capture_payment"),
        ("holdfast.attempt", "1"),
        ("holdfast.outcome", "ok"),
    }
    for secret in (canary, token):
        assert not any(secret.encode() in body for body in sink.bodies("/"))


@pytest.mark.destructive
def test_receivers_that_hang_delay_no_order(
    sandbox_stripe: SandboxServer, tmp_path: Path, silent_address: str, token: str
) -> None:
    with installed(sandbox_stripe, tmp_path, silent_address) as installation:
        alice = HttpStorefront(installation.url, token)

        orders = [alice.place()["id"] for _ in range(3)]

        assert [alice.wait_for_end(order)["status"] for order in orders] == ["confirmed"] * 3
        for program in (installation.web, installation.worker, installation.watch):
            program.kill()  # a normal stop would wait for the export of spans


def test_statements_without_a_parent_span_are_not_exported() -> None:
    """Beat, watch and metrics read the database all the time."""
    provider, exported = TracerProvider(shutdown_on_exit=False), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(tracing._RedactingExporter(exported)))
    tracer, statement = provider.get_tracer("test"), {"db.statement": "SELECT 1"}

    tracer.start_span("alone", attributes=statement).end()
    with tracer.start_as_current_span("request"):
        tracer.start_span("of the request", attributes=statement).end()

    assert [span.name for span in exported.get_finished_spans()] == ["of the request", "request"]


class StuckProcessor(SpanProcessor):
    """Its shutdown waits until ``release`` is set."""

    def __init__(self) -> None:
        self.release, self.ended = threading.Event(), threading.Event()

    def shutdown(self) -> None:
        self.release.wait(60)
        self.ended.set()


def test_a_process_ends_although_its_spans_cannot_be_exported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tracing, "SHUTDOWN_SECONDS", 0.01)
    provider, stuck = TracerProvider(shutdown_on_exit=False), StuckProcessor()
    provider.add_span_processor(stuck)

    contextvars.copy_context().run(tracing._shut_down, provider)

    assert not stuck.ended.is_set()
    stuck.release.set()
    assert stuck.ended.wait(60)


PUBLISH_TWICE = """
import os, django; django.setup()
from kombu import Producer
from kombu.exceptions import OperationalError
from opentelemetry import trace
from monitoring.tasks import heartbeat

def no_broker(*_, **__):
    raise OperationalError

Producer.publish = no_broker
for _ in range(2):
    try:
        heartbeat.apply_async(queue="sweeps", retry=False)
    except OperationalError:
        span = trace.get_current_span()
        print(span.name, span.parent, flush=True)
os._exit(0)  # without waiting for the export of spans
"""


def test_a_publish_after_a_failed_one_starts_its_own_trace(sandbox_stripe: SandboxServer) -> None:
    finished = subprocess.run(
        [sys.executable, "-c", PUBLISH_TWICE],
        cwd=ROOT,
        env={
            **environment_for(sandbox_stripe),
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
        },
        capture_output=True,
        text=True,
        check=True,
    )

    assert finished.stdout == "apply_async/monitoring.heartbeat None\n" * 2
