"""The settings: missing and invalid values raise errors, and the values match their reasons."""

from contextlib import closing
from datetime import timedelta

import pytest
from celery.backends.base import DisabledBackend
from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from redis import Redis

from config.celery import app
from orders.saga import CHECKOUT
from sagas.dispatch import publish
from sagas.identifiers import new_id
from sagas.phase import LEASE_MARGIN
from sagas.registry import all_sagas
from sagas.tasks import LONGEST_COUNTDOWN
from sagas.work import Remote
from tests.support.fresh_settings import read_settings

REQUIRED = ["SECRET_KEY", "DATABASE_URL", "REDIS_URL", "STRIPE_API_KEY", "INSTALLATION_ID"]


@pytest.mark.parametrize("name", REQUIRED)
def test_required_variables_must_be_set(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delenv(name)

    with pytest.raises(ImproperlyConfigured, match=name):
        read_settings()


@pytest.mark.parametrize("code", ["xyz", "EUR", "", "euro", "clf", "bgn"])
def test_the_currency_is_one_of_iso_4217(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    monkeypatch.setenv("CURRENCY", code)

    with pytest.raises(ImproperlyConfigured, match=f"CURRENCY: '{code}' is not a currency"):
        read_settings()


def test_the_currency_is_one_that_every_provider_charges(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(settings, "CURRENCY", "iqd")

    with pytest.raises(ImproperlyConfigured, match="CURRENCY: stripe does not charge in 'iqd'"):
        apps.get_app_config("payments").ready()


@pytest.mark.parametrize("name", ["STRIPE_CALLS_PER_SECOND", "STRIPE_FALLBACK_CALLS_PER_SECOND"])
def test_a_rate_is_a_number(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "many")

    with pytest.raises(ImproperlyConfigured, match=rf"{name} \(number, at least [01]\): .*'many'"):
        read_settings()


def test_an_invalid_secret_address_is_not_repeated_in_the_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://shop:hun/ter2@db:5432/holdfast")

    with pytest.raises(ImproperlyConfigured) as caught:
        read_settings()

    assert str(caught.value) == "DATABASE_URL cannot be read"
    assert caught.value.__suppress_context__


def test_at_least_one_run_at_once_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAGAS_RUN_THREADS", "0")

    with pytest.raises(ImproperlyConfigured, match="SAGAS_RUN_THREADS"):
        read_settings()


def test_defaults_are_safe(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DEBUG", "ALLOWED_HOSTS", "STRIPE_API_BASE", "STRIPE_CALLS_PER_SECOND"):
        monkeypatch.delenv(name, raising=False)

    found = read_settings()

    assert found["DEBUG"] is False
    assert found["ALLOWED_HOSTS"] == ["localhost", "127.0.0.1"]
    assert found["STRIPE_API_BASE"] == ""
    assert found["STRIPE_CALLS_PER_SECOND"] == 80


@pytest.mark.parametrize(
    ("name", "value"),
    {
        "task_acks_late": True,
        "task_acks_on_failure": True,
        "task_acks_on_timeout": True,
        "task_reject_on_worker_lost": False,
        "task_ignore_result": True,
        "result_backend": None,
        "task_store_errors_even_if_ignored": False,
        "task_create_missing_queues": False,
        "task_serializer": "json",
        "accept_content": ["json"],
        "worker_prefetch_multiplier": 1,
        "worker_send_task_events": False,
        "worker_hijack_root_logger": False,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "beat_scheduler": "django_celery_beat.schedulers:DatabaseScheduler",
        "timezone": "UTC",
        "enable_utc": True,
    }.items(),
)
def test_celery_uses_the_settings(name: str, value: object) -> None:
    assert app.conf[name] == value


def test_results_are_not_stored() -> None:
    assert isinstance(app.backend, DisabledBackend)


@pytest.mark.destructive
def test_messages_reach_their_queues_after_redis_was_flushed() -> None:
    redis = Redis.from_url(settings.REDIS_URL)
    prefix = settings.CELERY_BROKER_TRANSPORT_OPTIONS["global_keyprefix"]
    publish([new_id()], CHECKOUT.links)
    redis.flushall()

    publish([new_id()], CHECKOUT.links)

    assert redis.llen(f"{prefix}checkout") == 1
    redis.flushall()
    redis.close()


def test_a_message_in_work_is_not_redelivered() -> None:
    visible_again = timedelta(
        seconds=settings.CELERY_BROKER_TRANSPORT_OPTIONS["visibility_timeout"]
    )
    longest_task = timedelta(seconds=settings.CELERY_TASK_TIME_LIMIT)

    assert longest_task + LONGEST_COUNTDOWN < visible_again
    assert settings.CELERY_TASK_SOFT_TIME_LIMIT < settings.CELERY_TASK_TIME_LIMIT
    assert {
        settings.CELERY_VISIBILITY_TIMEOUT,
        settings.CELERY_RESULT_BACKEND_TRANSPORT_OPTIONS["visibility_timeout"],
    } == {visible_again.total_seconds()}


def test_a_lease_is_longer_than_a_call_and_shorter_than_a_task() -> None:
    calls = [
        work.time_limit
        for saga in all_sagas()
        for step in saga.steps
        for work in (step.action, step.compensating_action)
        if isinstance(work, Remote)
    ]

    assert calls
    assert timedelta() < LEASE_MARGIN
    assert max(calls) + LEASE_MARGIN < timedelta(seconds=settings.CELERY_TASK_SOFT_TIME_LIMIT)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("statement_timeout", "10s"),
        ("lock_timeout", "3s"),
        ("idle_in_transaction_session_timeout", "15s"),
        ("TimeZone", "UTC"),
        ("default_transaction_isolation", "read committed"),
    ],
)
def test_connections_have_timeouts(name: str, value: str) -> None:
    production = connection.copy()
    production.settings_dict["OPTIONS"] = read_settings()["DATABASES"]["default"]["OPTIONS"]
    with closing(production), production.cursor() as cursor:
        cursor.execute(f"SHOW {name}")

        assert cursor.fetchone() == (value,)
