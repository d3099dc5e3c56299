"""Addresses of the caller's shell are used only with EXTERNAL=1."""

import shutil
from collections.abc import Iterator
from uuid import uuid4

import pytest

from sandbox.application import process_environment, settings_for, without_waits
from sandbox.environment import without_addresses
from sandbox.outside_service.services import program_of
from sandbox.programs import POSTGRES, STRIPE, VALKEY
from sandbox.run_directory import AlreadyRunning, RunDirectory

PORTS = {POSTGRES: 1001, VALKEY: 1002, STRIPE: 1003, "web": 1004, "flower": 1005, "metrics": 1006}
SHELL = {
    "PATH": "/usr/bin",
    "DATABASE_URL": "postgres://prod",
    "REDIS_URL": "redis://prod",
    "STRIPE_API_KEY": "sk_test_prod",
    "STRIPE_API_BASE": "https://prod",
    "GIFTCARD_API_KEY": "prod",
    "GIFTCARD_CLIENT_SECRET": "prod",
    "FRAUD_URL": "https://prod",
    "SENTRY_DSN": "https://prod",
    "PGOPTIONS": "-c search_path=prod",
    "CELERY_BROKER_URL": "redis://prod",
    "FLOWER_BROKER_API": "http://prod",
    "GUNICORN_CMD_ARGS": "--bind=prod",
    "DJANGO_SETTINGS_MODULE": "prod",
    "STRIPE_CALLS_PER_SECOND": "20",
}


@pytest.fixture
def directory() -> Iterator[RunDirectory]:
    name = f"test-{uuid4().hex}"
    directory = RunDirectory(name, published=f"var/{name}/up.json")
    directory.prepare()
    yield directory
    shutil.rmtree(directory.path)
    directory.path.with_name(f"{name}.lock").unlink(missing_ok=True)


def test_addresses_in_the_environment_are_ignored(directory: RunDirectory) -> None:
    environment = process_environment(directory, PORTS, SHELL)

    assert [value for value in environment.values() if "prod" in value] == []
    assert ":1001/" in environment["DATABASE_URL"]
    assert environment["REDIS_URL"] == "redis://127.0.0.1:1002/0"
    assert environment["STRIPE_API_BASE"] == "http://127.0.0.1:1003"
    assert environment["STRIPE_API_KEY"].startswith("sk_test_sandbox")
    assert environment["STRIPE_CALLS_PER_SECOND"] == "20"


def test_without_addresses_removes_every_address() -> None:
    assert without_addresses(SHELL) == {"PATH": "/usr/bin", "STRIPE_CALLS_PER_SECOND": "20"}


def test_the_setting_of_an_outside_service_has_its_address(directory: RunDirectory) -> None:
    ports = {**PORTS, program_of("fraud"): 1007}
    given = {"EXTERNAL": "1", "FRAUD_URL": "https://fraud.example"}

    assert settings_for(directory, ports, SHELL)["FRAUD_URL"] == "http://127.0.0.1:1007"
    assert settings_for(directory, ports, given)["FRAUD_URL"] == "https://fraud.example"


def test_external_uses_the_addresses_of_the_environment(directory: RunDirectory) -> None:
    settings = settings_for(directory, PORTS, {**SHELL, "EXTERNAL": "1"})

    assert settings["DATABASE_URL"] == "postgres://prod"
    assert settings["REDIS_URL"] == "redis://prod"
    assert settings["STRIPE_API_KEY"] == "sk_test_prod"
    assert settings["STRIPE_API_BASE"] == "https://prod"


@pytest.mark.parametrize("external", ["", "0", "yes", "true"])
def test_only_1_means_external(external: str, directory: RunDirectory) -> None:
    settings = settings_for(directory, PORTS, {**SHELL, "EXTERNAL": external})

    assert [value for value in settings.values() if "prod" in value] == []


def test_servers_without_a_given_address_stay_embedded(directory: RunDirectory) -> None:
    given = {"EXTERNAL": "1", "REDIS_URL": "redis://given"}

    settings = settings_for(directory, PORTS, given)

    assert settings["REDIS_URL"] == "redis://given"
    assert ":1001/" in settings["DATABASE_URL"]
    assert settings["STRIPE_API_BASE"] == "http://127.0.0.1:1003"


def test_secrets_are_kept_with_the_data_and_private(directory: RunDirectory) -> None:
    first = settings_for(directory, PORTS, {})

    again = settings_for(directory, PORTS, {})

    assert again == first
    assert (directory.path / "secrets.json").stat().st_mode & 0o777 == 0o600


def test_commands_share_the_processes_metrics_folder_and_port(
    directory: RunDirectory,
) -> None:
    settings = settings_for(directory, PORTS, {})

    assert settings["PROMETHEUS_MULTIPROC_DIR"] == f"{directory.relative}/metrics"
    # A second metrics server must fail to start: both would merge the same files.
    assert settings["METRICS_PORT"] == "1006"


def test_a_folder_is_used_by_one_run_at_a_time(directory: RunDirectory) -> None:
    same = RunDirectory(directory.name, published="var/never.json")

    with directory.locked(), pytest.raises(AlreadyRunning, match="is in use"), same.locked():
        pass

    with same.locked():
        pass


def test_orders_wait_for_customers_and_reviews_unless_the_run_is_without_waits(
    directory: RunDirectory,
) -> None:
    names = ("PAYMENT_GRACE_SECONDS", "REVIEW_ABOVE_MINOR")

    ordinary = process_environment(directory, PORTS, {})
    without = process_environment(directory, PORTS, without_waits({}))
    own = process_environment(directory, PORTS, without_waits({"PAYMENT_GRACE_SECONDS": "60"}))

    assert [ordinary.get(name) for name in names] == [None, "100000"]  # by default 15 minutes
    assert [without[name] for name in names] == ["0", "0"]
    assert [own[name] for name in names] == ["60", "0"]
