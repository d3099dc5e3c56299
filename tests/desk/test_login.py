"""Login at the desk: a password, then a code; no page opens before both."""

from datetime import timedelta

import pytest
from axes.models import AccessAttempt
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice
from pytest_django import Settings
from time_machine import travel

from desk.second_factor import RECOVERY_CODES, reset_factors
from tests.support.staff_login import (
    ENROL,
    LOGIN,
    PASSWORD,
    SECOND_FACTOR,
    code_of,
    desk_paths,
    log_in,
    new_authenticator,
    post_password,
    superuser,
    wrong_code,
)

pytestmark = pytest.mark.django_db(transaction=True)

BEFORE_SECOND_FACTOR = {LOGIN, SECOND_FACTOR, ENROL, "/admin/logout/"}


@pytest.fixture(autouse=True)
def second_factor_required(settings: Settings) -> None:
    settings.DESK_REQUIRES_MFA = True


@pytest.fixture
def grace() -> User:
    return superuser()


@pytest.fixture
def app(grace: User) -> TOTPDevice:
    return new_authenticator(grace)


def test_no_page_opens_before_the_second_factor(grace: User, app: TOTPDevice) -> None:
    without_code = Client()
    post_password(without_code, grace)
    paths = [path for path in desk_paths() if path not in BEFORE_SECOND_FACTOR]

    answers = {
        (path, verb): getattr(without_code, verb)(path)
        for path in paths
        for verb in ("get", "post")
    }

    opened = {
        key: answer.status_code
        for key, answer in answers.items()
        if not (
            answer.status_code == 302
            and answer.headers["Location"].startswith((LOGIN, SECOND_FACTOR))
        )
    }
    assert opened == {}
    assert {"/admin/", "/admin/search/", "/admin/orders/order/", "/admin/password_change/"} <= set(
        paths
    )
    assert len(paths) > 60


def test_pages_open_after_both_factors(grace: User, app: TOTPDevice) -> None:
    client = Client()
    log_in(client, grace, app)

    assert client.get("/admin/").status_code == 200
    assert client.get("/admin/orders/order/").status_code == 200


def test_a_password_alone_leads_to_the_second_factor(grace: User, app: TOTPDevice) -> None:
    client = Client()

    post_password(client, grace)
    page = client.get("/admin/orders/order/", follow=True)

    assert page.request["PATH_INFO"] == SECOND_FACTOR
    assert page.context["next"] == "/admin/orders/order/"


@pytest.mark.parametrize("required", [False, True])
def test_a_login_without_a_next_page_leads_to_the_dashboard(
    grace: User, app: TOTPDevice, settings: Settings, *, required: bool
) -> None:
    settings.DESK_REQUIRES_MFA = required
    client = Client()

    page = client.post(LOGIN, {"username": grace.username, "password": PASSWORD}, follow=True)
    if required:
        assert page.request["PATH_INFO"] == SECOND_FACTOR
        sent = {"code": code_of(app), "next": page.context["next"]}
        page = client.post(SECOND_FACTOR, sent, follow=True)

    assert (page.status_code, page.request["PATH_INFO"]) == (200, "/admin/")


def test_a_login_does_not_redirect_to_another_host(grace: User, app: TOTPDevice) -> None:
    client = Client()
    post_password(client, grace)

    answer = client.post(SECOND_FACTOR, {"code": code_of(app), "next": "https://evil.example/"})

    assert answer.headers["Location"] == "/admin/"


def test_staff_without_an_app_enrol_one(grace: User) -> None:
    client = Client()
    post_password(client, grace)

    page = client.get("/admin/", follow=True)
    app = TOTPDevice.objects.get()
    shown = client.post(ENROL, {"code": code_of(app)})
    codes = shown.context["codes"]

    assert page.request["PATH_INFO"] == ENROL
    assert "<svg" in page.content.decode()
    assert client.get("/admin/").status_code == 200
    assert len(set(codes)) == RECOVERY_CODES
    assert TOTPDevice.objects.get().confirmed
    assert codes[0] not in client.get(ENROL).content.decode()


def test_a_wrong_code_enrols_no_app(grace: User) -> None:
    client = Client()
    post_password(client, grace)
    client.get(ENROL)

    answer = client.post(ENROL, {"code": wrong_code(TOTPDevice.objects.get())})

    assert "The code is wrong" in answer.content.decode()
    assert not TOTPDevice.objects.get().confirmed
    assert StaticDevice.objects.count() == 0
    assert client.get("/admin/").status_code == 302


def test_a_password_alone_replaces_no_app(grace: User, app: TOTPDevice) -> None:
    client = Client()
    post_password(client, grace)
    own = new_authenticator(grace, confirmed=False)

    seen = client.get(ENROL)
    posted = client.post(ENROL, {"code": code_of(own)})

    assert [answer.headers["Location"] for answer in (seen, posted)] == [SECOND_FACTOR] * 2
    assert TOTPDevice.objects.get(confirmed=True) == app


def test_a_code_works_once(grace: User, app: TOTPDevice) -> None:
    code = code_of(app)
    first, second = Client(), Client()
    for client in (first, second):
        post_password(client, grace)

    first.post(SECOND_FACTOR, {"code": code})
    answer = second.post(SECOND_FACTOR, {"code": code})

    assert first.get("/admin/").status_code == 200
    assert "The code is wrong" in answer.content.decode()
    assert second.get("/admin/").status_code == 302


def test_a_recovery_code_works_once(grace: User, app: TOTPDevice) -> None:
    recovery = StaticDevice.objects.create(user=grace, name="Recovery codes")
    StaticToken.objects.create(device=recovery, token="abcdefgh")
    first, second = Client(), Client()
    for client in (first, second):
        post_password(client, grace)

    first.post(SECOND_FACTOR, {"code": "ABCD-EFGH"})
    second.post(SECOND_FACTOR, {"code": "abcdefgh"})

    assert first.get("/admin/").status_code == 200
    assert second.get("/admin/").status_code == 302
    assert StaticToken.objects.count() == 0


def test_a_code_right_after_a_wrong_one_is_refused(grace: User, app: TOTPDevice) -> None:
    client = Client()
    with travel("2026-11-20T08:00:00Z", tick=False):  # a wrong code blocks the device for a second
        post_password(client, grace)

        client.post(SECOND_FACTOR, {"code": wrong_code(app)})
        client.post(SECOND_FACTOR, {"code": code_of(app)})

        assert client.get("/admin/").status_code == 302


def test_five_wrong_codes_lock_the_username_for_the_address(grace: User, app: TOTPDevice) -> None:
    client = Client()
    post_password(client, grace)
    for _ in range(5):
        client.post(SECOND_FACTOR, {"code": wrong_code(app)})
        TOTPDevice.objects.update(throttling_failure_count=0)

    answer = client.post(SECOND_FACTOR, {"code": code_of(app)})

    assert answer.status_code == 429
    assert "Too many wrong attempts" in answer.content.decode()
    assert client.get("/admin/").status_code == 302


def test_a_correct_password_does_not_reset_the_count_of_wrong_codes(
    grace: User, app: TOTPDevice
) -> None:
    for _ in range(5):
        client = Client()
        post_password(client, grace)
        client.post(SECOND_FACTOR, {"code": wrong_code(app)})
        TOTPDevice.objects.update(throttling_failure_count=0)

    assert post_password(Client(), grace).status_code == 429


def test_five_wrong_passwords_lock_the_username_for_the_address_for_15_minutes(
    grace: User, app: TOTPDevice
) -> None:
    for _ in range(5):
        post_password(Client(), grace, "wrong")

    from_same_address = post_password(Client(REMOTE_ADDR="127.0.0.1"), grace)
    from_other_address = post_password(Client(REMOTE_ADDR="192.0.2.7"), grace)
    with travel(AccessAttempt.objects.latest("attempt_time").attempt_time + timedelta(minutes=16)):
        later = post_password(Client(), grace)

    assert [from_same_address.status_code, from_other_address.status_code, later.status_code] == [
        429,
        302,
        302,
    ]


@pytest.mark.parametrize(("proxies", "expected"), [(0, 429), (1, 429), (2, 302)])
def test_a_forged_forwarded_address_does_not_unlock_a_username(
    grace: User, settings: Settings, proxies: int, expected: int
) -> None:
    settings.PROXIES = proxies
    for number in range(5):
        sent = {"X-Forwarded-For": f"203.0.113.{number}, 198.51.100.9"}
        post_password(Client(), grace, "wrong", **sent)

    sent = {"X-Forwarded-For": "203.0.113.77, 198.51.100.9"}
    answer = post_password(Client(), grace, **sent)

    assert answer.status_code == expected


def test_an_invalid_forwarded_address_is_ignored(grace: User, settings: Settings) -> None:
    settings.PROXIES = 1

    post_password(Client(), grace, "wrong", **{"X-Forwarded-For": "'; DROP TABLE"})

    assert AccessAttempt.objects.get().ip_address == "127.0.0.1"


def test_a_session_gets_a_new_key_after_each_factor(grace: User, app: TOTPDevice) -> None:
    client = Client()
    client.get(LOGIN)
    keys = []
    post_password(client, grace)
    keys.append(client.session.session_key)
    client.post(SECOND_FACTOR, {"code": code_of(app)})
    keys.append(client.session.session_key)

    assert len(set(keys)) == 2
    assert [session.session_key for session in Session.objects.all()] == keys[-1:]


@pytest.mark.parametrize(
    ("steps", "status"),
    [([29] * 3, 200), ([31], 302), ([25] * 28, 200), ([25] * 29, 302)],
)
def test_a_session_ends_after_30_idle_minutes_and_after_12_hours(
    grace: User, app: TOTPDevice, steps: list[int], status: int
) -> None:
    client = Client()
    with travel("2026-11-20T08:00:00Z", tick=False) as clock:
        log_in(client, grace, app)
        for minutes in steps:
            clock.shift(timedelta(minutes=minutes))
            answer = client.get("/admin/")

    assert answer.status_code == status


def test_a_password_change_ends_all_other_sessions(grace: User, app: TOTPDevice) -> None:
    here, elsewhere = Client(), Client()
    log_in(here, grace, app)
    TOTPDevice.objects.update(last_t=-1)
    log_in(elsewhere, grace, app)
    new = "another horse, another battery"

    here.post(
        "/admin/password_change/",
        {"old_password": PASSWORD, "new_password1": new, "new_password2": new},
    )

    assert here.get("/admin/").status_code == 200
    assert elsewhere.get("/admin/").status_code == 302


def test_resetting_a_second_factor_requires_a_new_one_at_once(grace: User, app: TOTPDevice) -> None:
    client = Client()
    log_in(client, grace, app)

    reset_factors(grace, by=superuser("ada"))

    assert client.get("/admin/").status_code == 302
    assert TOTPDevice.objects.count() == 0
    entry = LogEntry.objects.get()
    assert (entry.user.username, entry.object_id, entry.change_message) == (
        "ada",
        str(grace.pk),
        "Second factor reset",
    )


def test_staff_can_log_out_before_the_second_factor(grace: User, app: TOTPDevice) -> None:
    client = Client()
    post_password(client, grace)

    client.post("/admin/logout/")

    assert client.get(SECOND_FACTOR).headers["Location"] == LOGIN


def test_without_the_setting_a_password_is_enough(grace: User, settings: Settings) -> None:
    settings.DESK_REQUIRES_MFA = False
    client = Client()

    post_password(client, grace)

    assert client.get("/admin/").status_code == 200


def test_new_passwords_are_hashed_with_argon2(grace: User) -> None:
    assert grace.password.startswith("argon2$")
