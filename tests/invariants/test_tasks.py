"""The tasks of beat: one check at a time, findings are recorded, a silent provider is no finding."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from celery.exceptions import Retry
from django.db import connection
from pytest_django import Settings

from config.beat import SCHEDULE
from config.celery import app
from invariants import tasks
from invariants.models import ReconciliationBreak
from orders.models import Order
from tests.support.clock import backdate
from tests.support.shop import Shop

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def miscounted(shop: Shop) -> Order:
    order = shop.place()
    shop.messages.deliver_all()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE orders_order SET version = 7")
    return order


@contextmanager
def another_check_running() -> Iterator[None]:
    """Hold the lock of the checks on another connection."""
    taken, done = threading.Event(), threading.Event()

    def hold() -> None:
        with tasks.check_lock() as is_locked:
            assert is_locked
            taken.set()
            done.wait(60)
        connection.close()

    other = threading.Thread(target=hold)
    other.start()
    assert taken.wait(60)
    yield
    done.set()
    other.join()


@pytest.mark.parametrize("task", [tasks.check_recent, tasks.check_everything])
def test_both_tasks_record_their_findings(miscounted: Order, task: object) -> None:
    task()  # type: ignore[operator]  # a task is called like its function

    found = ReconciliationBreak.objects.get()
    assert (found.code, found.subject) == ("T4", str(miscounted.pk))


def test_the_short_check_leaves_out_old_orders(miscounted: Order) -> None:
    backdate(miscounted.pk)

    tasks.check_recent()
    assert not ReconciliationBreak.objects.exists()

    tasks.check_everything()
    tasks.check_recent()
    assert ReconciliationBreak.objects.get().times_seen == 2


def test_a_short_check_does_nothing_while_another_check_runs(miscounted: Order) -> None:
    with another_check_running():
        tasks.check_recent()

    assert not ReconciliationBreak.objects.exists()


def test_a_full_check_is_retried_while_another_check_runs(miscounted: Order) -> None:
    with another_check_running(), pytest.raises(Retry) as later:
        app.tasks["invariants.check_everything"].apply(throw=True)

    assert later.value.when == 30
    assert not ReconciliationBreak.objects.exists()


def test_a_failed_check_releases_the_lock(
    miscounted: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("cannot record")

    monkeypatch.setattr(tasks, "record", fail)
    with pytest.raises(RuntimeError, match="cannot record"):
        tasks.check_recent()

    with another_check_running():
        pass


def test_a_silent_provider_is_not_compared_and_is_no_finding(
    miscounted: Order, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.STRIPE_API_BASE = "http://127.0.0.1:9"
    caplog.set_level(logging.INFO)

    tasks.check_recent()

    assert [found.code for found in ReconciliationBreak.objects.all()] == ["T4"]
    logged = {record.message: vars(record) for record in caplog.records}
    assert logged["provider.not_compared"]["problem"].startswith("OutcomeUnknown: ")
    assert (
        logged["invariants.checked"]["provider_payments"],
        logged["invariants.checked"]["findings"],
    ) == (
        None,
        1,
    )


def test_beat_schedules_both_checks_on_the_sweeps_queue() -> None:
    every = {entry.task: entry.every for entry in SCHEDULE}

    assert every["invariants.check"] == timedelta(minutes=1)
    assert every["invariants.check_everything"] == timedelta(days=1)
    for name in ("invariants.check", "invariants.check_everything"):
        assert app.amqp.router.route({}, name)["queue"].name == "sweeps"
