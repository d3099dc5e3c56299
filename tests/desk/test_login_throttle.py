"""Guessing at the door: many names from one address, one name from many, and who is still let in."""

from datetime import timedelta

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import User
from django.core import signing
from django.test import Client
from django.utils import timezone
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice
from pytest_django import Settings
from time_machine import travel

from desk.login_throttle import MAX_PER_ADDRESS, MAX_PER_USERNAME, TRUST_SECONDS
from tests.support.staff_login import (
    SECOND_FACTOR,
    log_in,
    new_authenticator,
    post_password,
    superuser,
)

pytestmark = pytest.mark.django_db(transaction=True)

HERE = "192.0.2.1"
ELSEWHERE = "198.51.100.1"
IN, SHUT_OUT = 302, 429


@pytest.fixture(autouse=True)
def both_locks(settings: Settings) -> None:
    settings.DESK_REQUIRES_MFA = True


@pytest.fixture
def grace() -> User:
    return superuser()


@pytest.fixture
def app(grace: User) -> TOTPDevice:
    return new_authenticator(grace)


def guessed(times: int, name: str, address: str) -> None:
    """Wrong guesses of a moment ago, as axes writes them down."""
    AccessAttempt.objects.create(
        username=name,
        ip_address=address,
        attempt_time=timezone.now(),
        failures_since_start=times,
    )


def at(address: str) -> Client:
    return Client(REMOTE_ADDR=address)


def test_an_address_that_guesses_many_names_is_shut_out_for_a_while(grace: User) -> None:
    for number in range(MAX_PER_ADDRESS - 1):
        guessed(1, f"name{number}", HERE)

    before = post_password(at(HERE), grace).status_code
    post_password(at(HERE), User(username="nobody"), "wrong")
    after = post_password(at(HERE), grace).status_code
    from_elsewhere = post_password(at(ELSEWHERE), grace).status_code
    with travel(AccessAttempt.objects.latest("attempt_time").attempt_time + timedelta(minutes=16)):
        later = post_password(at(HERE), grace).status_code

    assert (before, after, from_elsewhere, later) == (IN, SHUT_OUT, IN, IN)


def test_a_name_that_is_guessed_at_from_many_addresses_is_shut_for_a_while(grace: User) -> None:
    for number in range(MAX_PER_USERNAME - 1):
        guessed(1, "grace", f"203.0.113.{number}")

    before = post_password(at(HERE), grace).status_code
    post_password(at(ELSEWHERE), grace, "wrong")
    after = post_password(at(HERE), grace).status_code
    another = post_password(at(HERE), superuser("ada")).status_code

    assert (before, after, another) == (IN, SHUT_OUT, IN)


def test_nobody_is_kept_out_of_a_browser_in_which_they_came_in_before(
    grace: User, app: TOTPDevice
) -> None:
    known = at(HERE)
    log_in(known, grace, app)
    known.post("/admin/logout/")
    guessed(MAX_PER_ADDRESS, "nobody", HERE)
    guessed(MAX_PER_USERNAME, "grace", ELSEWHERE)

    from_the_known = post_password(known, grace).status_code
    from_another = post_password(at(HERE), grace).status_code
    borrowed = at(HERE)
    borrowed.cookies["desk-known"] = known.cookies["desk-known"].value
    as_another = post_password(borrowed, superuser("ada")).status_code

    assert (from_the_known, from_another, as_another) == (IN, SHUT_OUT, SHUT_OUT)


def test_a_known_browser_guesses_five_times_as_any_other(grace: User, app: TOTPDevice) -> None:
    known = at(HERE)
    log_in(known, grace, app)
    known.post("/admin/logout/")
    guessed(5, "grace", HERE)

    assert post_password(known, grace).status_code == SHUT_OUT


def test_a_password_alone_makes_no_browser_known(grace: User, app: TOTPDevice) -> None:
    client = Client()

    post_password(client, grace)

    assert "desk-known" not in client.cookies


def test_a_cookie_that_is_not_ours_makes_no_browser_known(grace: User) -> None:
    guessed(MAX_PER_USERNAME, "grace", ELSEWHERE)
    for value in ("", "grace", signing.dumps("grace", salt="another")):
        client = at(HERE)
        client.cookies["desk-known"] = value

        assert post_password(client, grace).status_code == SHUT_OUT, value


def test_a_browser_is_forgotten_after_three_months(grace: User, app: TOTPDevice) -> None:
    known = at(HERE)
    log_in(known, grace, app)
    known.post("/admin/logout/")
    sent = known.cookies["desk-known"].value

    with travel(timezone.now() + timedelta(seconds=TRUST_SECONDS + 60)):
        guessed(MAX_PER_USERNAME, "grace", ELSEWHERE)
        later = at(HERE)
        later.cookies["desk-known"] = sent

        assert post_password(later, grace).status_code == SHUT_OUT


def test_the_cookie_of_a_known_browser_is_for_the_desk_alone(grace: User, app: TOTPDevice) -> None:
    client = Client()

    log_in(client, grace, app)

    cookie = client.cookies["desk-known"]
    assert (cookie["path"], cookie["httponly"], cookie["samesite"]) == ("/admin/", True, "Strict")


def test_whoever_has_one_address_of_ipv6_has_the_network(grace: User) -> None:
    for last in range(5):
        post_password(at(f"2001:db8:1:2::{last}"), grace, "wrong")

    assert post_password(at("2001:db8:1:2:ffff::9"), grace).status_code == SHUT_OUT
    assert post_password(at("2001:db8:1:3::9"), grace).status_code == IN


def test_wrong_recovery_codes_slow_down_too(grace: User, app: TOTPDevice) -> None:
    recovery = StaticDevice.objects.create(user=grace, name="Recovery codes")
    StaticToken.objects.create(device=recovery, token="abcdefgh")
    client = Client()
    with travel("2026-11-20T08:00:00Z", tick=False):  # a wrong code shuts for a second
        post_password(client, grace)

        client.post(SECOND_FACTOR, {"code": "zzzzzzzz"})
        client.post(SECOND_FACTOR, {"code": "abcdefgh"})

        assert client.get("/admin/").status_code == 302
    assert StaticToken.objects.count() == 1
