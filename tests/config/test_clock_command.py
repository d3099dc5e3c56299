"""``manage.py clock``: shows the time, and moves it in a sandbox only."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from pytest_django import Settings

from clock import moving
from clock.function import PRODUCTION_BODY, body_in
from clock.now import now
from sandbox.database_mark import mark_database
from sandbox.stripe_process import SandboxServer
from tests.support.shop import Shop

pytestmark = pytest.mark.django_db(transaction=True)

DAYS = timedelta(days=14)
MOVES = [("advance", "14d"), ("set", "2100-01-01"), ("reset",)]
NOTHING_LISTENS = "http://127.0.0.1:9/_sandbox/clock"


def run(*arguments: str) -> list[str]:
    """Return the lines that the command prints."""
    printed = StringIO()
    call_command("clock", *arguments, stdout=printed)
    return printed.getvalue().splitlines()


@pytest.fixture(autouse=True)
def _mark() -> Iterator[None]:
    """Restore the mark of the test database, and its clock: the command moves it unseen."""
    yield
    mark_database([])
    moving.reset()


@pytest.fixture
def unmarked() -> Iterator[None]:
    """A database without the sandbox's mark, like production's."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE sandbox.clock RENAME TO something")
        yield
        cursor.execute("ALTER TABLE sandbox.something RENAME TO clock")


@pytest.fixture
def with_stripe(sandbox_stripe: SandboxServer) -> SandboxServer:
    """The Stripe sandbox, named by the mark as a service whose clock moves as well."""
    mark_database([f"{sandbox_stripe.url}/_sandbox/clock"])
    return sandbox_stripe


def test_show_names_the_real_time() -> None:
    [line] = run("show")

    at, what = line.split(" ", 1)
    assert timedelta() <= now() - datetime.fromisoformat(at) < timedelta(seconds=30)
    assert what == "the real time"


@pytest.mark.usefixtures("unmarked")
def test_show_works_where_the_clock_cannot_be_moved() -> None:
    [line] = run("show")

    assert line.split(" ", 1)[1] == "the real time, which cannot be moved here"


def test_advance_moves_the_time_of_orders() -> None:
    before = now()

    [line] = run("advance", "14d")

    assert DAYS <= now() - before < DAYS + timedelta(seconds=30)
    assert line.endswith(" 14 days, 0:00:00 ahead of the real time")


@pytest.mark.parametrize(
    ("given", "moved_by"),
    [
        ("36h", timedelta(hours=36)),
        ("90m", timedelta(minutes=90)),
        ("30s", timedelta(seconds=30)),
        ("1d12h", timedelta(days=1, hours=12)),
        ("365d", timedelta(days=365)),
    ],
)
def test_durations(given: str, moved_by: timedelta) -> None:
    before = now()
    run("advance", given)

    assert moved_by <= now() - before < moved_by + timedelta(seconds=20)


@pytest.mark.parametrize(
    "given", ["", "14", "d", "-1d", "0s", "1.5d", "366d", "9" * 5000 + "d", "1h1d"]
)
def test_other_durations_are_refused(given: str) -> None:
    with pytest.raises(CommandError):
        run("advance", given)

    assert body_in("default") == PRODUCTION_BODY


def test_set_moves_to_a_time_in_utc() -> None:
    run("set", "2100-01-01T06:00")
    assert f"{now():%Y-%m-%d %H:%M}" == "2100-01-01 06:00"

    run("set", "2100-01-02T06:00+02:00")
    assert f"{now():%Y-%m-%d %H:%M}" == "2100-01-02 04:00"


def test_the_time_is_not_set_back(with_stripe: SandboxServer) -> None:
    before = with_stripe.ledger()["now"]
    with pytest.raises(CommandError, match=r"^Refused: .* moves forward only\.$"):
        run("set", "2020-01-01")

    assert body_in("default") == PRODUCTION_BODY
    assert with_stripe.ledger()["now"] - before < 30


@pytest.mark.parametrize("given", ["tomorrow", "", "2026-13-01"])
def test_other_times_are_refused(given: str) -> None:
    with pytest.raises(CommandError):
        run("set", given)


def test_reset_returns_to_the_real_time(shop: Shop) -> None:
    run("advance", "14d")
    shop.place()

    lines = run("reset")

    assert lines[0] == "Live runs: 1. They keep the times at which they wake."
    assert [line.split(" ", 1)[1] for line in lines[1:]] == ["the real time"]
    assert body_in("default") == PRODUCTION_BODY


@pytest.mark.usefixtures("unmarked")
@pytest.mark.parametrize("move", MOVES)
def test_a_database_without_the_mark_is_refused(move: tuple[str, ...]) -> None:
    with pytest.raises(CommandError, match=r"^Refused: this database is not a sandbox's"):
        run(*move)

    assert body_in("default") == PRODUCTION_BODY


@pytest.mark.parametrize("key", ["sk_live_1", "rk_live_1"])
@pytest.mark.parametrize("move", MOVES)
def test_a_live_mode_key_is_refused(settings: Settings, key: str, move: tuple[str, ...]) -> None:
    settings.STRIPE_API_KEY = key

    with pytest.raises(CommandError) as refused:
        run(*move)

    assert str(refused.value) == "Refused: STRIPE_API_KEY holds a live-mode key."
    assert body_in("default") == PRODUCTION_BODY


def test_the_sandboxs_services_move_along(with_stripe: SandboxServer) -> None:
    before = with_stripe.ledger()["now"]

    run("advance", "14d")
    after_14 = with_stripe.ledger()["now"]
    run("set", f"{now() + DAYS:%Y-%m-%dT%H:%M:%S}")
    after_28 = with_stripe.ledger()["now"]

    seconds = DAYS.total_seconds()
    assert seconds <= after_14 - before < seconds + 30
    assert seconds - 1 <= after_28 - after_14 < seconds + 30


def test_reset_says_that_the_services_stay_ahead(with_stripe: SandboxServer) -> None:
    assert run("reset")[0] == "The clocks of the sandbox's services stay ahead."


def test_no_time_is_moved_when_a_service_does_not_answer() -> None:
    mark_database([NOTHING_LISTENS])

    with pytest.raises(CommandError, match=rf"^{re.escape(NOTHING_LISTENS)} does not answer: .*"):
        run("advance", "14d")

    assert body_in("default") == PRODUCTION_BODY


def test_no_time_is_moved_when_a_service_refuses(sandbox_stripe: SandboxServer) -> None:
    address = f"{sandbox_stripe.url}/_sandbox/no-clock"
    mark_database([address])

    with pytest.raises(CommandError, match=rf"^{re.escape(address)} answered 404\. No time"):
        run("advance", "14d")

    assert body_in("default") == PRODUCTION_BODY
