"""The limit on calls to a service: shared through Redis, and a small one per process without Redis."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from django.conf import settings as django_settings
from pytest_django import Settings
from redis import Redis

from outbound import rate_limit
from outbound.deadline import Deadline
from outbound.errors import DeadlinePassed, RateLimited
from outbound.rate_limit import CallRate, RateLimit
from outbound.service import OutsideService
from sandbox.embedded_servers import EmbeddedServer, start_valkey
from tests.support.silent_redis import SilentRedis

SOON = timedelta(seconds=30)


@pytest.fixture(autouse=True)
def _busy_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long time-out for a Redis that answers: the machine may be busy."""
    monkeypatch.setattr(rate_limit, "REDIS_TIMEOUT", SOON)


@pytest.fixture
def short_redis_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "REDIS_TIMEOUT", timedelta(seconds=0.2))


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls do not wait, so the number of successful calls shows the limit itself."""
    monkeypatch.setattr(rate_limit, "MAX_WAIT", timedelta(0))


@pytest.fixture
def account() -> str:
    return uuid4().hex


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[EmbeddedServer]:
    """A server of its own, which the test may stop and suspend."""
    server = start_valkey(tmp_path)
    yield server
    server.stop()


@pytest.fixture
def silent_redis(short_redis_timeout: None) -> Iterator[SilentRedis]:
    redis = SilentRedis()
    yield redis
    redis.close()


def limit(
    account: str, redis_url: str, *, per_second: int = 1000, fallback_per_second: int = 3
) -> RateLimit:
    return RateLimit(
        account=account,
        redis_url=redis_url,
        per_second=per_second,
        fallback_per_second=fallback_per_second,
    )


def url_of(server: EmbeddedServer) -> str:
    return f"redis://127.0.0.1:{server.port}/0"


def takes(limits: list[RateLimit], attempts: int) -> tuple[int, int]:
    """Return how many attempts succeeded, and in how many windows of one second at most."""
    started, taken = time.monotonic(), 0
    for attempt in range(attempts):
        with suppress(RateLimited):
            limits[attempt % len(limits)].acquire(Deadline.after(SOON))
            taken += 1
    return taken, int(time.monotonic() - started) + 1


def test_two_processes_share_one_limit(no_waiting: None, account: str) -> None:
    limits = [limit(account, django_settings.REDIS_URL, per_second=10) for _ in range(2)]

    taken, windows = takes(limits, attempts=40)

    assert 10 <= taken <= 10 * windows


def test_accounts_do_not_share_a_limit(no_waiting: None) -> None:
    limits = [limit(uuid4().hex, django_settings.REDIS_URL, per_second=10) for _ in range(2)]

    taken, _ = takes(limits, attempts=20)

    assert taken == 20


def test_a_call_waits_while_the_limit_is_used_up(
    monkeypatch: pytest.MonkeyPatch, account: str
) -> None:
    monkeypatch.setattr(rate_limit, "MAX_WAIT", SOON)

    taken, windows = takes([limit(account, django_settings.REDIS_URL, per_second=1)], attempts=3)

    assert taken == 3
    assert windows >= 3


def test_waiting_ends_after_the_maximum_wait(monkeypatch: pytest.MonkeyPatch, account: str) -> None:
    monkeypatch.setattr(rate_limit, "MAX_WAIT", timedelta(seconds=0.1))
    closed = limit(account, django_settings.REDIS_URL, per_second=0)

    with pytest.raises(RateLimited):
        closed.acquire(Deadline.after(timedelta(hours=1)))


def test_waiting_ends_at_the_deadline(monkeypatch: pytest.MonkeyPatch, account: str) -> None:
    monkeypatch.setattr(rate_limit, "MAX_WAIT", timedelta(hours=1))
    closed = limit(account, django_settings.REDIS_URL, per_second=0)

    with pytest.raises(RateLimited):
        closed.acquire(Deadline.after(timedelta(seconds=0.1)))


def test_a_passed_deadline_uses_none_of_the_limit(no_waiting: None, account: str) -> None:
    only_one = limit(account, django_settings.REDIS_URL, per_second=1)

    with pytest.raises(DeadlinePassed):
        only_one.acquire(Deadline.after(timedelta(0)))

    only_one.acquire(Deadline.after(SOON))


def test_without_redis_each_process_uses_its_fallback_rate(
    no_waiting: None, account: str, own_valkey: EmbeddedServer
) -> None:
    alone = limit(account, url_of(own_valkey), fallback_per_second=3)
    alone.acquire(Deadline.after(SOON))
    own_valkey.stop()

    taken, windows = takes([alone], attempts=20)

    assert 3 <= taken <= 3 * windows


def test_the_fallback_rate_is_never_above_the_shared_rate(
    no_waiting: None, account: str, own_valkey: EmbeddedServer
) -> None:
    alone = limit(account, url_of(own_valkey), per_second=2, fallback_per_second=50)
    own_valkey.stop()

    taken, windows = takes([alone], attempts=20)

    assert 2 <= taken <= 2 * windows


def test_a_silent_redis_is_not_asked_again_for_a_while(
    no_waiting: None,
    account: str,
    silent_redis: SilentRedis,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(rate_limit, "REDIS_RETRY_DELAY", timedelta(hours=1))
    alone = limit(account, silent_redis.url, fallback_per_second=3)

    taken, windows = takes([alone], attempts=20)

    assert 3 <= taken <= 3 * windows
    assert silent_redis.connections == 1
    assert [
        record.levelname for record in caplog.records if record.name == rate_limit.__name__
    ] == ["WARNING"]


@pytest.mark.usefixtures("short_redis_timeout")
def test_a_redis_that_answers_again_is_used_again(
    no_waiting: None, account: str, own_valkey: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limit, "REDIS_RETRY_DELAY", timedelta(seconds=0.1))
    mine = limit(account, url_of(own_valkey), per_second=1000, fallback_per_second=1)
    os.kill(own_valkey.pid, signal.SIGSTOP)
    try:
        taken, windows = takes([mine], attempts=5)
    finally:
        os.kill(own_valkey.pid, signal.SIGCONT)
    assert 1 <= taken <= windows

    gives_up_at = time.monotonic() + SOON.total_seconds()
    while takes([mine], attempts=10)[0] < 10:  # more than the fallback rate allows
        assert time.monotonic() < gives_up_at


def service(account: str, per_second: int) -> OutsideService:
    rate = CallRate(per_second=per_second, fallback_per_second=5, account=account)
    return OutsideService("stripe", rate=lambda: rate)


def test_a_service_without_a_limit_does_not_use_redis(
    settings: Settings, silent_redis: SilentRedis
) -> None:
    settings.REDIS_URL = silent_redis.url
    unlimited = service("sk_test_1", per_second=0)

    for _ in range(10):
        with unlimited.call("charge", Deadline.after(SOON)):
            pass

    assert silent_redis.connections == 0


def test_redis_never_sees_the_api_key(no_waiting: None) -> None:
    key = f"sk_test_{uuid4().hex}"
    redis = Redis.from_url(django_settings.REDIS_URL, decode_responses=True)
    redis.flushdb()

    with service(key, per_second=1).call("charge", Deadline.after(SOON)):
        names = redis.keys("*")
    redis.close()

    assert len(names) == 1
    assert key not in names[0]


def test_services_with_the_same_key_do_not_share_a_limit(no_waiting: None, account: str) -> None:
    rate = CallRate(per_second=1, fallback_per_second=5, account=account)
    redis = Redis.from_url(django_settings.REDIS_URL, decode_responses=True)
    redis.flushdb()

    for name in ("one", "two"):
        with OutsideService(name, rate=lambda: rate).call("ask", Deadline.after(SOON)):
            pass
    names = redis.keys("*")
    redis.close()

    assert len(names) == 2
