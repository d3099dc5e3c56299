"""Rate limits, which never fail a request because Redis is down."""

import time
from collections import Counter as Tally
from collections.abc import Iterator
from datetime import timedelta
from uuid import uuid4

import pytest
from django.test import RequestFactory
from limits import RateLimitItemPerMinute
from pytest_django import Settings
from redis import Redis

from access import rate_limits
from access.client_ip import client_key
from access.rate_limits import Counter
from access.rates import Rate
from orders.models import Order
from tests.support.silent_redis import SilentRedis
from tests.support.storefront_client import ORDERS, ApiResponse, Storefront, cart

PRODUCTS = "/api/v1/products"
TWO = RateLimitItemPerMinute(2)
PATIENCE_SECONDS = 60


@pytest.fixture
def rates(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return the rates, which tests change: at first there is no limit, and counters are empty.

    Redis has a long time-out, because the machine may be busy. It is not retried after a failure.
    """
    monkeypatch.setattr(rate_limits, "REDIS_TIMEOUT", timedelta(seconds=PATIENCE_SECONDS))
    monkeypatch.setattr(rate_limits, "REDIS_RETRY_INTERVAL", timedelta(hours=1))
    settings.THROTTLING = True
    settings.REDIS_KEY_PREFIX = f"{uuid4().hex}:"
    rates = dict.fromkeys((rate.value for rate in Rate), "")
    settings.THROTTLING_RATES = rates
    return rates


@pytest.fixture
def silent_redis(monkeypatch: pytest.MonkeyPatch) -> Iterator[SilentRedis]:
    monkeypatch.setattr(rate_limits, "REDIS_TIMEOUT", timedelta(seconds=0.2))
    redis = SilentRedis()
    yield redis
    redis.close()


def test_a_caller_above_the_limit_gets_the_time_to_wait(
    storefront: Storefront, rates: dict[str, str]
) -> None:
    rates["reads"] = "2/minute"

    answers = [storefront.get(PRODUCTS) for _ in range(3)]

    assert [answer.status for answer in answers] == [200, 200, 429]
    refused = answers[-1]
    wait = int(refused.headers["Retry-After"])
    assert refused.is_problem(429, "too-many-requests")
    assert 1 <= wait <= 60
    assert refused.headers["RateLimit-Policy"] == '"reads";q=2;w=60'
    assert refused.headers["RateLimit"] == f'"reads";r=0;t={wait}'


def test_after_the_wait_a_request_is_allowed(storefront: Storefront, rates: dict[str, str]) -> None:
    rates["reads"] = "1/second"
    gives_up_at = time.monotonic() + PATIENCE_SECONDS
    while (refused := storefront.get(PRODUCTS)).status == 200:
        assert time.monotonic() < gives_up_at  # no two requests within a second

    gives_up_at = time.monotonic() + int(refused.headers["Retry-After"]) + PATIENCE_SECONDS
    while (passed := storefront.get(PRODUCTS)).status == 429:
        assert time.monotonic() < gives_up_at

    assert (refused.status, passed.status) == (429, 200)


def test_a_check_of_a_payment_counts_as_a_change(
    storefront: Storefront, rates: dict[str, str]
) -> None:
    path = f"{ORDERS}/{storefront.order(cart(('MUG', 1))).order_id}/payments/check"
    rates["changes"] = "1/minute"

    first, second = (storefront.send("POST", path, {}) for _ in range(2))

    assert first.status == 200
    assert second.is_problem(429, "too-many-requests")


def test_requests_are_counted_by_customer_and_kind(
    storefront: Storefront, stranger: Storefront, rates: dict[str, str]
) -> None:
    rates |= {"reads": "1/minute", "orders": "1/minute", "changes": "1/minute"}

    placed = storefront.order(cart(("MUG", 1)))
    cancelled = storefront.cancel(placed.order_id)
    seen = storefront.get(PRODUCTS)
    one_too_many = storefront.order(cart(("MUG", 1)))
    of_another = stranger.order(cart(("MUG", 1)))

    assert [placed.status, cancelled.status, seen.status] == [202, 202, 200]
    assert one_too_many.is_problem(429, "too-many-requests")
    assert of_another.status == 202
    assert Order.objects.count() == 2


def test_the_shops_server_has_its_own_rates(
    storefront: Storefront, shop_server: Storefront, rates: dict[str, str]
) -> None:
    rates |= {"reads": "1/minute", "orders": "1/minute"}
    rates |= {"shop-reads": "2/minute", "shop-changes": "2/minute"}

    seen = [shop_server.get(PRODUCTS).status for _ in range(3)]
    placed = [shop_server.order(cart(("MUG", 1))).status for _ in range(3)]

    assert seen == [200, 200, 429]
    assert placed == [202, 202, 429]


def test_a_guest_is_counted_by_the_order_of_the_link(
    shop_server: Storefront, storefront: Storefront, rates: dict[str, str]
) -> None:
    first, second = (shop_server.order(cart(("MUG", 1))).order_id for _ in range(2))
    links = [
        shop_server.send("POST", f"{ORDERS}/{order_id}/links").body["url"]
        for order_id in (first, second)
    ]
    rates["reads"] = "1/minute"

    seen = [shop_server.get(link).status for link in (*links, *links)]

    assert seen == [200, 200, 429, 429]


def test_invalid_tokens_are_limited_by_address_and_valid_ones_still_work(
    storefront: Storefront, rates: dict[str, str]
) -> None:
    rates["failures"] = "2/minute"

    guesses = [guess(storefront) for _ in range(3)]
    valid = storefront.get(PRODUCTS)

    assert [answer.status for answer in guesses] == [401, 401, 429]
    assert guesses[-1].is_problem(429, "too-many-requests")
    assert valid.status == 200


def test_without_rates_redis_is_not_used(
    storefront: Storefront, rates: dict[str, str], silent_redis: SilentRedis, settings: Settings
) -> None:
    settings.REDIS_URL = silent_redis.url

    answers = [storefront.get(PRODUCTS).status for _ in range(3)]

    assert answers == [200] * 3
    assert silent_redis.connections == 0


def test_with_a_hanging_redis_each_process_counts_alone(
    storefront: Storefront,
    rates: dict[str, str],
    silent_redis: SilentRedis,
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    rates |= {"reads": "3/minute", "failures": "20/minute"}
    settings.REDIS_URL = silent_redis.url

    seen = [storefront.get(PRODUCTS).status for _ in range(4)]
    guesses = [guess(storefront).status for _ in range(6)]

    assert seen == [200, 200, 200, 429]
    assert guesses == [401] * 5 + [429]
    assert silent_redis.connections == 1
    assert [record.message for record in caplog.records if "redis" in record.message] == [
        "throttling.redis_unavailable"
    ]


def test_with_an_unreachable_redis_no_request_fails(
    storefront: Storefront, rates: dict[str, str], settings: Settings
) -> None:
    rates["reads"] = "2/minute"
    settings.REDIS_URL = "redis://127.0.0.1:9/0"

    assert [storefront.get(PRODUCTS).status for _ in range(3)] == [200, 200, 429]


def test_one_request_per_interval_retries_redis(
    rates: dict[str, str], silent_redis: SilentRedis
) -> None:
    counter = Counter(silent_redis.url, "")
    count_one(counter)
    counter._retry_redis_at = time.monotonic()

    for _ in range(3):
        count_one(counter)

    assert silent_redis.connections == 2


def test_an_allowed_request_needs_one_redis_command(
    rates: dict[str, str], settings: Settings
) -> None:
    counter = Counter(settings.REDIS_URL, uuid4().hex)
    count_one(counter)  # connects, and loads the script
    before = commands(settings.REDIS_URL)

    count_one(counter)

    asked = commands(settings.REDIS_URL) - before
    script_commands = {"lindex", "lpush", "ltrim", "expire"}
    own_commands = {"hello", "client|setinfo", "info"}
    assert asked["evalsha"] == 1
    assert asked.keys() == {"evalsha"} | script_commands | own_commands


@pytest.mark.parametrize(
    ("proxies", "forwarded", "expected"),
    [
        (0, "203.0.113.9", "198.51.100.1"),
        (1, "203.0.113.9", "203.0.113.9"),
        (1, "1.1.1.1, 2.2.2.2, 203.0.113.9", "203.0.113.9"),
        (2, "1.1.1.1, 203.0.113.9, 10.0.0.7", "203.0.113.9"),
        (2, "203.0.113.9", "198.51.100.1"),
        (1, "", "198.51.100.1"),
        (1, "; DROP TABLE", "198.51.100.1"),
        (1, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        (1, "::ffff:203.0.113.9", "203.0.113.9"),
    ],
)
def test_anonymous_callers_are_identified_by_the_address_that_our_proxies_saw(
    settings: Settings, proxies: int, forwarded: str, expected: str
) -> None:
    settings.PROXIES = proxies
    request = RequestFactory().get(
        "/", headers={"X-Forwarded-For": forwarded}, REMOTE_ADDR="198.51.100.1"
    )

    assert client_key(request) == expected


def guess(storefront: Storefront) -> ApiResponse:
    return storefront.send(
        "GET", PRODUCTS, headers={"Authorization": f"Bearer holdfast_{uuid4().hex}"}
    )


def count_one(counter: Counter) -> int:
    return counter.seconds_to_wait(TWO, "a caller", fallback_limit=TWO)


def commands(redis_url: str) -> Tally[str]:
    """Return Redis's count for each command."""
    redis = Redis.from_url(redis_url)
    found = redis.info("commandstats")
    redis.close()
    return Tally(
        {name.removeprefix("cmdstat_"): statistics["calls"] for name, statistics in found.items()}
    )
