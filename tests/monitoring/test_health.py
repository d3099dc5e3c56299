"""Health: what is said of this process is true, and says nothing else."""

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
    """A port that takes connections and never says a word."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


@pytest.fixture(autouse=True)
def fresh_looks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Threads of this test's own, whose connections end with it; patient, on a busy machine."""
    monkeypatch.setattr(readiness, "PATIENCE_SECONDS", 60.0)
    looks = {
        "database": readiness.Look(closing(readiness._look_at_database)),
        "broker": readiness.Look(readiness._look_at_broker),
    }
    for name, look in looks.items():
        monkeypatch.setattr(f"monitoring.health.{name}", look)
    yield
    for look in looks.values():
        if look._thread is not None:
            look._thread.shutdown()


def closing(look: Callable[[], readiness.Finding]) -> Callable[[], readiness.Finding]:
    def close_after() -> readiness.Finding:
        try:
            return look()
        finally:
            connection.close()

    return close_after


def test_a_process_that_answers_is_live_whatever_it_is_called(client: Client) -> None:
    answer = client.get("/health/live", headers={"Host": "10.0.0.7:8000"})

    assert (answer.status_code, answer.json()) == (200, {"status": "live"})
    assert answer["Cache-Control"] == "no-store"


def test_a_process_with_all_that_it_needs_is_ready(client: Client) -> None:
    answer = client.get("/health/ready", headers={"Host": "10.0.0.7:8000"})

    assert (answer.status_code, answer.json()) == (
        200,
        {"status": "ready", "database": "ok", "broker": "ok"},
    )


def test_without_a_broker_orders_are_taken(client: Client, settings: Settings) -> None:
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"

    answer = client.get("/health/ready")

    assert (answer.status_code, answer.json()) == (
        200,
        {"status": "degraded", "database": "ok", "broker": "down"},
    )


def test_a_broker_that_is_silent_keeps_nobody_waiting(
    client: Client, settings: Settings, silent_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "PATIENCE_SECONDS", 3.0)
    settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{silent_port}/0"

    answer = client.get("/health/ready")

    assert answer.json() == {"status": "degraded", "database": "ok", "broker": "down"}


def test_without_its_tables_it_is_not_ready(client: Client) -> None:
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
def test_without_the_database_it_is_not_ready_and_says_so_in_time(
    client: Client, monkeypatch: pytest.MonkeyPatch, silent_port: int, port: str
) -> None:
    monkeypatch.setattr(readiness, "PATIENCE_SECONDS", 3.0)
    options = {**settings.DATABASES["default"]["OPTIONS"], "connect_timeout": 5}

    def look_elsewhere() -> readiness.Finding:
        connection.close()
        monkeypatch.setitem(connection.settings_dict, "HOST", "127.0.0.1")
        monkeypatch.setitem(
            connection.settings_dict, "PORT", silent_port if port == "silent" else 1
        )
        monkeypatch.setitem(connection.settings_dict, "OPTIONS", options)
        return readiness._look_at_database()

    monkeypatch.setattr("monitoring.health.database", look := readiness.Look(look_elsewhere))

    answer = client.get("/health/ready")

    assert (answer.status_code, answer.json()) == (
        503,
        {"status": "not ready", "database": "down", "broker": "ok"},
    )
    assert look._thread is not None
    look._thread.shutdown()


def check(command: str, *arguments: str) -> str:
    out = StringIO()
    call_command(command, *arguments, stdout=out)
    return out.getvalue().strip()


class Since:
    """What is told in whole seconds since some moment, of which this test has been going on."""

    def __init__(self, seconds: float = 0) -> None:
        self._began = time.monotonic() - seconds
        self._least = seconds

    def __call__(self, said: str, words: str) -> bool:
        """Whether ``said`` is these words, with a number for ``{}`` that can be true now."""
        found = re.fullmatch(words.replace("{}", r"(\d+)"), said)
        most = math.ceil(time.monotonic() - self._began)
        return found is not None and self._least <= int(found[1]) <= most


def test_a_worker_is_well_while_pulses_come_through_its_queue() -> None:
    with pytest.raises(CommandError, match="no heartbeat was ever taken from checkout"):
        check("check_worker", "--queue", "checkout")
    is_true = Since()
    record("checkout", "checkout@one", timezone.now())

    assert is_true(
        check("check_worker", "--queue", "checkout"), "a heartbeat from checkout {} s ago"
    )
    assert check("check_worker", "--queue", "checkout", "--worker", "checkout@one")
    with pytest.raises(CommandError):
        check("check_worker", "--queue", "checkout", "--worker", "checkout@two")
    with pytest.raises(CommandError):
        check("check_worker", "--queue", "settlement")


def test_a_worker_that_fell_silent_is_ill() -> None:
    is_true = Since(45)
    record("checkout", "checkout@one", timezone.now())
    WorkerHeartbeat.objects.update(taken_at=F("taken_at") - SILENT_AFTER)

    with pytest.raises(CommandError) as told:
        check("check_worker", "--queue", "checkout")

    assert is_true(str(told.value), "no heartbeat from checkout for {} s")


def test_beat_is_well_while_it_sweeps() -> None:
    is_true = Since()
    with pytest.raises(CommandError, match="beat has never swept"):
        check("check_beat")
    sweep(SweepSource.WATCH)
    with pytest.raises(CommandError, match="beat has never swept"):
        check("check_beat")
    sweep(SweepSource.BEAT)

    assert is_true(check("check_beat"), "beat swept {} s ago")
    assert is_true(check("check_beat", "--source", "watch"), "watch swept {} s ago")


def test_beat_is_ill_when_it_has_not_swept_for_half_a_minute() -> None:
    is_true = Since(30)
    sweep(SweepSource.BEAT)
    LastSweep.objects.update(at=F("at") - timedelta(seconds=30))

    with pytest.raises(CommandError) as told:
        check("check_beat")

    assert is_true(str(told.value), "beat swept {} s ago")
