"""``manage.py check --deploy`` accepts the production settings, and warns about unsafe ones."""

import os
import subprocess
import sys

import pytest

from tests.support.source_files import ROOT

PRODUCTION = {
    "SECRET_KEY": "k7Jw9vQ2xZ4mB8nR1tY6uE3oP5aS0dFgHjLcViXbNqWyTzUkMe",
    "ALLOWED_HOSTS": "shop.example",
    "CSRF_TRUSTED_ORIGINS": "https://shop.example",
}
LAPTOP = ("DEBUG", "HTTPS", "DESK_REQUIRES_MFA", "PROXIES", "SERVE")


def check(**variables: str) -> subprocess.CompletedProcess[str]:
    """Run the check with production settings, changed by ``variables``."""
    return manage("check", "--deploy", "--fail-level", "WARNING", **variables)


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
def test_the_production_settings_raise_no_warning(variables: dict[str, str]) -> None:
    found = check(**variables)

    assert (found.returncode, found.stderr) == (0, "")


@pytest.mark.parametrize(
    ("variables", "served"),
    [({}, "<Serve.BOTH: 'both'>"), ({"SERVE": "desk"}, "<Serve.DESK: 'desk'>")],
)
def test_manage_py_serves_both_unless_serve_is_set(variables: dict[str, str], served: str) -> None:
    found = manage("diffsettings", **variables)

    assert f"SERVE = {served}  ###" in found.stdout.splitlines()


@pytest.mark.parametrize(
    ("variables", "warning"),
    [
        ({"DESK_REQUIRES_MFA": "0"}, "desk.W001"),
        ({"ALLOWED_HOSTS": "*"}, "desk.W002"),
        ({"ALLOWED_HOSTS": ".example"}, "desk.W002"),
        ({"SECRET_KEY": "short"}, "security.W009"),
        ({"HTTPS": "0"}, "security.W012"),
        ({"DEBUG": "1"}, "security.W018"),
    ],
)
def test_unsafe_settings_are_named(variables: dict[str, str], warning: str) -> None:
    found = check(**variables)

    assert found.returncode == 1
    assert warning in found.stderr
