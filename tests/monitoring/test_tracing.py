"""Traces of real processes: one for a request and all that came of it, and nobody waits for them."""

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
"""Threads do not survive a fork: if its spans arrive, those of our pools of threads do."""

FIRST_LINK = "checkout.v1.reserve_stock-authorize_payment-confirm_order"
WAY_TO_THE_BANK = (
    "POST api/v1/orders",
    f"apply_async/{FIRST_LINK}",
    f"run/{FIRST_LINK}",
    "apply_async/checkout.v1.capture_payment",
    "run/checkout.v1.capture_payment",
    "stripe/capture_payment",
)


@contextmanager
def installed(
    sandbox_stripe: SandboxServer, folder: Path, receiver: str, worker: tuple[str, ...] = WORKER
) -> Iterator[Installation]:
    """An installation that reports to whoever listens at an address."""
    wishes = {
        "SENTRY_DSN": f"http://{secrets.token_hex(16)}@{receiver}/1",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{receiver}",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
    }
    running = Installation(sandbox_stripe, folder, wishes, worker)
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
def silence() -> Iterator[str]:
    """An address that takes connections and never says a word."""
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
    return {each.key: each.value.string_value for each in span.attributes}


def ancestry(span: Span, spans: Mapping[bytes, Span]) -> tuple[str, ...]:
    """The names from the first of its trace that we made down to this one."""
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
def test_one_trace_leads_from_a_request_through_its_messages_to_the_bank(
    sandbox_stripe: SandboxServer, tmp_path: Path, sink: CannedServer, token: str
) -> None:
    trace, canary = secrets.token_bytes(16), secrets.token_hex(8)
    traced = {
        "traceparent": f"00-{trace.hex()}-{secrets.token_hex(8)}-01",
        "baggage": f"who={canary}",
        "User-Agent": canary,
    }

    with installed(sandbox_stripe, tmp_path, sink.address, FORKING_WORKER) as installation:
        installation.watch.kill()  # a sweep that comes too early carries the order in its own trace
        urllib3.request("GET", f"{installation.url}/api/v1/orders?token={canary}")
        order_id, correlation_id = place(installation, token, traced)
        wait_until(
            lambda: (
                {each.name for each in spans_at(sink) if each.trace_id == trace}
                >= set(WAY_TO_THE_BANK)
            )
        )
        installation.web.kill()

    spans = {each.span_id: each for each in spans_at(sink)}
    [capture] = [each for each in spans.values() if each.name == "stripe/capture_payment"]
    assert ancestry(capture, spans) == WAY_TO_THE_BANK
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
def test_receivers_that_hang_cost_no_order_anything(
    sandbox_stripe: SandboxServer, tmp_path: Path, silence: str, token: str
) -> None:
    with installed(sandbox_stripe, tmp_path, silence) as installation:
        alice = HttpStorefront(installation.url, token)

        orders = [alice.place()["id"] for _ in range(3)]

        assert [alice.wait_for_end(each)["status"] for each in orders] == ["confirmed"] * 3
        for program in (installation.web, installation.worker, installation.watch):
            program.kill()  # asked to stop, each would try for a while to hand over what it has


def test_statements_that_belong_to_nothing_are_not_told() -> None:
    """Beat, watch and metrics ask the database all the time."""
    provider, told = TracerProvider(shutdown_on_exit=False), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(tracing._Redacting(told)))
    tracer, statement = provider.get_tracer("test"), {"db.statement": "SELECT 1"}

    tracer.start_span("alone", attributes=statement).end()
    with tracer.start_as_current_span("request"):
        tracer.start_span("of the request", attributes=statement).end()

    assert [each.name for each in told.get_finished_spans()] == ["of the request", "request"]


class Stuck(SpanProcessor):
    """Ends only when it is let go."""

    def __init__(self) -> None:
        self.let_go, self.ended = threading.Event(), threading.Event()

    def shutdown(self) -> None:
        self.let_go.wait(60)
        self.ended.set()


def test_a_process_ends_though_its_spans_cannot_be_handed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tracing, "GOODBYE_SECONDS", 0.01)
    provider, stuck = TracerProvider(shutdown_on_exit=False), Stuck()
    provider.add_span_processor(stuck)

    contextvars.copy_context().run(tracing._end_soon, provider)

    assert not stuck.ended.is_set()
    stuck.let_go.set()
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
os._exit(0)  # without waiting for whoever takes spans
"""


def test_what_is_published_after_a_failure_is_no_part_of_it(sandbox_stripe: SandboxServer) -> None:
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
