"""Metrics: counters, gauges from the database, and sums over processes."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import urllib3
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.parser import text_string_to_metric_families

import monitoring.request_metrics
from events.models import OutboxEvent, TransportPosition
from invariants.catalogue import GHOST_CHARGES, INVARIANTS
from invariants.models import ReconciliationBreak
from monitoring.database_metrics import DatabaseMetrics
from monitoring.heartbeats import record
from monitoring.metric_files import _HOST, fold_ended
from orders.saga import CHECKOUT, SAGAS
from sagas.models import SagaRun
from sagas.pause_reasons import PauseReason
from sagas.queries.recent_waits import recent_waits
from sagas.services import pause
from sagas.sweep import sweep
from sandbox.ports import LOOPBACK, ReservedPort
from sandbox.stripe_process import SandboxServer
from tests.support import clock
from tests.support.application_environment import environment_for
from tests.support.approval_helpers import decide, open_approval
from tests.support.in_memory_broker import MessageQueue
from tests.support.source_files import ROOT
from tests.support.storefront_client import Storefront, cart

pytestmark = pytest.mark.django_db(transaction=True)


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0


@pytest.fixture
def gauges() -> "Gauges":
    return Gauges()


class Gauges:
    """Reads a gauge in a fresh scrape of the database."""

    def __call__(self, name: str, **labels: str) -> float | None:
        registry = CollectorRegistry()
        registry.register(DatabaseMetrics())
        return registry.get_sample_value(f"holdfast_{name}", labels)


def test_orders_attempts_calls_and_requests_are_counted_once(
    storefront: Storefront, sandbox_stripe: SandboxServer, messages: MessageQueue
) -> None:
    names = {
        ("holdfast_orders_total", "placed"): 2,
        ("holdfast_orders_total", "confirmed"): 1,
        ("holdfast_orders_total", "cancelled"): 1,
    }
    before = {key: counted(key[0], status=key[1]) for key in names}
    confirmed = counted("holdfast_order_seconds_to_confirm_count")
    refused = {"saga": "checkout", "step": "authorize_payment", "outcome": "rejected"}
    compensated = {"saga": "checkout", "step": "void_authorization", "outcome": "done"}
    attempts = [
        counted("holdfast_step_attempts_total", **labels) for labels in (refused, compensated)
    ]
    calls = counted(
        "holdfast_outbound_calls_total", service="stripe", operation="confirm_payment", outcome="ok"
    )
    requests = counted(
        "holdfast_http_requests_total", serves="both", route="orders", method="POST", status="202"
    )

    storefront.order(cart(("MUG", 1)))
    storefront.order(cart(("MUG", 1), payment_method="pm_card_chargeDeclined"))
    messages.deliver_all()

    assert {key: counted(key[0], status=key[1]) - was for key, was in before.items()} == names
    assert counted("holdfast_order_seconds_to_confirm_count") == confirmed + 1
    assert [
        counted("holdfast_step_attempts_total", **labels) for labels in (refused, compensated)
    ] == [attempt + 1 for attempt in attempts]
    assert (
        counted(
            "holdfast_outbound_calls_total",
            service="stripe",
            operation="confirm_payment",
            outcome="ok",
        )
        == calls + 1
    )
    assert (
        counted(
            "holdfast_http_requests_total",
            serves="both",
            route="orders",
            method="POST",
            status="202",
        )
        == requests + 2
    )


def test_rolled_back_orders_are_not_counted(storefront: Storefront) -> None:
    before = counted("holdfast_orders_total", status="placed")
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE sagas_sagarun RENAME TO hidden")
    try:
        with pytest.raises(Exception, match="sagas_sagarun"):
            storefront.order(cart(("MUG", 1)))
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE hidden RENAME TO sagas_sagarun")

    assert counted("holdfast_orders_total", status="placed") == before


def test_calls_without_an_answer_and_retries_are_counted(
    storefront: Storefront, sandbox_stripe: SandboxServer, messages: MessageQueue
) -> None:
    lost = {"service": "stripe", "operation": "create_payment", "outcome": "unknown"}
    retried = {"saga": "checkout", "step": "authorize_payment"}
    before = (
        counted("holdfast_outbound_calls_total", **lost),
        counted("holdfast_step_retries_total", **retried),
    )
    sandbox_stripe.add_fault("payment_intents.create", "error_before", times=1)
    storefront.order(cart(("MUG", 1)))
    messages.deliver(messages.take())

    SagaRun.objects.update(not_before=None, wake_at=timezone.now())
    sweep()
    messages.deliver(messages.take())

    assert (
        counted("holdfast_outbound_calls_total", **lost),
        counted("holdfast_step_retries_total", **retried),
    ) == (before[0] + 1, before[1] + 1)


def test_unknown_methods_create_no_series(storefront: Storefront) -> None:
    storefront._client.generic("BREW", "/nowhere")

    labels = {
        sample.labels["method"]
        for family in monitoring.request_metrics.REQUESTS.collect()
        for sample in family.samples
    }
    assert "other" in labels
    assert "BREW" not in labels


def test_unfinished_runs_age_by_the_clock(
    storefront: Storefront, messages: MessageQueue, gauges: Gauges
) -> None:
    storefront.order(cart(("MUG", 1)))
    clock.advance(hours=2)

    assert 7200 <= (gauges("oldest_unfinished_seconds") or 0) < 7300
    assert 7195 <= (gauges("sweep_lag_seconds") or 0) < 7300


def test_gauges_show_the_unfinished_runs(
    storefront: Storefront, sandbox_stripe: SandboxServer, messages: MessageQueue, gauges: Gauges
) -> None:
    assert gauges("database_up") == 1
    assert gauges("oldest_unfinished_seconds") == 0
    old, new = storefront.order(cart(("MUG", 1))), storefront.order(cart(("MUG", 1)))
    messages.deliver(messages.take())
    minute = timedelta(minutes=1)
    SagaRun.objects.filter(subject_id=old.order_id).update(
        created_at=F("created_at") - 60 * minute, wake_at=timezone.now() - minute
    )
    SagaRun.objects.filter(subject_id=new.order_id).update(created_at=F("created_at") - minute)
    assert (gauges("oldest_unfinished_seconds") or 0) >= 60 * 60
    pause(old.order_id, PauseReason.STAFF, "for a test", "grace")

    assert gauges("runs_live", saga="checkout", status="running", step="capture_payment") == 1
    assert gauges("runs_live", saga="checkout", status="running", step="reserve_stock") == 1
    # Paused runs are not counted: they wait for staff without a limit.
    assert 60 <= (gauges("oldest_unfinished_seconds") or 0) < 60 * 60
    assert 60 <= (gauges("sweep_lag_seconds") or 0) < 90
    versions = {
        (saga.name, saga.version): gauges(
            "runs_by_version", saga=saga.name, version=str(saga.version)
        )
        for saga in SAGAS
    }
    assert versions.pop(("checkout", CHECKOUT.version)) == 2
    assert set(versions.values()) == {0}
    assert gauges("runs_overdue") == 1
    assert (gauges("runs_flagged"), gauges("runs_paused")) == (1, 1)
    assert gauges("queue_waiting_runs", queue="checkout") == 1
    assert gauges("queue_waiting_runs", queue="settlement") == 0  # paused: it waits for staff
    assert gauges("system_recent_attempts", system="payment_provider", outcome="done") == 1


def test_gauges_show_which_transports_have_not_got_events(
    storefront: Storefront, gauges: Gauges
) -> None:
    for _ in range(3):
        storefront.order(cart(("MUG", 1)))
    numbers = OutboxEvent.objects.order_by("number").values_list("number", flat=True)
    behind = {"number": numbers[0], "safe_number": 0}
    TransportPosition.objects.create(transport="redis", failing_since=Now(), **behind)
    TransportPosition.objects.create(transport="kafka", number=numbers[2], safe_number=0)

    assert gauges("events_waiting", transport="redis") == 2
    assert (gauges("events_waiting_seconds", transport="redis") or 0) > 0
    assert gauges("events_failing", transport="redis") == 1
    assert gauges("events_waiting", transport="kafka") == 0
    assert gauges("events_waiting_seconds", transport="kafka") == 0
    assert gauges("events_failing", transport="kafka") == 0


def test_waiting_runs_are_counted_once_a_minute(gauges: Gauges, storefront: Storefront) -> None:
    labels = {"waits_for": "await_review"}
    order_id = storefront.order(cart(("MUG", 1))).order_id
    assert (gauges("runs_waiting", **labels), gauges("runs_waiting_overdue", **labels)) == (0, 0)
    since = timezone.now() - timedelta(hours=2)
    waiting = SagaRun.objects.filter(subject_id=order_id)
    waiting.update(
        waits_for="await_review", waiting_since=since, waiting_until=since + timedelta(hours=3)
    )

    assert gauges("runs_waiting", **labels) == 0
    recent_waits.forget()
    assert (gauges("runs_waiting", **labels), gauges("runs_waiting_overdue", **labels)) == (1, 0)

    waiting.update(waiting_until=since + timedelta(hours=1))
    recent_waits.forget()
    assert (gauges("runs_waiting", **labels), gauges("runs_waiting_overdue", **labels)) == (1, 1)

    later = timezone.now() + timedelta(hours=1)
    waiting.update(waiting_until=later, needs_attention=True, escalations=1)
    recent_waits.forget()
    assert (gauges("runs_waiting", **labels), gauges("runs_waiting_overdue", **labels)) == (1, 1)
    assert gauges("runs_waiting", waits_for="another_payment_needed") == 0


def test_open_approvals_are_counted_and_those_past_their_deadline(gauges: Gauges) -> None:
    assert (gauges("approvals_open"), gauges("approvals_past_deadline")) == (0, 0)
    open_approval(deadline=timezone.now() - timedelta(minutes=1))
    open_approval()
    decide(open_approval(deadline=timezone.now() - timedelta(minutes=1)))

    assert (gauges("approvals_open"), gauges("approvals_past_deadline")) == (2, 1)


def test_heartbeats_and_sweeps_are_shown_as_timestamps(gauges: Gauges) -> None:
    assert gauges("queue_last_heartbeat_timestamp_seconds", queue="checkout") == 0
    assert gauges("last_sweep_timestamp_seconds", source="beat") == 0
    record("checkout", "checkout@one", timezone.now() - timedelta(seconds=7))

    at = gauges("queue_last_heartbeat_timestamp_seconds", queue="checkout")

    assert abs((at or 0) - time.time()) < 30
    assert 7 <= (gauges("queue_lag_seconds", queue="checkout") or 0) < 30
    assert gauges(
        "worker_last_heartbeat_timestamp_seconds", queue="checkout", worker="checkout@one"
    ) == pytest.approx(at, abs=1)


def test_ghost_charges_are_counted_separately(gauges: Gauges) -> None:
    now = timezone.now()
    assert {invariant.code for invariant in INVARIANTS} >= GHOST_CHARGES
    assert gauges("ghost_charges_open") == 0
    for code, resolved in (("M2", ""), ("M2", "looked at"), ("S1", "")):
        ReconciliationBreak.objects.create(
            code=code,
            kind="money",
            subject=f"{code} {resolved}",
            first_seen=now,
            last_seen=now,
            resolved_at=now if resolved else None,
            resolution=resolved,
        )

    assert gauges("ghost_charges_open") == 1
    assert gauges("breaks_open", code="M2") == 1
    assert gauges("breaks_open", code="S1") == 1
    assert gauges("breaks_open", code="M1") == 0


def test_without_the_database_only_database_up_is_served(
    gauges: Gauges, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection.close()
    monkeypatch.setitem(connection.settings_dict, "PORT", 1)
    monkeypatch.setitem(connection.settings_dict, "HOST", LOOPBACK)

    assert gauges("database_up") == 0
    assert gauges("ghost_charges_open") is None


def test_folding_drops_gauges_and_metrics_of_other_packages(
    tmp_path: Path,
) -> None:
    ended = f"{_HOST}-{2**22}"  # larger than any process id
    (tmp_path / f"gauge_all_{ended}.db").touch()
    counters = MmapedDict(str(tmp_path / f"counter_{ended}.db"))
    ours, flower = (
        mmap_key(name, name, ["worker"], ["checkout@one"], "")
        for name in ("holdfast_messages_total", "flower_events_total")
    )
    counters.write_value(ours, 3, 0)
    counters.write_value(flower, 4, 0)
    counters.close()

    assert fold_ended(tmp_path) == 2
    [kept] = tmp_path.iterdir()
    assert [entry[:2] for entry in MmapedDict.read_all_values_from_file(str(kept))] == [(ours, 3)]


COUNTS = """
import sys, django; django.setup()
from sagas.metrics import MESSAGES
MESSAGES.labels("published").inc(float(sys.argv[1]))
print("counted", flush=True); sys.stdin.read()
"""


@pytest.fixture
def environment(sandbox_stripe: SandboxServer, tmp_path: Path) -> dict[str, str]:
    return {
        **environment_for(sandbox_stripe),
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics"),
    }


@pytest.fixture
def served(environment: dict[str, str]) -> Iterator[str]:
    port = ReservedPort()
    command = [sys.executable, "manage.py", "serve_metrics", "--port", str(port.number)]
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    yield f"http://{LOOPBACK}:{port.number}/metrics"
    process.terminate()
    assert process.wait(60) == 0
    port.close()


def count_in_a_process(amount: int, environment: dict[str, str]) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", COUNTS, str(amount)],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "counted\n"
    return process


def scrape(url: str) -> dict[str, float]:
    deadline = time.monotonic() + 60
    while True:
        try:
            answer = urllib3.request("GET", url, retries=False, timeout=60)
            break
        except urllib3.exceptions.HTTPError:
            assert time.monotonic() < deadline
            threading.Event().wait(0.1)
    return {
        sample.name + str(sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.data.decode())
        for sample in family.samples
    }


def test_counters_of_all_processes_are_added_including_ended_ones(
    environment: dict[str, str], served: str
) -> None:
    folder = Path(environment["PROMETHEUS_MULTIPROC_DIR"])
    published = "holdfast_messages_total['published']"
    one, two = count_in_a_process(3, environment), count_in_a_process(4, environment)

    both = scrape(served)
    one.kill()
    one.communicate()
    after = scrape(served)
    three = count_in_a_process(1, environment)
    again = scrape(served)
    for process in (two, three):
        process.kill()
        process.communicate()

    assert both[published] == 7
    assert after[published] == 7
    assert again[published] == 8
    assert both["holdfast_database_up[]"] == 1
    assert both["holdfast_ghost_charges_open[]"] == 0
    assert not list(folder.glob(f"*-{one.pid}.db"))
    assert fold_ended(folder) > 0
    assert not list(folder.glob(f"*-{two.pid}.db"))
