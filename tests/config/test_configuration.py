"""The reference of environment variables lists exactly what the code reads."""

from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command

import config.env
import config.provider_settings
import sandbox.environment
from config.env import Section
from config.provider_settings import read_provider_settings
from sandbox.environment import without_addresses
from tests.support.source_files import APPLICATION, ROOT, python_files


def test_the_reference_is_up_to_date() -> None:
    output = StringIO()

    call_command("describe_settings", stdout=output)

    assert (ROOT / "docs" / "configuration.md").read_text() == output.getvalue()


def test_no_variable_is_read_twice() -> None:
    names = [variable.name for section in settings.CONFIGURATION for variable in section.variables]

    assert len(names) == len(set(names)) > 0


def test_only_the_reference_reads_the_environment() -> None:
    readers = {
        source.name
        for source in python_files(*APPLICATION)
        if any("os.environ" in line and "setdefault" not in line for line in source.lines)
        or any("environ.Env" in line for line in source.lines)
    }

    assert readers == {"config/env.py"}


def test_tests_and_sandbox_clear_every_address() -> None:
    addresses = {
        variable.name: "https://prod"
        for section in settings.CONFIGURATION
        for variable in section.variables
        if variable.is_address
    }

    assert addresses.keys() >= {"DATABASE_URL", "REDIS_URL", "STRIPE_API_BASE", "SENTRY_DSN"}
    assert without_addresses(addresses) == {}
    assert config.env.ADDRESS_ENDINGS == sandbox.environment.ADDRESS_ENDINGS


def test_tests_and_sandbox_clear_every_secret_of_a_provider() -> None:
    stripe = read_provider_settings("payments.providers.stripe", {})
    secrets = {variable.name: "live" for variable in stripe.variables if variable.is_secret}

    assert secrets.keys() == {"STRIPE_API_KEY"}
    assert without_addresses(secrets) == {}
    assert config.provider_settings.CREDENTIAL_ENDINGS == sandbox.environment.CREDENTIAL_ENDINGS


def test_secrets_of_a_provider_have_the_declared_endings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "example_provider").mkdir()
    (tmp_path / "example_provider" / "settings.py").write_text(
        "TITLE = 'Example'\n\n\n"
        "def read(variables):\n"
        "    return {'TOKEN': variables.text('EXAMPLE_TOKEN', 'Ours.', '', is_secret=True)}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(ValueError, match="EXAMPLE_TOKEN: names of a provider's secrets end in"):
        read_provider_settings("example_provider", {})


def test_names_of_addresses_have_the_declared_endings() -> None:
    with pytest.raises(ValueError, match="FRAUD_HOST: names of addresses"):
        Section("x").address("FRAUD_HOST", "Where the fraud service is.", "")
    with pytest.raises(ValueError, match="FRAUD_URL: names of addresses"):
        Section("x").text("FRAUD_URL", "Where the fraud service is.", "")


@pytest.mark.parametrize("value", ["", "fraud.example", "//fraud.example"])
def test_a_required_address_is_a_url(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRAUD_URL", value)

    with pytest.raises(ImproperlyConfigured, match="FRAUD_URL is not a URL"):
        Section("x").address("FRAUD_URL", "Where the fraud service is.")


def test_an_address_with_an_empty_default_may_be_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRAUD_URL", "")
    assert Section("x").address("FRAUD_URL", "Where it is.", "") == ""

    monkeypatch.setenv("FRAUD_URL", "https://fraud.example/v1")
    assert Section("x").address("FRAUD_URL", "Where it is.") == "https://fraud.example/v1"
