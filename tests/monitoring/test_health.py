"""Health checks of web processes, workers and beat."""

import math
import re
import socket
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from io import StringIO

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import F
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from monitoring import readiness
from monitoring.heartbeats import SILENT_AFTER, record
from monitoring.models import WorkerHeartbeat
from sagas.models import LastSweep
from sagas.sweep import SweepSource, sweep

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that accepts connections and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


@pytest.fixture(autouse=True)
def fresh_checks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Replace the checks: their threads and connections end with the test. With a long time-out."""
    monkeypatch.setattr(readiness, "CHECK_TIMEOUT_SECONDS", 60.0)
    checks = {
        "database": readiness.ServiceCheck(closing_connection(readiness._check_database)),
        "broker": readiness.ServiceCheck(readiness._check_broker),
    }
    for name, check in checks.items():
        monkeypatch.setattr(f"monitoring.health.{name}", check)
    yield
    for check in checks.values():
        if check._thread is not None:
            check._thread.shutdown()


def closing_connection(check: Callable[[], readiness.Status]) -> Callable[[], readiness.Status]:
    def close_after() -> readiness.Status:
        try:
            return check()
        finally:
            connection.close()

    return close_after


def test_a_process_is_live_under_any_host_name(client: Client) -> None:
    answer = client.get("/health/live", headers={"Host": "10.0.0.7:8000"})

    assert (answer.status_code, answer.json()) == (200, {"status": "live"})
    assert answer["Cache-Control"] == "no-store"


def test_a_process_with_database_and_broker_is_ready(client: Client) -> None:
    answer = client.get("/health/ready", headers={"Host": "10.0.0.7:8000"})

    assert (answer.status_code, answer.json()) == (
        200,
        {"status": "ready", "database": "ok", "broker": "ok"},
    )


def test_without_a_broker_a_process_is_degraded_and_ready(
    client: Client, settings: Settings
) -> None:
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"

    answer = client.get("/health/ready")

    assert (answer.status_code, answer.json()) == (
        200,
        {"status": "degraded", "database": "ok", "broker": "down"},
    )


def test_a_silent_broker_does_not_delay_the_check(
    client: Client, settings: Settings, silent_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "CHECK_TIMEOUT_SECONDS", 3.0)
    settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{silent_port}/0"

    answer = client.get("/health/ready")

    assert answer.json() == {"status": "degraded", "database": "ok", "broker": "down"}


def test_without_its_migrations_a_process_is_not_ready(client: Client) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT app, name, applied FROM django_migrations WHERE app = 'monitoring'")
        rows = cursor.fetchall()
        cursor.execute("DELETE FROM django_migrations WHERE app = 'monitoring'")
    try:
        answer = client.get("/health/ready")
    finally:
        with connection.cursor() as cursor:
            for row in rows:
                cursor.execute(
                    "INSERT INTO django_migrations (app, name, applied) VALUES (%s, %s, %s)", row
                )

    assert (answer.status_code, answer.json()["database"]) == (503, "not migrated")
    assert client.get("/health/ready").status_code == 200


@pytest.mark.parametrize("port", ["closed", "silent"])
def test_without_the_database_a_process_is_not_ready(
    client: Client, monkeypatch: pytest.MonkeyPatch, silent_port: int, port: str
) -> None:
    monkeypatch.setattr(readiness, "CHECK_TIMEOUT_SECONDS", 3.0)
    options = {**settings.DATABASES["default"]["OPTIONS"], "connect_timeout": 5}

    def check_other_address() -> readiness.Status:
        connection.close()
        monkeypatch.setitem(connection.settings_dict, "HOST", "127.0.0.1")
        monkeypatch.setitem(
            connection.settings_dict, "PORT", silent_port if port == "silent" else 1
        )
        monkeypatch.setitem(connection.settings_dict, "OPTIONS", options)
        return readiness._check_database()

    monkeypatch.setattr(
        "monitoring.health.database", check := readiness.ServiceCheck(check_other_address)
    )

    answer = client.get("/health/ready")

    assert (answer.status_code, answer.json()) == (
        503,
        {"status": "not ready", "database": "down", "broker": "ok"},
    )
    assert check._thread is not None
    check._thread.shutdown()


def run_check(command: str, *arguments: str) -> str:
    out = StringIO()
    call_command(command, *arguments, stdout=out)
    return out.getvalue().strip()


class SecondsAgo:
    """Checks texts with a number of whole seconds since the creation of this object, plus ``seconds``."""

    def __init__(self, seconds: float = 0) -> None:
        self._began = time.monotonic() - seconds
        self._least = seconds

    def __call__(self, text: str, template: str) -> bool:
        """Return whether ``text`` matches the template, with a plausible number for ``{}``."""
        found = re.fullmatch(template.replace("{}", r"(\d+)"), text)
        most = math.ceil(time.monotonic() - self._began)
        return found is not None and self._least <= int(found[1]) <= most


def test_a_worker_is_healthy_while_it_takes_heartbeats() -> None:
    with pytest.raises(CommandError, match="no heartbeat was ever taken from checkout"):
        run_check("check_worker", "--queue", "checkout")
    is_plausible = SecondsAgo()
    record("checkout", "checkout@one", timezone.now())

    assert is_plausible(
        run_check("check_worker", "--queue", "checkout"), "last heartbeat from checkout {} s ago"
    )
    assert run_check("check_worker", "--queue", "checkout", "--worker", "checkout@one")
    with pytest.raises(CommandError):
        run_check("check_worker", "--queue", "checkout", "--worker", "checkout@two")
    with pytest.raises(CommandError):
        run_check("check_worker", "--queue", "settlement")


def test_a_worker_without_recent_heartbeats_is_unhealthy() -> None:
    is_plausible = SecondsAgo(45)
    record("checkout", "checkout@one", timezone.now())
    WorkerHeartbeat.objects.update(taken_at=F("taken_at") - SILENT_AFTER)

    with pytest.raises(CommandError) as raised:
        run_check("check_worker", "--queue", "checkout")

    assert is_plausible(str(raised.value), "no heartbeat from checkout for {} s")


def test_beat_is_healthy_while_it_sweeps() -> None:
    is_plausible = SecondsAgo()
    with pytest.raises(CommandError, match="beat has never swept"):
        run_check("check_beat")
    sweep(SweepSource.WATCH)
    with pytest.raises(CommandError, match="beat has never swept"):
        run_check("check_beat")
    sweep(SweepSource.BEAT)

    assert is_plausible(run_check("check_beat"), "beat swept {} s ago")
    assert is_plausible(run_check("check_beat", "--source", "watch"), "watch swept {} s ago")


def test_beat_is_unhealthy_after_30_seconds_without_a_sweep() -> None:
    is_plausible = SecondsAgo(30)
    sweep(SweepSource.BEAT)
    LastSweep.objects.update(at=F("at") - timedelta(seconds=30))

    with pytest.raises(CommandError) as raised:
        run_check("check_beat")

    assert is_plausible(str(raised.value), "beat swept {} s ago")
