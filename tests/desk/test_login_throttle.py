"""Limits on failed logins: per address, per username, and for trusted browsers."""

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
LOGGED_IN, LOCKED_OUT = 302, 429


@pytest.fixture(autouse=True)
def second_factor_required(settings: Settings) -> None:
    settings.DESK_REQUIRES_MFA = True


@pytest.fixture
def grace() -> User:
    return superuser()


@pytest.fixture
def app(grace: User) -> TOTPDevice:
    return new_authenticator(grace)


def add_failures(times: int, name: str, address: str) -> None:
    """Store failed logins of this moment, as axes does."""
    AccessAttempt.objects.create(
        username=name,
        ip_address=address,
        attempt_time=timezone.now(),
        failures_since_start=times,
    )


def client_at(address: str) -> Client:
    return Client(REMOTE_ADDR=address)


def test_an_address_with_many_failures_is_locked_for_15_minutes(grace: User) -> None:
    for number in range(MAX_PER_ADDRESS - 1):
        add_failures(1, f"name{number}", HERE)

    before = post_password(client_at(HERE), grace).status_code
    post_password(client_at(HERE), User(username="unknown"), "wrong")
    after = post_password(client_at(HERE), grace).status_code
    from_elsewhere = post_password(client_at(ELSEWHERE), grace).status_code
    with travel(AccessAttempt.objects.latest("attempt_time").attempt_time + timedelta(minutes=16)):
        later = post_password(client_at(HERE), grace).status_code

    assert (before, after, from_elsewhere, later) == (LOGGED_IN, LOCKED_OUT, LOGGED_IN, LOGGED_IN)


def test_a_username_with_failures_from_many_addresses_is_locked(grace: User) -> None:
    for number in range(MAX_PER_USERNAME - 1):
        add_failures(1, "grace", f"203.0.113.{number}")

    before = post_password(client_at(HERE), grace).status_code
    post_password(client_at(ELSEWHERE), grace, "wrong")
    after = post_password(client_at(HERE), grace).status_code
    another = post_password(client_at(HERE), superuser("ada")).status_code

    assert (before, after, another) == (LOGGED_IN, LOCKED_OUT, LOGGED_IN)


def test_a_trusted_browser_is_not_locked_out_by_failures_elsewhere(
    grace: User, app: TOTPDevice
) -> None:
    trusted = client_at(HERE)
    log_in(trusted, grace, app)
    trusted.post("/admin/logout/")
    add_failures(MAX_PER_ADDRESS, "unknown", HERE)
    add_failures(MAX_PER_USERNAME, "grace", ELSEWHERE)

    from_trusted = post_password(trusted, grace).status_code
    from_other = post_password(client_at(HERE), grace).status_code
    borrowed = client_at(HERE)
    borrowed.cookies["desk-known"] = trusted.cookies["desk-known"].value
    as_another = post_password(borrowed, superuser("ada")).status_code

    assert (from_trusted, from_other, as_another) == (LOGGED_IN, LOCKED_OUT, LOCKED_OUT)


def test_a_trusted_browser_has_five_attempts_like_any_other(grace: User, app: TOTPDevice) -> None:
    trusted = client_at(HERE)
    log_in(trusted, grace, app)
    trusted.post("/admin/logout/")
    add_failures(5, "grace", HERE)

    assert post_password(trusted, grace).status_code == LOCKED_OUT


def test_a_password_alone_does_not_make_a_browser_trusted(grace: User, app: TOTPDevice) -> None:
    client = Client()

    post_password(client, grace)

    assert "desk-known" not in client.cookies


def test_a_forged_cookie_does_not_make_a_browser_trusted(grace: User) -> None:
    add_failures(MAX_PER_USERNAME, "grace", ELSEWHERE)
    for value in ("", "grace", signing.dumps("grace", salt="another")):
        client = client_at(HERE)
        client.cookies["desk-known"] = value

        assert post_password(client, grace).status_code == LOCKED_OUT, value


def test_a_browser_is_trusted_for_90_days(grace: User, app: TOTPDevice) -> None:
    trusted = client_at(HERE)
    log_in(trusted, grace, app)
    trusted.post("/admin/logout/")
    sent = trusted.cookies["desk-known"].value

    with travel(timezone.now() + timedelta(seconds=TRUST_SECONDS + 60)):
        add_failures(MAX_PER_USERNAME, "grace", ELSEWHERE)
        later = client_at(HERE)
        later.cookies["desk-known"] = sent

        assert post_password(later, grace).status_code == LOCKED_OUT


def test_the_cookie_of_a_trusted_browser_is_for_the_desk_only(grace: User, app: TOTPDevice) -> None:
    client = Client()

    log_in(client, grace, app)

    cookie = client.cookies["desk-known"]
    assert (cookie["path"], cookie["httponly"], cookie["samesite"]) == ("/admin/", True, "Strict")


def test_ipv6_addresses_are_counted_by_network(grace: User) -> None:
    for last in range(5):
        post_password(client_at(f"2001:db8:1:2::{last}"), grace, "wrong")

    assert post_password(client_at("2001:db8:1:2:ffff::9"), grace).status_code == LOCKED_OUT
    assert post_password(client_at("2001:db8:1:3::9"), grace).status_code == LOGGED_IN


def test_a_recovery_code_right_after_a_wrong_one_is_refused(grace: User, app: TOTPDevice) -> None:
    recovery = StaticDevice.objects.create(user=grace, name="Recovery codes")
    StaticToken.objects.create(device=recovery, token="abcdefgh")
    client = Client()
    with travel("2026-11-20T08:00:00Z", tick=False):  # a wrong code blocks the device for a second
        post_password(client, grace)

        client.post(SECOND_FACTOR, {"code": "zzzzzzzz"})
        client.post(SECOND_FACTOR, {"code": "abcdefgh"})

        assert client.get("/admin/").status_code == 302
    assert StaticToken.objects.count() == 1
