"""``manage.py check --deploy`` accepts the production settings, and warns about unsafe ones."""

import os
import subprocess
import sys

import pytest
from django.conf import settings
from django.core.checks import run_checks
from django.test import override_settings

from tests.support.fresh_settings import read_settings
from tests.support.source_files import ROOT

# The deployment checks read the clock of the database.
pytestmark = pytest.mark.django_db

PRODUCTION = {
    "SECRET_KEY": "k7Jw9vQ2xZ4mB8nR1tY6uE3oP5aS0dFgHjLcViXbNqWyTzUkMe",
    "ALLOWED_HOSTS": "shop.example",
    "CSRF_TRUSTED_ORIGINS": "https://shop.example",
}
LAPTOP = ("DEBUG", "HTTPS", "DESK_REQUIRES_MFA", "PROXIES", "SERVE")


@pytest.fixture
def production(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The environment of manage.py in production, for tests to change."""
    for name in LAPTOP:
        monkeypatch.delenv(name, raising=False)
    for name, value in {**PRODUCTION, "SERVE": "both"}.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def warning_ids(environment: pytest.MonkeyPatch, variables: dict[str, str]) -> set[str]:
    """Return the ids of what the check finds with ``variables`` in the environment."""
    for name, value in variables.items():
        environment.setenv(name, value)
    changed = {
        name: value
        for name, value in read_settings().items()
        if name.isupper() and getattr(settings, name, None) != value
    }
    del changed["DATABASES"]  # the test database; its connection stays
    with override_settings(**changed):
        found = run_checks(include_deployment_checks=True)
        return {str(message.id) for message in found if not message.is_silenced()}


def manage(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if name not in LAPTOP}
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={**inherited, **PRODUCTION, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("variables", [{}, {"SERVE": "storefront"}, {"SERVE": "desk"}])
def test_the_production_settings_raise_no_warning(
    production: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    assert warning_ids(production, variables) == set()


@pytest.mark.parametrize(("variables", "status"), [({}, 0), ({"DEBUG": "1"}, 1)])
def test_the_command_fails_with_a_warning(variables: dict[str, str], status: int) -> None:
    found = manage("check", "--deploy", "--fail-level", "WARNING", **variables)

    assert found.returncode == status
    assert ("security.W018" in found.stderr) == bool(status)


@pytest.mark.parametrize(
    ("variables", "served"),
    [({}, "<Serve.BOTH: 'both'>"), ({"SERVE": "desk"}, "<Serve.DESK: 'desk'>")],
)
def test_manage_py_serves_both_unless_serve_is_set(variables: dict[str, str], served: str) -> None:
    found = manage("diffsettings", **variables)

    assert f"SERVE = {served}  ###" in found.stdout.splitlines()


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"DESK_REQUIRES_MFA": "0"}, {"desk.W001"}),
        ({"ALLOWED_HOSTS": "*"}, {"desk.W002"}),
        ({"ALLOWED_HOSTS": ".example"}, {"desk.W002"}),
        ({"SECRET_KEY": "short"}, {"security.W009"}),
        ({"HTTPS": "0"}, {f"security.{name}" for name in ("W004", "W008", "W012", "W016")}),
        ({"DEBUG": "1"}, {"security.W018"}),
    ],
)
def test_unsafe_settings_are_named(
    production: pytest.MonkeyPatch, variables: dict[str, str], expected: set[str]
) -> None:
    assert warning_ids(production, variables) == expected
