"""The database's clock: the statement's time in production; moved in a sandbox and in tests."""

import json
from collections.abc import Iterator
from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
from django.core.checks import run_checks
from django.db import OperationalError, connection, transaction

from clock import checks, moving
from clock.function import PRODUCTION_BODY, body_in, definition
from clock.moving import ClockFixed, TimeInThePast, sandbox_clock
from clock.now import Now, now
from sagas.models import LIVE, SagaRun
from tests.support import clock
from tests.support.database import wait_until_blocking
from tests.support.large_tables import insert_waiting_runs
from tests.support.threads import start_thread

pytestmark = pytest.mark.django_db(transaction=True)

A_DAY = timedelta(days=1)
TO_WAKE = SagaRun.objects.filter(status__in=LIVE, wake_at__lte=Now()).order_by("wake_at")


@pytest.fixture
def unmarked() -> Iterator[None]:
    """The database without the sandbox's mark, until the test ends."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER SCHEMA sandbox RENAME TO elsewhere")
        yield
        cursor.execute("ALTER SCHEMA elsewhere RENAME TO sandbox")


def clock_and_real_time() -> tuple[Any, Any]:
    """Return both times of one statement."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_now(), statement_timestamp()")
        found: tuple[Any, Any] = cursor.fetchone()
        return found


def plan_of_the_sweep() -> dict[str, Any]:
    """Return the scan of the sweep's query in a table of 5,000 waiting runs, with fresh statistics."""
    insert_waiting_runs(5_000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE sagas_sagarun")
        sql, values = TO_WAKE.query.sql_with_params()
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", values)
        (answer,) = cursor.fetchone()
    plan = json.loads(answer) if isinstance(answer, str) else answer
    node: dict[str, Any] = plan[0]["Plan"]
    while "Plans" in node:
        node = node["Plans"][0]
    return node


def test_the_function_is_the_statements_time() -> None:
    shown, real = clock_and_real_time()

    assert shown == real
    assert body_in("default") == PRODUCTION_BODY


def test_the_migration_and_a_reset_create_the_same_function() -> None:
    migration = import_module("clock.migrations.0001_initial").Migration

    assert [operation.sql for operation in migration.operations] == [definition(PRODUCTION_BODY)]


def test_postgresql_replaces_the_call_by_the_statements_time_and_uses_the_index() -> None:
    scan = plan_of_the_sweep()

    assert scan["Index Name"] == "sagas_run_to_wake"
    assert scan["Index Cond"] == "(wake_at <= statement_timestamp())"


def test_a_moved_clock_uses_the_index_too() -> None:
    clock.advance(days=1)

    scan = plan_of_the_sweep()

    assert scan["Index Name"] == "sagas_run_to_wake"
    assert scan["Index Cond"] == "(wake_at <= clock_now())"


def test_advancing_adds_up_and_the_clock_goes_on() -> None:
    clock.advance(days=13)
    clock.advance(hours=24)

    shown, real = clock_and_real_time()
    assert shown - real == 14 * A_DAY
    assert now() > shown


def test_moves_at_the_same_moment_add_up() -> None:
    with transaction.atomic():
        clock.advance(days=1)
        other = start_thread(lambda: clock.advance(days=2))
        wait_until_blocking()
    other.result()

    shown, real = clock_and_real_time()
    assert shown - real == 3 * A_DAY


def test_moving_to_a_time() -> None:
    at = now() + 3 * A_DAY
    clock.move_to(at)

    assert timedelta() <= now() - at < timedelta(seconds=30)


def test_a_stopped_clock_shows_one_time_until_it_is_moved() -> None:
    stopped_at = clock.stop()
    assert now() == stopped_at

    clock.advance(days=1)
    assert now() == stopped_at + A_DAY
    clock.move_to(stopped_at + 2 * A_DAY)
    assert now() == stopped_at + 2 * A_DAY
    assert clock.stop() == stopped_at + 2 * A_DAY


def test_the_clock_does_not_move_back() -> None:
    stopped_at = clock.stop()

    with pytest.raises(TimeInThePast):
        clock.move_to(stopped_at - timedelta(microseconds=1))
    with pytest.raises(TimeInThePast):
        clock.advance(timedelta(microseconds=-1))
    assert now() == stopped_at


def test_resetting_returns_to_the_real_time_and_to_the_text_of_production() -> None:
    clock.advance(days=14)
    clock.stop()
    moving.reset()

    shown, real = clock_and_real_time()
    assert shown == real
    assert body_in("default") == PRODUCTION_BODY
    assert sandbox_clock().moved_by == timedelta()


def test_all_sessions_see_the_move_at_once_also_in_prepared_statements() -> None:
    def move() -> Any:
        """Move the clock in another session, which has prepared the statement that reads it."""
        try:
            before = [now() for _ in range(4)]
            clock.advance(days=14)
            return now() - before[-1]
        finally:
            connection.close()

    before = [now() for _ in range(4)]
    moved_there = start_thread(move).result()
    moved_here = now() - before[-1]

    assert 14 * A_DAY < moved_there < 15 * A_DAY
    assert 14 * A_DAY < moved_here < 15 * A_DAY


def test_every_other_time_of_orders_and_runs_is_the_clocks() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, column_name FROM information_schema.columns"
            " WHERE table_schema = 'public' AND column_default LIKE '%statement_timestamp%'"
        )
        assert cursor.fetchall() == [("orders_idempotencyrecord", "created_at")]


@pytest.mark.usefixtures("unmarked")
def test_a_database_without_the_mark_is_not_moved() -> None:
    with pytest.raises(ClockFixed):
        moving.advance(A_DAY)
    with pytest.raises(ClockFixed):
        moving.move_to(now() + A_DAY)
    with pytest.raises(ClockFixed):
        moving.stop()
    with pytest.raises(ClockFixed):
        moving.reset()

    assert body_in("default") == PRODUCTION_BODY


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM sandbox.clock",
        "UPDATE sandbox.clock SET server = server + 1",
        "UPDATE sandbox.clock SET database = 1",
    ],
)
def test_the_mark_of_another_database_does_not_count(change: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(change)
        with pytest.raises(ClockFixed):
            moving.advance(A_DAY)
        transaction.set_rollback(True)

    assert sandbox_clock().moved_by == timedelta()


def found_by_the_deployment_check() -> list[str | None]:
    found = run_checks(include_deployment_checks=True)
    return [message.id for message in found if (message.id or "").startswith("clock.")]


def test_the_deployment_check_accepts_the_real_clock() -> None:
    assert found_by_the_deployment_check() == []


def test_the_deployment_check_reports_a_moved_clock() -> None:
    clock.advance(days=1)

    assert found_by_the_deployment_check() == ["clock.E001"]


def test_the_deployment_check_reports_any_other_text() -> None:
    with connection.cursor() as cursor:
        cursor.execute(definition(f"{PRODUCTION_BODY} + interval '1 second'"))
        try:
            assert found_by_the_deployment_check() == ["clock.E001"]
        finally:
            cursor.execute(definition(PRODUCTION_BODY))


def test_the_deployment_check_accepts_a_database_without_the_function() -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("ALTER FUNCTION clock_now() RENAME TO clock_then")
        found = found_by_the_deployment_check()
        transaction.set_rollback(True)

    assert found == []


def test_the_deployment_check_warns_when_the_database_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(_: str) -> None:
        raise OperationalError

    monkeypatch.setattr(checks, "body_in", fail)

    assert found_by_the_deployment_check() == ["clock.W001"]
