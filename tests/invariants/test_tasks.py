"""The checks that beat asks for: one at a time, recording, and honest about a silent provider."""

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
from tests.support.run_clock import backdate
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
def a_check_running_elsewhere() -> Iterator[None]:
    """Hold the lock of the checks on another connection."""
    taken, done = threading.Event(), threading.Event()

    def hold() -> None:
        with tasks.alone() as is_alone:
            assert is_alone
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
def test_what_is_found_is_recorded(miscounted: Order, task: object) -> None:
    task()  # type: ignore[operator]  # a task is called like its function

    found = ReconciliationBreak.objects.get()
    assert (found.code, found.subject) == ("T4", str(miscounted.pk))


def test_the_short_check_leaves_out_what_has_not_moved(miscounted: Order) -> None:
    backdate(miscounted.pk)

    tasks.check_recent()
    assert not ReconciliationBreak.objects.exists()

    tasks.check_everything()
    tasks.check_recent()
    assert ReconciliationBreak.objects.get().times_seen == 2


def test_a_short_check_gives_way_to_another_check(miscounted: Order) -> None:
    with a_check_running_elsewhere():
        tasks.check_recent()

    assert not ReconciliationBreak.objects.exists()


def test_a_full_check_comes_back_when_another_one_has_ended(miscounted: Order) -> None:
    with a_check_running_elsewhere(), pytest.raises(Retry) as later:
        app.tasks["invariants.check_everything"].apply(throw=True)

    assert later.value.when == 30
    assert not ReconciliationBreak.objects.exists()


def test_the_lock_is_let_go_of_when_a_check_fails(
    miscounted: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("out of ink")

    monkeypatch.setattr(tasks, "record", fail)
    with pytest.raises(RuntimeError, match="out of ink"):
        tasks.check_recent()

    with a_check_running_elsewhere():
        pass


def test_a_provider_that_does_not_answer_is_not_compared_and_no_finding(
    miscounted: Order, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.STRIPE_API_BASE = "http://127.0.0.1:9"
    caplog.set_level(logging.INFO)

    tasks.check_recent()

    assert [each.code for each in ReconciliationBreak.objects.all()] == ["T4"]
    said = {each.message: vars(each) for each in caplog.records}
    assert said["provider.not_compared"]["problem"].startswith("OutcomeUnknown: ")
    assert (
        said["invariants.checked"]["provider_payments"],
        said["invariants.checked"]["findings"],
    ) == (
        None,
        1,
    )


def test_beat_asks_for_both_checks_on_the_queue_of_the_sweeps() -> None:
    every = {each.task: each.every for each in SCHEDULE}

    assert every["invariants.check"] == timedelta(minutes=1)
    assert every["invariants.check_everything"] == timedelta(days=1)
    for name in ("invariants.check", "invariants.check_everything"):
        assert app.amqp.router.route({}, name)["queue"].name == "sweeps"
